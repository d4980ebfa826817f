// SPDX-License-Identifier: MIT
//
// The lock of one line, and the only way to change it besides write_line_once(). While it is held,
// readers see the entry as it was, and other writers wait. It is held only briefly: no user's code
// runs under it except update()'s functor and the sink, which also run under the segment's lock.
//
// Always holds: until write_value(), write_entry() or empty(), which also unlock, the head is what
// it was when the lock was taken, except for flags set by readers. The payload is stored between
// two heads, the first of which has an odd version. Used by the one thread that made it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "cache/hot/hot_table.hpp"

namespace graven::cache {

class HotTable::LineLock {
 public:
  LineLock() = default;
  ~LineLock() { unlock(); }
  LineLock(const LineLock&) = delete;
  LineLock& operator=(const LineLock&) = delete;

  /// Waits for the line if it holds the key; false if it does not.
  bool lock(hot::SegmentRef ref, std::size_t line, const hot::Needle& needle) {
    hot::Line& at = ref.lines()[line];
    for (hot::Backoff backoff;;) {
      std::uint64_t head = hot::load(at, 0);
      if ((head & (hot::kWriting | hot::kLocked)) != 0) {
        backoff.wait();
        continue;
      }
      // A hash that is just being written is of another key, or of a key that is moving in or out.
      if (!needle.fits(head) || hot::load(at, 1) != needle.hash) return false;
      hot::race_point();
      if (!take(at, head)) continue;
      ref_ = ref;
      number_ = line;
      if (hot::load(at, 1) == needle.hash && key_is(needle)) return true;
      unlock();
      return false;
    }
  }

  /// Waits for the line; false if it is empty.
  bool lock(hot::SegmentRef ref, std::size_t line) {
    hot::Line& at = ref.lines()[line];
    for (hot::Backoff backoff;;) {
      std::uint64_t head = hot::load(at, 0);
      if ((head & (hot::kWriting | hot::kLocked)) != 0) {
        backoff.wait();
        continue;
      }
      if (hot::key_code(head) == 0) return false;
      hot::race_point();
      if (!take(at, head)) continue;
      ref_ = ref;
      number_ = line;
      return true;
    }
  }

  void unlock() {
    if (line_ != nullptr) line_->words[0].fetch_and(~hot::kLocked, std::memory_order_release);
    line_ = nullptr;
  }

  /// Leaves the line locked, for adopt().
  void keep_locked() { line_ = nullptr; }

  explicit operator bool() const { return line_ != nullptr; }
  [[nodiscard]] hot::SegmentRef ref() const { return ref_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] hot::Line& line() const { return *line_; }
  [[nodiscard]] std::uint64_t head() const { return head_; }
  [[nodiscard]] std::uint64_t hash() const { return hot::load(*line_, 1); }
  [[nodiscard]] bool is_long() const { return hot::value_code(head_) == hot::kBlobCode; }
  [[nodiscard]] hot::Blob* blob() const { return is_long() ? hot::blob_of(*line_) : nullptr; }

  /// `buffer` has room for kPayloadBytes; the result points into it or into the blob.
  std::string_view value(char* buffer) const {
    if (is_long()) return blob()->value();
    hot::copy_value(*line_, hot::value_code(head_), buffer);
    return {buffer, hot::value_code(head_)};
  }
  std::string_view key(char* buffer) const {
    if (hot::key_code(head_) == hot::kBlobCode) return blob()->key();
    const std::size_t size = hot::key_code(head_) - 1;
    hot::copy_key(*line_, size, buffer);
    return {buffer, size};
  }

