// SPDX-License-Identifier: MIT
//
// Database: the root dict of one prefix (an independent keyspace) inside one store, and
// everything one can do with the graph under it.
//
// A Database is a handle like the others: copies stand for the same thing, and it may be used
// from any number of threads. close() (or the last handle gone) ends it. Several processes may
// open one store; writers take turns fairly.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <graven/backup.hpp>
#include <graven/data.hpp>
#include <graven/repair.hpp>
#include <graven/sql.hpp>
#include <graven/stats.hpp>
#include <graven/value.hpp>

namespace graven {

namespace graph {
class TransactionStep;
}

/// How much a commit survives: kOff an orderly exit, kNormal a crash of the process (and the
/// file stays whole through power loss), kFull power loss too.
enum class Synchronous : std::uint8_t { kOff, kNormal, kFull };

/// When a commit returns: kAsOpened as Options::synchronous has it; kYes once it survives a loss of
/// power, at the price of a wait for the disk where it would not else.
enum class Durable : std::uint8_t { kAsOpened, kYes };

/// How long a write waits: until it is in the file (several writers share one commit where that
/// waits for the disk); not at all, and a flush in the background follows; or for ever, because
/// nothing is kept on disk.
enum class Persist : std::uint8_t { kWritethrough, kLazy, kMemory };

/// How far a checkpoint goes, as SQLite's wal_checkpoint has it.
enum class Checkpoint : std::uint8_t { kPassive, kFull, kRestart, kTruncate };

/// Where SQLite keeps what does not fit into a page cache and is no part of the store.
enum class TempStore : std::uint8_t { kFile, kMemory };

/// What each is called elsewhere: <graven/option_fields.hpp>.
struct Options {
  /// The keyspace, made where the store lacks it. Empty: "main", which is made only where the store
  /// has no prefix at all; where it has others, root() and what needs one are KeyNotFound, which
  /// names them, and what concerns the whole store (check(), backup(), prefixes()) works.
  std::string prefix{};
  /// Start in a prefix of its own, under a name that no prefix of the store has; `prefix` is not
  /// looked at, and nothing else is made.
  bool new_prefix = false;
  /// repr() shows a child dict by this field of its, unquoted, instead of its uid.
  std::string link_field{};
  bool read_only = false;
  /// Whether a store is made where there is none; else that is UnavailableError.
  bool create = true;
  /// kLazy: the file holds a state the store once had, whole commits only, no older than the last
  /// flush; this process is its only writer. kMemory: the path is only a name.
  Persist persist = Persist::kWritethrough;
  /// kLazy: the time between two flushes.
  std::chrono::milliseconds flush_interval{1000};
  /// kLazy: bytes of unflushed writes from which on writers wait for the disk.
  std::size_t pending_limit = std::size_t{256} << 20U;
  /// MiB that everything of this file may take in this process's memory: what is kept for reading
  /// (of its maps too), SQLite's page caches, and unflushed writes, which then wait for the disk.
  /// Values being handed out, one transaction's own writes and mapped files come on top. At least
  /// 16; the last one given counts. 0: each has the limit of its own. Not with kMemory.
  std::size_t memory_mb = 0;
  Synchronous synchronous = Synchronous::kNormal;
  /// How long a write waits for other writers before BusyError.
  std::chrono::milliseconds busy_timeout{30'000};
  /// A transaction() older than this is rolled back.
  std::chrono::milliseconds transaction_limit{60'000};
  /// A commit, read from the file, flush, checkpoint or collection that takes longer is logged
  /// (<graven/log.hpp>), of the whole file; the last one given counts. 0: none is.
  std::chrono::milliseconds slow_operation{0};
  /// Opening a file on NFS, SMB and the like is refused unless this is set.
  bool allow_network_file_system = false;

  // Of the SQLite file. The first Database that a process opens on it decides.
  /// Read connections at a time, from 1 to 1,000; who finds none free waits. There is one writer.
  int pool_size = 10;
  /// More readers: twice pool_size, at least 20.
  bool separate_read_write = false;
  /// A connection that has been idle for so long is closed, but for the last one.
  std::chrono::milliseconds keep_alive{300'000};
  /// A snapshot or an iteration that keeps a read transaction open for longer is ended, so that the
  /// WAL does not grow behind it: its next use is TransactionExpiredError. 0: none is.
  std::chrono::milliseconds reader_limit{0};
  /// Cannot be switched off; here so that a program that tries is told.
  bool wal = true;
  /// Pages in the WAL from which on they are moved to the database in the background, and from four
  /// times as many on by the commit; 0: only maintenance() does.
  int wal_autocheckpoint = 4000;
  /// What maintenance() does to a WAL that is due.
  Checkpoint checkpoint = Checkpoint::kTruncate;
  /// MiB that the page caches of all connections may take together; 0: 96. memory_mb overrides it.
  std::size_t cache_mb = 0;
  /// MiB of the file that each connection maps for reading; 0: none.
  std::size_t mmap_mb = 0;
  TempStore temp_store = TempStore::kFile;

  /// Sets the option called `name` here from text, as a URL does: times in seconds, "on" or "off",
  /// names of enumerators as "normal". "mode" is "ro", "rw" (nothing is created) or "rwc".
  /// UsageError for a name there is not and for a value it cannot have.
  void set(Text name, Text value);
};

/// Opens the store that the environment names: DATABASE_URL, with DB_POOL_SIZE and the like where
/// they are set (docs/options.md). They win over `options`, settings in the URL over them.
/// UsageError without DATABASE_URL.
class Database;
[[nodiscard]] Database open_from_environment(Options options = {});

/// A path or URL as messages show it: with *** in the place of passwords, in what comes before a
/// host, in options, and in whatever cannot be parsed.
[[nodiscard]] std::string redacted(Text url);

/// Does what the first opening of a process has to do for it: maps the library's code and sets up
/// SQLite (not the system's, in a build with that). For programs whose first opening is to be
/// short; Python's module does it when it is imported. Any thread, any number of times.
void prepare();

/// One thing wrong, as check() reports it.
struct Problem {
  std::string node;  ///< uid of the node concerned, or empty
  std::string what;  ///< what is wrong, in words
};

struct CheckReport {
  std::vector<Problem> problems;
  std::uint64_t nodes = 0;       ///< dicts and lists looked at, in every prefix
  std::uint64_t links = 0;       ///< links looked at
  std::uint64_t held = 0;        ///< nodes that only handles of running processes keep
  std::uint64_t reclaiming = 0;  ///< unlinked nodes whose records are still being reclaimed
  [[nodiscard]] bool ok() const noexcept { return problems.empty(); }
};

/// A consistent, read-only view: handles got from it read the state at its making. It keeps
/// that state from being cleaned up, so do not hold it for long.
class Snapshot {
 public:
  [[nodiscard]] Dict root() const;
  [[nodiscard]] Ref operator[](Text key) const { return {scope_, key}; }
  [[nodiscard]] std::optional<Value> get_via_uid(Text uid) const;
  [[nodiscard]] std::int64_t count(Text counter) const;
  void close();

  explicit Snapshot(std::shared_ptr<graph::Scope> scope) : scope_(std::move(scope)) {}

 private:
  detail::Held<graph::Scope> scope_;
};

/// An optimistic transaction. Reads come from one snapshot and see the transactor's own
/// writes; execute() commits if nothing it read was changed by anyone, else it is a conflict.
/// Not for use by two threads at once.
class Transactor {
 public:
  [[nodiscard]] Dict root() const;
  [[nodiscard]] Ref operator[](Text key) const { return {scope_, key}; }
  [[nodiscard]] std::optional<Value> get_via_uid(Text uid) const;
  std::int64_t incr(Text counter, Addend by = 1) const;
  [[nodiscard]] std::int64_t count(Text counter) const;

  /// Makes any change to the prefix a conflict, not only to what is read. What was written
  /// before is dropped; what was read and watched stays watched.
  void watch() const;
  /// Watches one container, as reading it does. BadValueError for one of another store or prefix.
  void watch(const Node& node) const;
  /// From here on writes are collected for execute(). (Writes before it are too; multi() marks
  /// the point for programs that have one.)
  void multi() const;
  /// Commits everything written since the start, atomically. False on a conflict: nothing
  /// was changed, and the transactor starts afresh. True also when there was nothing to write.
  [[nodiscard]] bool execute(Durable durable = Durable::kAsOpened) const;
  /// Drops everything written and starts afresh.
  void discard() const;

  /// Runs `function` and executes, again on a conflict; after three conflicts it runs in the
  /// write lane, so it ends. An exception of `function` discards and passes through.
  void transact(const std::function<void()>& function, Durable durable = Durable::kAsOpened) const;
  explicit Transactor(std::shared_ptr<graph::Scope> scope) : scope_(std::move(scope)) {}
  [[nodiscard]] const std::shared_ptr<graph::Scope>& scope() const& { return scope_; }
  [[nodiscard]] std::shared_ptr<graph::Scope> scope() && { return scope_.shared(); }

 private:
  detail::Held<graph::Scope> scope_;
};

/// A transaction from Database::begin() on, rolled back when it goes unless it was committed:
///
///     graven::Transaction t = db.begin();
///     db["a"] = 1;
///     t.commit();
///
/// What ends it before, its time limit or close() of the Database that it was begun on, rolls it
/// back, and all that its thread does on the store fails with the error for that until this object
/// has ended too: nothing of its block is committed by itself. It is committed by the thread that
/// began it; another one gets UsageError, and it is rolled back. rollback() is any thread's. The
/// thread that began it gets UsageError for both, until this object ends in it; where that ends in
/// another thread, for the next that it does on the store.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&& other) noexcept;
  ~Transaction();
  /// Ends it, whatever happens: if this throws it is rolled back. With Durable::kYes, or if that
  /// was asked of one inside it, it survives a loss of power when this returns; CommitUnknownError
  /// if it is committed, but the disk would not say so. UsageError when it has ended already, or
  /// one that was begun inside it has not.
  void commit(Durable durable = Durable::kAsOpened);
  void rollback() noexcept;

  explicit Transaction(std::unique_ptr<graph::TransactionStep> step);

 private:
  std::unique_ptr<graph::TransactionStep> step_;
};

class Database {
 public:
  /// Opens the store at a path or URL: "state.db", "sqlite:///rel.db", "sqlite:////abs.db" (or
  /// libsql://, of local files), "memory://" (or ":memory:").
  /// A URL may carry options by name, which win: ?mode=ro&pool_size=20&synchronous=full. A new
  /// SQLite file is created with mode 0600.
  /// ForeignFileError for a file that is not graven's or of a newer format; CorruptionError;
  /// UnavailableError for one that cannot be opened; UsageError for a bad URL or option, and for a
  /// file that this process has open with another Options::persist: open a lazy one before its
  /// maps. BusyError where a lazy store would not be the only writer, which names the process if
  /// that is another lazy store; the writes of others get the same until it is closed. What a lazy
  /// store has not flushed, and its Databases and handles, stay the parent's in a fork: in the
  /// child every use of them is a UsageError. A store in memory is copied.
  explicit Database(Text url, const Options& options = {});

  // The root dict.
  [[nodiscard]] Dict root() const;
  [[nodiscard]] Ref operator[](Text key) const { return {scope_, key}; }

  /// A new dict or list that nothing links yet. It lives as long as its handle.
  [[nodiscard]] Dict new_dict(const Data& entries = Data::dict()) const;
  [[nodiscard]] List new_list(const Data& items = Data::list()) const;

  /// The node of a uid of this store and prefix, or nothing.
  [[nodiscard]] std::optional<Value> get_via_uid(Text uid) const;
  /// A path of uids from the root to the node, both ends included; empty when only a handle
  /// keeps it. CollectedError when it is gone; BadValueError for one of another store or prefix.
  [[nodiscard]] std::vector<std::string> why_alive(const Node& node) const;

  // Transactions.
  /// Begins an atomic step that sees its own writes; see Transaction. It belongs to this thread,
  /// whose work on the store, through whichever object, is part of it until it ends. Inside another
  /// one it is a savepoint. BusyError. Rolled back when it outlives Options::transaction_limit
  /// (TransactionExpiredError), when this Database is closed (ClosedError), and with its thread.
  [[nodiscard]] Transaction begin() const;
  /// The same around `body`: commits when it returns, rolls back when it throws.
  void transaction(const std::function<void()>& body, Durable durable = Durable::kAsOpened) const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] Transactor transactor() const;
  [[nodiscard]] Snapshot snapshot() const;

  /// Sets the entries of a dict, or appends the items of a list, in one step, and returns the
  /// values now there: handles of the new dicts and lists. As Dict::update() and List::extend(),
  /// and as fast as single rows in a large transaction. BadValueError for another store's.
  std::vector<Value> batch_insert(const Dict& container, const Data& rows) const;
  std::vector<Value> batch_insert(const List& container, const Data& rows) const;

  // SQL, for tables of the program's own in the same file; see graven/sql.hpp.
  /// Each statement for itself: over the newest state, or as a commit of its own.
  [[nodiscard]] SqlConnection connection() const;
  /// One read transaction, from its first statement until it is closed.
  [[nodiscard]] SqlConnection read_connection() const;
  /// One write transaction of this thread, as transaction(): what the thread does to the graph
  /// until it is committed is part of it. Inside another one: a savepoint.
  [[nodiscard]] SqlConnection write_connection() const;

  // Counters: a namespace of their own, atomic across processes, part of transactions.
  /// LimitError where the sum leaves std::int64_t. Returns the new value.
  std::int64_t incr(Text counter, Addend by = 1) const;
  std::int64_t decr(Text counter, Addend by = 1) const;
  /// 0 when missing.
  [[nodiscard]] std::int64_t count(Text counter) const;

  // Prefixes.
  [[nodiscard]] std::string prefix() const;
  /// A Database on another prefix of the same store; made when missing. BadValueError for a name
  /// with ':' or control characters or over 200 bytes.
  [[nodiscard]] Database with_prefix(Text prefix) const;
  /// A name no prefix of this store has.
  [[nodiscard]] std::string new_prefix() const;
  [[nodiscard]] std::vector<std::string> prefixes() const;
  [[nodiscard]] bool prefix_in_use(Text prefix) const;
  /// Deletes exactly this prefix: its nodes and counters. Returns the number of nodes removed.
  std::uint64_t delete_prefix_immediately(Text prefix) const;
  /// The same in steps of up to `count` nodes; 0 when nothing is left. The prefix is out of
  /// every view from the first call on.
  std::uint64_t delete_prefix_batch(Text prefix, Count count = 500) const;

  /// Returns when every commit of this process that has returned survives a loss of power, also
  /// with kNormal (with kOff until the next checkpoint only). UsageError inside a transaction,
  /// UnavailableError, BusyError.
  void wait_durable() const;

  /// Returns when everything committed before is in the file: at once but for Persist::kLazy.
  /// Lazy maps: Map::flush(). UsageError inside a transaction of this thread. If it fails, all is
  /// kept for the next flush. An error of one in the background is thrown by the next write, once.
  void flush() const;

  // Housekeeping.
  /// Collects what only dead handles and dead processes held. Returns the nodes reclaimed.
  /// BusyError.
  std::uint64_t collect() const;
  /// collect(), then the store's own upkeep where due: pages that are free go back to the file
  /// system, in slices between which others write, the WAL into the file, and statistics are made
  /// anew. Returns what kept it from giving back all that was free, in words: who reads an older
  /// state, say, by process; empty: nothing did.
  std::string maintenance() const;  // NOLINT(modernize-use-nodiscard): mostly there is nothing
  /// Looks at everything, writes nothing, while others write: the store's own structure, every
  /// link and back-reference both ways, reachability, indexes, counts, large values.
  /// `progress(done, total)` is called now and then; total may be 0 while unknown.
  [[nodiscard]] CheckReport check(
      const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {}) const;
  /// Puts right what check() finds, as far as it can be, in one transaction, and looks again.
  /// Other processes may go on; their writes wait. UsageError inside a transaction and on what is
  /// opened read-only, UnavailableError where the copy cannot be made, BusyError.
  RepairReport repair(const RepairOptions& options = {}) const;

  /// Copies what is committed into a new file at `path`, as one state, while others write; reads
  /// the copy back and proves it with check(). A lazy store is flushed first, and so are this
  /// process's lazy maps on it. The copy is a store of its own in one file: `restore()` puts it
  /// back. UsageError in memory, inside a transaction, for a file that is there
  /// (BackupOptions::overwrite) or the store itself; UnavailableError where the disk is full;
  /// CorruptionError where the store is damaged. Nothing is left of a failed one.
  BackupReport backup(Text path, const BackupOptions& options = {}) const;

  /// What has been done with this store by this process, and how its file stands. Asks the file a
  /// little, so once a second rather than for each request.
  [[nodiscard]] Stats stats() const;
  /// The connections to the file: "readers" and "writer". Empty where there is no file.
  [[nodiscard]] std::vector<PoolStats> connection_stats() const;
  /// Both in Prometheus' text format, for a program to serve. Names: docs/operations.md.
  [[nodiscard]] std::string metrics() const;

  [[nodiscard]] std::uint64_t size_on_disk() const;
  [[nodiscard]] std::string name() const;
  /// What tells this store from others: 16 hexadecimal digits, the same in its copies and backups.
  [[nodiscard]] std::string store_id() const;
  [[nodiscard]] bool read_only() const;
  [[nodiscard]] bool closed() const noexcept;
  /// Flushes, and ends this Database and its handles; idempotent. A transaction that was begun on
  /// it is rolled back, in whichever thread; one of another Database is left alone. If the flush
  /// fails it stays open; without close() the last handle flushes, and a failure is only logged.
  /// By the last open Database and Map on the file all is let go of: no descriptor, lock, thread or
  /// `-wal` is left of it, whatever handles, iterators, snapshots and watches there still are,
  /// which throw ClosedError from then on; those in use in other threads are ended. The file may be
  /// copied, replaced, or opened again at once.
  void close() const;

  explicit Database(std::shared_ptr<graph::Scope> scope) : scope_(std::move(scope)) {}
  [[nodiscard]] const std::shared_ptr<graph::Scope>& scope() const& { return scope_; }
  [[nodiscard]] std::shared_ptr<graph::Scope> scope() && { return scope_.shared(); }

 private:
  detail::Held<graph::Scope> scope_;
};

}  // namespace graven
