// SPDX-License-Identifier: MIT
//
// The pending writes of a shard, by key: entries in the order of their arrival, in chunks that do
// not move, and an index of them.
//
// Always holds: a slot of the index has the number of an entry (counted from 1) together with the
// upper half of the key's hash, or is kErased. An erased entry is not in the index; its place is
// used again.
//
// One thread at a time, or several that only read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/open_table.hpp"
#include "map/core.hpp"

namespace graven::map {

/// A pending write: the item to store under a key, or nothing to erase it.
struct PendingEntry {
  std::string key{};
  std::uint64_t hash = 0;
  std::optional<Item> item{};
  std::optional<bool> stored{};  // whether the state below has an item there, if known
  bool erased = false;
};

class PendingTable {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return made_ - free_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The entry of a key, or nullptr. The pointer is valid until the entry is erased.
  [[nodiscard]] PendingEntry* find(std::string_view key, std::uint64_t hash) const noexcept {
    const std::uint64_t* slot = index_.find(hash, [&](std::uint64_t one) {
      return (one ^ hash) >> 32U == 0 && one != kErased && at_number(one).key == key;
    });
    return slot != nullptr ? &at_number(*slot) : nullptr;
  }

  /// Prefetches the memory that find() reads first.
  void expect(std::uint64_t hash) const noexcept { index_.expect(hash); }

  /// Adds an entry for a key that has none.
  PendingEntry& add(std::string key, std::uint64_t hash) {
    if ((used_ + 1) * 4 > index_.size() * 3) rebuild();
    std::uint32_t number = 0;
    if (free_.empty()) {
      if (made_ % kChunk == 0) chunks_.push_back(std::make_unique<Chunk>());
      number = static_cast<std::uint32_t>(++made_);
    } else {
      number = free_.back();
      free_.pop_back();
    }
    PendingEntry& entry = at_number(number);
    entry.key = std::move(key);
    entry.hash = hash;
    entry.erased = false;
    enter(hash, number);
    return entry;
  }

  /// Erases an entry.
  void erase(PendingEntry& entry) {
    std::uint64_t& slot = *index_.place(
        entry.hash, [&](std::uint64_t one) { return one != kErased && &at_number(one) == &entry; });
    free_.push_back(static_cast<std::uint32_t>(slot));
    slot = kErased;
    entry = PendingEntry{};
    entry.erased = true;
  }

  /// Calls `each` for every entry, in the order of their places (the order of arrival, if nothing
  /// was erased).
  template <class Each>
  void each(Each&& each) const {
    for (std::size_t i = 0; i < made_; ++i) {
      PendingEntry& entry = (*chunks_[i / kChunk])[i % kChunk];
      if (!entry.erased) each(entry);
    }
  }

 private:
  static constexpr std::size_t kChunk = 64;
  using Chunk = std::array<PendingEntry, kChunk>;
  static constexpr std::uint64_t kErased = ~std::uint64_t{0};

  [[nodiscard]] PendingEntry& at_number(std::uint64_t slot) const noexcept {
    const std::size_t i = static_cast<std::uint32_t>(slot) - 1;
    return (*chunks_[i / kChunk])[i % kChunk];
  }
  void enter(std::uint64_t hash, std::uint32_t number) {
    index_.enter(hash, (hash >> 32U << 32U) | number);
    ++used_;
  }
  void rebuild() {
    std::size_t slots = 64;
    while (slots < (size() + 1) * 2) slots *= 2;
    index_.reset(slots);
    used_ = 0;
    for (std::size_t i = 0; i < made_; ++i) {
      const PendingEntry& entry = (*chunks_[i / kChunk])[i % kChunk];
      if (!entry.erased) enter(entry.hash, static_cast<std::uint32_t>(i + 1));
    }
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint32_t> free_;  // numbers of erased entries
  base::OpenTable<std::uint64_t> index_;
  std::size_t made_ = 0;  // entries ever given a place
  std::size_t used_ = 0;  // slots that are not 0 (erased ones too)
};

}  // namespace graven::map
