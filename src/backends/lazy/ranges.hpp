// SPDX-License-Identifier: MIT
//
// Which keys a range holds, for ordered maps of keys. Any thread.
#pragma once

#include "port/record.hpp"

namespace graven::memory {

/// The first key a range can hold.
inline store::Key first_key(const store::Range& range) {
  switch (store::schema(range.space).shape) {
    case store::KeyShape::kId:
      return {.space = range.space, .a = range.from};
    case store::KeyShape::kPair:
      return {.space = range.space, .a = range.a, .b = range.from};
    case store::KeyShape::kName:
      break;
  }
  return {.space = range.space, .a = range.a, .name = range.after};
}

/// The last key a range of one `a` can hold, if it is not one of names.
inline store::Key last_key(const store::Range& range) {
  store::Key last = first_key(range);
  (store::schema(range.space).shape == store::KeyShape::kId ? last.a : last.b) = range.to;
  return last;
}

/// Whether the range is one of many `a`.
inline bool spans(const store::Range& range) {
  return range.a_to > range.a && store::schema(range.space).shape != store::KeyShape::kId;
}

/// Whether it is gone through from its end.
inline bool backwards(const store::Range& range) {
  return range.reverse && !spans(range) &&
         store::schema(range.space).shape != store::KeyShape::kName;
}

inline bool in_range(const store::Range& range, const store::Key& key) {
  if (key.space != range.space) return false;
  const store::KeyShape shape = store::schema(range.space).shape;
  if (shape == store::KeyShape::kId) return range.from <= key.a && key.a <= range.to;
  if (spans(range) && key.a != range.a) return range.a < key.a && key.a <= range.a_to;
  if (key.a != range.a) return false;
  if (shape == store::KeyShape::kPair) {
    return range.from <= key.b && (spans(range) || key.b <= range.to);
  }
  return key.name > range.after ||
         (range.include_empty_name && range.after.empty() && key.name.empty());
}

}  // namespace graven::memory
