// SPDX-License-Identifier: MIT
//
// Maintenance, checks, copies and statistics. See sqlite_backend.hpp. Any thread; tend() by one.
#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>

#include "backends/sqlite/backup/copy.hpp"
#include "backends/sqlite/schema/mend.hpp"
#include "backends/sqlite/schema/row_check.hpp"
#include "backends/sqlite/schema/schema_check.hpp"
#include "backends/sqlite/sqlite_backend.hpp"
#include "backends/sqlite/vfs/fork.hpp"
#include "backends/sqlite/vfs/wal_lock.hpp"

namespace graven::sqlite {
namespace {

constexpr std::uint64_t kLargeWal = std::uint64_t{16} << 20;
constexpr std::uint64_t kAnySeal = 2048;  // a seal may follow the last page
constexpr auto kReadersPatience = std::chrono::milliseconds(1000);
constexpr auto kBetweenSlices = std::chrono::microseconds(300);
constexpr std::int64_t kVacuumSlice = 1024;
// A WAL that nobody has written to for this long is truncated.
constexpr auto kIdle = std::chrono::milliseconds(1000);

}  // namespace

std::string SqliteBackend::maintain() {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only || standing_.doubtful() || standing_.lost()) return {};
  require_same_file();
  std::string obstacle = give_back_pages();
  {
    const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
    const Lease lease = writer_.lease(deadline, "maintenance");
    lease->set_deadline(deadline);
    const Connection::LongWork long_work(*lease);
    optimize(*lease, "PRAGMA optimize");
  }
  std::string readers = empty_wal();
  return obstacle.empty() ? readers : obstacle;
}

/// Lets SQLite update its statistics about the tables, unless another process writes.
void SqliteBackend::optimize(Connection& connection, const char* pragma) {
  const int code = commit_unchanged(connection, [&] {
    standing_.before_commit(connection);
    connection.try_execute("PRAGMA analysis_limit = 400");
    return connection.try_execute(pragma);
  });
  connection.rethrow_interrupt();
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) connection.fail(code);
}

/// Gives free pages back to the file system, in slices. Between two slices other writers get the
/// write lock. Returns what prevented it, or empty.
std::string SqliteBackend::give_back_pages() {
  for (std::int64_t before = INT64_MAX;;) {
    const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
    try {
      const Lease lease = writer_.lease(deadline, "maintenance");
      Connection& connection = *lease;
      connection.set_deadline(deadline);
      const Connection::LongWork long_work(connection);
      const std::int64_t free = connection.integer("PRAGMA freelist_count");
      if (free == 0 || free >= before) return {};
      before = free;
      const std::string vacuum = "PRAGMA incremental_vacuum(" + std::to_string(kVacuumSlice) + ")";
      const int code = commit_unchanged(connection, [&] {
        standing_.before_commit(connection);
        return connection.try_execute(vacuum.c_str());
      });
      connection.rethrow_interrupt();
      if ((code & 0xff) == SQLITE_BUSY) return write_lock_holder(target_.path) + " is writing";
      if (code != SQLITE_OK) connection.fail(code);
    } catch (const BusyError& error) {
      return error.what();
    }
    std::this_thread::sleep_for(kBetweenSlices);
  }
}

/// Moves the WAL into the file if the WAL is large, or if the file has pages beyond its end.
/// Returns what prevented it, or empty.
std::string SqliteBackend::empty_wal() {
  const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
  const Lease lease = writer_.lease(deadline, "maintenance");
  Connection& connection = *lease;
  const auto is_large = [&] {
    const auto size = static_cast<std::uint64_t>(connection.integer("PRAGMA page_count") *
                                                 connection.integer("PRAGMA page_size"));
    return file_state(target_.path).size > size + kAnySeal ||
           file_state(target_.path + "-wal").size > kLargeWal;
  };
  if (!is_large()) return {};
  const Connection::LongWork long_work(connection);
  const auto done =
      checkpoint(connection, static_cast<int>(options_.checkpoint), deadline, kReadersPatience);
  connection.rethrow_interrupt();
  if (done.code != SQLITE_OK && (done.code & 0xff) != SQLITE_BUSY) connection.fail(done.code);
  if (done.all()) return {};
  if (done.kept_out()) {
    return "another checkpoint of " + target_.name +
           " is running; run maintenance again once it has ended to free the rest";
  }
  return who_reads();
}

