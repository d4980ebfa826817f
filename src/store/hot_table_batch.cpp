// SPDX-License-Identifier: MIT
//
// Many at once. A lookup waits for memory twice: for the tags of its group and for its line.
// In a batch the processor is told of a key's group 32 keys ahead and of its line 16 keys ahead, so
// that both are on their way when the key is looked up. The line is a guess, checked as always; if
// the key is not there it is looked up like a single one.
#include <algorithm>
#include <bit>

#include "store/hot_table.hpp"

namespace graven::store {

using hot::SegmentRef;

namespace {

// Enough to keep a core's load buffers busy, little enough to stay in its first cache.
constexpr std::size_t kAhead = 16;
constexpr std::size_t kHandlesAhead = 32;

template <bool kWrite>
void prefetch(const void* at) {
  __builtin_prefetch(at, kWrite ? 1 : 0, 3);
}

}  // namespace

/// Calls `use(i, guess)` for each, when the line where hash_at(i) probably is, is on its way.
template <bool kWrite, class HashAt, class Use>
void HotTable::fetch_and_use(std::size_t count, HashAt&& hash_at, Use&& use) const {
  SegmentRef refs[kAhead];
  Guess guesses[kAhead];
  for (std::size_t step = 0; step < count + 2 * kAhead; ++step) {
    const std::size_t at = step % kAhead;
    if (step >= 2 * kAhead) use(step - 2 * kAhead, guesses[at]);
    if (step >= kAhead && step - kAhead < count) {
      const std::uint64_t hash = hash_at(step - kAhead);
      const std::size_t group = hot::home_group(hash);
      const std::uint32_t found = hot::GroupTags(refs[at].groups()[group]).match(hot::tag_of(hash));
      const auto line = static_cast<std::size_t>(std::countr_zero(found | 0x4000));
      guesses[at] = {refs[at], group * hot::kLinesPerGroup + line};
      prefetch<kWrite>(refs[at].lines() + guesses[at].line);
    }
    if (step < count) {
      const std::uint64_t hash = hash_at(step);
      const std::uint64_t root = root_.load(std::memory_order_acquire);
      refs[at] = SegmentRef(entry(root, hash).load(std::memory_order_acquire));
      prefetch<false>(refs[at].groups() + hot::home_group(hash));
    }
  }
}

void HotTable::find_many(std::span<const HotKey> keys, char* out, std::size_t stride,
                         HotHit* hits) const {
  fetch_and_use<false>(
      keys.size(), [&](std::size_t i) { return keys[i].hash; },
      [&](std::size_t i, const Guess& guess) {
        const HotKey& key = keys[i];
        char* to = out + i * stride;
        if (stride >= kInlineBytes) [[likely]] {
          const hot::LineRead read =
              hot::read_line_once(guess.ref.lines()[guess.line], key.key, key.hash, to);
          if (read.outcome == hot::Outcome::kFound) [[likely]] {
            hits[i] = {HotState::kHit, read.kind, read.size};
            return;
          }
        }
        hits[i] = find(key.key, key.hash, to, stride);
      });
}

void HotTable::find_many(std::span<const HotHandle> handles, char* out, std::size_t stride,
                         HotHit* hits) const {
  const std::size_t count = handles.size();
  for (std::size_t i = 0; i < std::min(kHandlesAhead, count); ++i) {
    prefetch<false>(handles[i].line);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kHandlesAhead < count) prefetch<false>(handles[i + kHandlesAhead].line);
    hits[i] = find(handles[i], out + i * stride, stride);
  }
}

void HotTable::put_many(std::span<const HotItem> items, bool dirty) {
  fetch_and_use<true>(
      items.size(), [&](std::size_t i) { return items[i].hash; },
      [&](std::size_t i, const Guess& guess) { put_at(guess, items[i], dirty); });
}

}  // namespace graven::store
