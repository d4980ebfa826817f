// SPDX-License-Identifier: MIT
//
// The backend port: the little a store must be able to do. Everything above it (graph,
// collector, transactions) is written once; a backend only moves records. Adding one means
// implementing this file and passing tests/conformance.
//
// Always holds: a View sees one state of the store from its first read until it is
// destroyed, and a WriteTransaction is such a view over the newest state, which nobody else
// can change while it lives, plus what it applied itself. A commit is there whole or not at
// all, in this and in every other process.
//
// A Backend is called from any thread; a View or WriteTransaction from one at a time.
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

namespace graven::store {

using base::Deadline;

/// What a backend knows of itself, since it was made.
struct BackendStats {
  FileStats file{};
  Histogram reads{};
  FlushStats flushes{};
  CheckpointStats checkpoints{};
  std::uint64_t busy_waits = 0;
  std::uint64_t owners = 0;
  std::vector<PoolStats> pools{};
};

/// How a store is copied while others use it.
struct Copying {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};  ///< in pages
  int pages_per_step = 1024;
  std::chrono::milliseconds pause{0};  ///< between two steps
};

/// One unchanging state of the store. Records come back as copies, so any call may be made
/// between or inside the handling of another's results.
class View {
 public:
  virtual ~View() = default;

  /// The record under the key, or nothing.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Loads many records of one space; calls `each(i, record)` once per key, in any order, with
  /// nullptr where there is none. The record may be moved from. Cheaper than `load` in turn
  /// when keys lie together or each trip to the store costs. `each` must not use this view.
  virtual void load_many(std::span<const Key> keys,
                         const std::function<void(std::size_t, Record*)>& each) = 0;

  /// Up to `limit` records of the range, in key order (or its reverse).
  virtual std::vector<Row> scan(const Range& range, std::size_t limit) = 0;

  /// Several reads at once, for one trip where each trip to the store costs. Calls
  /// `each(i, rows)` once per read, in any order: of a key's record no row where there is none. The
  /// rows may be moved from. `each` must not use this view.
  virtual void read(std::span<const ReadOp> ops,
                    base::FunctionRef<void(std::size_t, std::span<Row>)> each);

  /// Whether kOrphan has any record.
  virtual bool any_orphans();

  /// Runs a statement of the program's own over this state; UsageError where the store has no SQL,
  /// or not for this view.
  virtual std::unique_ptr<SqlRows> sql(std::string_view text, const SqlParameters& parameters);

  /// How many items a map has. O(items), but without moving them where the store can count.
  virtual std::uint64_t count_items(std::int64_t map);
};

/// The one open write of the store. Destroying it without commit() rolls it back.
class WriteTransaction : public View {
 public:
  /// Applies the changes, in order, within this transaction.
  virtual void apply(std::span<const Change> changes) = 0;
  /// Puts the rows. They are new, as far as is known.
  virtual void insert(const NewRows& rows);
  /// Erases the first `limit` records of one `a` of a space with pairs for keys; returns how many.
  virtual std::size_t erase_first(Space space, std::int64_t a, std::size_t limit);

  /// Marks a point to come back to, under a depth (0, 1, 2 …); one that stands there already is
  /// replaced. `rollback_to` undoes all since the point, which stays; `release` keeps it and
  /// ends the point. Both end every deeper one.
  virtual void savepoint(int depth) = 0;
  virtual void rollback_to(int depth) = 0;
  virtual void release(int depth) = 0;

  /// Makes everything applied durable, as far as the store's settings promise. `id` is the
  /// commit's id: the version of every record put by it, the clock's included (whose integers
  /// may run ahead of it: ids of nodes come from the same sequence). On an I/O error finds out
  /// what became of the commit: returns if it is there after all, throws UnavailableError if it
  /// certainly is not and never will be, CommitUnknownError if that cannot be told.
  virtual void commit(std::uint64_t id) = 0;

  /// Has `call` called once, just before the write lock is released, with the store's new mark if
  /// the transaction was committed, else with nullptr. Not called by a backend without marks.
  /// It must not throw, nor use the store.
  virtual void when_released(std::function<void(const Mark*)> call) { static_cast<void>(call); }
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// One record of the newest state: the cheapest read there is.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Like load() of a node, and whether anything waits to be reclaimed in the same state
  /// (whether kOrphan holds a record of owner 0), at next to no extra cost.
  virtual std::optional<Record> load_node(std::int64_t id, bool& reclaiming) = 0;

  /// Whether a commit waits for the disk, so that several are better made one.
  [[nodiscard]] virtual bool commits_are_slow() const { return false; }

  /// Returns when every commit that has returned survives a loss of power. With no transaction of
  /// this process open.
  virtual void sync() {}

  /// Returns when every commit that has returned is in the store's files, where other processes
  /// read it.
  virtual void flush() {}

  /// From now on, until close(), nobody else writes the store: BusyError, which names
  /// the process where that can be told, if somebody may. Whoever claims a store writes what a
  /// failed commit was to write once more, so he may write on also when it cannot be told
  /// whether that commit is durable.
  virtual void claim() {}
  /// Ends it, after what is to be flushed: lets go of its files, locks and threads, those included
  /// that views still have, which it ends. What is under way is waited for, about a second at most,
  /// and lets go by itself if it takes longer. Every later use is ClosedError; what live_mark() and
  /// changes() gave stays readable. Any thread; idempotent.
  virtual void close() noexcept {}

