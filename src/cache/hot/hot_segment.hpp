// SPDX-License-Identifier: MIT
//
// The parts of the hot table. It has segments of 960 lines, found through a directory by the first
// bits of a hash (extendible hashing): a segment that fills up splits in two, and nothing else
// moves. Inside a segment the hash names a group of 15 lines, searched by tags. A key that finds
// its group full goes to the next one. Each group counts the keys that passed it, so a search knows
// when to stop, and an erased line needs no marker.
//
// Always holds: memory that was once lines stays lines, and tags stay tags, until the table is
// destroyed, so a reader with an old directory finds no key that is not there. A key moves only
// when its segment splits, also within the segment. Non-atomic members of Segment belong to the
// holder of its lock; tags are written by that holder and read by any thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "cache/hot/hot_line.hpp"

namespace graven::cache::hot {

inline constexpr std::size_t kGroups = 64;
inline constexpr std::size_t kLinesPerGroup = 15;
inline constexpr std::size_t kLines = kGroups * kLinesPerGroup;
/// A segment with more entries splits, or drops an entry.
inline constexpr std::size_t kFullSegment = 840;
inline constexpr int kDeepest = 26;  // bits of a hash that a directory may use

/// A mutex of four bytes: threads spin for a short time, then sleep.
class SmallMutex {
 public:
  void lock() noexcept {
    race_access(true);
    for (int i = 0; i < 60; ++i) {
      if (try_lock()) return;
      race_wait();
      pause();
    }
    while (state_.exchange(2, std::memory_order_acquire) != 0) {
      state_.wait(2, std::memory_order_relaxed);
    }
  }
  bool try_lock() noexcept {
    std::uint32_t free = 0;
    return state_.load(std::memory_order_relaxed) == 0 &&
           state_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void unlock() noexcept {
    race_access(true);
    if (state_.exchange(0, std::memory_order_release) == 2) state_.notify_one();
  }

 private:
  std::atomic<std::uint32_t> state_{0};  // 1: locked; 2: locked, and a thread may sleep
};

/// One bit per line.
class LineSet {
 public:
  void set(std::size_t at) { words_[at / 64] |= 1ULL << (at % 64); }
  void reset(std::size_t at) { words_[at / 64] &= ~(1ULL << (at % 64)); }
  [[nodiscard]] bool test(std::size_t at) const { return (words_[at / 64] >> (at % 64) & 1) != 0; }
  void clear() { words_.fill(0); }
  /// The first member at or after `from`, else kLines.
  [[nodiscard]] std::size_t next(std::size_t from) const { return next(from, 0); }
  /// The first line at or after `from` that is no member, else kLines.
  [[nodiscard]] std::size_t next_free(std::size_t from) const { return next(from, ~0ULL); }

 private:
  [[nodiscard]] std::size_t next(std::size_t from, std::uint64_t flip) const {
    for (std::size_t word = from / 64; word < words_.size(); ++word) {
      std::uint64_t bits = words_[word] ^ flip;
      if (word == from / 64) bits &= ~0ULL << (from % 64);
      if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    }
    return kLines;
  }

