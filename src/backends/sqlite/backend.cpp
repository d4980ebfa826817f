// SPDX-License-Identifier: MIT
//
// Opening, reading and writing. See sqlite_backend.hpp.
//
// Checkpoints: a commit that leaves `checkpoint_pages` (4,000) or more pages in the WAL asks the
// store's housekeeper thread for one. It waits for nobody, and no writer waits for it
// (traffic.hpp). If readers have made the WAL very large (kLargeWal in upkeep.cpp), maintain()
// truncates it. The next commit after a complete checkpoint starts the WAL over and shortens the
// file to the size that normal writing needs.
//
// Any thread.
#include "backends/sqlite/sqlite_backend.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "backends/sqlite/backup/copy.hpp"
#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/change_ring.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/files/own_files.hpp"
#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/owners.hpp"
#include "backends/sqlite/pool/pool.hpp"
#include "backends/sqlite/read_transaction.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "backends/sqlite/schema/mend.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"
#include "backends/sqlite/vfs/fork.hpp"
#include "backends/sqlite/vfs/wal_index.hpp"
#include "backends/sqlite/vfs/wal_lock.hpp"
#include "backends/sqlite/view.hpp"
#include "backends/sqlite/write_transaction.hpp"
#include "base/fork.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

using port::Record;

constexpr std::int64_t kLeastWalKept = std::int64_t{16} << 20;
constexpr auto kMarkPatience = std::chrono::milliseconds(100);
constexpr auto kLastReads = std::chrono::seconds(1);
constexpr std::uint64_t kLeaseToken = 1;
constexpr auto kAskAgain = std::chrono::microseconds(200);

/// Tells the caches of all processes that a change of the state version (Mark) under this
/// connection's write lock changes no record.
class Unchanged {
 public:
  /// If one is null, nobody is told.
  Unchanged(Connection& connection, const port::MarkWords* live, ChangeRing* ring)
      : connection_(connection.handle()), live_(live), ring_(ring) {
    if (live == nullptr || ring == nullptr) return;
    before_write_unlock(connection_, before_unlock, this, taken);
  }
  ~Unchanged() { before_write_unlock(connection_, nullptr, nullptr); }
  Unchanged(const Unchanged&) = delete;
  Unchanged& operator=(const Unchanged&) = delete;

 private:
  static void taken(void* context) {
    auto& self = *static_cast<Unchanged*>(context);
    self.before_ = port::read_mark(*self.live_);
  }
  static void before_unlock(void* context) {
    auto& self = *static_cast<Unchanged*>(context);
    const port::Mark after = port::read_mark(*self.live_);
    if (after == self.before_) return;
    self.ring_->publish(self.before_, after, {}, 0);
    self.before_ = after;
  }

  sqlite3* connection_;
  const port::MarkWords* live_;
  ChangeRing* ring_;
  port::Mark before_{};
};

}  // namespace

