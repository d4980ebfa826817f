// SPDX-License-Identifier: MIT
//
// Applies changes and commits them.
//
// When COMMIT fails, all its frames may still be in the WAL. SQLite publishes a commit in the
// shared WAL index last, so no process sees it; but after a crash of all of them, recovery would
// read the frames and the failed commit would appear. So settle() checks, under the write lock,
// whether the commit is there. If not, it commits a *fence* (the clock record, advanced) over those
// frames. The fence changes the checksum that all later frames depend on, so none of the old frames
// can become valid again.
//
// One thread at a time.
#include "backends/sqlite/write_transaction.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <new>

#include "backends/sqlite/vfs/file_layer.hpp"
#include "backends/sqlite/vfs/fork.hpp"
#include "backends/sqlite/vfs/wal_index.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

using port::Change;
using port::Record;

constexpr std::size_t kTraces = 16;
constexpr std::size_t kTracesOfItems = 4;
constexpr auto kSettlePatience = std::chrono::seconds(10);

std::size_t hash_of(const Record& record) {
  std::size_t hash = std::hash<std::string_view>()(record.body);
  for (const std::int64_t integer : record.integers) {
    hash = hash * 31 + static_cast<std::size_t>(integer);
  }
  return hash;
}

}  // namespace

SqliteTransaction::SqliteTransaction(const std::string& name, Lease lease, Standing& standing,
                                     const std::atomic<const port::MarkWords*>& live)
    : name_(name),
      generation_(base::fork_generation()),
      lease_(std::move(lease)),
      standing_(standing),
      live_(live),
      data_version_((*lease_)->data_version()) {}

SqliteTransaction::~SqliteTransaction() {
  if (!lease_ || !lease_->ours()) return;
  if ((*lease_)->in_transaction()) {
    (*lease_)->try_execute("ROLLBACK");
    (*lease_)->tables().rolled_back();
  }
  if (released_) before_write_unlock((*lease_)->handle(), nullptr, nullptr);
}

void SqliteTransaction::when_released(std::function<void(const port::Mark*)> call) {
  const port::MarkWords* live = live_.load();
  if (live == nullptr) return;
  released_ = std::move(call);
  commits_ = WalIndex::commits(port::read_mark(*live));
  before_write_unlock((*lease_)->handle(), before_unlock, this);
}

void SqliteTransaction::before_unlock(void* context) {
  auto& self = *static_cast<SqliteTransaction*>(context);
  before_write_unlock((*self.lease_)->handle(), nullptr, nullptr);
  const port::Mark now = port::read_mark(*self.live_.load());
  // A failed commit may also have started the WAL over, which changes the header too.
  const bool committed = WalIndex::commits(now) != self.commits_;
  if (committed) self.look();
  self.released_(committed && self.in_place_.value_or(true) ? &now : nullptr);
}

/// Called between publishing the commit and putting it into the cache: checks that the files are
/// still the store's, so that whoever opens the store now sees the commit.
void SqliteTransaction::look() {
  try {
    in_place_ = standing_.published(**lease_);
  } catch (const std::bad_alloc&) {
    // No exception may pass through SQLite's frames. commit() repeats the look.
  }
}

Connection& SqliteTransaction::open_connection() {
  if (generation_ != base::fork_generation()) throw_begun_by_parent(name_);
  if (!lease_) throw UsageError("the transaction on " + name_ + " has ended");
  Connection& connection = **lease_;
  if (!connection.in_transaction()) {
    throw UnavailableError("the transaction on " + name_ + " was rolled back" +
                           (failed_.empty() ? std::string() : " after an error: " + failed_) +
                           "; nothing was changed");
  }
  return connection;
}

Connection& SqliteTransaction::sound_connection() {
  Connection& connection = open_connection();
  if (!failed_.empty()) {
    throw UnavailableError("the transaction on " + name_ +
                           " cannot go on after an error: " + failed_ + "; roll it back");
  }
  return connection;
}

std::optional<Record> SqliteTransaction::load(const port::Key& key) {
  return open_connection().tables().load(key);
}

void SqliteTransaction::load_many(std::span<const port::Key> keys,
                                  const std::function<void(std::size_t, Record*)>& each) {
  open_connection().tables().load_many(keys, each);
}

std::vector<port::Row> SqliteTransaction::scan(const port::Range& range, std::size_t limit) {
  return open_connection().tables().scan(range, limit);
}

std::uint64_t SqliteTransaction::count_items(std::int64_t map) {
  return open_connection().tables().count_items(map);
}

