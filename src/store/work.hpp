// SPDX-License-Identifier: MIT
//
// Work: one unit of work on the store. It reads from one state of the store and keeps what is
// written in an overlay, so that a mutation that throws leaves nothing behind.
//
// There are two overlays: `mutation_` has what the running mutation wrote, `done_` what earlier
// mutations of the same transaction wrote. Reads look in both, then below. In a write transaction
// (the sink) an overlay that grows large is applied early, after a savepoint, so that a mutation of
// millions of records does not fill memory. In an optimistic transaction on a snapshot (no sink)
// everything stays here, and what was read is recorded, to be compared with the newest state later.
//
// Many records written at once lie in sorted runs, under mutation_, until the mutation ends.
// Waiting pairs (new edges and slots) wait until the transaction ends, or until something asks for
// what cannot be answered from them. In bulk writing, changes of records wait in the read-ahead and
// write-back buffer (WorkingSet).
//
// Always holds: load() and scan() show these layers, a later one over an earlier: records below,
// that buffer's changes, waiting pairs, done_, the runs, mutation_. No key is in both the runs
// and mutation_; no waiting pair is in any other layer. Used by one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "port/backend.hpp"
#include "port/merge.hpp"
#include "port/new_rows.hpp"
#include "port/record.hpp"
#include "port/touched.hpp"
#include "store/marks.hpp"
#include "store/waiting.hpp"
#include "store/working_set.hpp"

namespace graven::cache {
class Cache;
}  // namespace graven::cache

namespace graven::store {

using port::Change;
using port::NewRows;
using port::Overlay;
using port::Range;
using port::Row;
using port::Touched;
using port::WriteTransaction;

/// The records and ranges that an optimistic transaction has read, with their state at that time.
class ReadSet {
 public:
  void saw(const Key& key, const std::optional<Record>& record);
  void saw(const Range& range, std::size_t limit, const std::vector<Row>& rows);
  /// The whole state, where the store tells which it is.
  void saw_all(const std::optional<port::StateVersion>& state) { state_ = state; }
  /// Whether everything that was read is the same in `now`.
  [[nodiscard]] bool holds_in(View& now) const;
  void clear();

 private:
  struct Scan {
    Range range;
    std::size_t limit;
    std::uint64_t digest;
  };
  std::map<Key, std::uint64_t> points_;
  std::vector<Scan> scans_;
  std::optional<port::StateVersion> state_;
};

/// The ids this process has given out for a store, committed or not. None is given out twice, so
/// that a handle left over from a rolled-back transaction never refers to another node. Any thread.
class Ids {
 public:
  /// A new id, at least `least`.
  std::int64_t next(std::int64_t least) noexcept {
    return next_of([least](std::int64_t last) { return std::max(least, last + 1); });
  }
  /// A new id where other processes give out ids too: `random`, a number anywhere in this
  /// millisecond, if none was given out in it, else the one after the last.
  std::int64_t next_beside_others(std::int64_t random) noexcept {
    return next_of([random](std::int64_t last) {
      return (last >> kSequenceBits) < (random >> kSequenceBits) ? random : last + 1;
    });
  }

  static constexpr int kSequenceBits = 15;

 private:
  template <class Choose>
  std::int64_t next_of(const Choose& choose) noexcept {
    std::int64_t last = last_.load(std::memory_order_relaxed);
    std::int64_t id = 0;
    do {
      id = choose(last);
    } while (!last_.compare_exchange_weak(last, id, std::memory_order_relaxed));
    return id;
  }

  std::atomic<std::int64_t> last_{0};
};

class Work final : public View {
 public:
  /// How many records an overlay may have before it is applied to the sink.
  static constexpr std::size_t kSpillRecords = 20'000;

