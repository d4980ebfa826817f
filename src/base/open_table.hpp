// SPDX-License-Identifier: MIT
//
// Open addressing: an array of small slots, a power of two of them, in which a slot lies at the
// first free place from where its hash says. What a slot says, when it is the one that is looked
// for and what its hash is, whoever has the table knows.
//
// Always holds: a slot equal to Slot() is free, and there is a free one, for whoever has the table
// grows it in time. None is freed but all together.
//
// One thread at a time, or several that only read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace graven::base {

template <class Slot>
class OpenTable {
 public:
  /// How many slots there are, free ones included; 0 at first.
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }

  /// The slot of that hash for which `is(slot)`, or the free one where it belongs; nullptr: there
  /// are none at all.
  template <class Is>
  [[nodiscard]] Slot* place(std::uint64_t hash, const Is& is) noexcept {
    return slots_.empty() ? nullptr : &slots_[index(hash, is)];
  }
  /// The slot of that hash for which `is(slot)`, or nullptr.
  template <class Is>
  [[nodiscard]] const Slot* find(std::uint64_t hash, const Is& is) const noexcept {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[index(hash, is)];
    return slot == Slot() ? nullptr : &slot;
  }
  /// Puts one in that is not there.
  void enter(std::uint64_t hash, const Slot& slot) noexcept {
    slots_[index(hash, [](const Slot&) { return false; })] = slot;
  }
  /// Has the processor fetch what find() begins with.
  void expect(std::uint64_t hash) const noexcept {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask()]);
  }

  /// So many slots, a power of two or none, all of them free.
  void reset(std::size_t slots = 0) { std::vector<Slot>(slots).swap(slots_); }
  /// Twice as many slots, `fewest` at least, in which all lie that lay in those before.
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
