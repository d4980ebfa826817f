// SPDX-License-Identifier: MIT
//
// Marks: what a store's newest state is recognised by. Every commit, by whichever process,
// changes the mark, and no two states have the same one; so whoever kept records together
// with the mark they were read under knows by one comparison whether they still hold.
//
// A backend shows the mark of the newest state in six words of memory that change under the
// reader's eyes (for SQLite, the header of the WAL index, which every process maps). Reading
// them is not atomic and need not be: a mixture equals no mark that was ever read whole.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace graven::store {

struct Mark {
  std::array<std::uint64_t, 6> words{};
  friend bool operator==(const Mark&, const Mark&) = default;
};

/// A mark in shared memory, and one that this process compares with it.
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

/// Unrolled by hand: it stands before every read of a cached record.
inline bool same_mark(const MarkWords& a, const MarkWords& b) noexcept {
  const auto differ = [&](std::size_t i) {
    return a[i].load(std::memory_order_acquire) ^ b[i].load(std::memory_order_acquire);
  };
  return ((differ(0) | differ(1)) | (differ(2) | differ(3)) | (differ(4) | differ(5))) == 0;
}

}  // namespace graven::store
