// SPDX-License-Identifier: MIT
//
// The port on one file: a pool of read connections, one write connection, the owner locks.
//
// Checkpoints: a commit that leaves 4,000 pages or more in the WAL asks the store's housekeeper for
// one, which waits for nobody and which no writer waits for (traffic.hpp), and maintain() truncates
// a WAL that has outgrown kLargeWal because readers were in the way. The next commit after a
// complete checkpoint starts the WAL over and cuts the file to kWalKept.
//
// Any thread.
#include "sqlite/backend.hpp"

#include <graven/error.hpp>

#include <array>
#include <atomic>
#include <fcntl.h>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/fork.hpp"
#include "sqlite/change_ring.hpp"
#include "sqlite/copy.hpp"
#include "sqlite/file_checks.hpp"
#include "sqlite/fork.hpp"
#include "sqlite/format.hpp"
#include "sqlite/mend.hpp"
#include "sqlite/owners.hpp"
#include "sqlite/pool.hpp"
#include "sqlite/read_transaction.hpp"
#include "sqlite/view.hpp"
#include "sqlite/wal_buffer.hpp"
#include "sqlite/wal_index.hpp"
#include "sqlite/wal_lock.hpp"
#include "sqlite/write_transaction.hpp"

namespace graven::sqlite {
namespace {

using store::Record;

constexpr std::uint64_t kWalKept = std::uint64_t{16} << 20;
constexpr std::uint64_t kLargeWal = std::uint64_t{16} << 20;
constexpr auto kFileLookedAtFor = std::chrono::milliseconds(1);
constexpr auto kMaintenancePatience = std::chrono::milliseconds(100);
constexpr std::int64_t kFreePagesKept = 1024;
constexpr std::int64_t kVacuumSlice = 256;
constexpr int kVacuumSlices = 64;
// Of all page caches the writer's takes a third; no reader's takes more than a twelfth.
constexpr std::size_t kWriterPart = 3;
constexpr std::size_t kReaderPart = 12;

class SqliteBackend final : public store::Backend {
 public:
  SqliteBackend(const std::string& name, const Options& options);
  ~SqliteBackend() override {
    // In the child of a fork it is the parent's, connection and all.
    if (wal_index_generation_ == base::fork_generation()) return;
    static_cast<void>(wal_index_.release());
    static_cast<void>(ring_.release());
  }

  std::optional<Record> load(const store::Key& key) override;
  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override;
  const store::MarkWords* live_mark() override;
  [[nodiscard]] bool distinctive(const store::Mark& mark) const override {
    return WalIndex::distinctive(mark);
  }
  [[nodiscard]] bool commit_between(const store::Mark& before,
                                    const store::Mark& after) const override {
    return WalIndex::commits(before) != WalIndex::commits(after);
  }
  std::unique_ptr<store::View> view() override;
  std::unique_ptr<store::WriteTransaction> begin(store::Deadline deadline) override;

  [[nodiscard]] bool commits_are_slow() const override {
    return options_.synchronous == Synchronous::kFull;
  }
  void sync() override;
  store::ChangeFeed* changes() override { return ring_in_use_.load(std::memory_order_acquire); }

  void claim() override;
  bool disclaim() override;

  void hold_owner(std::int64_t owner) override { owners_.hold(owner); }
  bool owner_alive(std::int64_t owner) override { return owners_.alive(owner); }

  [[nodiscard]] bool read_only() const override { return options_.read_only; }
  [[nodiscard]] const std::string& name() const override { return target_.name; }
  /// None where the disk is memory, of which a file there would take more than it saves.
  [[nodiscard]] std::string cache_path() const override {
    return in_memory(target_.path) ? std::string() : target_.path + "-warm";
  }
  [[nodiscard]] const std::string& identity() const override { return identity_; }
  [[nodiscard]] std::uint64_t store_constant() const override { return format_.constant; }

  void bound_page_caches(std::size_t bytes) override {
    page_cache_bytes_ = bytes;
    bound_caches();
  }

