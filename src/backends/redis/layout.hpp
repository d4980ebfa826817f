// SPDX-License-Identifier: MIT
//
// How a store lies in Redis: the names of its keys, and records as bytes. docs/format/redis.md
// describes both.
//
// Always holds: the bytes of keys are in the order of the keys. All records of one `a` lie in one
// segment.
//
// Pure functions and values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "port/log.hpp"
#include "port/range.hpp"
#include "port/record.hpp"
#include "port/state_version.hpp"

namespace graven::redis {

inline constexpr std::size_t kSegments = 16;
inline constexpr std::string_view kFormat = "graven-1";

/// The names of the keys of one partition.
class Names {
 public:
  Names(const std::string& key_prefix, const port::Partition& partition);

  [[nodiscard]] std::string head() const { return tag_ + ":h"; }
  [[nodiscard]] std::string outcomes() const { return tag_ + ":s"; }
  [[nodiscard]] std::string log() const { return tag_ + ":l"; }
  [[nodiscard]] std::string undo() const { return tag_ + ":u"; }
  /// Of nothing; for what is tried at the opening.
  [[nodiscard]] std::string trial() const { return tag_ + ":t"; }
  [[nodiscard]] std::string channel() const { return tag_ + ":c"; }  ///< how they begin
  [[nodiscard]] std::string records(std::size_t segment) const { return numbered(":r:", segment); }
  [[nodiscard]] std::string ordered(std::size_t segment) const { return numbered(":x:", segment); }
  [[nodiscard]] std::string process(std::int64_t number) const;

 private:
  [[nodiscard]] std::string numbered(const char* kind, std::size_t number) const {
    return tag_ + kind + std::to_string(number);
  }
  std::string tag_;
};

/// Whether the keys of the space lie in the sorted sets too, so that its ranges can be read.
constexpr bool ordered(port::Space space) noexcept {
  return space != port::Space::kNode && space != port::Space::kPage && space != port::Space::kBlob;
}
/// Whether its records are one number, which the server adds to.
constexpr bool is_number(port::Space space) noexcept {
  return space == port::Space::kCounter || space == port::Space::kEdge;
}
/// Whether its keys alone say everything.
constexpr bool is_empty(port::Space space) noexcept {
  return space == port::Space::kOrphan || space == port::Space::kExpiry;
}

std::size_t segment_of(port::Space space, std::int64_t a) noexcept;
inline std::size_t segment_of(const port::Key& key) noexcept {
  return segment_of(key.space, key.a);
}

std::string encoded(const port::Key& key);
/// Nothing if it is no key.
std::optional<port::Key> decoded_key(std::string_view bytes);

std::string encoded(const port::Key& key, const port::Record& record);
/// ForeignFileError if it is no record of this space.
port::Record decoded_record(port::Space space, std::string_view bytes);

/// Whether it is a range of so few ids that each can be asked for.
inline bool narrow(const port::Range& range) noexcept {
  constexpr std::uint64_t kMost = 4'096;
  return !ordered(range.space) &&
         (range.from > range.to ||
          static_cast<std::uint64_t>(range.to) - static_cast<std::uint64_t>(range.from) < kMost);
}

/// A range as ZRANGEBYLEX takes it.
struct Bounds {
  std::string from;  ///< the lesser, also of a range that is read backwards
  std::string to;
};
Bounds bounds(const port::Range& range);

/// 64 bits, the highest first.
std::string encoded(std::uint64_t number);
/// 0 if there are no 8 bytes.
std::uint64_t decoded(std::string_view bytes, std::size_t at = 0) noexcept;

/// 24 bytes: clock, history, pending.
std::string encoded(const port::StateVersion& state);
port::StateVersion decoded_state(std::string_view bytes, std::size_t at = 0) noexcept;

/// What the log says of a commit beside its states and id: flags and hashes.
std::string encoded(const port::Told& told);
/// Nothing if it is no entry.
std::optional<port::LogEntry> decoded_entry(std::string_view bytes);

}  // namespace graven::redis
