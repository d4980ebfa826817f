// SPDX-License-Identifier: MIT
//
// A ring of the hashes of the last changes. It tells whether something has changed since a count.
//
// One writer at a time; count() from any thread, the rest under the lock that note() is called
// under.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace graven::cache {

class RecentChanges {
 public:
  static constexpr std::size_t kRemembered = 1024;

  /// How many changes so far. Who reads a count also sees everything done before its last change
  /// was noted.
  [[nodiscard]] std::uint64_t count() const noexcept {
    return count_.load(std::memory_order_acquire);
  }

  void note(std::uint64_t hash) noexcept {
    const std::uint64_t count = count_.load(std::memory_order_relaxed);
    hashes_[count % kRemembered] = hash;
    count_.store(count + 1, std::memory_order_release);
  }
  /// Notes that anything may have been changed.
  void note_all() noexcept { count_.fetch_add(kRemembered + 1, std::memory_order_release); }

  /// Whether no change with that hash was noted after the count was `since`; false if that is no
  /// longer remembered.
  [[nodiscard]] bool unchanged(std::uint64_t hash, std::uint64_t since) const noexcept {
    const std::uint64_t count = count_.load(std::memory_order_relaxed);
    if (count - since > kRemembered) return false;
    for (std::uint64_t i = since; i < count; ++i) {
      if (hashes_[i % kRemembered] == hash) return false;
    }
    return true;
  }

 private:
  std::array<std::uint64_t, kRemembered> hashes_{};
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace graven::cache