  void maintain() override;
  void begin_bulk(std::size_t cache_bytes) override;
  bool end_bulk(store::Deadline deadline) override;
  void when_due(std::function<void(store::Deadline)> wake) override;
  std::optional<store::Deadline> tend() override;
  std::vector<std::string> check() override;
  std::vector<Loss> mend() override;
  [[nodiscard]] std::string file() const override { return target_.path; }
  void copy_to(const std::string& path, const store::Copying& how) override;
  [[nodiscard]] std::uint64_t size_on_disk() const override;
  store::BackendStats stats() override;
  void log_slower_than(std::chrono::nanoseconds limit) override { traffic_.slow.set(limit); }

 private:
  std::optional<Record> read_node(std::int64_t id, bool& reclaiming);
  std::unique_ptr<Connection> open_reader();
  std::unique_ptr<Connection> open_writer();
  void bound_caches() noexcept;
  void prepare_writer() noexcept;
  void configure(Connection& connection) const;
  void create();
  void leave_blank_mark();
  void require_same_file() const;
  void require_unchanged() const;
  [[noreturn]] void throw_claimed() const;

  const Options options_;
  Traffic traffic_;
  const Target target_;
  const std::uint64_t generation_ = base::fork_generation();
  FileState file_;                    // as it was at open
  std::string identity_;              // empty only while the file may still be made
  bool immutable_ = false;            // read without locks; file_ must not change
  std::atomic<bool> refused_{false};  // a commit ended unknown
  std::atomic<bool> claimed_{false};  // and who writes will write it again
  std::atomic<store::Deadline> file_looked_at_{};
  std::atomic<std::size_t> page_cache_bytes_;  // of all connections
  std::atomic<std::size_t> bulk_bytes_{0};     // the same while an import runs
  Format format_;
  Owners owners_;
  Pool writer_;
  Pool readers_;
  Reads reads_;
  ReadSource source_;
  std::mutex wal_index_mutex_;
  std::unique_ptr<WalIndex> wal_index_;  // wal_index_mutex_; before the pools it goes
  std::unique_ptr<ChangeRing> ring_;     // wal_index_mutex_
  std::atomic<ChangeRing*> ring_in_use_{nullptr};
  std::uint64_t wal_index_generation_ = UINT64_MAX;
  std::atomic<const store::MarkWords*> live_mark_{nullptr};
};

SqliteBackend::SqliteBackend(const std::string& name, const Options& options)
    : options_(options),
      target_{name, resolve(name), buffered_wal_over(options.vfs), options.busy_timeout, &traffic_},
      page_cache_bytes_(options.cache_bytes),
      owners_(target_.path),
      writer_([this] { return open_writer(); }, {.name = name,
                                                 .role = "write",
                                                 .limit = 1,
                                                 .keep_alive = options.keep_alive,
                                                 .remedy = "end that first or wait longer"}),
      readers_([this] { return open_reader(); },
               {.name = name,
                .role = "read",
                .limit = options.max_readers,
                .keep_alive = options.keep_alive,
                .remedy = "end a snapshot or an iteration, or raise pool_size"}),
      reads_(options.reader_limit),
      source_{readers_, reads_, target_.name, options.busy_timeout, {}, traffic_} {
  traffic_.name = name;
  file_ = check_path(target_, options_.read_only, options_.allow_network_file_system);
  const Header header = check_header(target_, file_);
  if (options_.read_only) {
    if (header.empty || header.blank) {
      throw UnavailableError(name +
                             " is empty, and a read-only store is never made; open it "
                             "for writing once");
    }
    identity_ = file_.identity();
    immutable_ = options_.immutable || (header.ready && needs_immutable(target_));
    if (immutable_) source_.verify = [this] { require_unchanged(); };
  } else if (header.empty || header.blank || !header.ready) {
    create();  // also finishes what a crash has interrupted
  } else {
    identity_ = file_.identity();
  }
  bound_caches();
  const Lease lease = readers_.lease(options_.busy_timeout, "opening the store");
  format_ = read_format(*lease, options_.read_only);
}

void SqliteBackend::create() {
#ifdef GRAVEN_SQLITE_SYSTEM
  // A SQLite of somebody else's making makes files readable to all, so the file is made here.
  // The descriptor is never closed: that would drop the locks of another thread that has
  // opened the new file in the meantime.
  static_cast<void>(::open(target_.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
#endif
  {
    const Lease lease = writer_.lease(options_.busy_timeout, "making the store");
    create_store(*lease);
  }
  file_ = file_state(target_.path);
  identity_ = file_.identity();
}

std::unique_ptr<Connection> SqliteBackend::open_reader() {
  // Where the store may be written the last connection to close tidies up the WAL, which it
  // needs write access for even when it was for reading.
  const int flags = immutable_           ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                    : options_.read_only ? SQLITE_OPEN_READONLY
                                         : SQLITE_OPEN_READWRITE;
  auto connection = std::make_unique<Connection>(
      target_, immutable_ ? immutable_uri(target_.path) : target_.path, flags);
  require_same_file();
  if (!options_.read_only) connection->execute("PRAGMA query_only = ON");
  connection->set_cache(options_.cache_bytes / kReaderPart);
  configure(*connection);
  return connection;
}

std::unique_ptr<Connection> SqliteBackend::open_writer() {
  const int create = identity_.empty() ? SQLITE_OPEN_CREATE : 0;
  auto connection =
      std::make_unique<Connection>(target_, target_.path, SQLITE_OPEN_READWRITE | create);
  if (create == 0) require_same_file();
  connection->set_cache(options_.cache_bytes / kWriterPart);
  traffic_.checkpoint_after_commits(connection->handle());
  connection->execute(("PRAGMA journal_size_limit = " + std::to_string(kWalKept)).c_str());
  prepare_writer();
  configure(*connection);
  return connection;
}

/// What an import changes for as long as it runs. With the writer leased.
void SqliteBackend::prepare_writer() noexcept {
  const bool never = bulk_bytes_.load() != 0 || options_.checkpoint_pages == 0;
  traffic_.checkpoint_at = never ? std::numeric_limits<int>::max() : options_.checkpoint_pages;
}

/// What holds for readers and the writer.
void SqliteBackend::configure(Connection& connection) const {
  constexpr std::array<const char*, 3> kSynchronous{
      "PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL", "PRAGMA synchronous = FULL"};
  connection.execute(kSynchronous[static_cast<std::size_t>(options_.synchronous)]);
  if (options_.mmap_bytes != 0) {
    connection.execute(("PRAGMA mmap_size = " + std::to_string(options_.mmap_bytes)).c_str());
  }
  if (options_.temp_store_in_memory) connection.execute("PRAGMA temp_store = MEMORY");
}

void SqliteBackend::require_same_file() const {
  if (identity_.empty()) return;
  const FileState now = file_state(target_.path);
  if (now.exists && now.device == file_.device && now.inode == file_.inode) return;
  throw UnavailableError(target_.name + " was " + (now.exists ? "replaced" : "deleted or moved") +
                         " while it was open; put it back, or close and open the store again");
}

void SqliteBackend::require_unchanged() const {
  if (file_state(target_.path) == file_ && !file_state(target_.path + "-wal").exists) return;
  throw UnavailableError(target_.name +
                         " was changed while it was read without locks (its folder cannot be "
                         "written); close it and open it again");
}

std::optional<Record> SqliteBackend::load(const store::Key& key) {
  refuse_after_fork(generation_, target_.name);
  return traffic_.reading(key, [&] {
    const Lease lease = readers_.lease(options_.busy_timeout, "reading a record");
    auto record = lease->tables().load(key);
    if (immutable_) require_unchanged();
    return record;
  });
}

std::optional<Record> SqliteBackend::load_node(std::int64_t id, bool& reclaiming) {
  refuse_after_fork(generation_, target_.name);
  return traffic_.reading({.space = store::Space::kNode, .a = id},
                          [&] { return read_node(id, reclaiming); });
}

std::optional<Record> SqliteBackend::read_node(std::int64_t id, bool& reclaiming) {
  const Lease lease = readers_.lease(options_.busy_timeout, "reading a record");
  Tables& tables = lease->tables();
  auto record = tables.load_node(id, reclaiming);
  if (!record) {
    // Rare: two statements, so a transaction around them.
    lease->begin().execute();
    try {
      reclaiming = tables.reclaiming();
      record = tables.load({.space = store::Space::kNode, .a = id});
      lease->commit().execute();
    } catch (...) {
      lease->try_execute("ROLLBACK");
      throw;
    }
  }
  if (immutable_) require_unchanged();
  return record;
}

const store::MarkWords* SqliteBackend::live_mark() {
  refuse_after_fork(generation_, target_.name);
  if (immutable_) return nullptr;
  const std::scoped_lock lock(wal_index_mutex_);
  if (wal_index_generation_ != base::fork_generation()) {
    static_cast<void>(wal_index_.release());  // the parent's
    static_cast<void>(ring_.release());
    wal_index_ = WalIndex::watch(open_reader());
    if (wal_index_) ring_ = ChangeRing::open(target_.path, options_.read_only);
    ring_in_use_.store(ring_.get(), std::memory_order_release);
    wal_index_generation_ = base::fork_generation();
    live_mark_.store(wal_index_ ? &wal_index_->words() : nullptr);
    if (wal_index_ && !WalIndex::distinctive(store::read_mark(wal_index_->words()))) {
      leave_blank_mark();
    }
  }
  return live_mark_.load();
}

/// A commit for its own sake: the mark of a WAL that is still empty can come again over other data.
/// It has to change something, or SQLite writes nothing.
void SqliteBackend::leave_blank_mark() {
  if (options_.read_only) return;
  try {
    const Lease lease = writer_.lease(std::chrono::steady_clock::now(), "the first commit");
    lease->set_deadline(std::chrono::steady_clock::now() + kMaintenancePatience);
    lease->try_execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('opening', random())");
  } catch (const BusyError&) {
    // Somebody writes, which is as good.
  }
}

std::unique_ptr<store::View> SqliteBackend::view() {
  refuse_after_fork(generation_, target_.name);
  return std::make_unique<SqliteView>(source_);
}

std::unique_ptr<store::WriteTransaction> SqliteBackend::begin(store::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only) {
    throw UsageError(target_.name + " was opened read-only; open it for writing to change it");
  }
  if (refused_.load() && !claimed_.load()) {
    throw UnavailableError("an earlier commit to " + target_.name +
                           " failed and may or may not be there, so nothing more is written; "
                           "check the disk, then close the store and open it again");
  }
  // Whoever writes without a pause is not told of a file that went a moment ago.
  const auto now = std::chrono::steady_clock::now();
  if (now - file_looked_at_.load(std::memory_order_relaxed) > kFileLookedAtFor) {
    require_same_file();
    file_looked_at_.store(now, std::memory_order_relaxed);
  }
  Lease lease = writer_.lease(deadline, "a transaction");
  if (!owners_.join_writers()) throw_claimed();
  prepare_writer();
  lease->set_deadline(deadline);
  const int code = lease->begin_immediate().try_execute();
  if ((code & 0xff) == SQLITE_BUSY) {
    throw BusyError(target_.name + " is being written by " + write_lock_holder(target_.path) +
                    ", which did not end its transaction in time; wait longer, or end it there");
  }
  if (code != SQLITE_OK) lease->fail(code);
  return std::make_unique<SqliteTransaction>(target_.name, std::move(lease), refused_, live_mark_);
}

void SqliteBackend::throw_claimed() const {
  const std::int64_t process = owners_.only_writer();
  throw BusyError((process == ::getpid() ? "this process"
                   : process != 0        ? "process " + std::to_string(process)
                                         : std::string("another process")) +
                  " has " + target_.name +
                  " open with persist=lazy and is its only writer until it closes it; open it "
                  "with mode=ro to read");
}

void SqliteBackend::claim() {
  refuse_after_fork(generation_, target_.name);
  const auto until = std::chrono::steady_clock::now() + options_.busy_timeout;
  while (!owners_.claim()) {
    const std::int64_t process = owners_.only_writer();
    if (process == ::getpid() && std::chrono::steady_clock::now() < until) {
      // One that this process no longer uses and is about to end.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (process != 0) throw_claimed();
    throw BusyError(target_.name +
                    " is open elsewhere and has been written there, and a lazy store has one "
                    "writer; close it there first, or open it with persist=writethrough");
  }
  claimed_ = true;
}

/// Writing on joins the writers again.
bool SqliteBackend::disclaim() {
  refuse_after_fork(generation_, target_.name);
  if (!owners_.writes()) return true;
  const Lease lease = writer_.lease(options_.busy_timeout, "closing");  // nobody writes just now
  owners_.leave_writers();
  claimed_ = false;
  return true;
}

void SqliteBackend::maintain() {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only || refused_.load()) return;
  require_same_file();
  const auto deadline = std::chrono::steady_clock::now() + kMaintenancePatience;
  const Lease lease = writer_.lease(deadline, "maintenance");
  Connection& connection = *lease;
  connection.set_deadline(deadline);
  const auto quietly = [&connection](const char* sql) {
    const int code = connection.try_execute(sql);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) connection.fail(code);
    return code == SQLITE_OK;
  };
  // In slices: other processes get their turn between two.
  for (int slice = 0; slice < kVacuumSlices; ++slice) {
    const std::int64_t free = connection.integer("PRAGMA freelist_count");
    const std::int64_t pages = connection.integer("PRAGMA page_count");
    if (free <= kFreePagesKept || free <= pages / 10) break;
    if (!quietly(("PRAGMA incremental_vacuum(" + std::to_string(kVacuumSlice) + ")").c_str()))
      break;
  }
  quietly("PRAGMA analysis_limit = 400");
  quietly("PRAGMA optimize");
  if (file_state(target_.path + "-wal").size > kLargeWal) {
    const int code =
        traffic_.checkpoint(connection.handle(), static_cast<int>(options_.checkpoint));
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) connection.fail(code);
  }
}

// While an import runs the writer has three quarters of its cache: readers read what was there.
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

bool SqliteBackend::end_bulk(store::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  bulk_bytes_ = 0;
  bound_caches();
  const Lease lease = writer_.lease(deadline, "the end of a bulk import");
  Connection& connection = *lease;
  prepare_writer();
  connection.set_deadline(deadline);
  const auto quietly = [&connection](const char* sql) {
    const int code = connection.try_execute(sql);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) connection.fail(code);
  };
  quietly("PRAGMA analysis_limit = 400");
  quietly("PRAGMA optimize = 0x10002");  // of all tables, as none has been asked for by this one
  bool emptied = false;
  do {
    emptied = traffic_.checkpoint(connection.handle(), SQLITE_CHECKPOINT_TRUNCATE) == SQLITE_OK;
  } while (!emptied && std::chrono::steady_clock::now() < deadline);
  return emptied;
}

