// SPDX-License-Identifier: MIT
//
// Integers of any size: sums, and the ways they are written. Stored ones are hexadecimal
// (graven::BigInt); a sum of two of 64 bits that leaves them must be one of those.
//
// Always holds: no leading zero limb; zero is not negative.
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graven::base {

/// Whether it is written as BigInt::hex: lower-case digits, '-' before them if it is negative.
bool is_hex(std::string_view text) noexcept;

class Integer {
 public:
  explicit Integer(std::int64_t value);
  /// Of BigInt::hex.
  explicit Integer(std::string_view hex);
  /// Of decimal digits, a '-' before them if it is negative. Quadratic.
  static Integer from_decimal(std::string_view digits);

  [[nodiscard]] Integer operator-() const;
  friend Integer operator+(const Integer& left, const Integer& right);

  /// Nothing where it does not fit.
  [[nodiscard]] std::optional<std::int64_t> to_int64() const noexcept;
  /// The nearest; infinite where there is none.
  [[nodiscard]] double to_double() const;
  [[nodiscard]] std::string to_hex() const;
  /// Quadratic.
  [[nodiscard]] std::string to_decimal() const;

 private:
  Integer() = default;
  using Limbs = std::vector<std::uint64_t>;  // of base 2^64, the lowest first

  void normalise() noexcept;
  static bool less(const Limbs& left, const Limbs& right) noexcept;

  bool negative_ = false;
  Limbs limbs_;
};

}  // namespace graven::base
