// SPDX-License-Identifier: MIT
//
// A set of ids that takes eight bytes or two for each: what is asked for a million times is to lie
// close together. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace graven::store {

/// Of ids greater than 0.
class Marks {
 public:
  [[nodiscard]] bool has(std::int64_t id) const noexcept {
    return !places_.empty() && places_[place(id)] == id;
  }
  void add(std::int64_t id) {
    if (2 * (count_ + 1) > places_.size()) grow();
    std::int64_t& free = places_[place(id)];
    if (free == 0) ++count_;
    free = id;
  }
  void clear() noexcept {
    places_.clear();
    count_ = 0;
  }

 private:
  /// Where it is or belongs.
  [[nodiscard]] std::size_t place(std::int64_t id) const noexcept {
    const std::size_t mask = places_.size() - 1;
    std::size_t at = (static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL >> 24U) & mask;
    while (places_[at] != 0 && places_[at] != id) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    constexpr std::size_t kFewest = 64;
    constexpr std::size_t kMost = std::size_t{1} << 21U;  // then from the beginning
    const std::size_t wanted = places_.empty() ? kFewest : 2 * places_.size();
    std::vector<std::int64_t> before;
    before.swap(places_);
    clear();
    places_.resize(wanted > kMost ? kFewest : wanted);
    if (wanted > kMost) return;
    for (const std::int64_t id : before) {
      if (id == 0) continue;
      places_[place(id)] = id;
      ++count_;
    }
  }

  std::vector<std::int64_t> places_;  // 0: free
  std::size_t count_ = 0;
};

}  // namespace graven::store
