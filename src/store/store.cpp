// SPDX-License-Identifier: MIT
//
// Writes and transactions. A transaction is found again by a thread-local list, for there are
// seldom more than one; its own mutex keeps its thread and the housekeeper apart.
#include "store/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "base/of_thread.hpp"
#include "store/writing.hpp"

namespace graven::store {

using Clock = std::chrono::steady_clock;

namespace {
constexpr HotLimits kCacheLimits{.max_bytes = std::size_t{64} << 20U};
constexpr std::size_t kWarmBytes = std::size_t{64} << 20U;
constexpr auto kLastWrite = std::chrono::seconds(1);
}  // namespace

struct Store::Transaction {
  const Store* store = nullptr;
  std::string identity{};  // the backend's
  std::uint64_t generation = 0;
  std::chrono::milliseconds limit{};
  std::chrono::milliseconds busy{};
  Deadline expires{};
  bool durable = false;  // to be, by a commit inside it

  std::mutex mutex;
  // Guarded by mutex, for the housekeeper may roll back:
  std::optional<Writing> writing;  // empty once rolled back
  int depth = 1;
  bool expired = false;
};

GRAVEN_NEAR_TLS constinit thread_local std::uint32_t open_in_thread = 0;

namespace {

// The calling thread's open transactions, one per store at most.
template <class T>
std::vector<std::shared_ptr<T>>& transactions_of_thread() {
  return base::of_thread<std::vector<std::shared_ptr<T>>>();
}

}  // namespace

Store::Store(std::unique_ptr<Backend> backend, CommitHook& hook)
    : backend_(std::move(backend)),
      cache_(*backend_, kCacheLimits, kWarmBytes, &table_share_),
      hook_(hook),
      housekeeper_([this] { return chore(); }) {
  backend_->when_due([this](Deadline when) { housekeeper_.wake(when); });
  if (backend_->bound_pending(Share::kUnbounded)) {
    pending_part_ =
        pending_share_.join([this](std::size_t bytes) { backend_->bound_pending(bytes); });
  }
}

void Store::bound_memory(std::size_t bytes) {
  // Tables have the most of it; an eighth is left for indexes of warm files and what a write
  // takes while it lasts.
  table_share_.set_total(bytes / 8 * 3);
  pending_share_.set_total(bytes / 4);
  backend_->bound_page_caches(bytes / 4);
  warm_limit_.store(bytes / 8, std::memory_order_relaxed);
  cache_.bound_warm(bytes / 8);
}

Store::~Store() { stop(); }

void Store::stop() noexcept {
  housekeeper_.stop();
  std::shared_ptr<Transaction> open;
  {
    const std::scoped_lock lock(open_mutex_);
    open = open_;
  }
  if (open && open->generation == base::fork_generation()) {
    const std::scoped_lock lock(open->mutex);
    open->expired = true;
    end(*open);
  }
}

Store::Transaction* Store::current() const noexcept {
  if (open_in_thread == 0) return nullptr;
  for (const auto& transaction : transactions_of_thread<Transaction>()) {
    if (transaction->store == this) return transaction.get();
  }
  return nullptr;
}

void Store::refuse_beside_transaction() const {
  for (const auto& other : transactions_of_thread<Transaction>()) {
    const std::scoped_lock lock(other->mutex);
    if (other->writing && other->generation == base::fork_generation() &&
        other->identity == backend_->identity()) {
      throw UsageError(fmt::format(
          "this thread has a transaction open on {}, opened with other settings, which a "
          "write here would wait for: open both with the same `synchronous`",
          backend_->name()));
    }
  }
}

void Store::commit_work(Work& work, WriteTransaction& writes) {
  bool committed = false;
  struct Always {
    CommitHook& hook;
    bool& committed;
    ~Always() { hook.after_commit(committed); }
  } always{hook_, committed};
  hook_.before_commit(work);  // it may have something to write where the work has not
  if (!work.empty()) {
    work.finish();
    cache_.prepare_own(work.changes());
    try {
      const base::Timed timed(activity_.commit, activity_.slow, "commit", backend_->name(), [&] {
        return LogField{"wrote", describe(work)};
      });
      writes.commit(work.commit_id());
    } catch (...) {
      activity_.counts.add(Event::kFailedCommits);
      throw;
    }
    commits_.fetch_add(1, std::memory_order_release);
    activity_.counts.add(Event::kCommits);
    activity_.counts.add(Event::kRecords, work.applied_records());
    activity_.counts.add(Event::kBytes, work.applied_bytes());
  }
  committed = true;
}

void Store::write(base::FunctionRef<void(Work&)> mutation, const Limits& limits) {
  const bool inside = with_current([&](Work& work) {
    work.begin_mutation();
    try {
      mutation(work);
    } catch (...) {
      work.drop_mutation();
      throw;
    }
    work.end_mutation();
  });
  if (inside) return;
  refuse_beside_transaction();
  const Deadline deadline = Clock::now() + limits.busy;
  if (backend_->commits_are_slow()) {
    queue_.write(mutation, [&] { write_queued(deadline); });
  } else {
    write_apart(mutation, deadline);
  }
}

void Store::sync(Deadline deadline) {
  if (in_transaction()) throw UsageError("a transaction is open on this thread: end it first");
  const std::uint64_t before = syncs_begun_.load();
  const LaneHold hold(lane_, activity_, deadline, "a sync");
  if (syncs_done_ > before) return;
  const std::uint64_t number = syncs_begun_.fetch_add(1) + 1;
  backend_->sync();
  syncs_done_ = number;
}

void Store::make_durable(Deadline deadline) {
  if (Transaction* transaction = current()) {
    transaction->durable = true;
    return;
  }
  if (backend_->commits_are_slow()) return;  // each one has waited for the disk
  try {
    sync(deadline);
  } catch (const Error& error) {
    throw CommitUnknownError(
        fmt::format("what was to be durable is committed, but may not survive a loss of power: {}; "
                    "wait_durable() tries again",
                    error.what()));
  }
}

void Store::flush() {
  if (in_transaction()) {
    throw UsageError("flush() inside a transaction: call it before or after");
  }
  backend_->flush();
}

void Store::begin_bulk(std::size_t cache_bytes) { backend_->begin_bulk(cache_bytes); }

bool Store::end_bulk(Deadline deadline) {
  // The settings are restored also where the writer is not to be had; the rest is then left.
  std::optional<LaneHold> hold;
  try {
    if (!in_transaction()) hold.emplace(lane_, activity_, deadline, "the end of a bulk import");
  } catch (const BusyError&) {
  }
  try {
    return backend_->end_bulk(hold ? deadline : Clock::now());
  } catch (const BusyError&) {
    return false;
  } catch (const ClosedError&) {
    return true;  // nothing of it is left
  }
}

bool Store::join() {
  const std::scoped_lock lock(users_mutex_);
  if (!ended_) ++users_;
  return !ended_;
}

bool Store::used() {
  const std::scoped_lock lock(users_mutex_);
  return users_ > 0;
}

void Store::leave() noexcept {
  const std::scoped_lock lock(users_mutex_);
  if (--users_ > 0) return;
  ended_ = true;
  close();
}

void Store::close() noexcept {
  housekeeper_.stop();
  // A write that is under way ends first.
  std::optional<LaneHold> hold;
  try {
    hold.emplace(lane_, activity_, Clock::now() + kLastWrite, "closing the store");
  } catch (const std::exception&) {
    // It takes long: it finds the store closed when it is done.
  }
  backend_->close();
  cache_.close();
}

Use::Use(std::shared_ptr<Store> store) : store_(std::move(store)) {
  if (!store_->join()) {
    store_.reset();
    throw ClosedError("the store was closed; open it again");
  }
}

void Use::end() noexcept {
  if (store_) store_->leave();
  store_.reset();
}

void Store::write_apart(base::FunctionRef<void(Work&)> body, Deadline deadline) {
  const LaneHold hold(lane_, activity_, deadline, "a write");
  Writing writing(*this, deadline);
  body(*writing.work);
  commit_work(*writing.work, *writing.writes);
}

void Store::write_queued(Deadline deadline) {
  const LaneHold hold(lane_, activity_, deadline, "a write");
  Writing writing(*this, deadline);
  const auto& batch = queue_.take();
  if (batch.size() == 1) {
    batch.front()->mutation(*writing.work);
  } else {
    for (CommitQueue::Request* request : batch) {
      writing.work->begin_mutation();
      try {
        request->mutation(*writing.work);
      } catch (...) {
        request->error = std::current_exception();
        writing.work->drop_mutation();
        continue;
      }
      writing.work->end_mutation();
    }
  }
  commit_work(*writing.work, *writing.writes);
}

bool Store::with_current(base::FunctionRef<void(Work&)> body) {
  Transaction* transaction = current();
  if (transaction == nullptr) return false;
  if (transaction->generation != base::fork_generation()) {
    throw UsageError(
        "this transaction was begun by the parent process: a forked child cannot go on "
        "with it; roll it back and begin another");
  }
  const std::scoped_lock lock(transaction->mutex);
  if (transaction->expired) {
    throw TransactionExpiredError(fmt::format(
        "the transaction was rolled back because it outlived its limit of {} ms; do long "
        "work outside, or raise transaction_limit",
        transaction->limit.count()));
  }
  body(*transaction->writing->work);
  return true;
}

void Store::begin(const Limits& limits) {
  if (current() != nullptr) {
    with_current([&](Work& work) { work.savepoint(); });
    ++current()->depth;
    return;
  }
  refuse_beside_transaction();
  const Deadline deadline = Clock::now() + limits.busy;
  LaneHold hold(lane_, activity_, deadline, "a transaction");
  auto transaction = std::make_shared<Transaction>();
  transaction->store = this;
  transaction->identity = backend_->identity();
  transaction->generation = base::fork_generation();
  transaction->limit = limits.transaction;
  transaction->busy = limits.busy;
  transaction->writing.emplace(*this, deadline);
  if (limits.read_cache != 0) transaction->writing->work->expect_much(limits.read_cache);
  transaction->expires = Clock::now() + limits.transaction;
  {
    const std::scoped_lock lock(open_mutex_);
    open_ = transaction;
  }
  transactions_of_thread<Transaction>().push_back(transaction);
  ++open_in_thread;
  hold.keep();
  housekeeper_.wake(transaction->expires);
}

/// Rolls back what is not committed, frees the lane. Under the transaction's mutex; once.
void Store::end(Transaction& transaction) noexcept {
  if (!transaction.writing) return;
  transaction.writing.reset();
  {
    const std::scoped_lock lock(open_mutex_);
    open_.reset();
  }
  lane_.release();
}

void Store::commit(bool durable) {
  Transaction* transaction = current();
  if (transaction == nullptr) throw UsageError("commit without a transaction on this thread");
  if (transaction->depth > 1) {
    with_current([](Work& work) { work.release_savepoint(); });
    --transaction->depth;
    transaction->durable = transaction->durable || durable;
    return;
  }
  auto& mine = transactions_of_thread<Transaction>();
  const auto at = std::find_if(mine.begin(), mine.end(),
                               [&](const auto& other) { return other.get() == transaction; });
  const std::shared_ptr<Transaction> keep = *at;
  try {
    with_current([&](Work& work) { commit_work(work, *keep->writing->writes); });
  } catch (...) {
    rollback();
    throw;
  }
  activity_.counts.add(Event::kCommitted);
  mine.erase(std::find(mine.begin(), mine.end(), keep));
  --open_in_thread;
  {
    const std::scoped_lock lock(keep->mutex);
    end(*keep);
  }
  if (durable || keep->durable) make_durable(Clock::now() + keep->busy);
}

void Store::rollback() {
  Transaction* transaction = current();
  if (transaction == nullptr) throw UsageError("rollback without a transaction on this thread");
  const bool inherited = transaction->generation != base::fork_generation();
  if (transaction->depth > 1) {
    --transaction->depth;
    if (inherited) return;
    const std::scoped_lock lock(transaction->mutex);
    if (!transaction->expired) transaction->writing->work->rollback_to_savepoint();
    return;
  }
  auto& mine = transactions_of_thread<Transaction>();
  const auto at = std::find_if(mine.begin(), mine.end(),
                               [&](const auto& other) { return other.get() == transaction; });
  const std::shared_ptr<Transaction> keep = std::move(*at);
  mine.erase(at);
  --open_in_thread;
  if (inherited) return;
  const std::scoped_lock lock(keep->mutex);
  if (!keep->expired) activity_.counts.add(Event::kRolledBack);
  end(*keep);
}

bool Store::transaction_open() {
  const std::scoped_lock lock(open_mutex_);
  return open_ != nullptr;
}

void Store::log_slower_than(std::chrono::milliseconds limit) {
  activity_.slow.set(limit);
  backend_->log_slower_than(limit);
}

std::optional<Deadline> Store::chore() {
  const std::optional<Deadline> tended = backend_->tend();
  const std::optional<Deadline> rest = chore_in_lane();
  return tended && rest ? std::min(tended, rest) : tended ? tended : rest;
}

std::optional<Deadline> Store::chore_in_lane() {
  std::shared_ptr<Transaction> open;
  {
    const std::scoped_lock lock(open_mutex_);
    open = open_;
  }
  if (open) {
    // The lane is taken: the hook would only wait for it, and keep this thread from ending a
    // transaction in time.
    if (Clock::now() < open->expires) {
      return std::min(open->expires, Clock::now() + std::chrono::milliseconds(250));
    }
    expire(*open);
  }
  return hook_.chore();
}

void Store::expire(Transaction& transaction) {
  const std::scoped_lock lock(transaction.mutex);
  if (!transaction.writing) return;
  transaction.expired = true;
  end(transaction);
  activity_.counts.add(Event::kExpired);
  base::log(LogLevel::kWarning, "transaction_expired",
            {{"limit_ms", std::to_string(transaction.limit.count())}, {"store", backend_->name()}});
}

void Store::prepare_fork() noexcept {
  queue_.prepare_fork();
  open_mutex_.lock();
  lane_.prepare_fork();
  housekeeper_.prepare_fork();
  cache_.prepare_fork();
}

void Store::parent_after_fork() noexcept {
  cache_.parent_after_fork();
  housekeeper_.parent_after_fork();
  lane_.parent_after_fork();
  open_mutex_.unlock();
  queue_.parent_after_fork();
}

void Store::child_after_fork() noexcept {
  cache_.child_after_fork();
  housekeeper_.child_after_fork();
  lane_.child_after_fork();
  if (open_) {
    // The parent's transaction: kept as it is for ever, for ending it would touch the parent's
    // connection. The thread that has it learns of it at its next use.
    new std::shared_ptr<Transaction>(std::move(open_));
    open_.reset();
  }
  open_mutex_.unlock();
  new (&users_mutex_) std::mutex;  // its holder, if any, was a thread of the parent's
  queue_.child_after_fork();
}

}  // namespace graven::store