  /// A work in a write transaction. `cache`, which is asked first, has the newest state; unless the
  /// transaction is optimistic, nobody else can change that.
  Work(WriteTransaction& sink, Ids& ids, cache::Cache* cache = nullptr,
       std::size_t spill_records = kSpillRecords);
  /// An optimistic work on a snapshot.
  Work(View& snapshot, Ids& ids);

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const Range& range, std::size_t limit) override;
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<Row>)> each) override;

  void put(const Key& key, Record record);
  void erase(const Key& key);
  /// Adds to a counter. `sum` is set at once, or, where the store can add for itself, by the commit
  /// at the latest: until then it must live, unless the mutation is dropped. LimitError if the
  /// counter would leave the range of 64 bits.
  void add(const Key& key, std::int64_t by, std::int64_t& sum);
  /// Puts and erases many records, each key once, without reading them. kMany or more of them (in
  /// bulk writing kManyInBulk), or any number outside of a mutation, bypass the overlays: they go
  /// to the sink at the end of the mutation. An error after that fails the whole transaction.
  void write_many(std::vector<Change> changes);
  static constexpr std::size_t kMany = 1024;
  static constexpr std::size_t kManyInBulk = 64;

  /// The same for nodes and entries that do not exist yet.
  void write_new(NewRows rows);
  /// Puts edges or slots that do not exist yet, each once. They are kept, to be written in key
  /// order.
  void write_new_pairs(Space space, std::span<const NewPair> pairs);
  /// How many slots of a node are kept so.
  [[nodiscard]] std::size_t slots_waiting(std::int64_t node) const { return slots_.count(node); }
  /// Erases the first `limit` records of one `a`, a node that nobody can read any more; so no cache
  /// is told. Returns how many. In a write transaction, outside of a mutation.
  std::size_t erase_unseen(Space space, std::int64_t a, std::size_t limit);
  /// load_many() of slots that this work has written and not yet applied; nothing below is asked.
  void load_own(std::span<const Key> keys, const std::function<void(std::size_t, Record*)>& each);
  /// How often overlays were applied to the sink early.
  [[nodiscard]] std::uint64_t spills() const noexcept { return spills_; }

  /// Prepares for bulk writing: the work may keep `bytes` of records read, because it will use them
  /// again, and half as many of what it has still to write.
  void expect_much(std::size_t bytes) noexcept {
    bulk_bytes_ = bytes;
    working_set_.bound(bytes);
  }

  /// The record that load() would return, in place, valid until the next call. nullptr: none.
  const Record* look(const Key& key);

  /// Adds a node to the verified nodes (Marks): its record is as `as` requires. marked() returns
  /// whether it was added and no verified node has been written since.
  void mark(std::int64_t node, std::int64_t as);
  [[nodiscard]] bool marked(std::int64_t node, std::int64_t as) const noexcept {
    return as == marked_as_ && marks_.has(node);
  }

  /// Whether an orphan has this owner. The answer is remembered until an orphan is written.
  bool any_orphan(std::int64_t owner);

  /// In a write transaction: sees everything that was written so far.
  std::unique_ptr<port::SqlRows> sql(std::string_view text,
                                     const port::SqlParameters& parameters) override;

  /// An id never given out before (see design/ids.md): 48 bits of milliseconds, 15 of sequence.
  /// `space` is where its record will be.
  std::int64_t next_id(Space space);
  /// The id of the commit that this work will become: the version of its records.
  [[nodiscard]] std::uint64_t commit_id() const noexcept { return commit_id_; }

  /// Identify the state below, and the state after this commit if nobody else commits: for
  /// comparison with those of another work only.
  [[nodiscard]] std::uint64_t state_before();
  [[nodiscard]] std::uint64_t state_after() const noexcept;

  /// The prefix, by name, whose version this commit advances if it advances the clock.
  void touch_prefix(const std::string& name) { prefixes_.insert(name); }
  void remember_last_prefix(std::int64_t id) {
    last_prefix_ = id;
    clocked_ = true;
  }

  /// The candidates (suspects): nodes that may have lost their way to the root; for the collector.
  std::set<std::int64_t>& suspects() noexcept { return suspects_; }

  /// Has `effect` called when this work has been committed; not if its mutation is dropped, or a
  /// savepoint before it. A mutation may run again, so what it does to anything but the work must
  /// wait for this.
  void when_committed(std::function<void()> effect) { effects_.push_back(std::move(effect)); }
  void committed() noexcept;
  /// Whether a mutation may run again, because others can commit meanwhile.
  [[nodiscard]] bool may_run_again() const noexcept { return optimism_ != nullptr; }

  // One mutation: end it, or drop everything it wrote.
  void begin_mutation();
  void end_mutation();
  void drop_mutation() noexcept;

  // Savepoints between mutations; only with a sink.
  void savepoint();
  void rollback_to_savepoint();
  void release_savepoint();

  /// Whether anything was written.
  [[nodiscard]] bool empty() const noexcept { return !written_; }

  /// Applies what is left to the sink, with the clock where that is due. The sink's commit() is
  /// next.
  void finish();

  /// All changes that were applied, after finish(); nullptr when they were too many to keep: then
  /// touched() tells what they were, and perhaps reports more.
  [[nodiscard]] const std::vector<Change>* changes() const noexcept {
    return forgotten_ ? nullptr : &applied_;
  }
  [[nodiscard]] const Touched& touched() const noexcept { return touched_; }
  /// The sums that the commit gave are in changes() from now on.
  void take_sums() noexcept;

  /// How many records were applied to the sink, and the bytes of their bodies.
  [[nodiscard]] std::uint64_t applied_records() const noexcept { return applied_records_; }
  [[nodiscard]] std::uint64_t applied_bytes() const noexcept { return applied_bytes_; }

  [[nodiscard]] const ReadSet& read_set() const noexcept { return reads_; }
  /// In an optimistic work: relies on the whole state, where the store tells which it is.
  void rely_on_all() { reads_.saw_all(below_.state()); }
  [[nodiscard]] std::optional<port::StateVersion> state() const override { return below_.state(); }
  /// Writes everything of an optimistic work into `target`, a work in a write transaction.
  void replay_into(Work& target);

 private:
  const std::optional<Record>* overlaid(const Key& key);
  [[nodiscard]] bool any_overlaid(Space space) const;
  const std::optional<Record>* in_runs(const Key& key);
  [[nodiscard]] bool in_runs(Space space) const;
  const std::optional<Record>* at_hand(const Key& key);
  std::optional<Record> load_apart(const Key& key);
  void write(const Key& key, std::optional<Record> record);
  void apply(Overlay& overlay);
  void apply(std::vector<Change> changes);
  void apply(NewRows rows);
  void apply_runs();
  void apply(Waiting& waiting, std::size_t count);
  void apply_waiting();
  void bring(Space space);
  void read_counters();
  [[nodiscard]] bool counter_known(const Key& key);
  void hand_over_adds();
  /// Before a record of the space is looked up.
  void before_look(Space space) {
    if (space == Space::kEdge || !adds_.empty()) bring(space);
  }
  bool defer(const Key& key, const std::optional<Record>& record);
  void write_deferred();
  [[nodiscard]] bool go_past(std::size_t count) const noexcept;
  [[nodiscard]] bool kept(std::size_t records) const noexcept;
  void forget_changes();
  void touch(const Key& key, const Record* record) { touched_.add(key, record, given_from()); }
  /// No id that this work gives out is less.
  [[nodiscard]] std::uint64_t given_from() const noexcept { return given_from_; }
  void before_scan(Space space);
  void drop_runs() noexcept;
  void require_sound() const;
  const std::optional<Record>& clean(const Key& key);
  const std::optional<Record>& from_working_set(const Key& key);
  void wrote(const Key& key, const Record* record);
  void forget_all_clean();
  void spill();
  void forget_bytes(std::size_t count) noexcept {
    unspilled_bytes_ -= std::min(unspilled_bytes_, count);
  }
  void start_clock();
  std::optional<std::optional<Record>> cached(const Key& key);

  View& below_;
  WriteTransaction* sink_;
  port::Optimism* optimism_;  // of the sink, where others can commit meanwhile
  cache::Cache* cache_;       // until something is applied
  Ids& ids_;
  bool recording_;
  std::size_t spill_records_;

  Overlay done_;
  Overlay mutation_;
  bool in_mutation_ = false;
  bool mutation_spilled_ = false;
  std::uint64_t spills_ = 0;
  int depth_ = 0;  // savepoints open in the sink, a spilled mutation's included
  bool written_ = false;
  bool clocked_ = false;  // the commit advances the clock
  std::vector<Change> applied_;
  bool forgotten_ = false;
  Touched touched_;  // used once forgotten_ is set
  // Bytes of bodies: written since the last spill, applied so far, kept in clean_.
  std::size_t unspilled_bytes_ = 0;
  std::size_t applied_bytes_ = 0;
  std::uint64_t applied_records_ = 0;
  std::size_t clean_bytes_ = 0;
  std::size_t bulk_bytes_ = 0;  // 0: no bulk writing

  // Of the running mutation; each run is sorted by key, a later one overrides an earlier one.
  std::vector<std::vector<Change>> runs_;
  std::vector<NewRows> new_runs_;  // under them
  std::size_t runs_bytes_ = 0;
  Waiting edges_{Space::kEdge, false};
  Waiting slots_{Space::kSlot, true};
  std::optional<Record> shown_;  // what look() returns, where it has no other record to point at
  Marks marks_;
  std::int64_t marked_as_ = 0;
  bool broken_ = false;  // the sink has only a part of some changes
  std::optional<std::pair<std::int64_t, bool>> orphan_known_;  // the answer of any_orphan()

  // Records read from below, for as long as nobody else can change them.
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  std::unordered_map<Key, std::optional<Record>, KeyHash> clean_;
  std::array<std::int64_t, port::kSpaceCount> clean_most_{};  // no key in clean_ has a greater `a`
  WorkingSet working_set_;                                    // instead of clean_, in bulk writing

  std::uint64_t commit_id_ = 0;
  std::uint64_t given_from_ = 0;
  std::int64_t last_id_ = 0;
  std::int64_t last_prefix_ = 0;
  std::set<std::string> prefixes_;
  std::set<std::int64_t> suspects_;
  std::vector<std::function<void()>> effects_;
  std::size_t effects_before_ = 0;                // the running mutation
  std::vector<std::size_t> effects_before_each_;  // savepoint
  ReadSet reads_;

  // Of a transaction on a store that can add, in order, until something asks for a counter. No
  // counter is both here and in any other layer.
  struct Add {
    Key key;
    std::int64_t by;
    std::int64_t* sum;
    std::size_t at = 0;  // in applied_, after finish()
  };
  std::vector<Add> adds_;
  std::size_t adds_before_ = 0;  // the running mutation
  bool overflowed_ = false;      // an addition of an ended mutation
};

}  // namespace graven::store