SqliteBackend::SqliteBackend(const std::string& name, const Options& options)
    : options_(options),
      target_{name, sqlite::resolve(name), file_layer_over(options.vfs), options.busy_timeout,
              &traffic_},
      page_cache_bytes_(options.cache_bytes),
      owners_(target_.path),
      standing_(target_.name, owners_),
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
      source_{readers_, reads_, target_.name, options.busy_timeout, {}, traffic_},
      ring_(target_.path, options.read_only) {
  traffic_.name = name;
  file_ = check_path(target_, options_.read_only, options_.allow_network_file_system);
  require_one_name(target_);
  Header header = require_own_files(target_);
  if (!options_.create && !options_.read_only && (header.empty || header.blank)) {
    throw UnavailableError(
        fmt::format("{} {}, and `create` is off, so no store is made; check the path", name,
                    file_.exists ? "is empty" : "does not exist"));
  }
  if (!header.exists && !options_.read_only) {
    make();
    header = require_own_files(target_);
  }
  if (!file_.exists) {  // created here or by another process
    file_ = check_path(target_, options_.read_only, options_.allow_network_file_system);
  }
  if (options_.read_only) {
    if (header.empty || header.blank) {
      throw UnavailableError(name +
                             " is empty, and a read-only store is never made; open it "
                             "for writing once");
    }
    facts_.identity = file_.identity();
    // With a WAL, the missing pages may be in it.
    cut_ = header.cut && file_state(target_.path + "-wal").size == 0;
    immutable_ = options_.immutable || (header.ready && needs_immutable(target_));
    if (immutable_) source_.verify = [this] { require_unchanged(); };
  } else if (header.empty || header.blank || !header.ready) {
    create();  // also completes what a crash interrupted
  } else {
    facts_.identity = file_.identity();
  }
  bound_caches();
  traffic_.before_checkpoint = [this](Connection& writer) { return commit_stamp(writer); };
  traffic_.after_checkpoint = [this] { standing_.main_moved(); };
  {
    const Lease lease = readers_.lease(options_.busy_timeout, "opening the store");
    try {
      format_ = read_format(*lease, options_.read_only);
    } catch (const CorruptionError&) {
      if (!cut_) throw;
      throw CorruptionError(
          name + " was cut off, and what is left of it cannot be read; restore a backup");
    }
    if (format_.version < kFormatVersion && options_.read_only) lease->tables().expect_old_format();
  }
  if (kWritesStamps && !options_.read_only && header.epoch == 0) mark_file();
  if (!options_.read_only && format_.version < kFormatVersion) {
    const Lease lease = writer_.lease(options_.busy_timeout, "bringing the store to this format");
    upgrade(*lease, [&] { standing_.before_commit(*lease); });
    format_.version = kFormatVersion;
  }
  if (format_.sealed && !options_.read_only) unseal();
  facts_.name = target_.name;
  facts_.constant = format_.constant;
  facts_.file = target_.path;
  // If the disk is memory, a cache file there would use more memory than it saves.
  if (!in_memory(target_.path)) facts_.cache_path = target_.path + "-warm";
  facts_.read_only = options_.read_only;
  facts_.slow_commits = options_.synchronous == Synchronous::kFull;
}

/// Removes the backup's seal row: a file that is written is no backup any more.
void SqliteBackend::unseal() {
  try {
    const Lease lease = writer_.lease(options_.busy_timeout, "opening the store");
    static_cast<void>(commit_stamp(*lease));
    mark_sealed(*lease, false);
  } catch (const BusyError&) {
    // The process that writes has done it when it opened the store.
  }
}

SqliteBackend::~SqliteBackend() {
  // In the child of a fork, the index and its connection are the parent's: leak them.
  if (wal_index_generation_ != base::fork_generation()) static_cast<void>(wal_index_.release());
  close();
}

/// Writes a new stamp before the last connection closes, because that close is a checkpoint too.
/// Call with no transaction open.
void SqliteBackend::stamp_last() noexcept {
  if (generation_ != base::fork_generation() || !standing_.has_written() || standing_.lost()) {
    return;
  }
  try {
    const Lease lease = writer_.lease(std::chrono::steady_clock::now(), "closing");
    lease->set_deadline(std::chrono::steady_clock::now());
    traffic_.checkpoint_at(Traffic::kNever);  // no housekeeper any more
    if (!may_begin_wal(lease->handle())) static_cast<void>(commit_stamp(*lease));
  } catch (const std::exception&) {
    // Another process writes, or the file cannot be opened any more.
  }
}

/// Creates a new store under another name and then renames it, so that a -journal beside the
/// store's name never belongs to it.
void SqliteBackend::make() {
  PartialFile file(target_);
  {
    Connection connection(file.as_target(), file.as_target().path, SQLITE_OPEN_READWRITE);
    connection.execute("PRAGMA journal_mode = MEMORY");
    connection.execute("PRAGMA synchronous = OFF");
    create_store(connection);
  }
  file.stamp();
  file.sync();
  // If another process was first, its store is used.
  static_cast<void>(file.put_if_absent());
}

