// SPDX-License-Identifier: MIT
//
// The cache of records in front of a backend: a hot table, and the state version of its records.
//
// Always holds: every record in the table is of the state whose version is in `tag_`. So a record
// is served only while the store's live version equals `tag_`, or has changed without a commit
// while this process may commit and nobody else can. When a commit of this process has become
// visible, readers wait until its records are in the table, because other processes may have seen
// them already. `mutex_` is held by whoever changes the table or `tag_`. `sequence_` counts the
// states the table has had, so that a reader of several records can tell one state from a mixture.
//
// A record gets in by fill(), from a read transaction begun after before(), if the record was not
// changed since; and by end_own(), with a commit of this process, before its write lock is
// released. It gets out by eviction, by a commit of a newer one, and when another process has
// committed: that drops what was changed, or everything. The absence of a record keyed by an id is
// not kept (touched.hpp says why). The protocol, its reasons and its cost:
// docs/design/coherence.md.
//
// Any thread. With a backend without state versions the cache is idle: every lookup is a miss.
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
#include "port/interactive.hpp"
#include "port/shared_state.hpp"
#include "port/touched.hpp"

namespace graven::cache {

using port::Change;
using port::Key;
using port::Mark;
using port::MarkWords;
using port::Record;
using port::Row;
using port::Touched;
using port::View;

/// Keeps the items of one map in a table of its own, under the cache's protocol.
class ItemCache {
 public:
  virtual ~ItemCache() = default;
  /// Like Cache::look(). Any thread.
  virtual std::optional<std::optional<Record>> look(const Key& key) = 0;
  // Called by one thread at a time:
  virtual void put(const Key& key, const std::optional<Record>& record, bool only_if_absent) = 0;
  virtual void forget(const Key& key) = 0;
  /// Forgets every item that has that item_hash().
  virtual void forget_hash(std::uint64_t hash) = 0;
  /// Forgets everything: it may be of an older state.
  virtual void drop() = 0;
  /// A commit of this process has been published; `touched`: it changed items of this map. If two
  /// calls have consecutive sequences, nothing else has changed between them.
  virtual void committed(std::uint64_t sequence, bool touched) = 0;
};

/// A record in place in the table.
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
    std::uint64_t follows = 0;  // of only what other processes' commits changed
    std::size_t entries = 0;
    std::size_t bytes = 0;
    std::uint64_t warm_hits = 0;
    std::size_t warm_entries = 0;
  };

  /// Reads from `below`. `state`: the store's state versions; nullptr where it has none. Its table
  /// takes a part of the memory budget `share`, if given, and is never larger than `limits`.
  /// `warm_path`: the path prefix of its warm file; empty: none.
  Cache(port::Interactive& below, port::SharedState* state, HotLimits limits,
        std::string warm_path = {}, std::size_t warm_bytes = 0, Share* share = nullptr)
      : below_(below),
        state_(state),
        limits_(limits),
        warm_path_(std::move(warm_path)),
        warm_bytes_(warm_bytes),
        share_(share) {}

  /// Bounds a warm file that is not created yet.
  void bound_warm(std::size_t bytes) noexcept { warm_most_.store(bytes); }

  /// The state before something is read from the backend: taken by before(), given to fill().
  struct Before {
    std::uint64_t changes = 0;  // how many there had been
    bool known = false;         // false: nothing read may be kept
  };

  /// Finds the store's live version, after the first few calls; returns whether there is one. Slow
  /// that once.
  bool attach();

  /// Whether the table has the newest state; catches up with other processes' commits if needed.
  bool current() {
    const MarkWords* live = live_.load(std::memory_order_acquire);
    if (live != nullptr && port::same_mark(*live, tag_) && fresh()) [[likely]]
      return true;
    return catch_up();
  }

  /// The state of a key, a record or its absence, if it is known. Not for several records that must
  /// be of one state: see CachedView.
  std::optional<std::optional<Record>> find(const Key& key) {
    if (!current()) return std::nullopt;
    return look(key);
  }

  /// The node, if it is known, and if it is known that nothing is being reclaimed.
  std::optional<std::optional<Record>> find_node(const Key& key) {
    if (!current() || !quiet_.load(std::memory_order_acquire)) return std::nullopt;
    return look(key);
  }

  /// Receives a record in place, valid during the call, which must not use the cache.
  using Shown = base::FunctionRef<void(const RecordView&)>;
  /// Calls `shown` with the node, if it is known; find_node() without a copy.
  bool show_node(std::int64_t id, Shown shown);

  Before before();
  /// Keeps a record of the newest state, read after before(). `reclaiming`: what the read told of
  /// it.
  void fill(const Before& before, const Key& key, const std::optional<Record>& record,
            std::optional<bool> reclaiming = std::nullopt);

  /// Reads the record from the backend without asking the table, and keeps it there. For a node
  /// also reads whether anything is being reclaimed, if `reclaiming` is given.
  std::optional<Record> read_through(const Key& key, bool* reclaiming = nullptr);

  /// Returns when a visible commit of this process is in the table. Called after a read from the
  /// backend, which may have seen that commit: otherwise the next lookup might give an older state.
  void settle() noexcept;

  /// Frees what it keeps, in memory and on disk; it stays empty until something is filled in.
  void close() noexcept;

  /// From now until leave(), `items` keeps the items of that map.
  void join(std::int64_t map, ItemCache& items);
  void leave(std::int64_t map) noexcept;

  /// Distinguishes this cache from every other that this process has had.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

  // For CachedView: several lookups in one state.
  [[nodiscard]] std::uint64_t sequence() const noexcept {
    return sequence_.load(std::memory_order_seq_cst);
  }
  /// The sequence when the table has the newest state; nothing where it may not be used.
  std::optional<std::uint64_t> current_sequence() {
    for (;;) {
      const std::uint64_t before = sequence();
      if (!current()) return std::nullopt;
      if (before == sequence()) return before;  // else it had to catch up
    }
  }
  std::optional<std::optional<Record>> look(const Key& key);
  /// Like look() without a copy, only in the hot table, not for items; also false if it is absent.
  bool show(const Key& key, Shown shown);
  /// Whether it is known that nothing is being reclaimed.
  [[nodiscard]] bool quiet() const noexcept { return quiet_.load(std::memory_order_acquire); }
  /// If `find` finds something in a warm file, calls `promote` to move it to the hot table, unless
  /// something with that record_hash() or item_hash() was changed meanwhile.
  bool promote(std::uint64_t hash, base::FunctionRef<bool()> find,
               base::FunctionRef<void()> promote);
  /// Whether the table certainly has the newest state.
  [[nodiscard]] bool strictly_current() const noexcept {
    const MarkWords* live = live_.load(std::memory_order_acquire);
    return live != nullptr && port::same_mark(*live, tag_) && fresh();
  }

  // Commits of this process; called by one thread at a time.
  /// Called with the write lock held: catches up. Whether the table may be read as the state below
  /// the transaction.
  bool begin_own();
  /// Called just before a commit of `changes`; if those were too many to keep, of what was
  /// `touched`; if neither is given, of anything. Encodes the changed records, or forgets them, so
  /// that readers wait less for end_own().
  void prepare_own(const std::vector<Change>* changes, const Touched* touched = nullptr);
  /// Called just before the write lock is released; `after`: the new version if it was committed.
  void end_own(const std::vector<Change>* changes, const Mark* after,
               const Touched* touched = nullptr) noexcept;
  /// Where others can commit during a transaction, instead of prepare_own() and end_own(): the
  /// changes were committed, and the state version has become `after`.
  void committed(const std::vector<Change>* changes, const Mark& after) noexcept;
  /// Keeps a record read in the write transaction before anything was applied.
  void fill_own(const Key& key, const std::optional<Record>& record);

  [[nodiscard]] Stats stats() const;

 private:
  void child_after_fork() noexcept override;
  [[nodiscard]] bool fresh() const noexcept { return !expires_ || state_->fresh(); }
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
  void forget_scopes(std::vector<std::uint64_t> scopes, port::Spaces spaces);
  void put_if_absent(const Key& key, const std::optional<Record>& record);
  void forget(const Key& key);
  /// A change as the table stores it: in laid_bytes_ the key from `key` on, then the record.
  struct LaidOut {
    std::uint64_t hash = 0;  // as in the invalidation log
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

  port::Interactive& below_;
  port::SharedState* const state_;
  const bool expires_ = state_ != nullptr && state_->expires();
  const HotLimits limits_;
  const std::string warm_path_;
  const std::size_t warm_bytes_;
  std::atomic<std::size_t> warm_most_{Share::kUnbounded};
  Share* const share_;
  const std::uint64_t number_ = next_number();

  // Read by every reader.
  alignas(64) std::atomic<const MarkWords*> live_{nullptr};
  std::atomic<int> looks_{0};          // counted until it is attached
  std::atomic<bool> hopeless_{false};  // there is no live version
  std::atomic<Tiers*> tiers_{nullptr};
  MarkWords tag_{};
  std::atomic<bool> own_{false};    // this process holds the write lock, and tag_ was exact then
  std::atomic<bool> quiet_{false};  // nothing is being reclaimed in this state
  alignas(64) std::atomic<std::uint64_t> sequence_{0};

  mutable base::ForkMutex mutex_{base::kForkRankCache};
  std::unique_ptr<Tiers> owned_;  // mutex_
  Share::Part part_;              // joined by the thread that made owned_
  base::ForkMutex joined_mutex_{base::kForkRankJoined};
  std::vector<Joined> joined_;  // joined_mutex_
  observe::HitCounter hits_;
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> drops_{0};
  std::atomic<std::uint64_t> follows_{0};
  std::vector<std::uint64_t> hashes_;  // of what other processes changed; mutex_
  bool barred_ =
      false;  // nothing is kept: dropped records of a coming commit may still be read; mutex_
  std::vector<LaidOut> laid_out_;  // of this process's commit, or empty; of the writing thread
  std::string laid_bytes_;
  RecentChanges changes_;        // by anybody, noted before tag_ changes; mutex_
  std::uint64_t unsettled_ = 0;  // changes_.count() when quiet_ last became false; mutex_
  base::ForkEnrolment enrolment_{*this};
};

