// SPDX-License-Identifier: MIT
//
// The backend port: what a store must be able to do. Everything above it (graph, collector,
// transactions) is written once; a backend only moves records. To add a backend, implement this
// file and pass tests/conformance.
//
// Always holds: a View sees one state of the store from its first read until it is destroyed. A
// WriteTransaction is such a view of the newest state, plus the changes it has applied itself;
// nobody else can change that state while it lives. A commit is complete or absent, in this and in
// every other process.
//
// Any thread may call a Backend; a View or WriteTransaction is used by one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <graven/stats.hpp>

#include "base/function_ref.hpp"
#include "base/interrupt.hpp"
#include "port/change_feed.hpp"
#include "port/mark.hpp"
#include "port/new_rows.hpp"
#include "port/range.hpp"
#include "port/record.hpp"
#include "port/sql.hpp"

namespace graven::port {

using base::Deadline;

/// What a backend can report about itself, counted since it was constructed.
struct BackendStats {
  FileStats file{};
  Histogram reads{};
  FlushStats flushes{};
  CheckpointStats checkpoints{};
  std::uint64_t busy_waits = 0;
  std::uint64_t owners = 0;
  std::vector<PoolStats> pools{};
};

/// How to copy a store while others use it.
struct Copying {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};  ///< in pages
  int pages_per_step = 1024;
  std::chrono::milliseconds pause{0};  ///< between two steps
};

/// One unchanging state of the store. Records are returned as copies, so results stay valid across
/// further calls.
class View {
 public:
  virtual ~View() = default;

  /// The record under the key, or nothing.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Loads many records of one space. Calls `each(i, record)` once per key, in any order, with
  /// nullptr where there is none. The record may be moved from. Cheaper than calling `load` for
  /// each key when keys lie together or each trip to the store costs. `each` must not use this
  /// view.
  virtual void load_many(std::span<const Key> keys,
                         const std::function<void(std::size_t, Record*)>& each) = 0;

  /// Up to `limit` records of the range, in key order (or its reverse).
  virtual std::vector<Row> scan(const Range& range, std::size_t limit) = 0;

  /// Does several reads, in one trip where each trip to the store costs. Calls `each(i, rows)` once
  /// per read, in any order; a read of one key that has no record gives no row. The rows may be
  /// moved from. `each` must not use this view.
  virtual void read(std::span<const ReadOp> ops,
                    base::FunctionRef<void(std::size_t, std::span<Row>)> each);

  /// Whether kOrphan has any record.
  virtual bool any_orphans();

  /// Runs an SQL statement of the program's own on this state; UsageError where the store has no
  /// SQL, or this view does not allow it.
  virtual std::unique_ptr<SqlRows> sql(std::string_view text, const SqlParameters& parameters);

  /// How many items a map has. O(items), but items are not transferred where the store can count.
  virtual std::uint64_t count_items(std::int64_t map);
};

/// The one open write transaction of the store. Destroying it without commit() rolls it back.
class WriteTransaction : public View {
 public:
  /// Applies the changes, in order, within this transaction.
  virtual void apply(std::span<const Change> changes) = 0;
  /// Puts the rows. The caller knows of no records under their keys.
  virtual void insert(const NewRows& rows);
  /// Erases the first `limit` records of one `a` in a space of pair keys; returns how many.
  virtual std::size_t erase_first(Space space, std::int64_t a, std::size_t limit);

  /// Sets a savepoint at a depth (0, 1, 2 …), replacing one already at that depth. `rollback_to`
  /// undoes every change since the savepoint and keeps it; `release` keeps the changes and ends the
  /// savepoint. Both end every deeper one.
  virtual void savepoint(int depth) = 0;
  virtual void rollback_to(int depth) = 0;
  virtual void release(int depth) = 0;

  /// Makes everything applied durable, as far as the store's settings promise. `id` is the commit's
  /// id and the version of every record it put, the clock's included. (The clock's integers may be
  /// ahead of `id`: ids of nodes come from the same sequence.) After an I/O error it finds out what
  /// became of the commit: returns if the commit is in the store after all, throws UnavailableError
  /// if it certainly is not and never will be, CommitUnknownError if that cannot be told.
  virtual void commit(std::uint64_t id) = 0;

  /// Has `call` called once, just before the write lock is released: with the store's new state
  /// version (Mark) if the transaction was committed, else with nullptr. A backend without state
  /// versions does not call it. `call` must not throw, nor use the store.
  virtual void when_released(std::function<void(const Mark*)> call) { static_cast<void>(call); }
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// Loads one record of the newest state. This is the cheapest read.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Like load() of a node. Also tells, at almost no extra cost, whether in the same state any node
  /// waits to be reclaimed (whether kOrphan holds a record of owner 0).
  virtual std::optional<Record> load_node(std::int64_t id, bool& reclaiming) = 0;

  /// Whether a commit waits for the disk, so that it pays to combine several into one.
  [[nodiscard]] virtual bool commits_are_slow() const { return false; }

  /// Returns when every commit that has returned is safe against a loss of power. Called with no
  /// transaction of this process open.
  virtual void sync() {}

  /// Returns when every commit that has returned is in the store's files, where other processes can
  /// read it.
  virtual void flush() {}

  /// Takes the exclusive-writer lease: until close(), no other process writes the store. BusyError
  /// if another process may be writing; the error names that process where possible. The holder of
  /// the lease writes the changes of a failed commit again, so it can continue even when it cannot
  /// be told whether that commit is durable.
  virtual void claim() {}
  /// Flushes what is still to be flushed, then closes: releases files, locks and threads, also
  /// those that views hold, and ends these views. Waits about a second at most for operations in
  /// progress; one that takes longer releases its resources when it ends. Every later use throws
  /// ClosedError; the memory that live_mark() and changes() returned stays readable. Any thread;
  /// idempotent.
  virtual void close() noexcept {}

