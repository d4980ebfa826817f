// SPDX-License-Identifier: MIT
//
// Room and bounds: how the table grows and drops entries.
//
// A full segment splits while the bounds allow it; otherwise it drops one entry for each new one.
// max_entries is divided among the segments by their part of the hashes, so no count of all entries
// is kept. max_bytes is compared with one sum of all segments and long values; values that exceed
// it make balance() drop long ones, segment by segment.
//
// An entry moves like this: lock its old line, copy it to a new line that is locked too, publish
// the directory that has the new line, empty the old line, unlock the new one. So a reader finds
// the entry at every moment, in one place or the other, and what it finds in the old line is still
// true.
#include <algorithm>
#include <bit>
#include <utility>

#include "cache/hot/hot_eviction.hpp"
#include "cache/hot/hot_line_lock.hpp"
#include "cache/hot/hot_table.hpp"

namespace graven::cache {

using hot::Blob;
using hot::Directory;
using hot::kLines;
using hot::Line;
using hot::Segment;
using hot::SegmentRef;

HotTable::HotTable(HotLimits limits, Sink sink, bool stamped)
    : max_entries_(std::max<std::size_t>(1, limits.max_entries)),
      max_bytes_(limits.max_bytes),
      sink_(std::move(sink)),
      changes_(stamped ? std::make_unique<HotChanges>() : nullptr) {
  start_anew();
}

HotTable::~HotTable() {
  // A long value belongs to a line of the directory's segments or of discarded ones.
  const auto free_blobs = [](SegmentRef ref) {
    for (std::size_t at = 0; at < kLines; ++at) {
      const Line& line = ref.lines()[at];
      if (hot::value_code(hot::load(line, 0)) == hot::kBlobCode) Blob::free(hot::blob_of(line));
    }
  };
  for_each_segment(directory(root_.load(std::memory_order_acquire)), free_blobs);
  for (const Dead& dead : dead_) for_each_segment(dead.directory, free_blobs, dead.next);
  for (Limbo& limbo : limbos_) {
    for (const Retired& retired : limbo.retired) Blob::free(retired.blob);
  }
}

std::size_t HotTable::size() const {
  std::size_t sum = 0;
  for_each_segment(directory(root_.load(std::memory_order_acquire)), [&](SegmentRef ref) {
    sum += ref.segment().count.load(std::memory_order_relaxed);
  });
  return sum;
}

std::size_t HotTable::bytes() const {
  const std::int64_t blobs = blob_bytes_.load(std::memory_order_relaxed);
  return fixed_bytes_.load(std::memory_order_relaxed) +
         static_cast<std::size_t>(std::max<std::int64_t>(0, blobs));
}

std::size_t HotTable::retired_bytes() const {
  std::size_t sum = 0;
  for (const Limbo& limbo : limbos_) {
    const std::scoped_lock lock(limbo.mutex);
    sum += limbo.bytes;
  }
  return sum;
}

HotLimits HotTable::limits() const {
  return {max_entries_.load(std::memory_order_relaxed), max_bytes_.load(std::memory_order_relaxed)};
}

std::uint64_t HotTable::generation() const {
  for (;;) {
    const std::uint64_t root = root_.load(std::memory_order_acquire);
    const std::uint64_t generation = directory(root)->generation.load(std::memory_order_acquire);
    if (root_.load(std::memory_order_acquire) == root) return generation;
  }
}

// ---------------------------------------------------------------------------------- a segment

/// Claims a free line of a locked segment, without publishing it.
std::size_t HotTable::place(SegmentRef ref, std::uint64_t hash) {
  ref.segment().count.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t group = hot::home_group(hash);; group = (group + 1) % hot::kGroups) {
    const std::size_t line = ref.segment().used.next_free(group * hot::kLinesPerGroup);
    if (line < (group + 1) * hot::kLinesPerGroup) return line;
    hot::count_passed(ref.groups()[group], false);
  }
}

/// Frees a line of a locked segment whose entry is gone already.
void HotTable::vacate(SegmentRef ref, std::size_t line, std::uint64_t hash) {
  hot::set_tag(ref.groups(), line, 0);
  for (std::size_t group = hot::home_group(hash); group != line / hot::kLinesPerGroup;
       group = (group + 1) % hot::kGroups) {
    hot::count_passed(ref.groups()[group], true);
  }
  hot::eviction_left(ref.segment(), line);
  ref.segment().count.fetch_sub(1, std::memory_order_relaxed);
}

std::size_t HotTable::quota(int depth) const {
  return std::max<std::size_t>(1, max_entries_.load(std::memory_order_relaxed) >> depth);
}