/// How often a read of several records is tried in memory: a commit meanwhile makes it invalid,
/// which hardly ever happens to the next try.
constexpr int kTriesInMemory = 4;

/// An in-place read (Glance): reads the newest state inside the hot table, as far as it is there.
/// If holds() is false afterwards, what was seen may be a mixture of two states and must not be
/// used. Freed memory of the table is kept while one lives.
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

  /// False: not known, or there is no such record.
  bool show(const Key& key, Cache::Shown shown) { return usable_ && cache_.show(key, shown); }
  [[nodiscard]] bool holds() const noexcept { return usable_ && cache_.sequence() == sequence_; }
  /// A commit came between: another try may succeed.
  [[nodiscard]] bool undone() const noexcept { return usable_ && cache_.sequence() != sequence_; }
  /// The sequence of the state it reads.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  const base::EpochPin pin_;
  Cache& cache_;
  bool usable_ = false;
  std::uint64_t sequence_ = 0;
};

/// A view of the newest state through the cache; it begins no read transaction as long as
/// everything it reads is in memory. Its records may turn out to be of two states: if holds() is
/// false afterwards, drop everything made of them, errors included, and do it again with another
/// view.
class CachedView final : public View {
 public:
  CachedView(Cache& cache, port::Interactive& store);

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const port::Range& range, std::size_t limit) override;
  void read(std::span<const port::ReadOp> ops,
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
  port::Interactive& store_;
  std::uint64_t sequence_ = 0;
  bool cached_ = false;  // something came from the table
  bool usable_ = false;  // the table may be asked
  bool mixed_ = false;   // something else came from a read transaction of another state
  Cache::Before before_;
  std::unique_ptr<View> below_;
};

}  // namespace graven::cache
