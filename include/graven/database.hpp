// SPDX-License-Identifier: MIT
//
// Database: the root dict of one prefix (an independent keyspace) in one store, and all operations
// on the graph below it.
//
// A Database is a handle: copies stand for the same database. Any number of threads may use it.
// close(), or the end of the last handle, ends it. Several processes may open one store; writers
// take turns in the order in which they come (on a server, they repeat what was in conflict).
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

/// What a commit survives: kOff an orderly exit; kNormal also a crash of the process (and the file
/// stays whole after a power loss); kFull also a power loss.
enum class Synchronous : std::uint8_t { kOff, kNormal, kFull };

/// When a commit returns: kAsOpened as Options::synchronous says; kYes when it survives a power
/// loss, which may need a wait for the disk.
enum class Durable : std::uint8_t { kAsOpened, kYes };

/// When a write is in the file. kWritethrough: when it returns (writers that wait for the disk
/// share one commit). kLazy: after a flush in the background. kMemory: never; there is no file.
enum class Persist : std::uint8_t { kWritethrough, kLazy, kMemory };

/// The mode of a checkpoint, as in SQLite's wal_checkpoint.
enum class Checkpoint : std::uint8_t { kPassive, kFull, kRestart, kTruncate };

/// Where SQLite keeps temporary tables and indexes.
enum class TempStore : std::uint8_t { kFile, kMemory };

