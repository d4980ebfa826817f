// SPDX-License-Identifier: MIT
//
// An open-addressing table: an array of small slots, whose number is a power of two. A slot is
// stored at the first free place from the one that its hash names. The owner of the table knows
// what a slot means, how to compare it, and what its hash is.
//
// Always holds: a slot equal to Slot() is free, and there is always a free one, because the owner
// grows the table in time. Single slots are never freed, only all together.
//
// One thread at a time, or several that only read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace graven::base {

template <class Slot>
class OpenTable {
 public:
  /// How many slots there are, including free ones; 0 at first.
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }

  /// The slot with that hash for which `is(slot)` is true, or the free one where it belongs;
  /// nullptr if the table has no slots.
  template <class Is>
  [[nodiscard]] Slot* place(std::uint64_t hash, const Is& is) noexcept {
    return slots_.empty() ? nullptr : &slots_[index(hash, is)];
  }
  /// The slot with that hash for which `is(slot)` is true, or nullptr.
  template <class Is>
  [[nodiscard]] const Slot* find(std::uint64_t hash, const Is& is) const noexcept {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[index(hash, is)];
    return slot == Slot() ? nullptr : &slot;
  }
  /// Stores a slot that is not in the table.
  void enter(std::uint64_t hash, const Slot& slot) noexcept {
    slots_[index(hash, [](const Slot&) { return false; })] = slot;
  }
  /// Prefetches the memory that find() reads first.
  void expect(std::uint64_t hash) const noexcept {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask()]);
  }

  /// Replaces all slots by so many free ones, a power of two or 0.
  void reset(std::size_t slots = 0) { std::vector<Slot>(slots).swap(slots_); }
  /// Doubles the slots, to `fewest` at least, and keeps their contents.
  template <class HashOf>
  void grow(std::size_t fewest, const HashOf& hash_of) {
    std::vector<Slot> before(std::max(fewest, 2 * slots_.size()));
    before.swap(slots_);
    for (const Slot& slot : before) {
      if (!(slot == Slot())) enter(hash_of(slot), slot);
    }
  }

 private:
  [[nodiscard]] std::size_t mask() const noexcept { return slots_.size() - 1; }
  template <class Is>
  [[nodiscard]] std::size_t index(std::uint64_t hash, const Is& is) const noexcept {
    std::size_t at = hash & mask();
    while (!(slots_[at] == Slot() || is(slots_[at]))) at = (at + 1) & mask();
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace graven::base