/// Makes a store of an existing empty file.
void SqliteBackend::create() {
  {
    const Lease lease = writer_.lease(options_.busy_timeout, "making the store");
    create_store(*lease);
  }
  file_ = file_state(target_.path);
  facts_.identity = file_.identity();
}

std::unique_ptr<Connection> SqliteBackend::open_reader() {
  // If the store may be written, even a connection for reading needs write access: the last one to
  // close moves the WAL into the file.
  const int flags = immutable_           ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                    : options_.read_only ? SQLITE_OPEN_READONLY
                                         : SQLITE_OPEN_READWRITE;
  auto connection = std::make_unique<Connection>(
      target_, immutable_ ? immutable_uri(target_.path) : target_.path, flags);
  if (cut_) connection->read_without_end();
  require_same_file();
  if (!immutable_) require_own_index(target_, *connection);
  if (!options_.read_only) connection->execute("PRAGMA query_only = ON");
  if (!immutable_) connection->outlive_commits();
  connection->set_cache(options_.cache_bytes / kReaderPart);
  if (format_.version == 1) connection->tables().expect_old_format();
  configure(*connection);
  return connection;
}

std::unique_ptr<Connection> SqliteBackend::open_writer() {
  auto connection = std::make_unique<Connection>(target_, target_.path, SQLITE_OPEN_READWRITE);
  require_same_file();
  require_own_index(target_, *connection);
  connection->set_cache(options_.cache_bytes / kWriterPart);
  traffic_.checkpoint_after_commits(*connection);
  // Keeps the part of the WAL file that commits use all the time, instead of truncating and growing
  // it.
  const std::int64_t kept =
      std::max(kLeastWalKept, options_.checkpoint_pages * Traffic::kPatience * kPageInWal);
  connection->execute(("PRAGMA journal_size_limit = " + std::to_string(kept)).c_str());
  prepare_writer();
  configure(*connection);
  return connection;
}

/// Settings that differ during a bulk import. Call with the writer leased.
void SqliteBackend::prepare_writer() noexcept {
  const bool never = bulk_bytes_.load() != 0 || options_.checkpoint_pages == 0;
  traffic_.checkpoint_at(never ? Traffic::kNever : options_.checkpoint_pages);
}

/// Settings for readers and the writer.
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
  if (facts_.identity.empty()) return;
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

std::optional<Record> SqliteBackend::load(const port::Key& key) {
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
  return traffic_.reading({.space = port::Space::kNode, .a = id},
                          [&] { return read_node(id, reclaiming); });
}

std::optional<Record> SqliteBackend::read_node(std::int64_t id, bool& reclaiming) {
  const Lease lease = readers_.lease(options_.busy_timeout, "reading a record");
  Tables& tables = lease->tables();
  auto record = tables.load_node(id, reclaiming);
  if (!record) {
    // A rare case. It needs two statements, so it uses a transaction.
    lease->begin().execute();
    try {
      reclaiming = tables.reclaiming();
      record = tables.load({.space = port::Space::kNode, .a = id});
      lease->commit().execute();
    } catch (...) {
      lease->try_execute("ROLLBACK");
      throw;
    }
  }
  if (immutable_) require_unchanged();
  return record;
}

const port::MarkWords* SqliteBackend::live_mark() {
  refuse_after_fork(generation_, target_.name);
  if (immutable_) return nullptr;
  const std::scoped_lock lock(wal_index_mutex_);
  if (!closed_.load() && wal_index_generation_ != base::fork_generation()) {
    static_cast<void>(wal_index_.release());  // the parent's
    ring_in_use_.store(nullptr);
    wal_index_ = WalIndex::watch(open_reader());
    if (wal_index_ && ring_.attach()) ring_in_use_.store(&ring_, std::memory_order_release);
    wal_index_generation_ = base::fork_generation();
    live_mark_.store(wal_index_ ? &wal_index_->words() : nullptr);
    if (wal_index_ && !WalIndex::distinctive(port::read_mark(wal_index_->words()))) {
      leave_blank_mark();
    }
  }
  return live_mark_.load();
}