  /// Where the mark of the newest state stands, until the backend is destroyed or the process
  /// forks; nullptr when this store has none to watch. The first call may be slow.
  virtual const MarkWords* live_mark() { return nullptr; }
  /// Whether a mark read from there is whole, and no other state has it.
  [[nodiscard]] virtual bool distinctive(const Mark& mark) const {
    static_cast<void>(mark);
    return false;
  }
  /// Whether something was committed between two marks, which may also change otherwise.
  [[nodiscard]] virtual bool commit_between(const Mark& before, const Mark& after) const {
    return before != after;
  }
  /// How other processes are told of commits, until this is destroyed or the process forks; nullptr
  /// when they are not, or cannot be at the moment. Only where there is a live mark.
  virtual ChangeFeed* changes() { return nullptr; }

  /// A view of the newest state.
  virtual std::unique_ptr<View> view() = 0;

  /// Takes the store's write lock, waiting for other processes until the deadline, fairly;
  /// then BusyError, which names the process that holds it where that can be told. Callers
  /// in one process take turns before they call (the lane): at most one transaction is open.
  /// UsageError on a read-only store.
  virtual std::unique_ptr<WriteTransaction> begin(Deadline deadline) = 0;

  /// Announces to every process that this one lives under the number `owner`, until the
  /// process ends or the backend is destroyed. A forked child does not inherit it.
  virtual void hold_owner(std::int64_t owner) = 0;

  /// Whether a process (this one too) holds that number.
  virtual bool owner_alive(std::int64_t owner) = 0;

  [[nodiscard]] virtual bool read_only() const = 0;

  /// The name of the store for messages: a path or URL.
  [[nodiscard]] virtual const std::string& name() const = 0;

  /// The file that holds the store, absolute; empty where there is none.
  [[nodiscard]] virtual std::string file() const { return {}; }

  /// What the names of files begin with that a cache of this store may make; empty: none.
  [[nodiscard]] virtual std::string cache_path() const { return {}; }

  /// What makes two opens in one process the same store (device and inode of a file, say).
  [[nodiscard]] virtual const std::string& identity() const = 0;

  /// A random non-zero number fixed when the store was made: what distinguishes it from every
  /// other. Seeds its hashes and ULIDs, so it never changes.
  [[nodiscard]] virtual std::uint64_t store_constant() const = 0;

  /// From now on the page caches of all its connections take about so many bytes together.
  virtual void bound_page_caches(std::size_t bytes) { static_cast<void>(bytes); }
  /// From now on writers wait while more bytes of commits are to be flushed; false, and nothing
  /// happens, where commits are not kept back.
  virtual bool bound_pending(std::size_t bytes) {
    static_cast<void>(bytes);
    return false;
  }

  /// Housekeeping on the store's own terms (checkpoint, giving back free pages, planner
  /// statistics), only where due. Called with no transaction open. Returns what keeps it from
  /// giving back all that is free, in words; empty: nothing does.
  virtual std::string maintain() = 0;

  /// Until end_bulk() the store is set up for one large piece of writing: page caches of about so
  /// many bytes, also of connections opened meanwhile, and no checkpoints. Nothing of that outlives
  /// the process. UsageError while another one runs.
  virtual void begin_bulk(std::size_t cache_bytes) { static_cast<void>(cache_bytes); }
  /// Ends that, whatever happens; then moves everything to where it stays, and has the store learn
  /// about what it holds. With no transaction open, until the deadline; whether nothing is left.
  virtual bool end_bulk(Deadline deadline) {
    static_cast<void>(deadline);
    return true;
  }

  /// Has `wake` called, from any thread, with the time when tend() will have something to do. Once,
  /// before anything else is called.
  virtual void when_due(std::function<void(Deadline)> wake) { static_cast<void>(wake); }
  /// Closes what has been idle, and ends what has been open, for too long; when to ask again.
  virtual std::optional<Deadline> tend() { return std::nullopt; }

  /// Proves the store's own structure (for SQLite, PRAGMA integrity_check); one line per
  /// problem, empty when sound. Reads only.
  virtual std::vector<std::string> check() = 0;

  /// What mend() could not keep: what it was, and its bytes.
  struct Loss {
    std::string what;
    std::string bytes;
  };
  /// Makes anew what the store derives from its own records (for SQLite, indexes), where check()
  /// complains. With no transaction of this process open.
  virtual std::vector<Loss> mend() { return {}; }

  /// Copies what is committed into the file `path`, which is empty and the caller's alone, as one
  /// state. UsageError where the store has no file.
  virtual void copy_to(const std::string& path, const Copying& how);

  /// Bytes the store occupies, all its files together; 0 where that means nothing.
  [[nodiscard]] virtual std::uint64_t size_on_disk() const = 0;

  /// What it can tell; the rest is 0.
  [[nodiscard]] virtual BackendStats stats() {
    BackendStats stats;
    stats.file.name = name();
    stats.file.read_only = read_only();
    stats.file.size_bytes = size_on_disk();
    return stats;
  }
  /// From now on logs what it does itself when it takes longer; 0: nothing.
  virtual void log_slower_than(std::chrono::nanoseconds limit) { static_cast<void>(limit); }
};

}  // namespace graven::store