void SqliteBackend::when_due(std::function<void(store::Deadline)> wake) {
  reads_.when_due(wake);
  readers_.when_idle(wake);
  traffic_.ask = [wake = std::move(wake)] { wake(std::chrono::steady_clock::now()); };
}

std::optional<store::Deadline> SqliteBackend::tend() {
  const auto now = std::chrono::steady_clock::now();
  if (traffic_.checkpoint_is_asked_for()) {
    try {
      const Lease lease = readers_.lease(now, "a checkpoint");
      static_cast<void>(traffic_.checkpoint(lease->handle()));
    } catch (const Error&) {
      // All readers are lent, or the file is gone: commits do it, or tell of it.
    }
  }
  const std::optional<store::Deadline> read = reads_.end_overdue(now);
  const std::optional<store::Deadline> idle = readers_.close_idle(now);
  return read && idle ? std::min(read, idle) : read ? read : idle;
}

void SqliteBackend::sync() {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only) return;
  const Lease lease =
      writer_.lease(std::chrono::steady_clock::now() + options_.busy_timeout, "a sync");
  // The WAL has all that is not in the database yet. At synchronous=off even what a checkpoint
  // moved there may not be on the disk.
  lease->integer("SELECT count(*) FROM prefix");  // opens the WAL
  for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
    sqlite3_file* file = nullptr;
    sqlite3_file_control(lease->handle(), "main", which, &file);
    if (file == nullptr || file->pMethods == nullptr) continue;
    const int code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    if (code != SQLITE_OK) lease->fail(code);
  }
}

