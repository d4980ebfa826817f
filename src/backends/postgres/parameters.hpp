// SPDX-License-Identifier: MIT
//
// The parameters of a statement in PostgreSQL's binary format: 64-bit and 32-bit integers, bytes,
// and arrays of them. Unsigned numbers travel as the bit pattern of a bigint.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graven::postgres {

class Parameters {
 public:
  void add(std::int64_t number);
  void add(std::uint64_t number) { add(static_cast<std::int64_t>(number)); }
  void add(std::int32_t number);
  void add(std::string_view bytes);
  void add_null() { places_.push_back({.begin = 0, .size = -1}); }
  /// Arrays; an empty one is sent as null.
  void add(std::span<const std::int64_t> numbers);
  void add(std::span<const std::int32_t> numbers);
  void add(std::span<const std::string_view> values);

  [[nodiscard]] std::size_t bytes() const noexcept { return data_.size(); }

  /// As libpq takes them; valid until the parameters change.
  struct Raw {
    std::vector<const char*> values{};
    std::vector<int> lengths{};
    std::vector<int> formats{};
  };
  [[nodiscard]] Raw raw() const;

 private:
  struct Place {
    std::size_t begin;
    int size;
  };
  void put32(std::int32_t number);
  void put64(std::int64_t number);
  void begin_array(std::int32_t element, std::size_t count);
  void done(std::size_t begin);

  std::string data_;
  std::vector<Place> places_;
};

}  // namespace graven::postgres
