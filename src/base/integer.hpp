// SPDX-License-Identifier: MIT
//
// Integers of any size: sums, and conversion to and from text. Stored ones are hexadecimal
// (graven::BigInt). A sum of two 64-bit integers that does not fit 64 bits becomes one of these.
//
// Always holds: no leading zero limb; zero is not negative. Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graven::base {

/// Whether it has the form of BigInt::hex: lower-case digits, after a '-' if it is negative.
bool is_hex(std::string_view text) noexcept;
/// BadValueError, which names the `place`, for a BigInt of other digits.
void require_hex(std::string_view text, std::string_view place);

class Integer {
 public:
  explicit Integer(std::int64_t value);
  /// From the form of BigInt::hex.
  explicit Integer(std::string_view hex);
  /// From decimal digits, after a '-' if it is negative. Quadratic.
  static Integer from_decimal(std::string_view digits);

  [[nodiscard]] Integer operator-() const;
  friend Integer operator+(const Integer& left, const Integer& right);

  /// Nothing if it does not fit.
  [[nodiscard]] std::optional<std::int64_t> to_int64() const noexcept;
  /// The nearest double; infinite if it is too large.
  [[nodiscard]] double to_double() const;
  [[nodiscard]] std::string to_hex() const;
  /// Quadratic.
  [[nodiscard]] std::string to_decimal() const;

 private:
  Integer() = default;
  using Limbs = std::vector<std::uint64_t>;  // in base 2^64, the lowest first

  void normalise() noexcept;
  static bool less(const Limbs& left, const Limbs& right) noexcept;

  bool negative_ = false;
  Limbs limbs_;
};

}  // namespace graven::base
