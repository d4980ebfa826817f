// SPDX-License-Identifier: MIT
//
// The hot table: a bounded cache in memory from keys to values, both bytes. It is built for reads:
// a get takes no lock and writes nothing but a "seen" flag that is not set yet. hot_segment.hpp
// says how keys are found, hot_line.hpp how an entry is read while others write it.
//
// Always holds: operations on one key are linearizable; clear() and eviction count as erasing it.
// Eviction gives the sink an entry before it drops it. A reader waits only for a writer that is
// storing the words of that very entry; growth does not stop readers.
//
// Any thread, except construction, destruction and child_after_fork(). The caller computes a key's
// hash, the same at every call. Sizes are below 4 GiB. If key and value together have more than 48
// bytes, they live outside their line and cost a pin (base/epoch.hpp) to read. Functors that run
// inside a call must not use the table.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/epoch.hpp"
#include "base/fork.hpp"
#include "base/function_ref.hpp"
#include "cache/hot/hot_changes.hpp"
#include "cache/hot/hot_memory.hpp"
#include "cache/hot/hot_segment.hpp"

namespace graven::cache {

struct HotLimits {
  std::size_t max_entries = std::numeric_limits<std::size_t>::max();
  /// Bytes of segments (62 KB each, at least one), directory and long values. Memory left over from
  /// clear() or growth counts until it is reused.
  std::size_t max_bytes = std::numeric_limits<std::size_t>::max();
};

/// An entry that eviction drops; the views are valid during the call.
struct HotEvicted {
  std::string_view key;
  std::string_view value;
  std::uint64_t hash;
  std::uint64_t generation;  // of the table when it had the entry
  std::uint8_t kind;
};

struct HotKey {
  std::string_view key;
  std::uint64_t hash;
};

struct HotItem {
  std::string_view key;
  std::string_view value;
  std::uint64_t hash;
  std::uint8_t kind;
};

enum class HotState : std::uint8_t {
  kMiss,
  kHit,
  kStale,  // of a handle: the entry has moved; look it up by its key
};

struct HotHit {
  HotState state = HotState::kMiss;
  std::uint8_t kind = 0;
  std::uint32_t size = 0;

  explicit operator bool() const { return state == HotState::kHit; }
};

/// Where an entry was. Valid as long as its table.
struct HotHandle {
  hot::Line* line = nullptr;
  std::uint64_t hash = 0;
  std::uint32_t incarnation = 0;
  std::uint32_t generation = 0;

  explicit operator bool() const { return line != nullptr; }
};

/// What update() gives to `edit` and takes from it.
struct HotEdit {
  enum class Action : std::uint8_t { kKeep, kStore, kErase };

  std::optional<std::string_view> old;  // nullopt: no such key; kStore inserts it
  std::uint8_t kind = 0;                // in: of `old`; out: of what is stored
  Action action = Action::kKeep;
  std::string value;  // for kStore
};

// Padded on purpose: the words of readers and those of writers are on separate cache lines.
class HotTable {  // NOLINT(clang-analyzer-optin.performance.Padding)
 public:
  /// A buffer of this size has room for any inline value; find() is fastest with it, or, for values
  /// that fit, with one of kShortBytes.
  static constexpr std::size_t kInlineBytes = hot::kPayloadBytes;
  static constexpr std::size_t kShortBytes = hot::kShortBytes;

  /// The sink gets each entry before it is dropped, for one key in the order of drops. Its segment
  /// is locked: other writers of the segment wait, readers do not. It must not throw.
  using Sink = std::function<void(const HotEvicted&)>;

  /// With `stamped`, stamp() can be used; changes then cost some nanoseconds more.
  explicit HotTable(HotLimits limits = {}, Sink sink = nullptr, bool stamped = false);
  ~HotTable();
  HotTable(const HotTable&) = delete;
  HotTable& operator=(const HotTable&) = delete;

  /// Copies the value to `out`, at most `capacity` bytes; the result has the size of the whole
  /// value. Bytes of `out` after the value may change. O(1).
  HotHit find(std::string_view key, std::uint64_t hash, char* out, std::size_t capacity) const;

  /// Calls `shown(value, kind)` with the value as it was at one moment: a copy on the stack, or in
  /// place with a pin. While `shown` runs, freed memory is kept. False: no such key.
  template <class Shown>
  bool visit(std::string_view key, std::uint64_t hash, Shown&& shown) const;

