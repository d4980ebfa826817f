// SPDX-License-Identifier: MIT
//
// The cache of records in front of a backend: a hot table, and the knowledge of which state of
// the store its records are of.
//
// Always holds: every record in the table is the one of the state that `tag_` marks. So a record
// is served only while the store's live mark equals the tag, or has changed without a commit while
// this process may commit and nobody else can. From when a commit of this process is visible
// until its records are in the table readers wait: other processes may have seen it already.
// Whatever changes the table or the tag holds `mutex_`; `sequence_` counts the states the table has
// been of, so that several reads of one state can be told from a mixture.
//
// The ways a record gets in: fill(), from a read transaction begun after the state of the table was
// looked at, if the record has not been changed since; and end_own(), with the records of a commit
// of this process, before its write lock is released. The ways out: eviction, a commit of a newer
// one, and a mark that somebody else changed, which drops what they changed, or everything. No
// absence is kept of what has an id for a key (touched.hpp says why). The protocol, why each rule
// is there, and what it costs: docs/design/coherence.md.
//
// Any thread. A backend without a mark has an idle cache: every look is a miss.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/epoch.hpp"
#include "base/fork.hpp"
#include "base/function_ref.hpp"
#include "base/hash.hpp"
#include "cache/recent_changes.hpp"
#include "cache/share.hpp"
#include "cache/tiers.hpp"
#include "observe/hit_counter.hpp"
#include "port/backend.hpp"
#include "port/mark.hpp"
#include "port/touched.hpp"

namespace graven::store {

/// Whoever keeps the items of one map in a table of his own, under the cache's protocol.
class ItemCache {
 public:
  virtual ~ItemCache() = default;
  /// As Cache::look(). Any thread.
  virtual std::optional<std::optional<Record>> look(const Key& key) = 0;
  // Called by one thread at a time:
  virtual void put(const Key& key, const std::optional<Record>& record, bool only_if_absent) = 0;
  virtual void forget(const Key& key) = 0;
  /// Of whatever has that item_hash().
  virtual void forget_hash(std::uint64_t hash) = 0;
  /// Everything may be of an older state.
  virtual void drop() = 0;
  /// A commit of this process has been published; `touched`: items of this map were in it. Between
  /// two calls with sequences that follow each other nothing else has changed.
  virtual void committed(std::uint64_t sequence, bool touched) = 0;
};

/// A record as it lies in the table.
struct RecordView {
  const char* integers;
  std::string_view body;

  [[nodiscard]] std::int64_t integer(std::size_t i) const noexcept {
    std::int64_t number = 0;
    std::memcpy(&number, integers + i * sizeof number, sizeof number);
    return number;
  }
};

class Cache final : private base::ForkGuard {
 public:
  struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::uint64_t drops = 0;    // of everything, because another process committed
    std::uint64_t follows = 0;  // of what others' commits changed, and no more
    std::size_t entries = 0;
    std::size_t bytes = 0;
    std::uint64_t warm_hits = 0;
    std::size_t warm_entries = 0;
  };

  /// Its table has a part in `share`, if there is one, and is never larger than `limits`.
  Cache(Backend& backend, HotLimits limits, std::size_t warm_bytes = 0, Share* share = nullptr)
      : backend_(backend), limits_(limits), warm_bytes_(warm_bytes), share_(share) {}

  /// Of a warm file that is still to be made.
  void bound_warm(std::size_t bytes) noexcept { warm_most_.store(bytes); }

  /// As of when something is read from the backend: taken before, given to fill().
  struct Before {
    std::uint64_t changes = 0;  // there had been
    bool known = false;         // false: nothing may be kept
  };

  /// Finds the store's live mark, once it has been asked for a few times; whether there is one.
  /// Slow that once.
  bool attach();

  /// Whether the table holds the newest state, having caught up with others' commits if need be.
  bool current() {
    const MarkWords* live = live_.load(std::memory_order_acquire);
    if (live != nullptr && same_mark(*live, tag_)) [[likely]]
      return true;
    return catch_up();
  }

  /// The record under a key (which may be that there is none), if it is known. Not to be asked
  /// for a multitude that must be of one state: see CachedView.
  std::optional<std::optional<Record>> find(const Key& key) {
    if (!current()) return std::nullopt;
    return look(key);
  }

  /// The node, if it is known, and known that nothing is being reclaimed.
  std::optional<std::optional<Record>> find_node(const Key& key) {
    if (!current() || !quiet_.load(std::memory_order_acquire)) return std::nullopt;
    return look(key);
  }