  std::array<std::uint64_t, kLines / 64> words_{};
};

static_assert(kLines % 64 == 0);

/// What writers know of a segment; for the last part see hot_eviction.hpp.
struct Segment {
  SmallMutex mutex;
  std::atomic<std::uint32_t> count{0};
  std::atomic<std::int64_t> blob_bytes{0};  // also changed with only a line's lock
  int depth = 0;                            // how many bits of the hash all its keys share
  bool zeroed = false;                      // its lines were given back to the system
  std::uint64_t floor = 0;                  // then: a version above all that its lines had
  LineSet used;
  // Eviction:
  LineSet probation;
  std::uint32_t on_probation = 0;
  std::uint32_t probation_hand = 0;
  std::uint32_t main_hand = 0;
  std::array<std::uint16_t, 512> ghosts{};
};

/// 16 bytes: the tags of 15 lines, and how many keys found the group full (255: the count is lost).
struct Group {
  Word words[2];
};

// The use of the bits of a hash: the lower 32 for tags, the next 6 for the group, the upper 26 for
// the directory. The tag of a line is one of the hash's lower four bytes, chosen by the line's
// place in the group. So 32 bits, repeated, are compared with all tags of a group at once. The tag
// of a free line is 0; where a hash has the byte 0, the tag is 1.
inline std::size_t home_group(std::uint64_t hash) { return (hash >> 32) % kGroups; }

/// groups[home_group(hash)] and lines[kLinesPerGroup * home_group(hash) + at], in few instructions.
inline const Group& home_of(const Group* groups, std::uint64_t hash) {
  static_assert(sizeof(Group) == 16 && kGroups == 64);
  return *reinterpret_cast<const Group*>(reinterpret_cast<const char*>(groups) +
                                         ((hash >> 28) & 0x3f0));
}
inline Line& home_line(Line* lines, std::uint64_t hash, std::uint32_t at) {
  return *reinterpret_cast<Line*>(reinterpret_cast<char*>(lines) +
                                  ((hash >> 28) & 0x3f0) * (sizeof(Line) * kLinesPerGroup / 16) +
                                  at * std::uint32_t{sizeof(Line)});
}

/// The tags of a hash in the lines of half a group.
inline std::uint64_t tags_of(std::uint64_t hash) {
  std::uint64_t tags = 0;
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t byte = (hash >> (8 * (i % 4))) & 0xff;
    tags |= (byte == 0 ? 1 : byte) << (8 * i);
  }
  return tags;
}

/// A group's tags as they were a moment ago.
struct GroupTags {
  std::uint64_t low;
  std::uint64_t high;

  explicit GroupTags(const Group& group)
      : low(group.words[0].load(std::memory_order_acquire)),
        high(group.words[1].load(std::memory_order_acquire)) {}

  /// Bit i: line i may have this hash.
  [[nodiscard]] std::uint32_t match(std::uint64_t hash) const {
#if defined(__SSE2__)
    const __m128i tags = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    const __m128i wanted = _mm_max_epu8(_mm_set1_epi32(static_cast<int>(hash)), _mm_set1_epi8(1));
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(tags, wanted))) & 0x7fff;
#else
    const std::uint64_t wanted = tags_of(hash);
    return zero_bytes(low ^ wanted) | ((zero_bytes(high ^ wanted) & 0x7f) << 8);
#endif
  }
  [[nodiscard]] bool passed() const { return (high >> 56) != 0; }

  static std::uint32_t zero_bytes(std::uint64_t x) {
    constexpr std::uint64_t low_7 = 0x7f7f7f7f7f7f7f7fULL;
    const std::uint64_t zero = ~(((x & low_7) + low_7) | x | low_7);  // 0x80 where x has a 0
    return static_cast<std::uint32_t>(((zero >> 7) * 0x0102040810204080ULL) >> 56);
  }
};

/// Under the segment's lock. `tags`: tags_of() a hash, or 0 for a line that is free.
inline void set_tag(Group* groups, std::size_t line, std::uint64_t tags) {
  const std::size_t at = line % kLinesPerGroup;
  auto& word = groups[line / kLinesPerGroup].words[at / 8];
  const std::uint64_t bits = 0xffULL << (8 * (at % 8));
  const std::uint64_t rest = word.load(std::memory_order_relaxed) & ~bits;
  word.store(rest | (tags & bits), std::memory_order_release);
}

/// Under the segment's lock: a key passed this full group, or one that had passed it is gone.
inline void count_passed(Group& group, bool gone) {
  auto& word = group.words[1];
  const std::uint64_t now = word.load(std::memory_order_relaxed);
  if ((now >> 56) == 255) return;  // count lost: searches never stop here again
  constexpr std::uint64_t one = 1ULL << 56;
  word.store(gone ? now - one : now + one, std::memory_order_release);
}

/// Under the segment's lock.
inline void clear_tags(Group* groups) {
  for (std::size_t i = 0; i < kGroups; ++i) {
    for (auto& word : groups[i].words) word.store(0, std::memory_order_release);
  }
}

inline constexpr std::size_t kChunkBytes = 2U << 20U;
inline constexpr std::size_t kSegmentsPerChunk = 32;
inline constexpr std::size_t kTagBytes = kGroups * 16;  // of a segment
inline constexpr std::size_t kLineBytes = kLines * 64;  // of a segment
/// The offset in a chunk of the part that may be returned to the system: tags and lines.
inline constexpr std::size_t kBodyOffset = 64U << 10U;
/// What a segment costs, without its part of the chunk's unused rest.
inline constexpr std::size_t kSegmentBytes = sizeof(Segment) + kTagBytes + kLineBytes;