std::vector<std::string> SqliteBackend::check() {
  refuse_after_fork(generation_, target_.name);
  const Lease lease = readers_.lease(options_.busy_timeout, "a check");
  std::vector<std::string> problems;
  try {
    Statement statement(*lease, "PRAGMA integrity_check");
    Cursor cursor(statement);
    std::string line;
    while (cursor.next()) {
      cursor.bytes(0, line);
      if (line != "ok") problems.push_back(line);
    }
    lease->tables().check_beside(problems);
  } catch (const CorruptionError& error) {
    problems.emplace_back(error.what());
  }
  if (immutable_) require_unchanged();
  return problems;
}

std::vector<store::Backend::Loss> SqliteBackend::mend() {
  refuse_after_fork(generation_, target_.name);
  require_same_file();
  const Lease lease = writer_.lease(options_.busy_timeout, "a repair");
  return sqlite::mend(*lease, std::chrono::steady_clock::now() + options_.busy_timeout);
}

void SqliteBackend::copy_to(const std::string& path, const store::Copying& how) {
  refuse_after_fork(generation_, target_.name);
  const auto source = open_reader();  // not of the pool: it may take long
  copy_store(*source, {path, path, target_.vfs, target_.busy_timeout, nullptr}, how);
  if (immutable_) require_unchanged();
}

