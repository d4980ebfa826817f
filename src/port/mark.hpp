// SPDX-License-Identifier: MIT
//
// State versions (Mark) identify the newest state of a store. Every commit, by whichever process,
// changes the state version, and no two states have the same one. So whoever keeps records together
// with the version they were read under can tell by one comparison whether they are still valid.
//
// A backend exposes the version of the newest state in six words of shared memory that change while
// they are read (for SQLite, the header of the WAL index, which every process maps). Reading them
// is not atomic and need not be: a mixture of two versions equals no version that was ever read
// whole.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace graven::port {

struct Mark {
  std::array<std::uint64_t, 6> words{};
  friend bool operator==(const Mark&, const Mark&) = default;
};

/// A state version in shared memory, and the form of one that this process compares with it.
using MarkWords = std::array<std::atomic<std::uint64_t>, 6>;
static_assert(sizeof(MarkWords) == sizeof(Mark) && MarkWords::value_type::is_always_lock_free);

inline Mark read_mark(const MarkWords& words) noexcept {
  Mark mark;
  for (std::size_t i = 0; i < words.size(); ++i) {
    mark.words[i] = words[i].load(std::memory_order_acquire);
  }
  return mark;
}

inline void write_mark(MarkWords& words, const Mark& mark) noexcept {
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i].store(mark.words[i], std::memory_order_release);
  }
}

/// Unrolled by hand, because it runs before every read of a cached record.
inline bool same_mark(const MarkWords& a, const MarkWords& b) noexcept {
  const auto differ = [&](std::size_t i) {
    return a[i].load(std::memory_order_acquire) ^ b[i].load(std::memory_order_acquire);
  };
  return ((differ(0) | differ(1)) | (differ(2) | differ(3)) | (differ(4) | differ(5))) == 0;
}

}  // namespace graven::port