/// Names the readers that keep the WAL from being moved into the file, if their locks are still
/// there.
std::string SqliteBackend::who_reads() const {
  std::string who;
  const auto add = [&who](const std::string& one) { who += (who.empty() ? "" : ", and ") + one; };
  for (const long process : wal_readers(target_.path)) {
    if (process == ::getpid()) {
      const PoolFigures own = readers_.figures();
      add(own.active == 0 ? process_name(process)
                          : own.oldest_holder + ", of this process, for " +
                                std::to_string(own.oldest.count()) + " ms");
      continue;
    }
    const auto age = process_age(process);
    add(process_name(process) +
        (age ? ", started " + std::to_string(age->count()) + " s ago" : std::string()));
  }
  if (who.empty()) {
    return "the WAL of " + target_.name +
           " was in use by others at that moment; run maintenance again to free the rest";
  }
  return "the WAL of " + target_.name + " is needed by readers of an older state: " + who +
         "; run maintenance again once they have ended to free the rest";
}

// During a bulk import the writer gets three quarters of the cache bound, since readers need less.
void SqliteBackend::bound_caches() noexcept {
  const std::size_t bulk = bulk_bytes_.load();
  const std::size_t all = bulk != 0 ? bulk : page_cache_bytes_.load();
  const std::size_t most = bulk != 0 ? bulk : options_.cache_bytes;
  writer_.bound_caches(bulk != 0 ? all / 4 * 3 : all / kWriterPart,
                       bulk != 0 ? most : most / kWriterPart);
  readers_.bound_caches(bulk != 0 ? all / 4 : all - all / kWriterPart, most / kReaderPart);
}

void SqliteBackend::begin_bulk(std::size_t cache_bytes) {
  refuse_after_fork(generation_, target_.name);
  std::size_t none = 0;
  if (!bulk_bytes_.compare_exchange_strong(none, cache_bytes)) {
    throw UsageError("a bulk import of " + target_.name +
                     " runs already in this process; end that one first");
  }
  bound_caches();
}

bool SqliteBackend::end_bulk(base::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  bulk_bytes_ = 0;
  bound_caches();
  const Lease lease = writer_.lease(deadline, "the end of a bulk import");
  Connection& connection = *lease;
  prepare_writer();
  if (standing_.doubtful() || standing_.lost()) return false;
  connection.set_deadline(deadline);
  const Connection::LongWork long_work(connection);
  // All tables, since this connection has not queried any.
  optimize(connection, "PRAGMA optimize = 0x10002");
  // Writers wait here as long as this waits for readers.
  const auto done = checkpoint(connection, SQLITE_CHECKPOINT_TRUNCATE, deadline, kReadersPatience);
  connection.rethrow_interrupt();
  return done.all();
}

void SqliteBackend::when_due(std::function<void(base::Deadline)> wake) {
  reads_.when_due(wake);
  readers_.when_idle(wake);
  // If commits wait for the disk, the syncs of another thread would only make them slower.
  traffic_.asks = !facts_.slow_commits;
  traffic_.wake = [wake = std::move(wake)] { wake(std::chrono::steady_clock::now()); };
}

