// SPDX-License-Identifier: MIT
//
// Records packed one after another in chunks, and an index of them; when to read ahead; and the
// changes that wait. See working_set.hpp.
#include "store/working_set.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace graven::store {

using port::Change;

namespace {

constexpr std::size_t kChunkUnits = std::size_t{1} << 13U;  // 64 KiB
constexpr std::size_t kLargest = std::size_t{8} << 10U;     // of a body; larger ones are not kept
constexpr std::size_t kFewestPlaces = 1024;
constexpr std::size_t kMostStretches = 1024;
/// Rows read ahead at a time; rows that a miss pays for; rows that the use of a row read ahead pays
/// for. A row read in sequence costs about a tenth of a lookup, so this makes a miss a fifth more
/// expensive, and rows read in vain cost no more than the useful ones have saved.
constexpr std::size_t kRows = 512;
constexpr std::size_t kRowsOfMiss = 2;
constexpr std::size_t kRowsOfUse = 8;
constexpr std::size_t kWrittenTogether = 4096;

std::uint32_t hash_of(const Key& key) noexcept {
  std::uint64_t sum = static_cast<std::uint64_t>(key.a) * 0x9e3779b97f4a7c15ULL;
  sum = (sum ^ (sum >> 29U) ^ static_cast<std::uint64_t>(key.b)) * 0xc2b2ae3d27d4eb4fULL;
  sum = (sum ^ (sum >> 31U) ^ static_cast<std::uint64_t>(key.space)) * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::uint32_t>(sum >> 32U);
}

bool by_id(Space space) noexcept { return port::schema(space).shape == port::KeyShape::kId; }

}  // namespace

struct WorkingSet::Packed {
  enum class Known : std::uint8_t { kUnknown, kAbsent, kPresent };

  std::int64_t a = 0;
  std::int64_t b = 0;
  std::uint64_t version = 0;
  std::uint32_t body_size = 0;
  std::uint32_t units = 0;  // it may take, including this header
  Space space{};
  Known known = Known::kUnknown;
  bool deferred = false;
  bool listed = false;  // in deferred_
  bool unused = false;  // read ahead, and not used yet

  [[nodiscard]] bool is(const Key& key) const noexcept {
    return a == key.a && b == key.b && space == key.space;
  }
  [[nodiscard]] std::size_t integer_bytes() const noexcept {
    return port::schema(space).integers.size() * sizeof(std::int64_t);
  }
  [[nodiscard]] char* behind() noexcept { return reinterpret_cast<char*>(this + 1); }

  static std::size_t units_of(Space space, std::size_t body) noexcept {
    const std::size_t bytes =
        sizeof(Packed) + port::schema(space).integers.size() * sizeof(std::int64_t) + body;
    return (bytes + kUnit - 1) / kUnit;
  }
  /// nullptr: there is no such record.
  void put(const Record* record) noexcept {
    known = record != nullptr ? Known::kPresent : Known::kAbsent;
    if (record == nullptr) return;
    version = record->version;
    body_size = static_cast<std::uint32_t>(record->body.size());
    std::memcpy(behind(), record->integers.data(), integer_bytes());
    std::memcpy(behind() + integer_bytes(), record->body.data(), record->body.size());
  }
  void get(std::optional<Record>& into) {
    if (known == Known::kAbsent) return into.reset();
    if (!into) into.emplace();
    into->version = version;
    into->integers.fill(0);
    std::memcpy(into->integers.data(), behind(), integer_bytes());
    into->body.assign(behind() + integer_bytes(), body_size);
  }
};

std::array<std::int64_t, port::kSpaceCount> WorkingSet::none() noexcept {
  std::array<std::int64_t, port::kSpaceCount> all{};
  all.fill(std::numeric_limits<std::int64_t>::min());
  return all;
}

void WorkingSet::clear() noexcept {
  chunks_.clear();
  used_ = 0;
  deferred_.clear();
  deferred_in_.fill(false);
  places_.reset();
  count_ = 0;
  misses_when_full_ = 0;
  greatest_ = none();
  stretches_.clear();
  last_stretches_ = {};
}

