// SPDX-License-Identifier: MIT
//
// Records as they lie in the cache's table: version, integers and body. Their keys are encoded by
// port/encoded_key.hpp.
//
// Pure functions and values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "port/encoded_key.hpp"
#include "port/record.hpp"
#include "port/touched.hpp"

namespace graven::store {

// Of an entry, its kind.
inline constexpr std::uint8_t kPresent = 0;
inline constexpr std::uint8_t kAbsent = 1;

inline constexpr std::size_t kLongestRecord = std::size_t{64} * 1024;  // longer ones are not kept

/// Appends a record as the table has it.
inline void encode(const Schema& shape, const Record& record, std::string& out) {
  const auto append = [&out](const auto& number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  append(record.version);
  for (std::size_t i = 0; i < shape.integers.size(); ++i) append(record.integers[i]);
  out += record.body;
}

inline Record decode(const Schema& shape, std::string_view bytes) {
  Record record;
  const auto take = [&bytes](auto& number) {
    std::memcpy(&number, bytes.data(), sizeof number);
    bytes.remove_prefix(sizeof number);
  };
  take(record.version);
  for (std::size_t i = 0; i < shape.integers.size(); ++i) take(record.integers[i]);
  record.body = bytes;
  return record;
}

/// Whether it is worth knowing that there is no such record.
inline bool keeps_absence(Space space) noexcept {
  return cached(space) && schema(space).shape != KeyShape::kId;
}

}  // namespace graven::store