std::optional<base::Deadline> SqliteBackend::tend() {
  const auto now = std::chrono::steady_clock::now();
  std::optional<base::Deadline> next;
  const auto until = [&next](std::optional<base::Deadline> when) {
    if (when && (!next || *when < *next)) next = when;
  };
  if (traffic_.checkpoint_is_asked_for()) {
    try {
      const Lease lease = readers_.lease(now, "a checkpoint");
      traffic_.checkpoint(lease->handle());
    } catch (const Error&) {
      // All readers are lent, or the file is gone: a later commit does it or reports it.
    }
    wal_idle_at_ = now + kIdle;
  }
  if (traffic_.wal_has_grown()) wal_idle_at_ = now + kIdle;
  if (wal_idle_at_ && *wal_idle_at_ <= now) wal_idle_at_ = cut_idle_wal(now);
  until(wal_idle_at_);
  until(reads_.end_overdue(now));
  until(readers_.close_idle(now));
  return next;
}

/// While commits follow one another, the WAL file keeps the size that they need, so that it need
/// not grow again. After a while without commits, it is truncated. Returns when to look again.
std::optional<base::Deadline> SqliteBackend::cut_idle_wal(base::Deadline now) {
  const std::uint64_t commits = traffic_.commits();
  if (std::exchange(commits_seen_, commits) != commits) return now + kIdle;
  if (bulk_bytes_.load() != 0) return now + kIdle;
  const auto due = static_cast<std::uint64_t>(options_.checkpoint_pages) * kPageInWal;
  if (options_.checkpoint_pages == 0 || file_state(target_.path + "-wal").size <= due) {
    return std::nullopt;
  }
  try {
    const Lease lease = writer_.lease(now, "a checkpoint");
    const auto done =
        checkpoint(*lease, SQLITE_CHECKPOINT_TRUNCATE, now, std::chrono::nanoseconds(0));
    if (done.code == SQLITE_OK) return std::nullopt;
  } catch (const Error&) {
    // Another process writes after all.
  }
  return now + kIdle;
}

void SqliteBackend::make_durable(base::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only) return;
  standing_.require();
  // Also after a long wait for the writer lock.
  const base::Deadline at_least = std::chrono::steady_clock::now() + options_.busy_timeout;
  const Lease lease = writer_.lease(std::max(deadline, at_least), "a sync");
  standing_.require();  // the last user of the writer may have found out
  // The WAL has everything that is not in the database file yet. With synchronous=off, even pages
  // that a checkpoint has moved there may not be on the disk.
  lease->integer("SELECT count(*) FROM main.prefix");  // opens the WAL
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    sqlite3_file_control(lease->handle(), "main", which, &file);
    if (file == nullptr || file->pMethods == nullptr) continue;
    const int code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    if (code != SQLITE_OK) lease->fail(code);
  }
  if (!standing_.published(*lease)) throw standing_.unknown();
}

std::vector<std::string> SqliteBackend::check() {
  refuse_after_fork(generation_, target_.name);
  const Lease lease = readers_.lease(options_.busy_timeout, "a check");
  lease->drop_pages();  // reads the file itself
  std::vector<std::string> problems;
  if (cut_) problems.emplace_back("the file is shorter than its header says: its end is missing");
  const Connection::LongWork long_work(*lease);
  try {
    Statement statement(*lease, "PRAGMA integrity_check");
    Cursor cursor(statement);
    std::string line;
    while (cursor.next()) {
      cursor.bytes(0, line);
      if (line != "ok") problems.push_back(line);
    }
    for (std::string& one : schema_problems(*lease)) problems.push_back(std::move(one));
    check_rows(*lease, problems);
  } catch (const CorruptionError& error) {
    problems.emplace_back(error.what());
  }
  if (immutable_) require_unchanged();
  return problems;
}

std::vector<port::Files::Loss> SqliteBackend::mend() {
  refuse_after_fork(generation_, target_.name);
  require_same_file();
  const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
  const Lease lease = writer_.lease(deadline, "a repair");
  require_writable();
  if (!owners_.join_writers()) throw_claimed();
  auto lost = sqlite::mend(*lease, deadline, [&] { standing_.before_commit(*lease); });
  if (!standing_.published(*lease)) throw standing_.unknown();
  return lost;
}