WorkingSet::Packed& WorkingSet::packed(std::uint32_t at) const noexcept {
  return *reinterpret_cast<Packed*>(chunks_[at / kChunkUnits].get() + at % kChunkUnits);
}

/// The place of the key, or the one it would get; nullptr while the table is empty.
WorkingSet::Place* WorkingSet::place_of(const Key& key) noexcept {
  const std::uint32_t hash = hash_of(key);
  return places_.place(
      hash, [&](const Place& place) { return place.hash == hash && packed(place.at).is(key); });
}

/// Makes sure that the table has a free place; false if that would exceed the bound.
bool WorkingSet::make_place() {
  if (2 * (count_ + 1) <= places_.size()) return true;
  const std::size_t more = std::max(kFewestPlaces, places_.size() * 2);
  if (chunks_.size() * kChunkUnits * kUnit + more * sizeof(Place) > most_bytes_) return false;
  places_.grow(kFewestPlaces, [](const Place& place) { return place.hash; });
  return true;
}

/// Finds room for so many units; 0: there is none within the bound.
std::uint32_t WorkingSet::allocate(std::size_t units) {
  if (chunks_.empty() || used_ + units > kChunkUnits) {
    const std::size_t all = (chunks_.size() + 1) * kChunkUnits;
    if (all * kUnit + places_.size() * sizeof(Place) > most_bytes_ || all > UINT32_MAX) return 0;
    chunks_.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(kChunkUnits));
    used_ = chunks_.size() == 1 ? 1 : 0;  // nothing lies at 0
  }
  const std::size_t at = (chunks_.size() - 1) * kChunkUnits + used_;
  used_ += units;
  return static_cast<std::uint32_t>(at);
}

/// Stores the record of the key, or its absence, at its place; false: there is no room.
bool WorkingSet::put(Place& place, const Key& key, const Record* record) {
  std::size_t units = Packed::units_of(key.space, record != nullptr ? record->body.size() : 0);
  if (place.at == 0 || packed(place.at).units < units) {
    if (place.at != 0) units += units / 4;  // a record that has grown may grow again
    const std::uint32_t at = allocate(units);
    if (at == 0) return false;
    if (place.at == 0) {
      ++count_;
    } else {
      packed(place.at).deferred = false;
    }
    place = {hash_of(key), at};
    Packed& made = *::new (&packed(at)) Packed;
    made.a = key.a;
    made.b = key.b;
    made.space = key.space;
    made.units = static_cast<std::uint32_t>(units);
  }
  packed(place.at).put(record);
  return true;
}

/// Keeps what was read, unless it is known already; false: there is no room.
bool WorkingSet::keep(const Key& key, const std::optional<Record>& record, bool ahead) {
  if (!make_place()) return false;
  Place& place = *place_of(key);
  if (place.at != 0 && packed(place.at).known != Packed::Known::kUnknown) return true;
  if (!put(place, key, record ? &*record : nullptr)) return false;
  packed(place.at).unused = ahead;
  std::int64_t& greatest = greatest_[static_cast<std::size_t>(key.space)];
  greatest = std::max(greatest, key.a);
  return true;
}

void WorkingSet::replace(const Key& key, const Record* record) {
  Place* const place = place_of(key);
  if (place == nullptr || place->at == 0) return;
  packed(place->at).deferred = false;
  if (record == nullptr || record->body.size() > kLargest || !put(*place, key, record)) {
    packed(place->at).known = Packed::Known::kUnknown;
  }
}

bool WorkingSet::defer(const Key& key, const Record& record) {
  if (key.space == Space::kSlot || !keeps(key.space)) return false;  // slots are not rewritten
  Place* const place = place_of(key);
  if (place == nullptr || place->at == 0) return false;
  if (deferred_.size() == deferred_.capacity()) deferred_.reserve(2 * deferred_.size() + 64);
  if (packed(place->at).known != Packed::Known::kPresent || record.body.size() > kLargest ||
      !put(*place, key, &record)) {
    return false;
  }
  Packed& one = packed(place->at);
  if (!one.listed) deferred_.push_back(place->at);
  one.deferred = one.listed = true;
  deferred_in_[static_cast<std::size_t>(key.space)] = true;
  return true;
}

