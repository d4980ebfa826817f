// SPDX-License-Identifier: MIT
//
// The tiers of a cache: a hot table, and below it, once the table has had to drop something, a warm
// file that takes what is dropped.
//
// Always holds: the warm file has the value last put under a key, or none, as long as the caller
// orders puts, forgetting and promotions of one key (each cache has a mutex for that). Missing keys
// are remembered in the hot table only. Without a path, or without room on the disk, there is only
// the hot table.
//
// Any thread, except construction and destruction.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/fork.hpp"
#include "cache/hot/hot_table.hpp"
#include "cache/warm_file.hpp"

namespace graven::cache {

class Tiers final : private base::ForkGuard {
 public:
  struct WarmPlace {
    std::string path{};     // prefix of the file's name; empty: no file
    std::size_t bytes = 0;  // 0: no file
  };

  /// Entries of the kind `missing` are not written to the warm file. `stamped` as in HotTable.
  Tiers(HotLimits limits, WarmPlace place, std::uint8_t missing, bool stamped = false);
  ~Tiers();

  [[nodiscard]] HotTable& hot() noexcept { return hot_; }
  [[nodiscard]] const HotTable& hot() const noexcept { return hot_; }

  /// Copies the value from the warm file. The caller promotes it with put_if_absent() of the hot
  /// table, if nothing was put meanwhile.
  bool find_warm(std::string_view key, std::uint64_t hash, std::string& value, std::uint8_t& kind);
  /// Hints that find_warm() will probably be called for this hash soon.
  void expect_warm(std::uint64_t hash) const noexcept {
    if (const WarmFile* warm = warm_.load(std::memory_order_acquire)) warm->expect(hash);
  }
  /// Whether the warm file may have anything, as far as a cheap check can tell.
  [[nodiscard]] bool warm() const noexcept { return overflown_.load(std::memory_order_relaxed); }

  void put(std::string_view key, std::uint64_t hash, std::string_view value, std::uint8_t kind);
  void forget(std::string_view key, std::uint64_t hash);
  void forget_hash(std::uint64_t hash);
  void clear();
  /// clear(), and closes the warm file for good.
  void close() noexcept;

  /// New limits of the hot table.
  void bound(std::size_t max_bytes, std::size_t max_entries);

  [[nodiscard]] WarmFile::Stats warm_stats() const;

 private:
  void take(const HotEvicted& evicted) noexcept;
  WarmFile* open_warm();
  void child_after_fork() noexcept override {
    hot_.child_after_fork();
    if (owned_warm_) owned_warm_->child_after_fork();
  }

  const WarmPlace place_;
  const std::uint8_t missing_;
  std::atomic<bool> overflown_{false};
  std::atomic<bool> tried_{false};
  std::atomic<WarmFile*> warm_{nullptr};
  base::ForkMutex mutex_{base::kForkRankTiers};  // for opening and clear()
  std::unique_ptr<WarmFile> owned_warm_;         // mutex_; created once
  HotTable hot_;                                 // after the members that its sink uses
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::cache