/// The place of a segment in one word. The upper 48 bits are the address of its tags, the lowest 12
/// the distance to its lines in KB. Between them is a version, so that the word can change and
/// still mean the same segment. The tags of a chunk's segments lie together, at a multiple of their
/// size that differs from chunk to chunk: processor caches place data by the lower bits of an
/// address, and the tags are what they should keep.
class SegmentRef {
 public:
  SegmentRef() = default;
  explicit SegmentRef(std::uint64_t word) : word_(word) {}
  /// A chunk is aligned to its size.
  SegmentRef(char* chunk, std::size_t tags_offset, std::size_t number) {
    std::size_t lines = kBodyOffset + number * kLineBytes;
    const std::size_t before = (tags_offset - kBodyOffset) / kLineBytes;
    if (number >= before) {
      lines = tags_offset + kSegmentsPerChunk * kTagBytes + (number - before) * kLineBytes;
    }
    const std::size_t tags = tags_offset + number * kTagBytes;
    word_ = (reinterpret_cast<std::uint64_t>(chunk) + tags) << 16 | ((lines - tags) / 1024 & 0xfff);
  }
  /// Whether the tags may be at this offset: the lines of 32 segments need room too.
  static constexpr bool may_have_tags(std::size_t offset) {
    const std::size_t unused = (offset - kBodyOffset) % kLineBytes;
    return kBodyOffset + unused + kSegmentsPerChunk * (kTagBytes + kLineBytes) <= kChunkBytes;
  }

  [[nodiscard]] std::uint64_t word() const { return word_; }
  [[nodiscard]] char* chunk() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<char*>((word_ >> 16) & ~(kChunkBytes - 1));
  }
  [[nodiscard]] Segment& segment() const {
    return reinterpret_cast<Segment*>(chunk())[(word_ >> 16) / kTagBytes % kSegmentsPerChunk];
  }
  [[nodiscard]] Group* groups() const {
    return reinterpret_cast<Group*>(word_ >> 16);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] Line* lines() const {
    return reinterpret_cast<Line*>(reinterpret_cast<char*>(groups()) +
                                   (static_cast<std::int64_t>(word_ << 52) >> 42));
  }
  /// The same segment with the next version.
  [[nodiscard]] SegmentRef renewed() const {
    return SegmentRef((word_ & ~0xf000ULL) | ((word_ + 0x1000) & 0xf000));
  }
  explicit operator bool() const { return word_ != 0; }
  /// Whether it is the same segment, whatever the version.
  bool operator==(const SegmentRef& other) const { return groups() == other.groups(); }

 private:
  std::uint64_t word_ = 0;
};

static_assert(sizeof(Segment) * kSegmentsPerChunk <= kBodyOffset);
static_assert(kTagBytes % 1024 == 0 && kLineBytes % 1024 == 0);
static_assert(kBodyOffset % (kSegmentsPerChunk * kTagBytes) == 0);
static_assert(SegmentRef::may_have_tags(kBodyOffset));

/// Tells which segment has the keys whose hashes begin with the same `depth` bits. `depth` is at
/// least 1, so that one shift finds the entry.
struct Directory {
  int depth;        // never changes; all else may change while a late reader has it
  Word generation;  // see HotTable::generation()
  Word entries[1];  // and more after it

  [[nodiscard]] std::size_t size() const { return std::size_t{1} << depth; }
  Word& entry(std::uint64_t hash) { return entries[hash >> (64 - depth)]; }
  [[nodiscard]] SegmentRef segment(std::size_t at) const {
    return SegmentRef(entries[at].load(std::memory_order_acquire));
  }
  static std::size_t cost(int depth) { return sizeof(Directory) + (8ULL << depth); }
};

/// Calls `use` with each segment once. (The entries of a segment are adjacent.)
template <class Use>
void for_each_segment(const Directory* directory, Use&& use, std::size_t from = 0) {
  SegmentRef last;
  for (std::size_t i = from; i < directory->size(); ++i) {
    const SegmentRef ref = directory->segment(i);
    if (ref != last) use(ref);
    last = ref;
  }
}

}  // namespace graven::cache::hot
