// SPDX-License-Identifier: MIT
//
// Writes, and the store's part of transactions; the rest of transactions is in transaction.cpp.
#include "store/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "base/interrupt.hpp"
#include "store/transaction.hpp"
#include "store/writing.hpp"

namespace graven::store {

using Clock = std::chrono::steady_clock;

namespace {
constexpr cache::HotLimits kCacheLimits{.max_bytes = std::size_t{64} << 20U};
constexpr std::size_t kWarmBytes = std::size_t{64} << 20U;
constexpr auto kLastWrite = std::chrono::seconds(1);
}  // namespace

Store::Store(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)),
      cache_(*backend_, kCacheLimits, kWarmBytes, &table_share_),
      housekeeper_([this] { return chore(); }) {
  backend_->when_due([this](Deadline when) { housekeeper_.wake(when); });
  if (backend_->bound_pending(cache::Share::kUnbounded)) {
    pending_part_ =
        pending_share_.join([this](std::size_t bytes) { backend_->bound_pending(bytes); });
  }
}

void Store::bound_memory(std::size_t bytes) {
  // Hot tables get most of it. An eighth is left for the indexes of warm files and for memory that
  // a write needs while it runs.
  table_share_.set_total(bytes / 8 * 3);
  pending_share_.set_total(bytes / 4);
  backend_->bound_page_caches(bytes / 4);
  warm_limit_.store(bytes / 8, std::memory_order_relaxed);
  cache_.bound_warm(bytes / 8);
}

Store::~Store() {
  stop();
  delete hook_.load();
}

CommitHook& Store::hook(base::FunctionRef<std::unique_ptr<CommitHook>()> make) {
  CommitHook* there = hook_.load(std::memory_order_acquire);
  if (there != nullptr) return *there;
  std::unique_ptr<CommitHook> made = make();
  if (!hook_.compare_exchange_strong(there, made.get())) return *there;  // another thread was first
  return *made.release();
}

void Store::stop() noexcept {
  stopping_.store(true);
  housekeeper_.stop();
  if (const auto transaction = open(); transaction && transaction->own()) {
    transaction->end_all(Transaction::End::kClosed);
  }
}

Transaction* Store::current() const noexcept {
  return open_in_thread == 0 ? nullptr : ThreadTransactions::get().find(*this);
}

void Store::refuse_beside_transaction() const {
  if (open_in_thread == 0) return;
  Transaction* other = ThreadTransactions::get().on_store(backend_->identity());
  if (other == nullptr) return;
  other->require_open();
  throw UsageError(
      fmt::format("this thread has a transaction open on {}, which was opened with other settings; "
                  "a write here would wait for it for ever: open both with the same `synchronous`",
                  backend_->name()));
}

