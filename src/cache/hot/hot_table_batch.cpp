// SPDX-License-Identifier: MIT
//
// Batches. A lookup waits for memory twice: for the tags of its group and for its line. In a batch
// the groups of 64 keys are prefetched, then the lines of the 64 keys before, and then the 64 keys
// before those are looked up, when the memory they need has arrived. The line is a guess, which is
// checked as always; a key that is not there is looked up like a single one.
//
// Lines are prefetched only into the second-level cache: a core can have more such fetches at once
// than into the first level, nearly twice as many on the machines where this was measured.
#include <algorithm>

#include "cache/hot/hot_table.hpp"

namespace graven::cache {

using hot::Line;
using hot::SegmentRef;

namespace {

constexpr std::size_t kBlock = 64;

// Always inline: gcc regards a function that does nothing else as one without effect, and drops
// calls of it.
[[gnu::always_inline]] inline void prefetch(const void* at) { __builtin_prefetch(at, 0, 2); }

/// If the home group of a hash is full, goes on to the next group and its lines.
[[gnu::noinline]] std::uint32_t next_group(const hot::Group*& group, Line*& lines,
                                           std::uint64_t hash) {
  if (!hot::GroupTags(*group).passed()) return 0;
  const std::size_t home = hot::home_group(hash);
  const std::size_t next = (home + 1) % hot::kGroups;
  group += next - home;
  lines += (next - home) * hot::kLinesPerGroup;
  return hot::GroupTags(*group).match(hash);
}

}  // namespace

/// Calls `use(i, line)` for each i, after the line where hash_at(i) probably is was prefetched.
template <class HashAt, class Use>
[[gnu::always_inline]] inline void HotTable::fetch_and_use(std::size_t count, HashAt&& hash_at,
                                                           Use&& use) const {
  struct Place {
    const hot::Group* group;
    Line* lines;
  };
  Place places[kBlock];
  Line* guesses[2][kBlock];
  for (std::size_t step = 0; step < count + 2 * kBlock; step += kBlock) {
    Line** const older = guesses[step / kBlock % 2];
    Line** const newer = guesses[(step / kBlock + 1) % 2];
    if (step >= 2 * kBlock) {
      const std::size_t from = step - 2 * kBlock;
      const std::size_t size = std::min(kBlock, count - from);
      for (std::size_t i = 0; i < size; ++i) use(from + i, *older[i]);
    }
    if (step >= kBlock && step - kBlock < count) {
      const std::size_t from = step - kBlock;
      const std::size_t size = std::min(kBlock, count - from);
      for (std::size_t i = 0; i < size; ++i) {
        std::uint32_t match = hot::GroupTags(*places[i].group).match(hash_at(from + i));
        if (match == 0) [[unlikely]] {
          match = next_group(places[i].group, places[i].lines, hash_at(from + i));
        }
        newer[i] = places[i].lines + hot::lowest_bit(match | 0x4000);
        prefetch(newer[i]);
        for (match &= match - 1; match != 0; match &= match - 1) [[unlikely]] {
            prefetch(places[i].lines + hot::lowest_bit(match));
          }
      }
    }
    if (step < count) {
      const std::size_t size = std::min(kBlock, count - step);
      const std::uint64_t root = root_.load(std::memory_order_acquire);
      for (std::size_t i = 0; i < size; ++i) {
        const std::uint64_t hash = hash_at(step + i);
        const SegmentRef ref(entry(root, hash).load(std::memory_order_acquire));
        places[i] = {&hot::home_of(ref.groups(), hash), &hot::home_line(ref.lines(), hash, 0)};
        prefetch(places[i].group);
      }
    }
  }
}

void HotTable::find_many(std::span<const HotKey> keys, char* out, std::size_t stride,
                         HotHit* hits) const {
  const HotKey* const from = keys.data();
  const auto hash_at = [from](std::size_t i) { return from[i].hash; };
  const auto again = [this, from, out, stride, hits](std::size_t i) {
    hits[i] = find_anywhere(from[i].key, from[i].hash, out + i * stride, stride);
  };
  if (stride < kShortBytes) [[unlikely]] {
    fetch_and_use(keys.size(), hash_at, [again](std::size_t i, Line&) { again(i); });
    return;
  }
  fetch_and_use(keys.size(), hash_at, [from, out, stride, hits, again](std::size_t i, Line& line) {
    const hot::LineRead read = hot::read_line_once(line, from[i].key, out + i * stride, stride);
    hits[i] = {HotState::kHit, read.kind, read.size};
    if (read.outcome != hot::Outcome::kFound) [[unlikely]]
      again(i);
  });
}

void HotTable::find_many(std::span<const HotHandle> handles, char* out, std::size_t stride,
                         HotHit* hits) const {
  const HotHandle* const from = handles.data();
  const std::size_t count = handles.size();
  const std::uint32_t generation = generation_of_handles();
  const auto again = [this, from, out, stride, hits](std::size_t i) {
    hits[i] = find_handle_pinned(from[i], out + i * stride, stride);
  };
  const auto look = [from, out, stride, hits, generation, again](std::size_t i) {
    const hot::LineRead read = read_handle(from[i], generation, out + i * stride, stride);
    hits[i] = {HotState::kHit, read.kind, read.size};
    if (read.outcome != hot::Outcome::kFound) [[unlikely]]
      again(i);
  };
  if (stride < kShortBytes) [[unlikely]] {
    for (std::size_t i = 0; i < count; ++i) again(i);
    return;
  }
  // Prefetched in blocks, not one before each read: many fetches in a row overlap better.
  for (std::size_t step = 0; step < count + kBlock; step += kBlock) {
    for (std::size_t i = step; i < std::min(step + kBlock, count); ++i) prefetch(from[i].line);
    if (step == 0) continue;
    for (std::size_t i = step - kBlock; i < std::min(step, count); ++i) look(i);
  }
}

void HotTable::put_many(std::span<const HotItem> items) {
  fetch_and_use(
      items.size(), [&](std::size_t i) { return items[i].hash; },
      [&](std::size_t i, Line& line) { put_at(line, items[i]); });
}

}  // namespace graven::cache
