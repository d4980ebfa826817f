// SPDX-License-Identifier: MIT
//
// See layout.hpp. Any thread.
#include "backends/redis/layout.hpp"

#include <charconv>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "port/encoded_key.hpp"

namespace graven::redis {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Space;

constexpr std::uint64_t kSign = std::uint64_t{1} << 63U;
constexpr std::size_t kWord = 8;

void append(std::string& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(static_cast<unsigned char>(number >> static_cast<unsigned>(shift)));
  }
}

/// Signed numbers in the order of their bytes.
void append_ordered(std::string& bytes, std::int64_t number) {
  append(bytes, static_cast<std::uint64_t>(number) ^ kSign);
}
std::int64_t ordered_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::int64_t>(decoded(bytes, at) ^ kSign);
}

/// Seven bits a byte, the lowest first; small negative numbers are short too.
void append_compact(std::string& bytes, std::int64_t number) {
  auto rest = static_cast<std::uint64_t>(number) << 1U ^ static_cast<std::uint64_t>(number >> 63);
  for (; rest >= 0x80U; rest >>= 7U) {
    bytes += static_cast<char>(static_cast<unsigned char>(rest | 0x80U));
  }
  bytes += static_cast<char>(static_cast<unsigned char>(rest));
}

[[noreturn]] void throw_foreign(Space space) {
  throw ForeignFileError(
      fmt::format("a record of the space {} in Redis is not graven's: something else wrote there",
                  port::schema(space).table));
}

/// What an integer is likely to be near: the id of a node's prefix to that of its anchor.
std::int64_t near(const Record& record, Space space, std::size_t integer) {
  return space == Space::kNode && integer == 0 ? record.integers[port::kNodeAnchor] : 0;
}

class Reader {
 public:
  Reader(Space space, std::string_view bytes) : space_(space), rest_(bytes) {}

  std::uint64_t word() {
    if (rest_.size() < kWord) throw_foreign(space_);
    const std::uint64_t number = decoded(rest_);
    rest_.remove_prefix(kWord);
    return number;
  }
  std::int64_t compact() {
    std::uint64_t sum = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      sum |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80U) return static_cast<std::int64_t>(sum >> 1U ^ (0 - (sum & 1U)));
    }
    throw_foreign(space_);
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

 private:
  Space space_;
  std::string_view rest_;
};

bool has_a(Space space) { return !port::schema(space).a.empty(); }

std::string start_of(Space space, std::int64_t a) {
  std::string bytes(1, static_cast<char>(space));
  if (has_a(space)) append_ordered(bytes, a);
  return bytes;
}

/// Greater than every name of this `a`, and not greater than what follows.
std::string behind_names(Space space, std::int64_t a) {
  if (has_a(space) && a != INT64_MAX) return start_of(space, a + 1);
  return {static_cast<char>(static_cast<int>(space) + 1)};
}

}  // namespace

Names::Names(const std::string& key_prefix, const port::Partition& partition)
    : tag_(fmt::format("{{{}:{:x}}}", key_prefix, static_cast<std::uint64_t>(partition.number))) {}

std::string Names::process(std::int64_t number) const {
  return fmt::format("{}:p:{:x}", tag_, static_cast<std::uint64_t>(number));
}

std::size_t segment_of(Space space, std::int64_t a) noexcept {
  return has_a(space) ? port::mix(static_cast<std::uint64_t>(a)) % kSegments : 0;
}

std::string encoded(const Key& key) {
  std::string bytes = start_of(key.space, key.a);
  switch (port::schema(key.space).shape) {
    case KeyShape::kId:
      break;
    case KeyShape::kPair:
      append_ordered(bytes, key.b);
      break;
    case KeyShape::kName:
      bytes += key.name;
      break;
  }
  return bytes;
}

std::optional<Key> decoded_key(std::string_view bytes) {
  if (bytes.empty() || static_cast<unsigned char>(bytes[0]) >= port::kSpaceCount) {
    return std::nullopt;
  }
  Key key{.space = static_cast<Space>(bytes[0])};
  std::size_t at = 1;
  if (has_a(key.space)) {
    if (bytes.size() < at + kWord) return std::nullopt;
    key.a = ordered_at(bytes, at);
    at += kWord;
  }
  const KeyShape shape = port::schema(key.space).shape;
  if (shape == KeyShape::kName) {
    key.name = bytes.substr(at);
    return key;
  }
  if (bytes.size() != at + (shape == KeyShape::kPair ? kWord : 0)) return std::nullopt;
  if (shape == KeyShape::kPair) key.b = ordered_at(bytes, at);
  return key;
}