void Store::commit_work(Work& work, WriteTransaction& writes) {
  bool committed = false;
  struct Always {
    CommitHook* hook;
    bool& committed;
    ~Always() {
      if (hook != nullptr) hook->after_commit(committed);
    }
  } always{hook_.load(std::memory_order_acquire), committed};
  // The hook may write even if the work has not.
  if (always.hook != nullptr) always.hook->before_commit(work);
  if (!work.empty()) {
    work.finish();
    cache_.prepare_own(work.changes(), &work.touched());
    try {
      const observe::Timed timed(activity_.commit, activity_.slow, "commit", backend_->name(), [&] {
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
    transaction->make_durable();
    return;
  }
  if (backend_->commits_are_slow()) return;  // each one has waited for the disk
  try {
    sync(deadline);
  } catch (const Error& error) {
    throw CommitUnknownError(
        fmt::format("the changes are committed, but may not survive a loss of power: {}; "
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
  // The settings are restored even if the writer lock cannot be had; the rest is then not done.
  std::optional<LaneHold> hold;
  try {
    if (!in_transaction()) hold.emplace(lane_, activity_, deadline, "the end of a bulk import");
  } catch (const BusyError&) {
  } catch (...) {  // interrupted
    restore_bulk();
    throw;
  }
  try {
    return backend_->end_bulk(hold ? deadline : Clock::now());
  } catch (const BusyError&) {
    return false;
  } catch (const ClosedError&) {
    return true;  // the store is closed, so nothing is left to do
  }
}

void Store::restore_bulk() noexcept {
  const base::Uninterrupted now;
  try {
    backend_->end_bulk(Clock::now());
  } catch (const std::exception&) {
    // The settings are restored first.
  }
}

bool Store::join() {
  const std::scoped_lock lock(*users_mutex_);
  if (!ended_) ++users_;
  return !ended_;
}

bool Store::used() {
  const std::scoped_lock lock(*users_mutex_);
  return users_ > 0;
}

void Store::leave() noexcept {
  const base::Uninterrupted to_the_end;
  const std::scoped_lock lock(*users_mutex_);
  if (--users_ > 0) return;
  ended_ = true;
  close();
}

void Store::close() noexcept {
  stopping_.store(true);
  housekeeper_.stop();
  // A write that is in progress ends first.
  std::optional<LaneHold> hold;
  try {
    hold.emplace(lane_, activity_, Clock::now() + kLastWrite, "closing the store");
  } catch (const std::exception&) {
    // If that takes too long: the write finds the store closed when it ends.
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
    const base::Uninterrupted others_too;  // this thread's interrupt must not end others' writes
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
    return commit_work(*writing.work, *writing.writes);
  }
  commit_work(*writing.work, *writing.writes);
}

bool Store::with_current(base::FunctionRef<void(Work&)> body) {
  Transaction* transaction = current();
  if (transaction == nullptr) return false;
  transaction->use(body);
  return true;
}

Step Store::begin(const Limits& limits, const void* owner) {
  if (Transaction* transaction = current()) {
    const std::uint64_t number = transaction->begin(owner);
    return {ThreadTransactions::get().shared(*transaction), number};
  }
  refuse_beside_transaction();
  const Deadline deadline = Clock::now() + limits.busy;
  LaneHold hold(lane_, activity_, deadline, "a transaction");
  auto transaction = std::make_shared<Transaction>(*this, limits, owner, deadline);
  ThreadTransactions::get().add(transaction);
  {
    const std::scoped_lock lock(open_mutex_);
    open_ = transaction;
  }
  hold.keep();
  housekeeper_.wake(transaction->expires());
  return {std::move(transaction), Transaction::kOutermost};
}

std::shared_ptr<Transaction> Store::open() {
  const std::scoped_lock lock(open_mutex_);
  return open_;
}

void Store::end_of(const void* owner) noexcept {
  const auto transaction = open();
  if (!transaction || !transaction->own() || !transaction->end_of(owner)) return;
  activity_.counts.add(Event::kRolledBack);
}

void Store::ended(const Transaction& transaction) noexcept {
  {
    const std::scoped_lock lock(open_mutex_);
    if (open_.get() == &transaction) open_.reset();
  }
  lane_.release();
}

bool Store::transaction_open() { return open() != nullptr; }

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
  if (const std::shared_ptr<Transaction> transaction = open()) {
    // The writer lock is taken. The hook would only wait for it, and this thread could then not end
    // a transaction in time.
    if (Clock::now() < transaction->expires()) {
      return std::min(transaction->expires(), Clock::now() + std::chrono::milliseconds(250));
    }
    if (transaction->end_all(Transaction::End::kLimit)) {
      activity_.counts.add(Event::kExpired);
      observe::log(LogLevel::kWarning, "transaction_expired",
                   {{"limit_ms", std::to_string(transaction->limit().count())},
                    {"store", backend_->name()}});
    }
  }
  CommitHook* const hook = hook_.load(std::memory_order_acquire);
  return hook == nullptr ? std::nullopt : hook->chore();
}

void Store::child_after_fork() noexcept {
  if (!open_) return;
  // The parent's transaction is leaked, because ending it would touch the parent's connection. The
  // thread that uses it gets an error at its next use.
  new std::shared_ptr<Transaction>(std::move(open_));
  open_.reset();
}

}  // namespace graven::store