/// Drops one entry of a locked segment; false if there is none, or none with a long value.
bool HotTable::evict(SegmentRef ref, std::uint64_t generation, bool long_only) {
  Segment& segment = ref.segment();
  const std::size_t line = hot::eviction_pick(segment, [&](std::size_t at) {
    hot::Word& word = ref.lines()[at].words[0];
    const std::uint64_t head = word.load(std::memory_order_acquire);
    if (long_only && hot::value_code(head) != hot::kBlobCode) return hot::Verdict::kKeep;
    if ((head & hot::kSeen) == 0) return hot::Verdict::kDrop;
    word.fetch_and(~hot::kSeen, std::memory_order_relaxed);
    return hot::Verdict::kMarked;
  });
  if (line == kLines) return false;
  LineLock lock;
  lock.lock(ref, line);
  hot::eviction_dropped(segment, line, lock.hash());
  drop(ref, line, generation, lock);
  return true;
}

void HotTable::drop(SegmentRef ref, std::size_t line, std::uint64_t generation, LineLock& lock) {
  evictions_.fetch_add(1, std::memory_order_relaxed);
  if (sink_) {
    char key[kInlineBytes];
    char value[kInlineBytes];
    sink_({lock.key(key), lock.value(value), lock.hash(), generation, hot::kind_of(lock.head())});
  }
  remove(ref, line, lock);
}

/// Makes sure that a locked segment has room for one more entry. False: it has split, or was
/// discarded meanwhile; begin again.
bool HotTable::make_room(SegmentRef ref, std::uint64_t generation, std::uint64_t hash) {
  Segment& segment = ref.segment();
  for (;;) {
    const std::size_t count = segment.count.load(std::memory_order_relaxed);
    const std::size_t quota = this->quota(segment.depth);
    if (count < std::min(quota, hot::kFullSegment)) return true;
    if (count < quota && split(ref, generation, hash)) return false;
    evict(ref, generation, false);
  }
}

// --------------------------------------------------------------------------------- the structure

/// Under the structure mutex. An empty reference: the bound on bytes forbids a new segment.
SegmentRef HotTable::take_segment(bool may_grow) {
  while (reclaim_dead()) {
    // One would be enough if segments had no long values.
    if (bytes() + hot::kSegmentBytes <= max_bytes_.load(std::memory_order_relaxed)) break;
  }
  if (!may_grow && bytes() + hot::kSegmentBytes > max_bytes_.load(std::memory_order_relaxed)) {
    return {};
  }
  const SegmentRef ref = pool_.take_segment();
  fixed_bytes_.fetch_add(hot::kSegmentBytes, std::memory_order_relaxed);
  return ref;
}

void HotTable::give_segment(SegmentRef ref) {
  pool_.give_segment(ref);
  fixed_bytes_.fetch_sub(hot::kSegmentBytes, std::memory_order_relaxed);
}

/// Under the structure mutex: empties one segment that clear() has discarded. False: there is none,
/// or a late writer is in it.
bool HotTable::reclaim_dead() {
  if (dead_.empty()) return false;
  Dead& dead = dead_.back();
  const SegmentRef ref(dead.directory->entries[dead.next].load(std::memory_order_acquire));
  Segment& segment = ref.segment();
  // A late writer may hold its lock and wait for the structure mutex, so this must not wait.
  if (!segment.mutex.try_lock()) return false;
  for (std::size_t line = segment.used.next(0); line != kLines;
       line = segment.used.next(line + 1)) {
    LineLock lock;
    lock.lock(ref, line);
    remove(ref, line, lock);
  }
  hot::clear_tags(ref.groups());
  dead.next += std::size_t{1} << (dead.directory->depth - segment.depth);
  segment.mutex.unlock();
  give_segment(ref);
  if (dead.next == dead.directory->size()) {
    fixed_bytes_.fetch_sub(Directory::cost(dead.directory->depth), std::memory_order_relaxed);
    pool_.give_directory(dead.directory);
    dead_.pop_back();
  }
  return true;
}