namespace {

/// Rows that are all fetched at once: a statement that writes must not be running at COMMIT.
class FetchedRows final : public port::SqlRows {
 public:
  explicit FetchedRows(RawRun& run) : columns_(run.columns()), writes_(run.writes()) {
    while (run.fetch(rows_, SIZE_MAX)) {
    }
    changes_ = run.changes();
    last_rowid_ = run.last_rowid();
  }
  [[nodiscard]] const std::vector<std::string>& columns() const override { return columns_; }
  bool fetch(std::vector<port::SqlRow>& rows, std::size_t most) override {
    for (; most > 0 && next_ < rows_.size(); --most) rows.push_back(std::move(rows_[next_++]));
    return next_ < rows_.size();
  }
  [[nodiscard]] std::int64_t changes() const override { return changes_; }
  [[nodiscard]] std::int64_t last_rowid() const override { return last_rowid_; }
  [[nodiscard]] bool writes() const override { return writes_; }

 private:
  std::vector<std::string> columns_;
  std::vector<port::SqlRow> rows_;
  std::size_t next_ = 0;
  std::int64_t changes_ = 0;
  std::int64_t last_rowid_ = 0;
  bool writes_;
};

}  // namespace

std::unique_ptr<port::SqlRows> SqliteTransaction::sql(std::string_view text,
                                                      const port::SqlParameters& parameters) {
  Connection& connection = sound_connection();
  RawRun run(connection, text, parameters);
  return std::make_unique<FetchedRows>(run);
}

void SqliteTransaction::apply(std::span<const Change> changes) {
  Tables& tables = sound_connection().tables();
  try {
    while (!changes.empty()) {
      std::size_t done = 1;
      const Change& change = changes.front();
      if (tables.put_rows(changes)) {
        done = Tables::kRowsTogether;
      } else if (change.record) {
        tables.put(change.key, *change.record);
      } else {
        tables.erase(change.key);
      }
      for (const Change& one : changes.first(done)) remember(one);
      changes = changes.subspan(done);
    }
  } catch (const std::exception& error) {
    failed_ = error.what();
    throw;
  }
}

void SqliteTransaction::insert(const port::NewRows& rows) {
  Tables& tables = sound_connection().tables();
  try {
    tables.insert(rows);
  } catch (const std::exception& error) {
    failed_ = error.what();
    throw;
  }
  for (std::size_t row = 0; row < rows.size() && traces_.size() < kTraces; ++row) {
    if (!port::schema(rows.space()).has_version) break;
    remember({rows.key(row), rows.record(row)});
  }
}

std::size_t SqliteTransaction::erase_first(port::Space space, std::int64_t a, std::size_t limit) {
  Tables& tables = sound_connection().tables();
  try {
    return tables.erase_first(space, a, limit);
  } catch (const std::exception& error) {
    failed_ = error.what();
    throw;
  }
}

void SqliteTransaction::remember(const Change& change) {
  if (change.key == port::clock_key()) {
    clocked_ = true;
    return;
  }
  const bool clocked = port::clocked(change.key.space);
  if (clocked && !port::schema(change.key.space).has_version) return;
  if (!clocked) {
    for (Trace& trace : traces_) trace.overwritten = trace.overwritten || trace.key == change.key;
  }
  if (traces_.size() >= (clocked ? kTraces : kTracesOfItems)) return;
  if (change.record) {
    traces_.push_back({change.key, change.record->version, hash_of(*change.record)});
  } else {
    traces_.push_back({change.key, 0, 0});
  }
}

void SqliteTransaction::require_depth(int depth, std::size_t count) const {
  if (depth < 0 || static_cast<std::size_t>(depth) >= count) {
    throw UsageError("no savepoint of depth " + std::to_string(depth) + " in the transaction on " +
                     name_);
  }
}

void SqliteTransaction::savepoint(int depth) {
  Connection& connection = sound_connection();
  require_depth(depth, savepoints_.size() + 1);
  if (static_cast<std::size_t>(depth) < savepoints_.size()) release(depth);
  connection.execute(("SAVEPOINT s" + std::to_string(depth)).c_str());
  savepoints_.push_back(traces_.size());
}

void SqliteTransaction::rollback_to(int depth) {
  Connection& connection = sound_connection();
  require_depth(depth, savepoints_.size());
  connection.execute(("ROLLBACK TO s" + std::to_string(depth)).c_str());
  connection.tables().rolled_back();
  savepoints_.resize(static_cast<std::size_t>(depth) + 1);
  traces_.resize(std::min(traces_.size(), savepoints_.back()));
}

void SqliteTransaction::release(int depth) {
  Connection& connection = sound_connection();
  require_depth(depth, savepoints_.size());
  connection.execute(("RELEASE s" + std::to_string(depth)).c_str());
  savepoints_.resize(static_cast<std::size_t>(depth));
}

