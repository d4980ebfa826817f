// SPDX-License-Identifier: MIT
//
// Ranges: intervals of keys of one space, for View::scan. The functions tell whether a key is in a
// range, its first and last possible key, and what of it remains after a key.
//
// Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "port/record.hpp"

namespace graven::port {

/// kPair: the records of one `a` with `from <= b <= to`. If `a_to` is greater than `a`: every
/// record with `a <= key.a <= a_to`, in order of (a, b); then `from` applies to the first `a` only
/// (so that a scan can continue in the middle of an `a`) and `to` is not used.
///
/// kId: `from <= a <= to`.
///
/// kName: the records of one `a` with name > `after` (`from` and `to` are not used). If `a_to` is
/// greater than `a`: those, and all of every further `a` up to `a_to`, in order of (a, name).
///
/// kName with `reverse`: the records of one `a` with name < `after`, or all of them if `after` is
/// empty, the greatest first. So `after` is where the scan begins in either direction, and there is
/// no other end: the reader stops where it has enough. The empty name comes last, and only with
/// `include_empty_name`; nothing is behind() it.
///
/// No reverse where `a_to` is greater than `a`.
struct Range {
  Space space{};
  std::int64_t a = 0;
  std::int64_t a_to = 0;
  std::int64_t from = std::numeric_limits<std::int64_t>::min();
  std::int64_t to = std::numeric_limits<std::int64_t>::max();
  std::string after{};
  bool include_empty_name = false;  // kName, after empty or reverse: also the empty name
  bool reverse = false;             // kId, and one `a` of kPair and kName
};

/// One of several reads of one state: a record; or the first records of a range, or only how many
/// there are.
struct ReadOp {
  std::optional<Key> key{};
  Range range{};          // used when there is no key
  std::size_t limit = 0;  // up to so many records of the range
  bool count = false;     // no records, their number in the whole range
};

/// Every record of a space.
inline Range whole(Space space) {
  Range range{.space = space, .include_empty_name = true};
  if (schema(space).shape != KeyShape::kId && !schema(space).a.empty()) {
    range.a = std::numeric_limits<std::int64_t>::min();
    range.a_to = std::numeric_limits<std::int64_t>::max();
  }
  return range;
}

/// Whether the range spans several `a`.
inline bool spans(const Range& range) noexcept {
  return range.a_to > range.a && schema(range.space).shape != KeyShape::kId &&
         !schema(range.space).a.empty();
}

/// Whether it is read from its end.
inline bool backwards(const Range& range) noexcept { return range.reverse && !spans(range); }

/// Whether it is a range of names that includes the empty name.
inline bool with_empty_name(const Range& range) noexcept {
  return range.include_empty_name && (range.after.empty() || backwards(range));
}

/// The least key the range can hold; for names that are read forwards, the key it begins after.
inline Key first_key(const Range& range) {
  switch (schema(range.space).shape) {
    case KeyShape::kId:
      return {.space = range.space, .a = range.from};
    case KeyShape::kPair:
      return {.space = range.space, .a = range.a, .b = range.from};
    case KeyShape::kName:
      break;
  }
  if (backwards(range)) return {.space = range.space, .a = range.a};
  return {.space = range.space, .a = range.a, .name = range.after};
}

/// The greatest key the range can hold, for names the least key that is greater than all of them;
/// only for a range that can be read backwards.
inline Key last_key(const Range& range) {
  Key last = first_key(range);
  if (schema(range.space).shape == KeyShape::kName) {
    last.name = range.after;
    if (range.after.empty()) last.b = std::numeric_limits<std::int64_t>::max();  // no name's key
    return last;
  }
  (schema(range.space).shape == KeyShape::kId ? last.a : last.b) = range.to;
  return last;
}

inline bool in_range(const Range& range, const Key& key) noexcept {
  if (key.space != range.space) return false;
  const KeyShape shape = schema(range.space).shape;
  if (shape == KeyShape::kId) return range.from <= key.a && key.a <= range.to;
  if (key.a != range.a) return spans(range) && range.a < key.a && key.a <= range.a_to;
  if (shape == KeyShape::kPair) return range.from <= key.b && (spans(range) || key.b <= range.to);
  if (key.name.empty()) return with_empty_name(range);
  if (backwards(range)) return range.after.empty() || key.name < range.after;
  return key.name > range.after;
}

/// The rest of a range after one of its keys, to continue a scan; nothing when no key can follow.
std::optional<Range> behind(Range range, const Key& key);

}  // namespace graven::port