  /// The same; faster for long values and slower for short ones.
  bool visit_in_place(std::string_view key, std::uint64_t hash,
                      base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const;

  /// find() for many keys, several times as fast: value i goes to `out + i * stride`, at most
  /// `stride` bytes. `hits` is as long as `keys`. Each key is read by itself, not all at one
  /// moment.
  void find_many(std::span<const HotKey> keys, char* out, std::size_t stride, HotHit* hits) const;

  /// An empty handle if there is no such key.
  [[nodiscard]] HotHandle handle(std::string_view key, std::uint64_t hash) const;
  /// find() where the entry was last: one cache line, no search.
  HotHit find(const HotHandle& handle, char* out, std::size_t capacity) const;
  /// visit() where the entry was last. False: the handle is stale.
  template <class Shown>
  bool visit(const HotHandle& handle, Shown&& shown) const;
  void find_many(std::span<const HotHandle> handles, char* out, std::size_t stride,
                 HotHit* hits) const;

  /// Inserts or replaces. May drop other entries. O(1), except that every few hundred inserts split
  /// a segment (some 50 us). std::bad_alloc changes nothing.
  void put(std::string_view key, std::uint64_t hash, std::string_view value, std::uint8_t kind = 0);
  void put_many(std::span<const HotItem> items);
  /// For filling from a slower tier: inserts if there is no such key, and, if a generation is
  /// given, only if clear() has not been called since generation() returned it.
  bool put_if_absent(std::string_view key, std::uint64_t hash, std::string_view value,
                     std::uint8_t kind = 0, std::optional<std::uint64_t> generation = std::nullopt);
  /// Reads the entry, calls `edit` and does what it decides, with no other writer of the key
  /// between. The segment is locked meanwhile; readers see the old value. If `edit` throws, nothing
  /// has changed.
  void update(std::string_view key, std::uint64_t hash, base::FunctionRef<void(HotEdit&)> edit);
  bool erase(std::string_view key, std::uint64_t hash);
  /// Drops every entry with exactly this hash; false if there was none. For a caller who knows only
  /// the hash of a changed key.
  bool erase_hash(std::uint64_t hash);

  /// Drops everything without calling the sink. O(1); the memory is reused gradually.
  void clear();
  /// Grows by one in clear(). Handles, fills and dropped entries of an older generation are void.
  [[nodiscard]] std::uint64_t generation() const;

  /// Take a stamp before reading a value. If it is usable, the value is still the one in the table
  /// as long as a new stamp equals it (hot_changes.hpp). Never usable in a table without `stamped`.
  using Stamp = HotChanges::Stamp;
  [[nodiscard]] Stamp stamp(std::uint64_t hash) const noexcept {
    return changes_ == nullptr ? Stamp{} : changes_->stamp(hash);
  }

  /// Calls `shown(key, value, kind)` for each entry, one segment at a time, without holding a lock.
  /// An entry that is there all the time is shown exactly once; one that is inserted, dropped or
  /// changed meanwhile may be shown as it was at some moment.
  void for_each(
      base::FunctionRef<void(std::string_view, std::string_view, std::uint8_t)> shown) const;

  [[nodiscard]] std::size_t size() const;   // O(segments)
  [[nodiscard]] std::size_t bytes() const;  // what max_bytes bounds
  /// How many entries have been dropped so far to keep the bounds.
  [[nodiscard]] std::uint64_t evictions() const noexcept {
    return evictions_.load(std::memory_order_relaxed);
  }
  /// Bytes of values that were replaced or dropped and wait until no reader can have them.
  [[nodiscard]] std::size_t retired_bytes() const;
  [[nodiscard]] HotLimits limits() const;
  /// Lower limits drop entries at once. Much lower ones rebuild the table, in O(size), and return
  /// memory to the system.
  void set_limits(HotLimits limits);

  /// Called by its owner in the child of a fork (base/fork.hpp): the table becomes empty, with a
  /// new generation, and leaks the parent's long values.
  void child_after_fork() noexcept;

 private:
  struct Retired {
    std::uint64_t epoch;
    hot::Blob* blob;
  };
  struct alignas(64) Limbo {
    mutable base::ForkLocked<hot::SmallMutex> mutex{base::kForkRankLimbo};
    std::vector<Retired> retired;
    std::size_t bytes = 0;      // of `retired`
    std::size_t next_look = 0;  // retired bytes at which to try to free some
  };
  class LineLock;
  static constexpr std::size_t kLimbos = 8;

  // The root word. The upper 48 bits are the address of a directory's entries. The lowest 6 say by
  // how much a hash is shifted, so that the entry is one load away. Between them is the number of
  // rebuilds, so that a reader does not take a reused directory for the one it knows.
  static hot::Word& entry(std::uint64_t root, std::uint64_t hash) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<hot::Word*>(root >> 16)[hash >> (root & 63)];
  }
  static hot::Directory* directory(std::uint64_t root) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<hot::Directory*>((root >> 16) - offsetof(hot::Directory, entries));
  }
  static std::uint64_t root_word(hot::Directory* directory, std::uint64_t rebuilds) {
    return reinterpret_cast<std::uint64_t>(directory->entries) << 16 | (rebuilds & 0x3ff) << 6 |
           static_cast<std::uint64_t>(64 - directory->depth);
  }