/// Under the structure mutex: makes a directory with one bit more, which is not published yet.
Directory* HotTable::widen(Directory* from) {
  Directory* to = pool_.take_directory(from->depth + 1);
  fixed_bytes_.fetch_add(Directory::cost(to->depth), std::memory_order_relaxed);
  to->generation.store(from->generation.load(std::memory_order_relaxed), std::memory_order_relaxed);
  for (std::size_t i = 0; i < to->size(); ++i) {
    to->entries[i].store(from->entries[i / 2].load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
  }
  return to;
}

/// Splits a locked segment. False: the bounds forbid it. Also true if clear() came first.
bool HotTable::split(SegmentRef ref, std::uint64_t generation, std::uint64_t hash) {
  std::unique_lock structure(structure_mutex_);
  std::uint64_t root = root_.load(std::memory_order_acquire);
  Directory* all = directory(root);
  if (all->entry(hash).load(std::memory_order_acquire) != ref.word()) return true;
  Segment& segment = ref.segment();
  // Many similar hashes would make a huge directory of nearly empty segments.
  const auto reasonable = static_cast<int>(std::bit_width(pool_.segments_in_use())) + 8;
  if (segment.depth >= std::min(hot::kDeepest, reasonable)) return false;
  const SegmentRef other = take_segment(false);
  if (!other) return false;
  Directory* wider = nullptr;
  if (segment.depth == all->depth) {
    try {
      wider = widen(all);
    } catch (...) {
      give_segment(other);
      throw;
    }
  }

  other.segment().mutex.lock();
  const int depth = ++segment.depth;
  other.segment().depth = depth;
  std::array<std::uint16_t, kLines> moved;
  std::array<Line*, kLines> copies;
  std::size_t count = 0;
  for (std::size_t line = segment.used.next(0); line != kLines;
       line = segment.used.next(line + 1)) {
    const std::uint64_t key_hash = hot::load(ref.lines()[line], 1);
    if ((key_hash >> (64 - depth) & 1) == 0) continue;
    moved[count] = static_cast<std::uint16_t>(line);
    copies[count++] = copy_entry(ref, line, other);
  }

  // The directory entries of both halves; the second half is published now.
  Directory* now = wider != nullptr ? wider : all;
  const std::size_t entries = std::size_t{1} << (now->depth - depth);
  const std::size_t first = (hash >> (64 - depth) & ~1ULL) * entries;
  for (std::size_t i = 0; i < entries; ++i) {
    now->entries[first + entries + i].store(other.word(), std::memory_order_release);
  }
  if (wider != nullptr) {
    root_.store(root_word(wider, rebuilds_), std::memory_order_release);
    fixed_bytes_.fetch_sub(Directory::cost(all->depth), std::memory_order_relaxed);
    pool_.give_directory(all);
  }

  hot::race_point();
  for (std::size_t i = 0; i < count; ++i) finish_copy(ref, moved[i], *copies[i]);

  // Entries that went to another group because their own was full move back now.
  count = 0;
  for (std::size_t line = segment.used.next(0); line != kLines;
       line = segment.used.next(line + 1)) {
    const std::size_t home = hot::home_group(hot::load(ref.lines()[line], 1));
    if (line / hot::kLinesPerGroup == home) continue;
    const std::size_t free = segment.used.next_free(home * hot::kLinesPerGroup);
    if (free >= (home + 1) * hot::kLinesPerGroup) continue;
    moved[count] = static_cast<std::uint16_t>(line);
    copies[count++] = copy_entry(ref, line, ref);
  }
  if (count != 0) {
    // The word changes, so that a reader who does not find a key searches again.
    const SegmentRef renewed = ref.renewed();
    for (std::size_t i = 0; i < entries; ++i) {
      now->entries[first + i].store(renewed.word(), std::memory_order_release);
    }
    hot::race_point();
    for (std::size_t i = 0; i < count; ++i) finish_copy(ref, moved[i], *copies[i]);
  }
  structure.unlock();
  evict_to_quota(ref, generation);
  evict_to_quota(other, generation);
  other.segment().mutex.unlock();
  return true;
}

void HotTable::evict_to_quota(SegmentRef ref, std::uint64_t generation) {
  const Segment& segment = ref.segment();
  while (segment.count.load(std::memory_order_relaxed) > quota(segment.depth) &&
         evict(ref, generation, false)) {
  }
}

/// Locks a line and copies its entry to a line of another locked segment, which stays locked.
/// Readers may find either. finish_copy() follows when the directory leads to the new one.
Line* HotTable::copy_entry(SegmentRef from, std::size_t line, SegmentRef to) {
  LineLock source;
  source.lock(from, line);
  const std::uint64_t hash = source.hash();
  const std::uint64_t head = source.head();
  const std::size_t at = place(to, hash);
  Line& copy = to.lines()[at];
  const std::uint64_t old = copy.words[0].load(std::memory_order_relaxed);
  copy.words[0].store(old | hot::kWriting | hot::kLocked, std::memory_order_relaxed);
  for (std::size_t i = 1; i < 8; ++i) {
    copy.words[i].store(hot::load(source.line(), i), std::memory_order_release);
  }
  copy.words[0].store(hot::next_incarnation(old) | (head & ~hot::kVersionMask) | hot::kLocked,
                      std::memory_order_release);
  Blob* blob = source.blob();
  if (blob != nullptr) {
    const auto cost = static_cast<std::int64_t>(blob->cost());
    from.segment().blob_bytes.fetch_sub(cost, std::memory_order_relaxed);
    to.segment().blob_bytes.fetch_add(cost, std::memory_order_relaxed);
  }
  to.segment().used.set(at);
  if (from.segment().probation.test(line)) {
    to.segment().probation.set(at);
    ++to.segment().on_probation;
  }
  hot::set_tag(to.groups(), at, hot::tags_of(hash));
  source.keep_locked();
  return &copy;
}

/// Empties the old line and unlocks the new one.
void HotTable::finish_copy(SegmentRef from, std::size_t line, Line& copy) {
  const std::uint64_t hash = hot::load(copy, 1);
  hot::race_point();
  LineLock source;
  source.adopt(from, line);
  source.empty();
  hot::race_point();
  vacate(from, line, hash);
  copy.words[0].fetch_and(~hot::kLocked, std::memory_order_release);
}

}  // namespace graven::cache