  /// Stores the value, in the line or in `blob` if given; keeps the key; unlocks.
  void write_value(std::string_view value, hot::Blob* blob, bool key_in_blob, std::uint8_t kind) {
    std::uint64_t head = begin();
    hot::Line& line = *line_;
    if (blob != nullptr) {
      line.words[7].store(reinterpret_cast<std::uint64_t>(blob), std::memory_order_release);
    } else {
      std::size_t word = 7;
      std::size_t size = value.size();
      const char* bytes = value.data();
      for (; size >= 8; size -= 8, bytes += 8) {
        line.words[word--].store(hot::load_8(bytes), std::memory_order_release);
      }
      if (size != 0) {
        // The key may end in the upper bytes of this word.
        const std::uint64_t keep = hot::load(line, word) & (~0ULL << (8 * size));
        const std::uint64_t tail = hot::load_tail(value.data(), value.size());
        line.words[word].store(keep | tail, std::memory_order_release);
      }
    }
    const std::uint64_t key_code = key_in_blob ? hot::kBlobCode : hot::key_code(head);
    const std::uint64_t code = blob != nullptr ? hot::kBlobCode : value.size();
    end((head & hot::kVersionMask) + hot::kOneVersion, key_code, code, kind, head & hot::kSeen);
  }

  /// Stores a whole entry in a line that is empty or has its key only in its blob; unlocks.
  void write_entry(const hot::Needle& needle, std::string_view value, hot::Blob* blob,
                   bool key_in_blob, std::uint8_t kind, std::uint64_t flags) {
    std::uint64_t words[hot::kPayloadWords] = {};
    if (!key_in_blob) {
      const std::string_view key = needle.key;
      const std::size_t full = key.size() / 8;
      for (std::size_t i = 0; i < full; ++i) words[i] = hot::load_8(key.data() + 8 * i);
      const std::size_t tail = key.size() % 8;
      if (tail != 0) words[full] = hot::load_tail(key.data(), key.size()) << (64 - 8 * tail);
    }
    if (blob != nullptr) {
      words[5] = reinterpret_cast<std::uint64_t>(blob);
    } else {
      std::size_t word = 5;
      std::size_t size = value.size();
      const char* at = value.data();
      for (; size >= 8; size -= 8, at += 8) words[word--] = hot::load_8(at);
      if (size != 0) words[word] |= hot::load_tail(value.data(), value.size());
    }
    const std::uint64_t head = begin();
    line_->words[1].store(needle.hash, std::memory_order_release);
    for (std::size_t i = 0; i < hot::kPayloadWords; ++i) {
      line_->words[2 + i].store(words[i], std::memory_order_release);
    }
    end((head & hot::kVersionMask) + hot::kOneVersion,
        key_in_blob ? hot::kBlobCode : needle.key.size() + 1,
        blob != nullptr ? hot::kBlobCode : value.size(), kind, flags);
  }

  /// Removes the key from the line; unlocks.
  void empty() {
    hot::Line& line = *std::exchange(line_, nullptr);
    line.words[0].store(hot::next_incarnation(head_), std::memory_order_release);
  }

  /// Takes over a line that no other thread writes: an empty one of a locked segment, or one that
  /// this thread has left locked.
  void adopt(hot::SegmentRef ref, std::size_t number) {
    ref_ = ref;
    number_ = number;
    line_ = &ref.lines()[number];
    head_ = line_->words[0].load(std::memory_order_relaxed) & ~hot::kLocked;
  }

 private:
  bool take(hot::Line& line, std::uint64_t& head) {
    if (!line.words[0].compare_exchange_strong(head, head | hot::kLocked, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
      return false;
    }
    line_ = &line;
    head_ = head;
    return true;
  }

  bool key_is(const hot::Needle& needle) const {
    if (hot::key_code(head_) == hot::kBlobCode) return blob()->key() == needle.key;
    return hot::different_key(*line_, needle.key) == 0;
  }

  /// Makes the version odd; returns the new head.
  std::uint64_t begin() {
    const std::uint64_t head = head_ + hot::kOneVersion;
    line_->words[0].store(head | hot::kLocked, std::memory_order_relaxed);
    hot::race_point();
    return head;
  }

  void end(std::uint64_t version, std::uint64_t key_code, std::uint64_t value_code,
           std::uint8_t kind, std::uint64_t flags) {
    const std::uint64_t head =
        version | key_code << hot::kKeyShift | value_code << hot::kValueShift | kind | flags;
    hot::race_point();
    std::exchange(line_, nullptr)->words[0].store(head, std::memory_order_release);
  }

  hot::Line* line_ = nullptr;
  std::uint64_t head_ = 0;
  hot::SegmentRef ref_;
  std::size_t number_ = 0;
};

}  // namespace graven::cache
