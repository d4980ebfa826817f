// SPDX-License-Identifier: MIT
//
// Decides what a full segment drops. It is S3-FIFO without its queues. A new key is on probation.
// When a tenth of the segment is on probation, a hand passes over these keys: it drops the first
// that was not seen since it came, and makes members of those that were. Otherwise another hand
// passes over the members and drops the first that was not seen since the hand last passed. So a
// scan drops only its own keys. A segment remembers 16 bits of the hashes it last dropped on
// probation ("ghosts"); if such a key comes back, it is a member at once.
//
// Both hands go in order of places, not of arrival: this takes two bits a line instead of queues,
// and is no worse (docs/design/hot-table.md has the figures; the rivals were SIEVE and S3-FIFO with
// queues). A hand passes over one line of every group before the next line of the first group. So
// all groups have about the same number of free lines, and a key finds one in its own group. If the
// hands went in order of lines, all free lines would be just behind them, far from where keys are
// looked up.
//
// Under the segment's lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/hot/hot_segment.hpp"

namespace graven::cache::hot {

enum class Verdict : std::uint8_t { kDrop, kMarked, kKeep };

inline std::uint16_t& ghost_of(Segment& segment, std::uint64_t hash) {
  return segment.ghosts[(hash >> 13) % segment.ghosts.size()];
}
inline std::uint16_t ghost_print(std::uint64_t hash) {
  return static_cast<std::uint16_t>((hash >> 22) | 1);
}

inline void eviction_entered(Segment& segment, std::size_t line, std::uint64_t hash) {
  segment.used.set(line);
  std::uint16_t& ghost = ghost_of(segment, hash);
  if (ghost == ghost_print(hash)) {
    ghost = 0;
    return;
  }
  segment.probation.set(line);
  ++segment.on_probation;
}

inline void eviction_left(Segment& segment, std::size_t line) {
  segment.used.reset(line);
  if (!segment.probation.test(line)) return;
  segment.probation.reset(line);
  --segment.on_probation;
}

/// One round of one hand. kLines: it found nothing to drop.
template <class Look>
std::size_t eviction_sweep(Segment& segment, bool probation, bool hurry, Look& look) {
  const std::uint32_t share = segment.count.load(std::memory_order_relaxed) / 10 + 1;
  const LineSet& lines = probation ? segment.probation : segment.used;
  std::uint32_t& hand = probation ? segment.probation_hand : segment.main_hand;
  std::size_t turn = hand;
  for (std::size_t turns = 0; turns < kLines; ++turns, turn = (turn + 1) % kLines) {
    const std::size_t at = turn % kGroups * kLinesPerGroup + turn / kGroups;
    if (!lines.test(at) || (!probation && segment.probation.test(at))) continue;
    const Verdict verdict = look(at);
    if (verdict == Verdict::kKeep) continue;
    hand = static_cast<std::uint32_t>((turn + 1) % kLines);
    if (verdict == Verdict::kDrop || hurry) return at;
    if (!probation) continue;
    segment.probation.reset(at);
    if (--segment.on_probation < share) return kLines;
  }
  return kLines;
}

/// Which line to drop next; kLines if none may be dropped. `look(line)` decides about a line;
/// before it returns kMarked it has cleared the line's seen flag.
template <class Look>
std::size_t eviction_pick(Segment& segment, Look&& look) {
  // A hand may find every line seen in its first round. In the last tries ("hurry") seen lines are
  // dropped too, in case readers set the flags faster than the hands clear them.
  const bool probation = segment.on_probation > segment.count.load(std::memory_order_relaxed) / 10;
  struct Try {
    bool probation;
    bool hurry;
  };
  constexpr Try probation_first[] = {
      {true, false}, {false, false}, {false, false}, {true, true}, {false, true}};
  constexpr Try members_first[] = {
      {false, false}, {false, false}, {true, false}, {false, true}, {true, true}};
  for (const Try& next : probation ? probation_first : members_first) {
    const std::size_t line = eviction_sweep(segment, next.probation, next.hurry, look);
    if (line != kLines) return line;
  }
  return kLines;
}

/// Called after eviction has dropped a key. (An erased key leaves no ghost.)
inline void eviction_dropped(Segment& segment, std::size_t line, std::uint64_t hash) {
  if (segment.probation.test(line)) ghost_of(segment, hash) = ghost_print(hash);
}

}  // namespace graven::cache::hot