  /// Where the state version (Mark) of the newest state is, valid until the backend is destroyed or
  /// the process forks; nullptr when this store has none to watch. The first call may be slow.
  virtual const MarkWords* live_mark() { return nullptr; }
  /// Whether a state version read from there is complete, and belongs to no other state.
  [[nodiscard]] virtual bool distinctive(const Mark& mark) const {
    static_cast<void>(mark);
    return false;
  }
  /// Whether something was committed between two state versions. (A version may change without
  /// that.)
  [[nodiscard]] virtual bool commit_between(const Mark& before, const Mark& after) const {
    return before != after;
  }
  /// The invalidation log (ChangeFeed), by which processes tell each other of commits. Valid until
  /// the backend is destroyed or the process forks; nullptr when there is none, or it cannot be
  /// used at the moment. Only where live_mark() gives a state version.
  virtual ChangeFeed* changes() { return nullptr; }

  /// A view of the newest state.
  virtual std::unique_ptr<View> view() = 0;

  /// Takes the store's write lock; waits for other processes until the deadline, fairly, then
  /// throws BusyError, which names the process that holds the lock where possible. The threads of
  /// one process queue before they call this (the writer queue, Lane): at most one transaction is
  /// open. UsageError on a read-only store.
  virtual std::unique_ptr<WriteTransaction> begin(Deadline deadline) = 0;

  /// Takes the lease `owner`: every process can see that this process lives, until it ends or the
  /// backend is destroyed. A forked child does not inherit the lease.
  virtual void hold_owner(std::int64_t owner) = 0;

  /// Whether a process (perhaps this one) holds that lease.
  virtual bool owner_alive(std::int64_t owner) = 0;

  [[nodiscard]] virtual bool read_only() const = 0;

  /// The name of the store in messages: a path or URL.
  [[nodiscard]] virtual const std::string& name() const = 0;

  /// The file that holds the store, absolute; empty where there is none.
  [[nodiscard]] virtual std::string file() const { return {}; }

  /// The path prefix of files that a cache of this store may create; empty: it may create none.
  [[nodiscard]] virtual std::string cache_path() const { return {}; }

  /// Two opens in one process with the same identity are the same store (for example device and
  /// inode of a file).
  [[nodiscard]] virtual const std::string& identity() const = 0;

  /// A random non-zero number, fixed when the store was created, that distinguishes it from every
  /// other store. It seeds the store's hashes and ULIDs, so it never changes.
  [[nodiscard]] virtual std::uint64_t store_constant() const = 0;

  /// Sets the total size of the page caches of all connections to about `bytes`, from now on.
  virtual void bound_page_caches(std::size_t bytes) { static_cast<void>(bytes); }
  /// From now on, writers wait while more than `bytes` of commits are not flushed yet. Returns
  /// false, and does nothing, where commits are not buffered.
  virtual bool bound_pending(std::size_t bytes) {
    static_cast<void>(bytes);
    return false;
  }

  /// Maintains the store where that is due: checkpoint, release of free pages, planner statistics.
  /// Called with no transaction open. Returns what keeps it from releasing all free space, in
  /// words; empty if nothing does.
  virtual std::string maintain() = 0;

  /// Prepares the store for one large amount of writing, until end_bulk(): page caches of about
  /// `cache_bytes`, also for connections opened meanwhile, and no checkpoints. None of this
  /// outlives the process. UsageError while another bulk phase runs.
  virtual void begin_bulk(std::size_t cache_bytes) { static_cast<void>(cache_bytes); }
  /// Ends the bulk phase in any case; then checkpoints, and updates the planner's statistics, until
  /// the deadline. Called with no transaction open. Returns whether nothing is left to do.
  virtual bool end_bulk(Deadline deadline) {
    static_cast<void>(deadline);
    return true;
  }

  /// Sets the function to be called, from any thread, with the time at which tend() will have
  /// something to do. Called once, before anything else.
  virtual void when_due(std::function<void(Deadline)> wake) { static_cast<void>(wake); }
  /// Closes what has been idle too long and ends what has been open too long; returns when to call
  /// it again.
  virtual std::optional<Deadline> tend() { return std::nullopt; }

  /// Checks the store's own structure (for SQLite, PRAGMA integrity_check). Returns one line per
  /// problem; empty when sound. Reads only.
  virtual std::vector<std::string> check() = 0;

  /// A record that mend() salvaged but could not keep in place: a description, and its bytes.
  struct Loss {
    std::string what;
    std::string bytes;
  };
  /// Reindexes: rebuilds what the store derives from its own records (for SQLite, indexes), where
  /// check() complains. Called with no transaction of this process open.
  virtual std::vector<Loss> mend() { return {}; }

  /// Copies what is committed, as one state, into the file `path`, which is empty and used by
  /// nobody else. UsageError where the store has no file.
  virtual void copy_to(const std::string& path, const Copying& how);

  /// Size of the store in bytes, all its files together; 0 where that means nothing.
  [[nodiscard]] virtual std::uint64_t size_on_disk() const = 0;

  /// What the backend can measure; the rest is 0.
  [[nodiscard]] virtual BackendStats stats() {
    BackendStats stats;
    stats.file.name = name();
    stats.file.read_only = read_only();
    stats.file.size_bytes = size_on_disk();
    return stats;
  }
  /// From now on, logs the backend's own operations that take longer than `limit`; 0: none.
  virtual void log_slower_than(std::chrono::nanoseconds limit) { static_cast<void>(limit); }
};

}  // namespace graven::port