/// Commits only to change the state version: that of an empty WAL can recur with other data.
void SqliteBackend::leave_blank_mark() {
  if (options_.read_only) return;
  try {
    const Lease lease = writer_.lease(std::chrono::steady_clock::now(), "the first commit");
    lease->set_deadline(std::chrono::steady_clock::now() + kMarkPatience);
    if (kWritesStamps) {
      static_cast<void>(commit_stamp(*lease));
    } else {
      // Without a change SQLite writes nothing.
      lease->try_execute(
          "INSERT OR REPLACE INTO main.meta (key, value) VALUES ('opening', random())");
    }
  } catch (const BusyError&) {
    // Another process writes, which changes it too.
  }
}

/// Commits something that changes no record. Returns SQLite's code.
int SqliteBackend::commit_unchanged(Connection& connection, base::FunctionRef<int()> body) {
  const Unchanged told(connection, live_mark_.load(), ring_in_use_.load(std::memory_order_acquire));
  int code = connection.try_execute("BEGIN IMMEDIATE");
  if (code != SQLITE_OK) return code;
  try {
    code = body();
  } catch (...) {
    connection.try_execute("ROLLBACK");
    throw;
  }
  if (code == SQLITE_OK) code = connection.try_execute("COMMIT");
  if (code != SQLITE_OK) connection.try_execute("ROLLBACK");
  return code;
}

/// Commits only a new stamp and tells the caches that no record changed. False if the write lock is
/// not available in time.
bool SqliteBackend::commit_stamp(Connection& connection) noexcept {
  if (!kWritesStamps) return true;
  Stamp stamp;
  traffic_.stamping = true;
  const int code = commit_unchanged(connection, [&] {
    const int written = write_stamp(connection.handle());
    stamp = read_stamp(connection.handle());
    return written;
  });
  traffic_.stamping = false;
  if (code == SQLITE_OK) know_stamp(connection.handle(), stamp);
  return code == SQLITE_OK;
}

/// After a checkpoint the main file must have a stamp that no earlier state of it had. If the
/// newest stamp was not moved to it yet (a reader may have been in the way), that one will do.
void SqliteBackend::stamp_before_checkpoint(Connection& writer) {
  if (!kWritesStamps) return;
  bool due = false;
  {
    Statement reads(writer, "PRAGMA main.schema_version");
    Cursor cursor(reads);
    due =
        cursor.next() && !may_begin_wal(writer.handle()) && newest_stamp_is_moved(writer.handle());
  }
  if (due) static_cast<void>(commit_stamp(writer));
}

/// Waits until `until` for another running checkpoint, and for `patience` for writers and readers.
Traffic::Checkpointed SqliteBackend::checkpoint(Connection& writer, int mode, base::Deadline until,
                                                std::chrono::nanoseconds patience) {
  std::optional<Unchanged> told;  // truncating the WAL changes the state version
  return traffic_.checkpoint(writer.handle(), mode, until, [&] {
    told.reset();
    writer.set_deadline(
        std::min<base::Deadline>(until, std::chrono::steady_clock::now() + patience));
    stamp_before_checkpoint(writer);
    told.emplace(writer, live_mark_.load(), ring_in_use_.load(std::memory_order_acquire));
  });
}

/// Adds a stamp to a store from before there were stamps.
void SqliteBackend::mark_file() noexcept {
  try {
    const Lease lease = writer_.lease(std::chrono::steady_clock::now(), "opening the store");
    lease->set_deadline(std::chrono::steady_clock::now());
    if (commit_stamp(*lease)) {
      traffic_.checkpoint(lease->handle(), SQLITE_CHECKPOINT_TRUNCATE);
    }
  } catch (const std::exception&) {
    // In use elsewhere: the next process that opens it alone does it.
  }
}

std::unique_ptr<port::View> SqliteBackend::view() {
  refuse_after_fork(generation_, target_.name);
  return std::make_unique<SqliteView>(source_);
}

