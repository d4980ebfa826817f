// SPDX-License-Identifier: MIT
//
// The table as a whole: its bounds, clear(), changed limits, iteration over all entries, fork().
//
// clear() publishes an empty directory and puts the old one on a list; the old segments are emptied
// one by one when memory is needed. Much lower limits rebuild the table: all segments are locked,
// entries that fit move to a new directory, and the old segments go back to the pool at once.
#include <algorithm>
#include <string>

#include "cache/hot/hot_line_lock.hpp"
#include "cache/hot/hot_table.hpp"

namespace graven::cache {

using hot::Blob;
using hot::Directory;
using hot::kLines;
using hot::Line;
using hot::Segment;
using hot::SegmentRef;

namespace {

/// The first hash after those of a segment; 0 after the last.
std::uint64_t behind(std::uint64_t hash, int depth) {
  const std::uint64_t step = depth == 0 ? 0 : 1ULL << (64 - depth);
  return (hash & ~(step - 1)) + step;
}

}  // namespace

/// Drops long values until max_bytes is kept. It gives up after some time, because the segments
/// alone may exceed it.
void HotTable::balance() {
  for (int visited = 0; over_bytes() && visited < 256; ++visited) {
    {
      const std::unique_lock structure(structure_mutex_, std::try_to_lock);
      if (structure && reclaim_dead()) continue;
    }
    const std::uint64_t hash = hand_.load(std::memory_order_relaxed);
    std::uint64_t generation = 0;
    const SegmentRef ref = lock_segment(hash, &generation);
    const std::unique_lock lock(ref.segment().mutex, std::adopt_lock);
    Segment& segment = ref.segment();
    hand_.store(behind(hash, segment.depth), std::memory_order_relaxed);
    for (int i = 0; i < 8 && over_bytes(); ++i) {
      if (segment.blob_bytes.load(std::memory_order_relaxed) <= 0) break;
      if (!evict(ref, generation, true)) break;
    }
  }
}

void HotTable::start_anew() {
  const HotChanges::Table change(changes_.get());
  const std::scoped_lock structure(structure_mutex_);
  Directory* made = pool_.take_directory(1);
  SegmentRef ref;
  try {
    dead_.reserve(dead_.size() + 1);
    ref = take_segment(true);
  } catch (...) {
    pool_.give_directory(made);
    throw;
  }
  const std::uint64_t generation = generation_.load(std::memory_order_relaxed) + 1;
  made->generation.store(generation, std::memory_order_relaxed);
  for (int i = 0; i < 2; ++i) made->entries[i].store(ref.word(), std::memory_order_relaxed);
  fixed_bytes_.fetch_add(Directory::cost(1), std::memory_order_relaxed);
  // Handles first: if a handle were still valid when a search finds nothing, it would give a value
  // after its end. No handle of the new generation can exist before the root is new.
  generation_.store(generation, std::memory_order_release);
  hot::race_point();
  const std::uint64_t old = root_.load(std::memory_order_relaxed);
  root_.store(root_word(made, rebuilds_), std::memory_order_release);
  if (old != 0) dead_.push_back({directory(old), 0});
}

void HotTable::clear() { start_anew(); }

void HotTable::set_limits(HotLimits limits) {
  const std::scoped_lock one(limits_mutex_);
  max_entries_.store(std::max<std::size_t>(1, limits.max_entries), std::memory_order_relaxed);
  max_bytes_.store(limits.max_bytes, std::memory_order_relaxed);
  {
    const std::scoped_lock structure(structure_mutex_);
    while (reclaim_dead()) {
    }
  }
  // The depth at which full segments keep both bounds, with a proportional part for long values.
  const double share = static_cast<double>(fixed_bytes_.load(std::memory_order_relaxed)) /
                       static_cast<double>(std::max<std::size_t>(1, bytes()));
  const double for_segments = share * static_cast<double>(limits.max_bytes);
  int depth = 0;
  while (depth < hot::kDeepest && (max_entries_ >> (depth + 1)) >= hot::kFullSegment / 2 &&
         static_cast<double>(hot::kSegmentBytes << (depth + 1)) <= for_segments) {
    ++depth;
  }
  std::size_t segments = 0;
  {
    const std::scoped_lock structure(structure_mutex_);
    segments = pool_.segments_in_use();
  }
  const bool too_many = segments > limits.max_entries / 8 ||
                        static_cast<double>(segments * hot::kSegmentBytes) > for_segments;
  if (segments > 1 && too_many) rebuild(depth);
  // Reduces every segment to its quota.
  std::uint64_t hash = 0;
  do {
    std::uint64_t generation = 0;
    const SegmentRef ref = lock_segment(hash, &generation);
    const std::unique_lock lock(ref.segment().mutex, std::adopt_lock);
    evict_to_quota(ref, generation);
    hash = behind(hash, ref.segment().depth);
  } while (hash != 0);
  for (std::size_t before = bytes(); over_bytes(); before = bytes()) {
    balance();
    if (bytes() >= before) break;
  }
  const std::scoped_lock structure(structure_mutex_);
  pool_.trim();
}

/// Moves what fits to a new directory of `depth` bits.
void HotTable::rebuild(int depth) {
  struct Old {
    SegmentRef ref;
    hot::LineSet left;  // what has not been moved or dropped yet
  };
  struct Move {
    SegmentRef from;
    std::size_t line;
    Line* copy;
  };
  // Unlocks in any case. When a reservation throws, nothing has changed.
  struct Locked {
    std::vector<Old> old;
    std::vector<SegmentRef> fresh;
    bool fresh_locked = false;
    ~Locked() {
      for (const Old& each : old) each.ref.segment().mutex.unlock();
      if (!fresh_locked) return;
      for (const SegmentRef ref : fresh) ref.segment().mutex.unlock();
    }
  } locked;
  std::vector<Old>& old = locked.old;
  std::vector<SegmentRef>& fresh = locked.fresh;
  std::uint64_t generation = 0;
  std::size_t entries = 0;
  std::uint64_t hash = 0;
  do {
    old.reserve(old.size() + 1);
    std::uint64_t current = 0;
    const SegmentRef ref = lock_segment(hash, &current);
    if (old.empty()) generation = current;
    old.push_back({ref, ref.segment().used});
    entries += ref.segment().count.load(std::memory_order_relaxed);
    hash = behind(hash, ref.segment().depth);
  } while (hash != 0);

  const std::unique_lock structure(structure_mutex_);
  Directory* before = directory(root_.load(std::memory_order_acquire));
  // clear() came meanwhile: there is nothing to move.
  if (before->generation.load(std::memory_order_relaxed) != generation) return;
  std::vector<Move> moves;
  moves.reserve(entries);
  Directory* all = pool_.take_directory(std::max(1, depth));
  const std::size_t count = std::size_t{1} << depth;
  try {
    fresh.reserve(count);
    while (fresh.size() < count) fresh.push_back(take_segment(true));
  } catch (...) {
    while (!fresh.empty()) {
      give_segment(fresh.back());
      fresh.pop_back();
    }
    pool_.give_directory(all);
    throw;
  }
  fixed_bytes_.fetch_add(Directory::cost(all->depth), std::memory_order_relaxed);
  all->generation.store(generation, std::memory_order_relaxed);
  for (const SegmentRef ref : fresh) {
    ref.segment().mutex.lock();
    ref.segment().depth = depth;
  }
  for (std::size_t i = 0; i < all->size(); ++i) {
    all->entries[i].store(fresh[i >> (all->depth - depth)].word(), std::memory_order_relaxed);
  }
  locked.fresh_locked = true;

  // Those that were seen are moved first, then the others, while there is room.
  const std::size_t room = std::min(quota(depth), hot::kFullSegment);
  for (const std::uint64_t mark : {hot::kSeen, std::uint64_t{0}}) {
    for (Old& each : old) {
      for (std::size_t at = each.left.next(0); at != kLines; at = each.left.next(at + 1)) {
        const std::uint64_t head = hot::load(each.ref.lines()[at], 0);
        if ((head & mark) != mark) continue;
        const std::uint64_t its_hash = hot::load(each.ref.lines()[at], 1);
        const SegmentRef to(all->entry(its_hash).load(std::memory_order_acquire));
        if (to.segment().count.load(std::memory_order_relaxed) >= room) continue;
        moves.push_back({each.ref, at, copy_entry(each.ref, at, to)});
        each.left.reset(at);
      }
    }
  }
  for (Old& each : old) {
    for (std::size_t at = each.left.next(0); at != kLines; at = each.left.next(at + 1)) {
      LineLock lock;
      lock.lock(each.ref, at);
      drop(each.ref, at, generation, lock);
    }
  }
  ++rebuilds_;
  root_.store(root_word(all, rebuilds_), std::memory_order_release);
  for (const Move& move : moves) finish_copy(move.from, move.line, *move.copy);
  for (const Old& each : old) {
    hot::clear_tags(each.ref.groups());
    each.ref.segment().mutex.unlock();
    give_segment(each.ref);
  }
  old.clear();
  fixed_bytes_.fetch_sub(Directory::cost(before->depth), std::memory_order_relaxed);
  pool_.give_directory(before);
}

void HotTable::for_each(
    base::FunctionRef<void(std::string_view, std::string_view, std::uint8_t)> shown) const {
  struct Seen {
    char key[kInlineBytes];
    char value[kInlineBytes];
    std::string_view key_view;
    std::string_view value_view;
    std::uint8_t kind;
  };
  std::vector<Seen> seen;
  std::uint64_t hash = 0;
  do {
    // The pin keeps long values while they are shown without the lock.
    const base::EpochPin pin;
    seen.clear();
    seen.reserve(kLines);
    {
      auto* self = const_cast<HotTable*>(this);
      std::uint64_t generation = 0;
      const SegmentRef ref = self->lock_segment(hash, &generation);
      const std::unique_lock segment(ref.segment().mutex, std::adopt_lock);
      const hot::LineSet& used = ref.segment().used;
      for (std::size_t at = used.next(0); at != kLines; at = used.next(at + 1)) {
        LineLock lock;
        if (!lock.lock(ref, at)) continue;
        Seen& entry = seen.emplace_back();
        entry.key_view = lock.key(entry.key);
        entry.value_view = lock.value(entry.value);
        entry.kind = hot::kind_of(lock.head());
      }
      hash = behind(hash, ref.segment().depth);
    }
    for (const Seen& entry : seen) shown(entry.key_view, entry.value_view, entry.kind);
  } while (hash != 0);
}

// ---------------------------------------------------------------------------------------- fork()

void HotTable::child_after_fork() noexcept {
  base::epochs_after_fork();
  // Writers that do not exist here may have left lines and segments locked, so everything is
  // discarded. Its long values are leaked: a line that was being changed does not tell whose they
  // are.
  for (Limbo& limbo : limbos_) {
    for (const Retired& retired : limbo.retired) Blob::free(retired.blob);
    limbo.retired.clear();
    limbo.bytes = 0;
  }
  dead_.clear();
  blob_bytes_.store(0, std::memory_order_relaxed);
  fixed_bytes_.store(0, std::memory_order_relaxed);
  root_.store(0, std::memory_order_relaxed);
  pool_.forget();
  if (changes_ != nullptr) changes_->child_after_fork();
  start_anew();
}

}  // namespace graven::cache
