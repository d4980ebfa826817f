// SPDX-License-Identifier: MIT
//
// See parameters.hpp. One thread at a time.
#include "backends/postgres/parameters.hpp"

#include <endian.h>

#include <cstring>

#include <graven/error.hpp>

namespace graven::postgres {
namespace {

// Numbers of types, fixed in PostgreSQL.
constexpr std::int32_t kBytea = 17;
constexpr std::int32_t kInt8 = 20;
constexpr std::int32_t kInt4 = 23;

}  // namespace

void Parameters::put32(std::int32_t number) {
  const std::uint32_t big = htobe32(static_cast<std::uint32_t>(number));
  data_.append(reinterpret_cast<const char*>(&big), sizeof big);
}

void Parameters::put64(std::int64_t number) {
  const std::uint64_t big = htobe64(static_cast<std::uint64_t>(number));
  data_.append(reinterpret_cast<const char*>(&big), sizeof big);
}

void Parameters::done(std::size_t begin) {
  constexpr std::size_t kMost = std::size_t{1} << 30U;
  const std::size_t size = data_.size() - begin;
  if (size >= kMost) {
    throw LimitError("PostgreSQL takes less than 1 GiB in one piece; write it in smaller ones");
  }
  places_.push_back({.begin = begin, .size = static_cast<int>(size)});
}

void Parameters::add(std::int64_t number) {
  const std::size_t begin = data_.size();
  put64(number);
  done(begin);
}

void Parameters::add(std::int32_t number) {
  const std::size_t begin = data_.size();
  put32(number);
  done(begin);
}

void Parameters::add(std::string_view bytes) {
  const std::size_t begin = data_.size();
  data_ += bytes;
  done(begin);
}

void Parameters::begin_array(std::int32_t element, std::size_t count) {
  put32(1);  // dimensions
  put32(0);  // no nulls
  put32(element);
  put32(static_cast<std::int32_t>(count));
  put32(1);  // first index
}

void Parameters::add(std::span<const std::int64_t> numbers) {
  if (numbers.empty()) return add_null();
  const std::size_t begin = data_.size();
  begin_array(kInt8, numbers.size());
  for (const std::int64_t number : numbers) {
    put32(sizeof number);
    put64(number);
  }
  done(begin);
}

void Parameters::add(std::span<const std::int32_t> numbers) {
  if (numbers.empty()) return add_null();
  const std::size_t begin = data_.size();
  begin_array(kInt4, numbers.size());
  for (const std::int32_t number : numbers) {
    put32(sizeof number);
    put32(number);
  }
  done(begin);
}

void Parameters::add(std::span<const std::string_view> values) {
  if (values.empty()) return add_null();
  const std::size_t begin = data_.size();
  begin_array(kBytea, values.size());
  for (const std::string_view value : values) {
    put32(static_cast<std::int32_t>(value.size()));
    data_ += value;
  }
  done(begin);
}

Parameters::Raw Parameters::raw() const {
  Raw raw;
  raw.values.reserve(places_.size());
  raw.lengths.reserve(places_.size());
  raw.formats.assign(places_.size(), 1);
  for (const Place& place : places_) {
    raw.values.push_back(place.size < 0 ? nullptr : data_.data() + place.begin);
    raw.lengths.push_back(place.size < 0 ? 0 : place.size);
  }
  return raw;
}

}  // namespace graven::postgres
