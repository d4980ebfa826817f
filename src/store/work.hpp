// SPDX-License-Identifier: MIT
//
// Work: one unit of work on the store. It reads through to a state of the store and keeps
// what is written in an overlay, so that a mutation that throws leaves nothing behind.
//
// Two overlays: `mutation_` holds what the running mutation wrote, `done_` what earlier
// mutations of the same transaction did. Reads look in both, then below. With a sink (a write
// transaction) an overlay that grows large is applied early, behind a savepoint, so that a
// mutation of millions of records does not pile up in memory. Without one (an optimistic
// transaction over a snapshot) everything stays here, and what was read is remembered so
// that it can be compared with the newest state later.
//
// What is written many at once lies in sorted runs between the two, until the mutation ends; new
// edges and slots wait until the transaction does, or something asks for what cannot be told of
// them. In a work of much writing changes of records it has at hand wait in the working set.
//
// Always holds: the records below, plus what waits in the working set, new edges and slots that
// wait, done_, the runs and mutation_, are what load() and scan() show, a later one of these over
// an earlier. No key is in two of the runs and mutation_; no edge or slot that waits is in any
// other.
// Used by one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <compare>
#include <cstdint>
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

namespace graven::store {

class Cache;

/// What an optimistic transaction has looked at, and how it was then.
class ReadSet {
 public:
  void saw(const Key& key, const std::optional<Record>& record);
  void saw(const Range& range, std::size_t limit, const std::vector<Row>& rows);
  /// Whether everything looked at is the same in `now`.
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
};

/// The ids this process has given out for a store, committed or not: a handle left over from
/// what was rolled back must never come to stand for another node. Any thread.
class Ids {
 public:
  /// A new one, no less than `least`.
  std::int64_t next(std::int64_t least) noexcept {
    std::int64_t last = last_.load(std::memory_order_relaxed);
    std::int64_t id = 0;
    do {
      id = std::max(least, last + 1);
    } while (!last_.compare_exchange_weak(last, id, std::memory_order_relaxed));
    return id;
  }

 private:
  std::atomic<std::int64_t> last_{0};
};

class Work final : public View {
 public:
  /// Overlay records before they go to the sink.
  static constexpr std::size_t kSpillRecords = 20'000;