  /// A record in place: it lives for the call only, which must not use the cache.
  using Shown = base::FunctionRef<void(const RecordView&)>;
  /// Shows the node, if it is known; find_node() without a copy.
  bool show_node(std::int64_t id, Shown shown);

  Before before();
  /// Keeps what was read of the newest state, in a read begun after before(). `reclaiming` where
  /// the read told it.
  void fill(const Before& before, const Key& key, const std::optional<Record>& record,
            std::optional<bool> reclaiming = std::nullopt);

  /// Reads the record past the table, which keeps it; of a node also whether anything is being
  /// reclaimed, if that is asked.
  std::optional<Record> read_through(const Key& key, bool* reclaiming = nullptr);

  /// Returns when a commit of this process that others can see is in the table. For a read past
  /// the table, which may have seen it: else the next look might show an older state.
  void settle() noexcept;

  /// Frees what it keeps, in memory and on the disk; it stays empty as long as nothing is filled
  /// in.
  void close() noexcept;

  /// From now until leave() the items of that map are with `items`.
  void join(std::int64_t map, ItemCache& items);
  void leave(std::int64_t map) noexcept;

  /// Tells this cache from every other that this process has had.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

  // For CachedView: one state, several looks.
  [[nodiscard]] std::uint64_t sequence() const noexcept {
    return sequence_.load(std::memory_order_seq_cst);
  }
  /// The sequence, once the table is of the newest state; nothing where it may not be asked.
  std::optional<std::uint64_t> current_sequence() {
    for (;;) {
      const std::uint64_t before = sequence();
      if (!current()) return std::nullopt;
      if (before == sequence()) return before;  // else it had to catch up
    }
  }
  std::optional<std::optional<Record>> look(const Key& key);
  /// look() without a copy, in the hot table only, not for items; false also where there is none.
  bool show(const Key& key, Shown shown);
  /// Whether it is known that nothing is being reclaimed.
  [[nodiscard]] bool quiet() const noexcept { return quiet_.load(std::memory_order_acquire); }
  /// Has `promote` move what `find` found in a warm file to the hot table, unless what has that
  /// record_hash() or item_hash() was changed meanwhile.
  bool promote(std::uint64_t hash, base::FunctionRef<bool()> find,
               base::FunctionRef<void()> promote);
  /// Whether the newest state is that of the table without a doubt.
  [[nodiscard]] bool strictly_current() const noexcept {
    const MarkWords* live = live_.load(std::memory_order_acquire);
    return live != nullptr && same_mark(*live, tag_);
  }

  // Commits of this process, from one thread at a time.
  /// The write lock is held: catches up. Whether the table may be read as the state below it.
  bool begin_own();
  /// Just before a commit of `changes`, or, where those were too many to be kept, of what was
  /// `touched`; neither: of anything. Lays out what it changes, or forgets it, so that readers wait
  /// less for end_own().
  void prepare_own(const std::vector<Change>* changes, const Touched* touched = nullptr);
  /// Just before the write lock is released: `after` when the same is committed.
  void end_own(const std::vector<Change>* changes, const Mark* after,
               const Touched* touched = nullptr) noexcept;
  /// Keeps a record read inside the write transaction, before anything was applied.
  void fill_own(const Key& key, const std::optional<Record>& record);

  [[nodiscard]] Stats stats() const;

 private:
  void child_after_fork() noexcept override;
  bool catch_up();
  void follow(const Mark& mark);
  void start_over(const Mark& mark);
  void unsettle_nodes() noexcept;
  void announce(const std::vector<Change>* changes, const Touched* touched, const Mark& before,
                const Mark& after) noexcept;
  void publish(const std::vector<Change>* changes, const Touched* touched,
               const Mark& after) noexcept;
  void publish_each(const std::vector<Change>& changes);
  void forget_ahead(const Touched& touched);
  void forget_scopes(std::vector<std::uint64_t> scopes, Spaces spaces);
  void put_if_absent(const Key& key, const std::optional<Record>& record);
  void forget(const Key& key);
  /// A change as the table has it: of laid_bytes_ the key from `key` on, then the record.
  struct LaidOut {
    std::uint64_t hash = 0;  // as the change feed calls it
    std::size_t key = 0;
    std::size_t value = 0;
    std::size_t end = 0;
    bool fits = false;
  };
  void put(const LaidOut& laid, const Key& key, const std::optional<Record>& record);
  struct Joined {
    std::int64_t map;
    ItemCache* items;
    bool touched = false;  // in end_own()
  };
  Joined* joined(std::int64_t map);

