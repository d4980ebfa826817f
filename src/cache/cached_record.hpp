// SPDX-License-Identifier: MIT
//
// Records as the cache's table stores them: version, integers and body. port/encoded_key.hpp
// encodes their keys.
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

namespace graven::cache {

using port::Record;
using port::Schema;

// The kind of a table entry.
inline constexpr std::uint8_t kPresent = 0;
inline constexpr std::uint8_t kAbsent = 1;

inline constexpr std::size_t kLongestRecord = std::size_t{64} * 1024;  // longer ones are not kept

/// Appends a record as the table stores it.
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

/// Whether the absence of such a record is kept.
inline bool keeps_absence(port::Space space) noexcept {
  return port::cached(space) && port::schema(space).shape != port::KeyShape::kId;
}

}  // namespace graven::cache