std::unique_ptr<port::WriteTransaction> SqliteBackend::begin(base::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  if (options_.read_only) {
    throw UsageError(target_.name + " was opened read-only; open it for writing to change it");
  }
  require_writable();
  Lease lease = writer_.lease(deadline, "a transaction");
  require_writable();  // the last user of the writer may have found out
  if (!owners_.join_writers()) throw_claimed();
  prepare_writer();
  lease->set_deadline(deadline);
  const int code = lease->begin_immediate().try_execute();
  if ((code & 0xff) == SQLITE_BUSY) {
    lease->rethrow_interrupt();
    throw BusyError(target_.name + " is being written by " + write_lock_holder(target_.path) +
                    ", which did not end its transaction in time; wait longer, or end it there");
  }
  if (code != SQLITE_OK) lease->fail(code);
  try {
    standing_.before_commit(*lease);
  } catch (...) {
    lease->try_execute("ROLLBACK");
    throw;
  }
  return std::make_unique<SqliteTransaction>(target_.name, std::move(lease), standing_, live_mark_);
}

/// UnavailableError if the next commit might be lost, or might follow one with unknown outcome.
void SqliteBackend::require_writable() const {
  standing_.require();
  if (standing_.doubtful() && !claimed_.load()) {
    throw UnavailableError("an earlier commit to " + target_.name +
                           " failed, and it is not known whether the file has it, so nothing more "
                           "is written; check the disk, then close the store and open it again");
  }
}

void SqliteBackend::throw_claimed() const {
  const auto [process, this_copy] = owners_.only_writer();
  throw BusyError((this_copy               ? "this process"
                   : process == ::getpid() ? "another copy of graven in this process"
                   : process != 0          ? "process " + std::to_string(process)
                                           : std::string("another process")) +
                  " has " + target_.name +
                  " open with persist=lazy and is its only writer until it closes it; open it "
                  "read-only to read");
}

port::Lease SqliteBackend::acquire(const port::Partition&, base::Deadline deadline) {
  refuse_after_fork(generation_, target_.name);
  for (base::InterruptPoll poll; !owners_.claim(); poll()) {
    const Owners::OnlyWriter writer = owners_.only_writer();
    if (writer.this_copy && std::chrono::steady_clock::now() < deadline) {
      // A store of this process that is just being closed.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (writer.process != 0) throw_claimed();
    throw BusyError(target_.name +
                    " is open elsewhere and has been written there, and a lazy store has one "
                    "writer; close it there first, or open it with persist=writethrough");
  }
  claimed_ = true;
  return {.token = kLeaseToken, .until = base::Deadline::max(), .state = {}};
}

/// begin() has kept out others while this process is the exclusive writer, and this process while
/// another one is.
port::CommitResult SqliteBackend::admit(const port::Batch& batch) {
  if (batch.fence == 0 || (batch.fence == kLeaseToken && claimed_.load())) return {};
  return {.outcome = port::Outcome::kNotDone, .reason = port::Reason::kFenced};
}

void SqliteBackend::close() noexcept {
  if (closed_.exchange(true)) return;
  stamp_last();
  const auto until = std::chrono::steady_clock::now() + kLastReads;
  readers_.close();
  writer_.close();
  for (;;) {
    const bool ended = reads_.end_all();
    const auto now = std::chrono::steady_clock::now();
    if ((readers_.wait_until_closed(now + kAskAgain) && ended) || now >= until) break;
    readers_.interrupt();  // also what they begin next
  }
  writer_.wait_until_closed(until);
  {
    const std::scoped_lock lock(wal_index_mutex_);
    if (wal_index_ && wal_index_generation_ == base::fork_generation()) wal_index_->let_go();
  }
  ring_.close();
  owners_.close();
}

void prepare() {
#ifndef GRAVEN_SQLITE_SYSTEM
  guard_sqlite_against_fork();
  static_cast<void>(file_layer_over({}));
#endif
}

std::unique_ptr<port::Backend> open(const std::string& path, const Options& options) {
  if (options.max_readers < 1) throw UsageError("pool_size must be at least 1");
  guard_sqlite_against_fork();
  return std::make_unique<SqliteBackend>(path, options);
}

}  // namespace graven::sqlite