std::uint64_t SqliteBackend::size_on_disk() const {
  return file_state(target_.path).size + file_state(target_.path + "-wal").size;
}

/// What the pools tell of themselves.
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

store::BackendStats SqliteBackend::stats() {
  refuse_after_fork(generation_, target_.name);
  store::BackendStats stats = Backend::stats();
  stats.file.wal_bytes = file_state(target_.path + "-wal").size;
  if (const store::MarkWords* live = live_mark()) {
    stats.file.commits = WalIndex::commits(store::read_mark(*live));
  }
  try {
    const Lease lease = readers_.lease(std::chrono::steady_clock::now(), "a look at the file");
    stats.file.page_bytes = static_cast<std::uint64_t>(lease->integer("PRAGMA page_size"));
    stats.file.free_pages = static_cast<std::uint64_t>(lease->integer("PRAGMA freelist_count"));
  } catch (const BusyError&) {
    // Every connection is in use, or the file is locked just now: who only looks does not wait.
  }
  stats.reads = traffic_.reads.snapshot();
  stats.checkpoints = {traffic_.counts.sum(Traffic::Event::kIncompleteCheckpoint),
                       traffic_.checkpoints.snapshot()};
  stats.busy_waits = traffic_.counts.sum(Traffic::Event::kBusyWait);
  stats.owners = owners_.count();
  stats.pools = {pool_stats("readers", readers_), pool_stats("writer", writer_)};
  return stats;
}

}  // namespace

std::unique_ptr<store::Backend> open(const std::string& path, const Options& options) {
  if (options.max_readers < 1) throw UsageError("pool_size must be at least 1");
  guard_sqlite_against_fork();
  return std::make_unique<SqliteBackend>(path, options);
}

}  // namespace graven::sqlite