void WorkingSet::write_deferred(base::FunctionRef<void(std::vector<Change>)> write) {
  struct Waiting {
    Space space;
    std::int64_t a;
    std::int64_t b;
    std::uint32_t at;
    auto operator<=>(const Waiting&) const = default;
  };
  std::vector<Waiting> order;
  order.reserve(deferred_.size());
  for (const std::uint32_t at : deferred_) {
    Packed& one = packed(at);
    if (one.deferred) order.push_back({one.space, one.a, one.b, at});
    one.deferred = one.listed = false;
  }
  deferred_.clear();
  deferred_in_.fill(false);
  std::sort(order.begin(), order.end());
  std::vector<Change> changes;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Waiting& one = order[i];
    Change& change = changes.emplace_back();
    change.key = {.space = one.space, .a = one.a, .b = one.b};
    packed(one.at).get(change.record);
    if (changes.size() == kWrittenTogether || i + 1 == order.size()) {
      write(std::exchange(changes, {}));
    }
  }
}

WorkingSet::Stretch& WorkingSet::stretch_of(const Key& key) {
  const std::int64_t a = by_id(key.space) ? 0 : key.a;
  auto& last = last_stretches_[static_cast<std::size_t>(key.space)];
  if (last.second != nullptr && last.first == a) return *last.second;
  if (stretches_.size() >= kMostStretches) {
    stretches_.clear();
    last_stretches_ = {};
  }
  last = {a, &stretches_[{key.space, a}]};
  return *last.second;
}

bool WorkingSet::find(const Key& key, std::optional<Record>& into) {
  const Place* const place = place_of(key);
  if (place == nullptr || place->at == 0) return false;
  Packed& packed = this->packed(place->at);
  if (packed.known == Packed::Known::kUnknown) return false;
  packed.get(into);
  if (packed.unused) {
    packed.unused = false;
    ++stretch_of(key).used;
  }
  return true;
}

void WorkingSet::read(const Key& key, const std::optional<Record>& record, View& below) {
  if (record && record->body.size() > kLargest) return;
  if (!keep(key, record, false)) {
    ++misses_when_full_;
    return;
  }
  if (!record) return;  // a key that does not exist has no neighbours
  Stretch& stretch = stretch_of(key);
  ++stretch.misses;
  if (stretch.ahead && (stretch.ahead->ended() || key.a < stretch.from)) {
    // It lies outside the rows to be read ahead. After some such misses, reading ahead starts
    // there.
    ++stretch.outside;
    stretch.from_outside = std::min(stretch.from_outside, key.a);
    if (stretch.outside * kRowsOfMiss < kRows) return;
    stretch = {.from = stretch.from_outside, .misses = stretch.outside};
  } else if (!stretch.ahead) {
    stretch.from = std::min(stretch.from, key.a);
  }
  if (stretch.read_ahead + kRows <= stretch.misses * kRowsOfMiss + stretch.used * kRowsOfUse) {
    read_ahead(stretch, key, below);
  }
}

/// Reads the next rows of the stretch in which the key lies.
void WorkingSet::read_ahead(Stretch& stretch, const Key& key, View& below) {
  if (!stretch.ahead) {
    port::Range rest{.space = key.space};
    // For nodes, from the least id that was missed: there, about, those of one dict begin.
    (by_id(key.space) ? rest.from : rest.a) = stretch.from;
    stretch.ahead.emplace(std::move(rest));
  }
  stretch.read_ahead += kRows;
  const std::vector<port::Row> rows = stretch.ahead->next(below, kRows);
  for (const port::Row& row : rows) {
    if (row.record.body.size() > kLargest) continue;
    if (!keep(row.key, row.record, true)) {
      stretch.ahead->end();
      return;
    }
  }
}

}  // namespace graven::store
