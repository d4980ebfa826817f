// SPDX-License-Identifier: MIT
//
// What a full segment drops. S3-FIFO without its queues: a key that moves in is on probation;
// when a tenth of the segment is, a hand goes round over those and drops the first that was
// not seen since, while those that were become members; else another hand goes round over the
// members and drops the first that was not seen since it last came by. A scan therefore only
// ever pushes out itself. A segment remembers the last hashes it dropped on probation ("ghosts",
// 16 bits of each); such a key, if it comes back, is a member at once.
//
// Both hands go in an order of places, not of arrival: two bits a line instead of queues, and no
// worse (docs/design/hot-table.md has the figures: SIEVE and S3-FIFO with queues were the rivals).
// They go through all groups before they come to another line of the first: each group then has
// about as many free lines as the next, and a key finds one in its own. In the order of lines all
// the room would lie behind the hands, and keys from everywhere else far from where they are
// looked for.
//
// Under the segment's lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/hot/hot_segment.hpp"

namespace graven::store::hot {

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

/// One hand, once round. kLines: it found nothing to drop.
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

/// Which line to drop next; kLines if none may be. `look(line)` says what to do with one; for
/// kMarked it has taken the mark away.
template <class Look>
std::size_t eviction_pick(Segment& segment, Look&& look) {
  // A hand may find everything seen the first time round. At last, readers that mark faster
  // than the hands go are overruled.
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

/// After a drop that eviction decided (an erased key leaves no ghost).
inline void eviction_dropped(Segment& segment, std::size_t line, std::uint64_t hash) {
  if (segment.probation.test(line)) ghost_of(segment, hash) = ghost_print(hash);
}

}  // namespace graven::store::hot
