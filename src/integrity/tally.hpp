// SPDX-License-Identifier: MIT
//
// A tally of records: how many there are of each space, their size, and a hash of all keys,
// integers and bodies, in any order. Versions do not count, for each store has its own.
//
// Always holds: two tallies are equal if and only if the records are the same (but for a collision
// of 128 bits). One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "port/record.hpp"

namespace graven::integrity {

class Tally {
 public:
  void add(const port::Key& key, const port::Record& record);

  [[nodiscard]] std::uint64_t records() const noexcept;
  [[nodiscard]] std::uint64_t records(port::Space space) const noexcept {
    return counts_[static_cast<std::size_t>(space)];
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// The hash, in hexadecimal digits.
  [[nodiscard]] std::string digest() const;
  /// How it differs from another tally, in words: "node: 5 records, 4 there"; empty if it does not.
  [[nodiscard]] std::string difference(const Tally& there) const;

 private:
  std::array<std::uint64_t, port::kSpaceCount> counts_{};
  // Of each space, the sum of its records' hashes.
  struct Sum {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const Sum&, const Sum&) = default;
  };
  std::array<Sum, port::kSpaceCount> sums_{};
  std::uint64_t bytes_ = 0;
  std::string buffer_{};
};

}  // namespace graven::integrity
