// SPDX-License-Identifier: MIT
//
// Sign and magnitude, in limbs of 64 bits. See integer.hpp. Any thread.
#include "base/integer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <graven/error.hpp>
#include <graven/integer.hpp>

namespace graven {
namespace base {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kChunk = 10'000'000'000'000'000'000U;  // 19 decimal digits

}  // namespace

bool is_hex(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

void require_hex(std::string_view text, std::string_view place) {
  if (is_hex(text)) return;
  throw BadValueError(fmt::format(
      "the BigInt at {} is written '{}': give lower-case hexadecimal digits", place, text));
}

Integer::Integer(std::int64_t value)
    : negative_(value < 0),
      limbs_{value < 0 ? -static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value)} {
  normalise();
}

Integer::Integer(std::string_view hex) : negative_(hex.starts_with('-')) {
  if (negative_) hex.remove_prefix(1);
  while (!hex.empty()) {
    const std::size_t size = std::min<std::size_t>(16, hex.size());
    std::uint64_t limb = 0;
    std::from_chars(hex.data() + hex.size() - size, hex.data() + hex.size(), limb, 16);
    limbs_.push_back(limb);
    hex.remove_suffix(size);
  }
  normalise();
}

Integer Integer::from_decimal(std::string_view digits) {
  constexpr std::size_t kAtATime = 18;
  Integer result;
  result.negative_ = digits.starts_with('-');
  if (result.negative_) digits.remove_prefix(1);
  while (!digits.empty()) {
    // The remainder comes first, so that all later steps multiply by the same power of ten.
    const std::size_t odd = digits.size() % kAtATime;
    const std::size_t size = odd == 0 ? kAtATime : odd;
    std::uint64_t carry = 0;
    std::from_chars(digits.data(), digits.data() + size, carry);
    for (std::uint64_t& limb : result.limbs_) {
      const Wide product = Wide{limb} * 1'000'000'000'000'000'000U + carry;
      limb = static_cast<std::uint64_t>(product);
      carry = static_cast<std::uint64_t>(product >> 64U);
    }
    if (carry != 0) result.limbs_.push_back(carry);
    digits.remove_prefix(size);
  }
  result.normalise();
  return result;
}

void Integer::normalise() noexcept {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
  if (limbs_.empty()) negative_ = false;
}

bool Integer::less(const Limbs& left, const Limbs& right) noexcept {
  if (left.size() != right.size()) return left.size() < right.size();
  return std::lexicographical_compare(left.rbegin(), left.rend(), right.rbegin(), right.rend());
}

Integer Integer::operator-() const {
  Integer result = *this;
  result.negative_ = !negative_ && !limbs_.empty();
  return result;
}

Integer operator+(const Integer& left, const Integer& right) {
  const bool swapped = Integer::less(left.limbs_, right.limbs_);
  Integer result = swapped ? right : left;  // the larger magnitude; the sum has its sign
  const Integer& other = swapped ? left : right;
  const bool add = left.negative_ == right.negative_;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < result.limbs_.size(); ++i) {
    const std::uint64_t term = i < other.limbs_.size() ? other.limbs_[i] : 0;
    const Wide before = result.limbs_[i];
    const Wide after = add ? before + term + carry : before - term - carry;
    result.limbs_[i] = static_cast<std::uint64_t>(after);
    carry = static_cast<std::uint64_t>(after >> 64U) & 1U;
  }
  if (carry != 0) result.limbs_.push_back(carry);
  result.normalise();
  return result;
}

std::optional<std::int64_t> Integer::to_int64() const noexcept {
  if (limbs_.empty()) return 0;
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63U;
  if (limbs_.size() > 1 || limbs_[0] > kHalf - (negative_ ? 0 : 1)) return std::nullopt;
  return static_cast<std::int64_t>(negative_ ? -limbs_[0] : limbs_[0]);
}

double Integer::to_double() const {
  const std::string hex = to_hex();
  const double value =
      std::strtod(("0x" + hex.substr(negative_ ? 1 : 0)).c_str(), nullptr);  // rounds once
  return negative_ ? -value : value;
}

std::string Integer::to_hex() const {
  if (limbs_.empty()) return "0";
  std::string hex = fmt::format("{}{:x}", negative_ ? "-" : "", limbs_.back());
  for (auto limb = limbs_.rbegin() + 1; limb != limbs_.rend(); ++limb) {
    hex += fmt::format("{:016x}", *limb);
  }
  return hex;
}

std::string Integer::to_decimal() const {
  if (limbs_.empty()) return "0";
  Limbs rest = limbs_;
  std::vector<std::uint64_t> chunks;
  while (!rest.empty()) {
    std::uint64_t remainder = 0;
    for (auto limb = rest.rbegin(); limb != rest.rend(); ++limb) {
      const Wide dividend = (Wide{remainder} << 64U) | *limb;
      *limb = static_cast<std::uint64_t>(dividend / kChunk);
      remainder = static_cast<std::uint64_t>(dividend % kChunk);
    }
    while (!rest.empty() && rest.back() == 0) rest.pop_back();
    chunks.push_back(remainder);
  }
  std::string text = fmt::format("{}{}", negative_ ? "-" : "", chunks.back());
  for (auto chunk = chunks.rbegin() + 1; chunk != chunks.rend(); ++chunk) {
    text += fmt::format("{:019}", *chunk);
  }
  return text;
}

}  // namespace base

std::string to_decimal(const BigInt& integer) { return base::Integer(integer.hex).to_decimal(); }

}  // namespace graven