/// How to open a database. Names in URLs and elsewhere: <graven/option_fields.hpp>.
struct Options {
  /// The keyspace; it is made if the store lacks it. Empty means "main", which is made only if the
  /// store has no prefix at all. If it has others but no "main", root() and all calls that need a
  /// prefix throw KeyNotFound, which names the others; calls about the whole store (check(),
  /// backup(), prefixes()) work.
  std::string prefix{};
  /// Starts in a new prefix, with a name that no prefix of the store has. `prefix` is ignored.
  bool new_prefix = false;
  /// repr() shows a child dict by the value of this field, unquoted, instead of its uid.
  std::string link_field{};
  bool read_only = false;
  /// Whether a missing store is made; if not, opening it throws UnavailableError.
  bool create = true;
  /// kLazy: the file holds a former state of the store, whole commits only, no older than the last
  /// flush; this process is its only writer. kMemory: the path is only a name.
  Persist persist = Persist::kWritethrough;
  /// kLazy: the time between two flushes.
  std::chrono::milliseconds flush_interval{1000};
  /// kLazy: with more bytes of unflushed writes, writers wait for the disk.
  std::size_t pending_limit = std::size_t{256} << 20U;
  /// The memory budget in MiB for all of this file in this process: caches (also those of its
  /// maps), SQLite's page caches, and unflushed writes, which wait for the disk at their limit.
  /// Not included: values being returned, the writes of one transaction, mapped files. At least
  /// 16; the last value given counts. 0: each part has its own limit. Not with kMemory.
  std::size_t memory_mb = 0;
  Synchronous synchronous = Synchronous::kNormal;
  /// How long a write waits for other writers before it throws BusyError.
  std::chrono::milliseconds busy_timeout{30'000};
  /// A transaction() that takes longer is rolled back.
  std::chrono::milliseconds transaction_limit{60'000};
  /// A commit, read from the file, flush, checkpoint or collection that takes longer is logged
  /// (<graven/log.hpp>). Holds for the whole file; the last value given counts. 0: none is logged.
  std::chrono::milliseconds slow_operation{0};
  /// Opening a file on NFS, SMB and the like is refused unless this is set.
  bool allow_network_file_system = false;

  // Settings of the SQLite file. The first Database that a process opens on the file decides them.
  /// Read connections at a time, from 1 to 1,000; further readers wait. There is one writer.
  int pool_size = 10;
  /// More readers: twice pool_size, at least 20.
  bool separate_read_write = false;
  /// A connection that has been idle for this time is closed, except the last one.
  std::chrono::milliseconds keep_alive{300'000};
  /// A snapshot or an iteration that keeps a read transaction open for longer is ended, so that the
  /// WAL does not grow because of it; its next use throws TransactionExpiredError. 0: no limit.
  std::chrono::milliseconds reader_limit{0};
  /// Cannot be switched off: false is an error.
  bool wal = true;
  /// With more pages in the WAL a checkpoint runs in the background, and with four times as many
  /// the commit runs it; 0: only maintenance() does.
  int wal_autocheckpoint = 4000;
  /// The mode of maintenance()'s checkpoint.
  Checkpoint checkpoint = Checkpoint::kTruncate;
  /// MiB for the page caches of all connections together; 0: 96. memory_mb overrides it.
  std::size_t cache_mb = 0;
  /// MiB of the file that each connection maps for reading; 0: none.
  std::size_t mmap_mb = 0;
  TempStore temp_store = TempStore::kFile;

  /// Sets the option `name` from text, as in a URL: times in seconds, "on" or "off", enumerators by
  /// name, as "normal". "mode" is "ro", "rw" (nothing is created) or "rwc". UsageError for an
  /// unknown name or a wrong value.
  void set(Text name, Text value);
};

class Database;
/// Opens the store that the environment names: DATABASE_URL, and DB_POOL_SIZE and the like if they
/// are set (docs/options.md). These override `options`; settings in the URL override these.
/// UsageError without DATABASE_URL.
[[nodiscard]] Database open_from_environment(Options options = {});

/// A path or URL as messages show it: with *** in the place of passwords, that is of the part
/// before the host, of options with the name of a secret, and of whatever cannot be parsed.
[[nodiscard]] std::string redacted(Text url);

/// Does the work that the first opening in a process needs: maps the library's code and sets up
/// SQLite (not the system's, in a build that uses it). For programs whose first opening must be
/// short; Python's module calls it when it is imported. Any thread, any number of times.
void prepare();

/// One problem that check() found.
struct Problem {
  std::string node;  ///< uid of the node concerned, or empty
  std::string what;  ///< what is wrong, as a text
};

struct CheckReport {
  std::vector<Problem> problems;
  std::uint64_t nodes = 0;       ///< dicts and lists looked at, in every prefix
  std::uint64_t links = 0;       ///< links looked at
  std::uint64_t held = 0;        ///< nodes that only handles of running processes keep alive
  std::uint64_t reclaiming = 0;  ///< unlinked nodes whose records are still being reclaimed
  [[nodiscard]] bool ok() const noexcept { return problems.empty(); }
};

/// A read-only view of one state: that of the moment when it was made. Handles from it read that
/// state. Do not keep it for long: meanwhile the WAL cannot be cleaned up.
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

/// An optimistic transaction. It reads from one snapshot and sees its own writes. execute() commits
/// if nobody has changed what it read; otherwise there is a conflict. One thread at a time.
class Transactor {
 public:
  [[nodiscard]] Dict root() const;
  [[nodiscard]] Ref operator[](Text key) const { return {scope_, key}; }
  [[nodiscard]] std::optional<Value> get_via_uid(Text uid) const;
  std::int64_t incr(Text counter, Addend by = 1) const;
  [[nodiscard]] std::int64_t count(Text counter) const;

  /// From now on any change to the prefix is a conflict, not only a change to what was read. Writes
  /// made before are dropped; what was read or watched before stays watched.
  void watch() const;
  /// Watches one container, as reading it does. BadValueError for one of another store or prefix.
  void watch(const Node& node) const;
  /// Has no effect on what execute() commits: it marks where the writes begin, for programs written
  /// in that style.
  void multi() const;
  /// Commits everything written since the start, atomically. False on a conflict: nothing
  /// was changed, and the transactor starts again. True also if there was nothing to write.
  [[nodiscard]] bool execute(Durable durable = Durable::kAsOpened) const;
  /// Drops everything written and starts again.
  void discard() const;

  /// Runs `function` and execute(), and repeats both on a conflict. After three conflicts it holds
  /// the writer lock, so no further conflict is possible. If `function` throws, its writes are
  /// dropped and the exception passes through.
  void transact(const std::function<void()>& function, Durable durable = Durable::kAsOpened) const;
  explicit Transactor(std::shared_ptr<graph::Scope> scope) : scope_(std::move(scope)) {}
  [[nodiscard]] const std::shared_ptr<graph::Scope>& scope() const& { return scope_; }
  [[nodiscard]] std::shared_ptr<graph::Scope> scope() && { return scope_.shared(); }

 private:
  detail::Held<graph::Scope> scope_;
};

/// A transaction that Database::begin() has begun. Its destructor rolls it back if it was not
/// committed:
///
///     graven::Transaction t = db.begin();
///     db["a"] = 1;
///     t.commit();
///
/// The time limit, or close() of the Database that it was begun on, rolls it back early. Until this
/// object ends, all calls of its thread on the store then fail with the error for that
/// (TransactionExpiredError, ClosedError), so that no part of its block is committed by itself.
///
/// Only the thread that began it may commit it: another thread gets UsageError, and the transaction
/// is rolled back. Any thread may call rollback(). After either, the thread that began it gets
/// UsageError until this object ends in it; or, if the object ends in another thread, for its next
/// call on the store.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&& other) noexcept;
  ~Transaction();
  /// Commits. If this throws, the transaction is rolled back, except after CommitUnknownError. With
  /// Durable::kYes here or in a transaction inside it, the commit survives a power loss when this
  /// returns; CommitUnknownError if it is committed but the disk did not confirm it. UsageError if
  /// it has ended already, or if a transaction that was begun inside it has not.
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
  /// A URL may have options by name, which override `options`:
  /// ?mode=ro&pool_size=20&synchronous=full. A new SQLite file is created with mode 0600.
  ///
  /// ForeignFileError for a file that is not graven's or of a newer format; CorruptionError;
  /// UnavailableError for a file that cannot be opened; UsageError for a bad URL or option, and for
  /// a file that this process has open with another Options::persist (open a lazy store before its
  /// maps). BusyError if a lazy store would not be the only writer; it names the process if that
  /// has a lazy store too. Until a lazy store is closed, the writes of other processes get
  /// BusyError.
  ///
  /// After fork() a lazy store, its Databases and its handles belong to the parent: in the child
  /// every use of them is a UsageError. A store in memory is copied.
  explicit Database(Text url, const Options& options = {});

  // The root dict.
  [[nodiscard]] Dict root() const;
  [[nodiscard]] Ref operator[](Text key) const { return {scope_, key}; }

  /// A new dict or list that nothing links yet. It lives as long as a handle on it, or a link.
  [[nodiscard]] Dict new_dict(const Data& entries = Data::dict()) const;
  [[nodiscard]] List new_list(const Data& items = Data::list()) const;

  /// The node of a uid of this store and prefix, or nothing.
  [[nodiscard]] std::optional<Value> get_via_uid(Text uid) const;
  /// A path of uids from the root to the node, both ends included; empty if only a handle keeps it
  /// alive. CollectedError if it was collected; BadValueError for one of another store or prefix.
  [[nodiscard]] std::vector<std::string> why_alive(const Node& node) const;

  // Transactions.
  /// Begins a transaction, which sees its own writes; see Transaction. It belongs to this thread:
  /// all that the thread does on the store, through any object, is part of it until it ends. Inside
  /// another transaction it is a savepoint. BusyError. It is rolled back after
  /// Options::transaction_limit (TransactionExpiredError), when this Database is closed
  /// (ClosedError), and when its thread ends.
  [[nodiscard]] Transaction begin() const;
  /// Runs `body` in a transaction: commits when it returns, rolls back when it throws.
  void transaction(const std::function<void()>& body, Durable durable = Durable::kAsOpened) const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] Transactor transactor() const;
  [[nodiscard]] Snapshot snapshot() const;

  /// Sets the entries of a dict, or appends the items of a list, atomically, like Dict::update()
  /// and List::extend(). Returns the values that are there now: for new dicts and lists, handles.
  /// BadValueError for a container of another store.
  std::vector<Value> batch_insert(const Dict& container, const Data& rows) const;
  std::vector<Value> batch_insert(const List& container, const Data& rows) const;

  // SQL, for the program's own tables in the same file; see graven/sql.hpp.
  /// Each statement by itself: it reads the newest state, or is one commit.
  [[nodiscard]] SqlConnection connection() const;
  /// One read transaction, from its first statement until it is closed.
  [[nodiscard]] SqlConnection read_connection() const;
  /// One write transaction of this thread, like transaction(): what the thread does to the graph
  /// until it is committed is part of it. Inside another transaction it is a savepoint.
  [[nodiscard]] SqlConnection write_connection() const;

  // Counters: they have their own namespace, are atomic across processes, and are part of
  // transactions.
  /// Returns the new value. LimitError if the sum does not fit std::int64_t.
  std::int64_t incr(Text counter, Addend by = 1) const;
  std::int64_t decr(Text counter, Addend by = 1) const;
  /// The value; 0 if there is no such counter.
  [[nodiscard]] std::int64_t count(Text counter) const;

  // Prefixes.
  [[nodiscard]] std::string prefix() const;
  /// A Database on another prefix of the same store, which is made if it is missing. BadValueError
  /// for a name with ':' or control characters or over 200 bytes.
  [[nodiscard]] Database with_prefix(Text prefix) const;
  /// A name that no prefix of this store has.
  [[nodiscard]] std::string new_prefix() const;
  [[nodiscard]] std::vector<std::string> prefixes() const;
  [[nodiscard]] bool prefix_in_use(Text prefix) const;
  /// Deletes this prefix, with its nodes and counters. Returns the number of nodes removed.
  std::uint64_t delete_prefix_immediately(Text prefix) const;
  /// The same in steps of up to `count` nodes; returns 0 when nothing is left. From the first call
  /// on nobody sees the prefix any more.
  std::uint64_t delete_prefix_batch(Text prefix, Count count = 500) const;

  /// Returns when every commit of this process that has returned survives a power loss, also with
  /// kNormal (with kOff only until the next checkpoint). UsageError inside a transaction,
  /// UnavailableError, BusyError.
  void wait_durable() const;

  /// Returns when everything committed before is in the file: at once, except with Persist::kLazy.
  /// For lazy maps see Map::flush(). UsageError inside a transaction of this thread. If it fails,
  /// everything is kept for the next flush. If a flush in the background fails, the next write
  /// throws its error, once.
  void flush() const;

  // Housekeeping.
  /// Collects nodes that only dead handles and dead processes kept alive. Returns the number of
  /// nodes removed. BusyError.
  std::uint64_t collect() const;
  /// Runs collect(), then the upkeep of the file if it is due: returns free pages to the file
  /// system (in slices, between which others can write), runs a checkpoint, renews the planner's
  /// statistics. Returns, as a text, what kept it from returning all free pages (for example a
  /// process that reads an older state); empty if nothing did.
  std::string maintenance() const;  // NOLINT(modernize-use-nodiscard): mostly there is nothing
  /// Checks everything: the store's own structure, every link and back-reference both ways,
  /// reachability, indexes, counts, large values. Writes nothing; others may write meanwhile.
  /// `progress(done, total)` is called now and then; total may be 0 while unknown.
  [[nodiscard]] CheckReport check(
      const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {}) const;
  /// Repairs what check() finds, as far as possible, in two transactions, and checks again; see
  /// <graven/repair.hpp>. Other processes may continue; their writes wait. UsageError inside a
  /// transaction and on a database opened read-only, UnavailableError if the copy cannot be made,
  /// BusyError.
  RepairReport repair(const RepairOptions& options = {}) const;

  /// Copies what is committed into a new file at `path`, as one state, while others write; reads
  /// the copy back and verifies it with check(). A lazy store, and this process's lazy maps on it,
  /// are flushed first. The copy is a store in one file; `restore()` puts it back. UsageError in
  /// memory, inside a transaction, for a file that exists (see BackupOptions::overwrite) and for
  /// the store itself; UnavailableError if the disk is full; CorruptionError if the store is
  /// damaged. If it fails, it leaves no file.
  BackupReport backup(Text path, const BackupOptions& options = {}) const;

  /// What this process has done with the store, and the state of its file. It reads from the file:
  /// call it once a second rather than for each request.
  [[nodiscard]] Stats stats() const;
  /// The connections to the file: "readers" and "writer". Empty if there is no file.
  [[nodiscard]] std::vector<PoolStats> connection_stats() const;
  /// Both in Prometheus' text format, for a program to serve. Names: docs/operations.md.
  [[nodiscard]] std::string metrics() const;

  /// Bytes of all files of the store.
  [[nodiscard]] std::uint64_t size_on_disk() const;
  [[nodiscard]] std::string name() const;
  /// Identifies the store: 16 hexadecimal digits, the same in its copies and backups.
  [[nodiscard]] std::string store_id() const;
  [[nodiscard]] bool read_only() const;
  [[nodiscard]] bool closed() const noexcept;
  /// Flushes, and ends this Database and its handles; idempotent. A transaction that was begun on
  /// this Database, in any thread, is rolled back; transactions of other Databases are not. If the
  /// flush fails, the Database stays open. Without close() the last handle flushes, and a failure
  /// is only logged.
  ///
  /// When the last open Database or Map on the file is closed, everything is released: no
  /// descriptor, lock, thread or `-wal` stays. Handles, iterators, snapshots and watches that still
  /// exist throw ClosedError from then on; calls in other threads are ended. The file may then be
  /// copied, replaced, or opened again at once.
  void close() const;

  explicit Database(std::shared_ptr<graph::Scope> scope) : scope_(std::move(scope)) {}
  [[nodiscard]] const std::shared_ptr<graph::Scope>& scope() const& { return scope_; }
  [[nodiscard]] std::shared_ptr<graph::Scope> scope() && { return scope_.shared(); }

 private:
  detail::Held<graph::Scope> scope_;
};

}  // namespace graven