void SqliteTransaction::commit(std::uint64_t id) {
  Connection& connection = sound_connection();
  const int code = connection.commit().try_execute();
  if (code == SQLITE_OK) {
    connection.tables().committed(data_version_);
    if (!in_place_) in_place_ = standing_.published(connection);
    if (!*in_place_) {
      const CommitUnknownError error = standing_.unknown();
      lease_.reset();
      throw CommitUnknownError(error);
    }
    standing_.note_main(connection);
    lease_.reset();
    return;
  }
  const Fault why = connection.fault(code);
  if (connection.in_transaction()) connection.try_execute("ROLLBACK");
  connection.tables().rolled_back();
  data_version_ = connection.data_version();  // our commit changed it, if it succeeded
  before_write_unlock(connection.handle(), nullptr, nullptr);
  const Lease lease = std::move(*lease_);
  lease_.reset();
  settle(*lease, id, why);
}

SqliteTransaction::Outcome SqliteTransaction::look_for(Connection& connection, std::uint64_t id,
                                                       std::uint64_t clock) const {
  if (!clocked_) return look_for_items(connection);
  if (clock < id) return Outcome::kNotThere;
  if (clock == id && connection.data_version() == data_version_) return Outcome::kThere;
  // Others have committed since. If our commit is not there, the clock may be theirs, even with our
  // id. So look at the versions of our records: versions only grow.
  Tables& tables = connection.tables();
  for (std::size_t i = 0; i < traces_.size(); ++i) {
    const Trace& trace = traces_[i];
    if (!port::schema(trace.key.space).has_version) continue;
    const bool later =
        std::any_of(traces_.begin() + static_cast<std::ptrdiff_t>(i) + 1, traces_.end(),
                    [&](const Trace& other) { return other.key == trace.key; });
    if (later) continue;
    const std::optional<Record> record = tables.load(trace.key);
    if (!record) continue;
    if (record->version < id) return Outcome::kNotThere;
    if (record->version > id) continue;
    const bool same = trace.version == id && trace.content == hash_of(*record);
    return same ? Outcome::kThere : Outcome::kNotThere;
  }
  return Outcome::kUnknown;
}

/// For a commit without the clock record. If all records are as it would have left them, it counts
/// as there. Counters are not proof: another commit may have led to the same value.
SqliteTransaction::Outcome SqliteTransaction::look_for_items(Connection& connection) const {
  const bool alone = connection.data_version() == data_version_;
  bool any = false;
  for (const Trace& trace : traces_) {
    if (trace.overwritten) continue;
    any = true;
    const std::optional<Record> record = connection.tables().load(trace.key);
    const bool same = trace.content == (record ? hash_of(*record) : 0);
    if (!same) return alone ? Outcome::kNotThere : Outcome::kUnknown;
    if (!alone && trace.key.space == port::Space::kCounter) return Outcome::kUnknown;
  }
  return any ? Outcome::kThere : Outcome::kUnknown;
}

void SqliteTransaction::settle(Connection& connection, std::uint64_t id, const Fault& why) {
  // SQLite reports a full disk while it writes frames, so the last frame, which makes them a
  // commit, is incomplete. There is nothing to fence off, and no space for it.
  const bool full = why.primary() == SQLITE_FULL;
  const base::Uninterrupted until_it_is_known;
  Outcome outcome = Outcome::kUnknown;
  std::string obstacle;
  try {
    connection.set_deadline(std::chrono::steady_clock::now() + kSettlePatience);
    connection.begin_immediate().execute();
    Tables& tables = connection.tables();
    Record clock = tables.load(port::clock_key()).value_or(Record{});
    outcome = look_for(connection, id, clock.version);
    if (outcome == Outcome::kNotThere && !full) {
      outcome = Outcome::kUnknown;  // until the fence is committed
      clock.integers[0] = std::max(clock.integers[0], static_cast<std::int64_t>(id)) + 1;
      clock.version = static_cast<std::uint64_t>(clock.integers[0]);
      tables.put(port::clock_key(), clock);
      connection.commit().execute();
      outcome = Outcome::kNotThere;
    }
  } catch (const std::exception& error) {
    obstacle = error.what();
    if (full) outcome = Outcome::kNotThere;
  }
  if (connection.in_transaction()) connection.try_execute("ROLLBACK");
  connection.tables().rolled_back();
  switch (outcome) {
    case Outcome::kThere:
      return;
    case Outcome::kNotThere:
      if (full) throw_fault(why, name_);
      throw UnavailableError("the commit to " + name_ + " failed (" + describe(why) +
                             "); nothing was changed. Check the disk and try again");
    case Outcome::kUnknown:
      break;
  }
  standing_.doubt();
  throw CommitUnknownError("the commit to " + name_ + " failed (" + describe(why) +
                           ") and it is not known whether it is durable" +
                           (obstacle.empty() ? std::string() : " (" + obstacle + ")") +
                           "; check the disk, open the store again and look whether it is there");
}

}  // namespace graven::sqlite