std::string encoded(const Key& key, const Record& record) {
  const port::Schema& schema = port::schema(key.space);
  if (is_number(key.space)) return std::to_string(record.integers[0]);
  if (is_empty(key.space)) return {};
  std::string bytes;
  bytes.reserve(40 + record.body.size());
  if (schema.has_version) append(bytes, record.version);
  if (key.space == Space::kNode) {
    append(bytes, static_cast<std::uint64_t>(record.integers[port::kNodeAnchor]));
  }
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    if (key.space == Space::kNode && i == port::kNodeAnchor) continue;
    append_compact(bytes, record.integers[i] ^ near(record, key.space, i));
  }
  bytes += record.body;
  return bytes;
}

Record decoded_record(Space space, std::string_view bytes) {
  const port::Schema& schema = port::schema(space);
  Record record;
  if (is_empty(space)) return record;
  if (is_number(space)) {
    const char* const end = bytes.data() + bytes.size();
    const auto [at, error] = std::from_chars(bytes.data(), end, record.integers[0]);
    if (error != std::errc() || at != end) throw_foreign(space);
    return record;
  }
  Reader reader(space, bytes);
  if (schema.has_version) record.version = reader.word();
  if (space == Space::kNode) {
    record.integers[port::kNodeAnchor] = static_cast<std::int64_t>(reader.word());
  }
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    if (space == Space::kNode && i == port::kNodeAnchor) continue;
    record.integers[i] = reader.compact() ^ near(record, space, i);
  }
  record.body = reader.rest();
  return record;
}

Bounds bounds(const Range& range) {
  const KeyShape shape = port::schema(range.space).shape;
  const bool several = port::spans(range);
  if (shape == KeyShape::kName) {
    std::string from = port::with_empty_name(range) ? "[" : "(";
    from += start_of(range.space, range.a);
    if (port::backwards(range) && !range.after.empty()) {
      return {from, "(" + start_of(range.space, range.a) + range.after};
    }
    from += range.after;
    return {std::move(from), "(" + behind_names(range.space, several ? range.a_to : range.a)};
  }
  if (shape == KeyShape::kId) {
    return {"[" + start_of(range.space, range.from), "[" + start_of(range.space, range.to)};
  }
  std::string to = start_of(range.space, several ? range.a_to : range.a);
  append_ordered(to, several ? INT64_MAX : range.to);
  return {"[" + encoded(port::first_key(range)), "[" + to};
}

std::string encoded(std::uint64_t number) {
  std::string bytes;
  append(bytes, number);
  return bytes;
}

std::uint64_t decoded(std::string_view bytes, std::size_t at) noexcept {
  if (bytes.size() < at + kWord) return 0;
  std::uint64_t number = 0;
  for (std::size_t i = at; i < at + kWord; ++i) {
    number = number << 8U | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

std::string encoded(const port::StateVersion& state) {
  std::string bytes;
  for (const std::uint64_t word : {state.clock, state.history, state.pending}) append(bytes, word);
  return bytes;
}

port::StateVersion decoded_state(std::string_view bytes, std::size_t at) noexcept {
  return {.clock = decoded(bytes, at),
          .history = decoded(bytes, at + kWord),
          .pending = decoded(bytes, at + 2 * kWord)};
}

std::string encoded(const port::Told& told) {
  std::string bytes = encoded(told.flags());
  for (const std::uint64_t hash : told.hashes) append(bytes, hash);
  return bytes;
}

std::optional<port::LogEntry> decoded_entry(std::string_view bytes) {
  constexpr std::size_t kFixed = 7 * kWord;  // state, previous, id, flags
  if (bytes.size() < kFixed || bytes.size() % kWord != 0) return std::nullopt;
  port::LogEntry entry{
      .state = decoded_state(bytes),
      .previous = decoded(bytes, 3 * kWord),
      .id = {.session = decoded(bytes, 4 * kWord), .sequence = decoded(bytes, 5 * kWord)},
      .flags = decoded(bytes, 6 * kWord)};
  for (std::size_t at = kFixed; at < bytes.size(); at += kWord) {
    entry.hashes.push_back(decoded(bytes, at));
  }
  return entry;
}

}  // namespace graven::redis
