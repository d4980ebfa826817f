// SPDX-License-Identifier: MIT
//
// Stripe versions (Stamp): tell whether an entry of a hot table has changed. A user who keeps
// something made from a value compares two of them to see whether the table still has that value.
// Each key belongs to one of a few thousand stripes, and every change changes its stripe's number.
// So an entry may seem changed that is not, never the other way round.
//
// Always holds: a stamp taken before a value was read equals a later one only if no entry of the
// stripe was changed or dropped between, nor the whole table. A writer is counted before its change
// becomes visible until after it is done, and no stamp is usable meanwhile. So a thread that has
// seen a change finds that older stamps no longer match.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/hot/hot_line.hpp"

namespace graven::cache {

class HotChanges {
 public:
  static constexpr std::size_t kStripes = 8192;

  /// How often the stripe and the table have changed; both below 2^48.
  struct Stamp {
    std::uint64_t stripe = 0;
    std::uint64_t table = 0;
    bool usable = false;  // false: a change is in progress, and nothing may be kept

    bool operator==(const Stamp&) const = default;
  };

  [[nodiscard]] Stamp stamp(std::uint64_t hash) const noexcept {
    const std::uint64_t stripe = stripes_[hash % kStripes].load(std::memory_order_acquire);
    const std::uint64_t table = table_.load(std::memory_order_acquire);
    return {stripe / kChange, table / kChange, ((stripe | table) & kWriters) == 0};
  }

  /// Exists while an entry is changed or dropped; does nothing if there are no `changes`.
  class Entry {
   public:
    Entry(HotChanges* changes, std::uint64_t hash) noexcept
        : word_(changes == nullptr ? nullptr : &changes->stripes_[hash % kStripes]) {
      if (word_ != nullptr) [[unlikely]]
        enter(*word_);
    }
    ~Entry() {
      if (word_ != nullptr) [[unlikely]]
        leave(*word_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    hot::Word* word_;
  };

  /// Exists while all entries are dropped.
  class Table {
   public:
    explicit Table(HotChanges* changes) noexcept : changes_(changes) {
      if (changes_ != nullptr) enter(changes_->table_);
    }
    ~Table() {
      if (changes_ != nullptr) leave(changes_->table_);
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

   private:
    HotChanges* changes_;
  };

  /// The writers in progress do not exist in this process. No older stamp is valid any more.
  void child_after_fork() noexcept {
    for (hot::Word& stripe : stripes_) stripe.store(0, std::memory_order_relaxed);
    const std::uint64_t table = table_.load(std::memory_order_relaxed) & ~kWriters;
    table_.store(table + kChange, std::memory_order_relaxed);
  }

 private:
  // The low bits count the writers in progress, the others the changes.
  static constexpr std::uint64_t kWriter = 1;
  static constexpr std::uint64_t kChange = std::uint64_t{1} << 16U;
  static constexpr std::uint64_t kWriters = kChange - 1;

  static void enter(hot::Word& word) noexcept {
    word.fetch_add(kWriter, std::memory_order_seq_cst);
  }
  static void leave(hot::Word& word) noexcept {
    word.fetch_add(kChange - kWriter, std::memory_order_release);
  }

  std::array<hot::Word, kStripes> stripes_;
  hot::Word table_{0};
};

}  // namespace graven::cache