  static std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }

  Backend& backend_;
  const HotLimits limits_;
  const std::size_t warm_bytes_;
  std::atomic<std::size_t> warm_most_{Share::kUnbounded};
  Share* const share_;
  const std::uint64_t number_ = next_number();

  // Looked at by every reader.
  alignas(64) std::atomic<const MarkWords*> live_{nullptr};
  std::atomic<int> looks_{0};          // up to when it was attached
  std::atomic<bool> hopeless_{false};  // there is no live mark
  std::atomic<Tiers*> tiers_{nullptr};
  MarkWords tag_{};
  std::atomic<bool> own_{false};    // this process holds the write lock, and tag_ was exact then
  std::atomic<bool> quiet_{false};  // nothing is being reclaimed in this state
  alignas(64) std::atomic<std::uint64_t> sequence_{0};

  mutable base::ForkMutex mutex_{base::kForkRankCache};
  std::unique_ptr<Tiers> owned_;  // mutex_
  Share::Part part_;              // joined by who made owned_
  base::ForkMutex joined_mutex_{base::kForkRankJoined};
  std::vector<Joined> joined_;  // joined_mutex_
  base::HitCounter hits_;
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> drops_{0};
  std::atomic<std::uint64_t> follows_{0};
  std::vector<std::uint64_t> hashes_;  // of what others have changed; mutex_
  bool barred_ =
      false;  // nothing is kept: what a commit changes is gone, and may yet be read; mutex_
  std::vector<LaidOut> laid_out_;  // of this process's commit, or nothing; the writer's
  std::string laid_bytes_;
  RecentChanges changes_;        // by anybody, noted before the tag is; mutex_
  std::uint64_t unsettled_ = 0;  // how many when quiet_ last became false; mutex_
  base::ForkEnrolment enrolment_{*this};
};

/// How often a read of several records is made in memory: a commit meanwhile undoes it, and the
/// next try is hardly ever undone.
constexpr int kTriesInMemory = 4;

/// The newest state as far as it is in memory, looked at in place. When holds() is false
/// afterwards, what was seen may be of two states, and counts for nothing. Keeps freed memory
/// waiting while it lives.
class Glance {
 public:
  explicit Glance(Cache& cache) : cache_(cache) {
    const std::optional<std::uint64_t> sequence = cache.current_sequence();
    if (!sequence || !cache.quiet()) return;
    usable_ = true;
    sequence_ = *sequence;
  }
  Glance(const Glance&) = delete;
  Glance& operator=(const Glance&) = delete;

  /// False: not known, or not there.
  bool show(const Key& key, Cache::Shown shown) { return usable_ && cache_.show(key, shown); }
  [[nodiscard]] bool holds() const noexcept { return usable_ && cache_.sequence() == sequence_; }
  /// Another glance may see what this one has not.
  [[nodiscard]] bool undone() const noexcept { return usable_ && cache_.sequence() != sequence_; }
  /// The number of the state.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  const base::EpochPin pin_;
  Cache& cache_;
  bool usable_ = false;
  std::uint64_t sequence_ = 0;
};

/// A view of the newest state through the cache: as long as all that is asked for is there, no
/// read transaction is begun. What was read may turn out to be of two states: when holds() is
/// false afterwards, whatever was made of it, errors included, is to be dropped and made anew
/// with another view.
class CachedView final : public View {
 public:
  explicit CachedView(Cache& cache, Backend& backend);

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const Range& range, std::size_t limit) override;
  void read(std::span<const ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<Row>)> each) override;

  [[nodiscard]] bool holds() const noexcept {
    return !mixed_ && (!cached_ || cache_.sequence() == sequence_);
  }
  /// Whether a read transaction was begun: then another try costs as much as the store alone.
  [[nodiscard]] bool read_below() const noexcept { return below_ != nullptr; }

 private:
  template <class Read>
  auto from_below(const Read& read);

  Cache& cache_;
  Backend& backend_;
  std::uint64_t sequence_ = 0;
  bool cached_ = false;  // something came from the table
  bool usable_ = false;  // the table may be asked
  bool mixed_ = false;   // something else came from a read transaction of another state
  Cache::Before before_;
  std::unique_ptr<View> below_;
};

}  // namespace graven::store