bool SqliteBackend::set_constant(std::uint64_t constant) {
  refuse_after_fork(generation_, target_.name);
  require_same_file();
  const Lease lease = writer_.lease(options_.busy_timeout, "writing the store's constant");
  require_writable();
  if (!owners_.join_writers()) throw_claimed();
  const bool written = write_constant(*lease, constant, [&] { standing_.before_commit(*lease); });
  if (!standing_.published(*lease)) throw standing_.unknown();
  return written;
}

void SqliteBackend::copy_to(const std::string& path, const port::Copying& how) {
  refuse_after_fork(generation_, target_.name);
  const auto source = open_reader();  // not from the pool: it may take long
  port::Copying steps = how;
  steps.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (closed_.load()) throw ClosedError(target_.name + " was closed while it was being copied");
    if (how.progress) how.progress(done, total);
  };
  copy_store(*source, {path, path, target_.vfs, target_.busy_timeout, nullptr}, steps);
  if (immutable_) require_unchanged();
}

std::uint64_t SqliteBackend::size_on_disk() const {
  return file_state(target_.path).size + file_state(target_.path + "-wal").size;
}

/// CorruptionError if the file itself, not the cache, does not begin like a SQLite database.
void check_beginning(const Connection& connection, const std::string& name) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr) return;
  constexpr std::string_view kMagic("SQLite format 3", 16);
  std::array<char, kMagic.size()> found{};
  const int code = file->pMethods->xRead(file, found.data(), found.size(), 0);
  if (code == SQLITE_IOERR_SHORT_READ) return;  // new: everything is in the WAL
  if (code != SQLITE_OK || std::string_view(found.data(), found.size()) != kMagic) {
    throw CorruptionError(name + " does not begin like a SQLite database: run 'graven check'");
  }
}

/// The pool's figures as public statistics.
PoolStats pool_stats(const char* name, const Pool& pool) {
  PoolFigures figures = pool.figures();
  return {.name = name,
          .limit = figures.limit,
          .open = figures.open,
          .active = figures.active,
          .idle = figures.idle,
          .waiting = figures.waiting,
          .utilisation = static_cast<double>(figures.active) / figures.limit,
          .leases = figures.leases,
          .timeouts = figures.timeouts,
          .wait = std::move(figures.wait),
          .held = std::move(figures.held),
          .oldest = figures.oldest,
          .oldest_holder = std::move(figures.oldest_holder)};
}

port::BackendStats SqliteBackend::stats() {
  refuse_after_fork(generation_, target_.name);
  port::BackendStats stats = Backend::stats();
  stats.file.wal_bytes = file_state(target_.path + "-wal").size;
  if (const port::MarkWords* live = live_mark()) {
    stats.file.commits = WalIndex::commits(port::read_mark(*live));
  }
  try {
    const Lease lease = readers_.lease(std::chrono::steady_clock::now(), "a look at the file");
    check_beginning(*lease, target_.name);
    stats.file.page_bytes = static_cast<std::uint64_t>(lease->integer("PRAGMA page_size"));
    stats.file.free_pages = static_cast<std::uint64_t>(lease->integer("PRAGMA freelist_count"));
    (void)lease->integer(
        "SELECT count(*) FROM (SELECT id FROM main.node ORDER BY id DESC LIMIT 1)");
  } catch (const BusyError&) {
    // Every connection is in use, or the file is locked: statistics do not wait.
  } catch (const Error&) {
    stats.file.readable = false;  // the other figures are needed all the more
  }
  stats.reads = traffic_.reads.snapshot();
  stats.checkpoints = {traffic_.counts.sum(Traffic::Event::kIncompleteCheckpoint),
                       traffic_.checkpoints.snapshot()};
  stats.busy_waits = traffic_.counts.sum(Traffic::Event::kBusyWait);
  stats.owners = owners_.count();
  stats.pools = {pool_stats("readers", readers_), pool_stats("writer", writer_)};
  return stats;
}

}  // namespace graven::sqlite