  /// A work in a write transaction.
  /// `cache` holds the newest state, which nobody else can change: it is asked first.
  Work(WriteTransaction& sink, Ids& ids, Cache* cache = nullptr,
       std::size_t spill_records = kSpillRecords);
  /// An optimistic work over a snapshot.
  Work(View& snapshot, Ids& ids);

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const Range& range, std::size_t limit) override;
  void read(std::span<const ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<Row>)> each) override;

  void put(const Key& key, Record record);
  void erase(const Key& key);
  /// Puts and erases many, each key once: what has been decided without reading. Where they are
  /// kMany or more, and outside of a mutation, they go past the overlays, to the sink at the end of
  /// the mutation: behind that nothing can fail that does not fail the transaction.
  void write_many(std::vector<Change> changes);
  static constexpr std::size_t kMany = 1024;
  static constexpr std::size_t kManyInBulk = 64;

  /// The same for nodes and entries that are not there.
  void write_new(NewRows rows);
  /// Puts edges or slots that are not there, each once. They are kept to be written in their order.
  void write_new_pairs(Space space, std::span<const NewPair> pairs);
  /// How many slots of a node wait for that.
  [[nodiscard]] std::size_t slots_waiting(std::int64_t node) const { return slots_.count(node); }
  /// Erases the first `limit` records of one `a`, a node that nobody can read any more: no cache is
  /// told of it. Returns how many. In a write transaction, outside of a mutation.
  std::size_t erase_unseen(Space space, std::int64_t a, std::size_t limit);
  /// load_many() of slots, of what this work has written and not passed on: nothing below is asked.
  void load_own(std::span<const Key> keys, const std::function<void(std::size_t, Record*)>& each);
  /// How often what was written has been passed on early.
  [[nodiscard]] std::uint64_t spills() const noexcept { return spills_; }

  /// The work is one of much writing: it may keep so many bytes of records read, as it will come
  /// back to them, and half as many of what it has still to write.
  void expect_much(std::size_t bytes) noexcept {
    bulk_bytes_ = bytes;
    working_set_.bound(bytes);
  }

  /// The record as load() gives it, in place: until the next call. nullptr: none.
  const Record* look(const Key& key);

  /// Notes that a node's record was found to be as `as` wants it; whether that was so, and none
  /// that was noted has been written since.
  void mark(std::int64_t node, std::int64_t as);
  [[nodiscard]] bool marked(std::int64_t node, std::int64_t as) const noexcept {
    return as == marked_as_ && marks_.has(node);
  }

  /// Whether an orphan has this owner. Asked again and again: the answer stays until one is
  /// written.
  bool any_orphan(std::int64_t owner);

  /// In a write transaction: over all that was written so far.
  std::unique_ptr<SqlRows> sql(std::string_view text, const SqlParameters& parameters) override;

  /// An id never given out before (see design/ids.md): 48 bits of milliseconds, 15 of sequence.
  /// `space` is where its record will be.
  std::int64_t next_id(Space space);
  /// The id of the commit this work will be: the version its records get.
  [[nodiscard]] std::uint64_t commit_id() const noexcept { return commit_id_; }

  /// The prefix (by name) whose version this commit moves on, if it advances the clock.
  void touch_prefix(const std::string& name) { prefixes_.insert(name); }
  void remember_last_prefix(std::int64_t id) {
    last_prefix_ = id;
    clocked_ = true;
  }

  /// Nodes that may have lost their way to the root, for the collector before the commit.
  std::set<std::int64_t>& suspects() noexcept { return suspects_; }

  // One mutation: end it, or drop all it wrote.
  void begin_mutation();
  void end_mutation();
  void drop_mutation() noexcept;

  // Savepoints between mutations; needs a sink.
  void savepoint();
  void rollback_to_savepoint();
  void release_savepoint();

  /// Whether anything was written.
  [[nodiscard]] bool empty() const noexcept { return !written_; }

  /// Applies what is left, with the clock where it is due, to the sink. Its commit() comes next.
  void finish();

  /// All that was applied, after finish(); nullptr when that is too much to have been kept: then
  /// touched() tells of it, and perhaps of more.
  [[nodiscard]] const std::vector<Change>* changes() const noexcept {
    return forgotten_ ? nullptr : &applied_;
  }
  [[nodiscard]] const Touched& touched() const noexcept { return touched_; }

  /// How many records went to the sink, and the bytes of their bodies.
  [[nodiscard]] std::uint64_t applied_records() const noexcept { return applied_records_; }
  [[nodiscard]] std::uint64_t applied_bytes() const noexcept { return applied_bytes_; }

  [[nodiscard]] const ReadSet& read_set() const noexcept { return reads_; }
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
  bool defer(const Key& key, const std::optional<Record>& record);
  void write_deferred();
  [[nodiscard]] bool go_past(std::size_t count) const noexcept;
  [[nodiscard]] bool kept(std::size_t records) const noexcept;
  void forget_changes();
  void touch(const Key& key, const Record* record) { touched_.add(key, record, given_from()); }
  /// Ids of this commit are greater than its own.
  [[nodiscard]] std::uint64_t given_from() const noexcept { return commit_id_ + 1; }
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

  View& below_;
  WriteTransaction* sink_;
  Cache* cache_;  // until something is applied
  Ids& ids_;
  bool recording_;
  std::size_t spill_records_;

  Overlay done_;
  Overlay mutation_;
  bool in_mutation_ = false;
  bool mutation_spilled_ = false;
  std::uint64_t spills_ = 0;
  int depth_ = 0;  // savepoints open in the sink, the spilled mutation's included
  bool written_ = false;
  bool clocked_ = false;  // the commit advances the clock
  std::vector<Change> applied_;
  bool forgotten_ = false;
  Touched touched_;  // once it is
  // Of bodies: written since the last spill, kept in applied_ and in clean_.
  std::size_t unspilled_bytes_ = 0;
  std::size_t applied_bytes_ = 0;
  std::uint64_t applied_records_ = 0;
  std::size_t clean_bytes_ = 0;
  std::size_t bulk_bytes_ = 0;  // 0: no work of much writing

  // Of the running mutation, each in the order of its keys, a later one over an earlier one.
  std::vector<std::vector<Change>> runs_;
  std::vector<NewRows> new_runs_;  // under them
  std::size_t runs_bytes_ = 0;
  Waiting edges_{Space::kEdge, false};
  Waiting slots_{Space::kSlot, true};
  std::optional<Record> shown_;  // by look(), where it has no record to point at
  Marks marks_;
  std::int64_t marked_as_ = 0;
  bool broken_ = false;  // the sink has part of what was to be whole
  std::optional<std::pair<std::int64_t, bool>> orphan_known_;  // the answer of any_orphan()

  // Records read from below, for as long as nobody else can change them.
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  std::unordered_map<Key, std::optional<Record>, KeyHash> clean_;
  std::array<std::int64_t, kSpaceCount> clean_most_{};  // no key in clean_ has a greater `a`
  WorkingSet working_set_;  // instead of clean_, in a work of much writing

  std::uint64_t commit_id_ = 0;
  std::int64_t last_id_ = 0;
  std::int64_t last_prefix_ = 0;
  std::set<std::string> prefixes_;
  std::set<std::int64_t> suspects_;
  ReadSet reads_;
};

}  // namespace graven::store