  static std::uint32_t same_hash(const hot::Line* lines, std::size_t group, std::uint32_t bits,
                                 std::uint64_t hash);
  static hot::Line* likely_line(hot::SegmentRef ref, std::uint64_t hash) noexcept;
  template <class Look>
  void search(std::uint64_t hash, Look&& look) const;
  hot::Line* find_line(std::uint64_t hash) const;
  hot::LineRead find_at_once(std::string_view key, std::uint64_t hash, char* out,
                             std::size_t capacity) const;
  HotHit find_anywhere(std::string_view key, std::uint64_t hash, char* out,
                       std::size_t capacity) const;
  bool visit_anywhere(std::string_view key, std::uint64_t hash,
                      base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const;
  [[nodiscard]] std::uint32_t generation_of_handles() const {
    return static_cast<std::uint32_t>(generation_.load(std::memory_order_acquire));
  }
  static hot::LineRead read_handle(const HotHandle& handle, std::uint32_t generation, char* out,
                                   std::size_t capacity);
  bool visit_handle_pinned(const HotHandle& handle,
                           base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const;
  HotHit find_handle_pinned(const HotHandle& handle, char* out, std::size_t capacity) const;

  template <class HashAt, class Use>
  void fetch_and_use(std::size_t count, HashAt&& hash_at, Use&& use) const;
  bool write_at_once(hot::Line& line, std::string_view key, std::uint64_t hash,
                     std::string_view value, std::uint8_t kind);
  void put_at(hot::Line& guess, const HotItem& item);

  // hot_table.cpp: one entry.
  bool lock_entry(const hot::Needle& needle, hot::SegmentRef ref, LineLock& lock);
  bool lock_entry(const hot::Needle& needle, LineLock& lock);
  hot::SegmentRef lock_segment(std::uint64_t hash, std::uint64_t* generation);
  void store(LineLock& lock, const hot::Needle& needle, std::string_view value, std::uint8_t kind);
  void insert(hot::SegmentRef ref, const hot::Needle& needle, std::string_view value,
              std::uint8_t kind);
  bool insert_or_store(const hot::Needle& needle, std::string_view value, std::uint8_t kind,
                       bool absent_only, std::optional<std::uint64_t> generation);
  void remove(hot::SegmentRef ref, std::size_t line, LineLock& lock);
  void count_blob(hot::SegmentRef ref, std::int64_t bytes);
  void retire(hot::Blob* blob, std::uint64_t hash) noexcept;

  // hot_table_growth.cpp and hot_table_whole.cpp: room and bounds.
  [[nodiscard]] std::size_t quota(int depth) const;
  [[nodiscard]] bool over_bytes() const {
    return bytes() > max_bytes_.load(std::memory_order_relaxed);
  }
  bool make_room(hot::SegmentRef ref, std::uint64_t generation, std::uint64_t hash);
  bool evict(hot::SegmentRef ref, std::uint64_t generation, bool long_only);
  bool split(hot::SegmentRef ref, std::uint64_t generation, std::uint64_t hash);
  static hot::Line* copy_entry(hot::SegmentRef from, std::size_t line, hot::SegmentRef to);
  static void finish_copy(hot::SegmentRef from, std::size_t line, hot::Line& copy);
  void evict_to_quota(hot::SegmentRef ref, std::uint64_t generation);
  void balance();
  hot::SegmentRef take_segment(bool may_grow);
  void give_segment(hot::SegmentRef ref);
  bool reclaim_dead();
  hot::Directory* widen(hot::Directory* from);
  void rebuild(int depth);
  void drop(hot::SegmentRef ref, std::size_t line, std::uint64_t generation, LineLock& lock);
  void start_anew();
  static std::size_t place(hot::SegmentRef ref, std::uint64_t hash);
  static void vacate(hot::SegmentRef ref, std::size_t line, std::uint64_t hash);

  struct Dead {
    hot::Directory* directory;
    std::size_t next;  // its first entry not reclaimed yet
  };

  // Read by every reader, seldom written.
  alignas(64) hot::Word root_{0};
  hot::Word generation_{0};
  // Written by writers of long values, by growth and by eviction.
  alignas(64) std::atomic<std::int64_t> blob_bytes_{0};
  std::atomic<std::size_t> fixed_bytes_{0};
  std::atomic<std::uint64_t> evictions_{0};
  std::atomic<std::size_t> max_entries_;
  std::atomic<std::size_t> max_bytes_;
  std::atomic<std::uint64_t> hand_{0};  // the hash at which balance() continues
  std::array<Limbo, kLimbos> limbos_;
  const Sink sink_;
  const std::unique_ptr<HotChanges> changes_;  // nullptr: not stamped

  // One set_limits() at a time; taken before any other lock.
  base::ForkMutex limits_mutex_{base::kForkRankTableLimits};
  // Taken after a segment's lock:
  mutable base::ForkMutex structure_mutex_{base::kForkRankTable};
  hot::Pool pool_;
  std::vector<Dead> dead_;
  std::uint64_t rebuilds_ = 0;
};

// ---------------------------------------------------------------------------------------------

/// Those of the lines that have this hash at the moment; found without a branch on their contents.
inline std::uint32_t HotTable::same_hash(const hot::Line* lines, std::size_t group,
                                         std::uint32_t bits, std::uint64_t hash) {
  std::uint32_t same = 0;
  for (; bits != 0; bits &= bits - 1) {
    const std::size_t at = hot::lowest_bit(bits);
    const std::uint64_t found = hot::load(lines[group * hot::kLinesPerGroup + at], 1);
    same |= static_cast<std::uint32_t>(found == hash) << at;
  }
  return same;
}

/// Calls `look` with each line that may have the key, until it returns true. Repeats the search if
/// the key may have moved meanwhile.
template <class Look>
void HotTable::search(std::uint64_t hash, Look&& look) const {
  for (;;) {
    const std::uint64_t root = root_.load(std::memory_order_acquire);
    const hot::Word& entry = HotTable::entry(root, hash);
    const std::uint64_t word = entry.load(std::memory_order_acquire);
    hot::race_point();
    const hot::SegmentRef ref(word);
    const hot::Group* groups = ref.groups();
    hot::Line* lines = ref.lines();
    std::size_t group = hot::home_group(hash);
    for (std::size_t step = 0; step < hot::kGroups; ++step) {
      const hot::GroupTags tags(groups[group]);
      for (std::uint32_t bits = same_hash(lines, group, tags.match(hash), hash); bits != 0;
           bits &= bits - 1) {
        const std::size_t line = group * hot::kLinesPerGroup + hot::lowest_bit(bits);
        if (look(lines[line], ref, line)) [[likely]]
          return;
      }
      if (!tags.passed()) [[likely]]
        break;
      hot::race_point();
      group = (group + 1) % hot::kGroups;
    }
    // A writer that moves a key publishes its new place before it empties the old one.
    if (root_.load(std::memory_order_acquire) == root &&
        entry.load(std::memory_order_acquire) == word) [[likely]] {
      return;
    }
  }
}

/// The line with the key's tag in its first group; nearly always there is one. All rare cases are
/// elsewhere, so this is so short that the processor works on several lookups at once. If several
/// lines have the tag, likely_line() compares their hashes: trying them in turn would be guessing,
/// and a wrong guess shows only when its line has arrived from memory. The line may be of another
/// key, or of none.
[[gnu::always_inline]] inline hot::Line* HotTable::find_line(std::uint64_t hash) const {
  const std::uint64_t root = root_.load(std::memory_order_acquire);
  const hot::SegmentRef ref(entry(root, hash).load(std::memory_order_acquire));
  hot::race_point();
  const std::uint32_t match = hot::GroupTags(hot::home_of(ref.groups(), hash)).match(hash);
  hot::race_point();
  if (match == 0 || (match & (match - 1)) != 0) [[unlikely]]
    return likely_line(ref, hash);
  return &hot::home_line(ref.lines(), hash, hot::lowest_bit(match));
}

/// `out` has room for kShortBytes at least.
[[gnu::always_inline]] inline hot::LineRead HotTable::find_at_once(std::string_view key,
                                                                   std::uint64_t hash, char* out,
                                                                   std::size_t capacity) const {
  return hot::read_line_once(*find_line(hash), key, out, capacity);
}

[[gnu::always_inline]] inline HotHit HotTable::find(std::string_view key, std::uint64_t hash,
                                                    char* out, std::size_t capacity) const {
  if (capacity >= kShortBytes) [[likely]] {
    const hot::LineRead read = find_at_once(key, hash, out, capacity);
    if (read.outcome == hot::Outcome::kFound) [[likely]] {
      return {HotState::kHit, read.kind, read.size};
    }
  }
  return find_anywhere(key, hash, out, capacity);
}

template <class Shown>
bool HotTable::visit(std::string_view key, std::uint64_t hash, Shown&& shown) const {
  char bytes[kInlineBytes];
  const hot::LineRead read = find_at_once(key, hash, bytes, sizeof bytes);
  if (read.outcome != hot::Outcome::kFound) return visit_anywhere(key, hash, shown);
  shown(std::string_view(bytes, read.size), read.kind);
  return true;
}

/// kOther: the handle is stale. kLong: look again with a pin. `out` has room for kShortBytes at
/// least. `generation` is the table's: the line may no longer belong to any table, and in a child
/// of a fork may not be mapped.
[[gnu::always_inline]] inline hot::LineRead HotTable::read_handle(const HotHandle& handle,
                                                                  std::uint32_t generation,
                                                                  char* out, std::size_t capacity) {
  constexpr hot::LineRead stale{hot::Outcome::kOther, 0, 0};
  if (handle.line == nullptr || handle.generation != generation) [[unlikely]]
    return stale;
  hot::Line& line = *handle.line;
  for (hot::Backoff backoff;;) {
    const std::uint64_t head = hot::load(line, 0);
    if (hot::incarnation_of(head) != handle.incarnation || hot::load(line, 1) != handle.hash)
        [[unlikely]] {
      return stale;
    }
    if ((head & hot::kWriting) != 0) [[unlikely]] {
      backoff.wait();
      continue;
    }
    const std::size_t size = hot::value_code(head);
    hot::copy_value_start(line, out);
    if (size > kShortBytes) [[unlikely]] {
      if (size == hot::kBlobCode || capacity < kInlineBytes) return {hot::Outcome::kLong, 0, 0};
      hot::copy_value_rest(line, size, out);
    }
    if (((line.words[0].load(std::memory_order_relaxed) ^ head) & ~hot::kFlags) != 0) [[unlikely]] {
      continue;
    }
    hot::set_seen(line, head);
    return {hot::Outcome::kFound, hot::kind_of(head), static_cast<std::uint32_t>(size)};
  }
}

inline HotHit HotTable::find(const HotHandle& handle, char* out, std::size_t capacity) const {
  if (capacity < kShortBytes) [[unlikely]]
    return find_handle_pinned(handle, out, capacity);
  const hot::LineRead read = read_handle(handle, generation_of_handles(), out, capacity);
  if (read.outcome == hot::Outcome::kLong) [[unlikely]] {
    return find_handle_pinned(handle, out, capacity);
  }
  if (read.outcome != hot::Outcome::kFound) return {HotState::kStale, 0, 0};
  return {HotState::kHit, read.kind, read.size};
}

template <class Shown>
bool HotTable::visit(const HotHandle& handle, Shown&& shown) const {
  char bytes[kInlineBytes];
  const hot::LineRead read = read_handle(handle, generation_of_handles(), bytes, sizeof bytes);
  if (read.outcome == hot::Outcome::kLong) [[unlikely]] {
    return visit_handle_pinned(handle, shown);
  }
  if (read.outcome != hot::Outcome::kFound) return false;
  shown(std::string_view(bytes, read.size), read.kind);
  return true;
}

}  // namespace graven::cache
