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
constexpr int kTriesBesideOthers = 3;  // then it takes the lease, and keeps them out

/// Whether what an optimistic transaction has read is still so, as far as that can be told.
bool still_holds(WriteTransaction& transaction) {
  port::Optimism* const optimism = transaction.optimism();
  if (optimism == nullptr) return true;
  const base::Uninterrupted briefly;
  try {
    return optimism->holds();
  } catch (const std::exception&) {
    return true;  // the store cannot be asked
  }
}
}  // namespace

Store::Store(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)),
      optimistic_(port::facet<port::Interactive>(*backend_) != nullptr
                      ? nullptr
                      : std::make_unique<Optimistic>(*backend_)),
      records_(optimistic_ ? optimistic_.get() : port::facet<port::Interactive>(*backend_)),
      state_(optimistic_ ? &optimistic_->state() : port::facet<port::SharedState>(*backend_)),
      maintenance_(port::facet<port::Maintenance>(*backend_)),
      cache_(records(), state_, kCacheLimits, backend_->facts().cache_path, kWarmBytes,
             &table_share_),
      housekeeper_([this] { return chore(); }) {
  if (maintenance_ != nullptr) {
    maintenance_->when_due([this](Deadline when) { housekeeper_.wake(when); });
  }
  if (auto* write_back = port::facet<port::WriteBack>(*backend_)) {
    pending_part_ =
        pending_share_.join([write_back](std::size_t bytes) { write_back->bound_pending(bytes); });
  }
}

void Store::bound_memory(std::size_t bytes) {
  // Hot tables get most of it. An eighth is left for the indexes of warm files and for memory that
  // a write needs while it runs.
  table_share_.set_total(bytes / 8 * 3);
  pending_share_.set_total(bytes / 4);
  if (maintenance_ != nullptr) maintenance_->bound_page_caches(bytes / 4);
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
  Transaction* other = ThreadTransactions::get().on_store(backend_->facts().identity);
  if (other == nullptr) return;
  other->require_open();
  throw UsageError(
      fmt::format("this thread has a transaction open on {}, which was opened with other settings; "
                  "a write here would wait for it for ever: open both with the same `synchronous`",
                  name()));
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
  if (work.empty()) {
    // Nothing to commit, but it may have read records of two states.
    port::Optimism* const optimism = writes.optimism();
    if (optimism != nullptr && !optimism->holds()) throw port::Conflict();
  } else {
    work.finish();
    cache_.prepare_own(work.changes(), &work.touched());
    try {
      const observe::Timed timed(activity_.commit, activity_.slow, "commit", name(), [&] {
        return LogField{"wrote", describe(work)};
      });
      writes.commit(work.commit_id());
    } catch (const port::Conflict&) {
      throw;
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
  work.committed();
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
  if (backend_->facts().slow_commits) {
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
  if (optimistic_) {
    optimistic_->sync(deadline);
  } else {
    static_cast<void>(backend_->commit({}, {}, {.durable = true}, deadline));
  }
  syncs_done_ = number;
}

void Store::make_durable(Deadline deadline) {
  if (Transaction* transaction = current()) {
    transaction->make_durable();
    return;
  }
  // There each one has waited for the disk.
  if (backend_->facts().slow_commits && !optimistic_) return;
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
  if (auto* write_back = port::facet<port::WriteBack>(*backend_)) write_back->flush();
}

void Store::begin_bulk(std::size_t cache_bytes) {
  if (auto* bulk = port::facet<port::Bulk>(*backend_)) bulk->begin_bulk(cache_bytes);
}

bool Store::end_bulk(Deadline deadline) {
  auto* bulk = port::facet<port::Bulk>(*backend_);
  if (bulk == nullptr) return true;
  // The settings are restored even if the writer lock cannot be had; the rest is then not done.
  std::optional<LaneHold> hold;
  try {
    if (!in_transaction()) hold.emplace(lane_, activity_, deadline, "the end of a bulk import");
  } catch (const BusyError&) {
  } catch (...) {  // interrupted
    restore(*bulk);
    throw;
  }
  try {
    return bulk->end_bulk(hold ? deadline : Clock::now());
  } catch (const BusyError&) {
    return false;
  } catch (const ClosedError&) {
    return true;  // the store is closed, so nothing is left to do
  }
}

void Store::restore(port::Bulk& bulk) noexcept {
  const base::Uninterrupted now;
  try {
    bulk.end_bulk(Clock::now());
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
  if (optimistic_) optimistic_->close();
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

void Store::write_once(base::FunctionRef<void(Writing&)> body, Deadline deadline) {
  if (optimistic_) optimistic_->begin_anew();
  for (int tries = 0;; ++tries) {
    Writing writing(*this, deadline, tries >= kTriesBesideOthers);
    try {
      body(writing);
      return commit_work(*writing.work, *writing.writes);
    } catch (const port::Conflict&) {
      // Another writer was first.
    } catch (const AbortedError&) {
      throw;
    } catch (const Error&) {
      // Perhaps it has seen records of two states.
      if (still_holds(*writing.writes)) throw;
    }
    if (Clock::now() >= deadline) {
      throw BusyError(name() +
                      ": other writers changed what this one had read, again and again, until its "
                      "time was up; try again, or raise busy_timeout");
    }
  }
}

void Store::write_apart(base::FunctionRef<void(Work&)> body, Deadline deadline) {
  const LaneHold hold(lane_, activity_, deadline, "a write");
  write_once([&](Writing& writing) { body(*writing.work); }, deadline);
}

void Store::write_queued(Deadline deadline) {
  const LaneHold hold(lane_, activity_, deadline, "a write");
  const std::vector<CommitQueue::Request*>* batch = nullptr;
  std::optional<base::Uninterrupted> others_too;
  const auto run = [&](Writing& writing) {
    if (batch == nullptr)
      batch = &queue_.take();  // when the write lock is held: who came meanwhile
    if (batch->size() == 1) return batch->front()->mutation(*writing.work);
    others_too.emplace();  // this thread's interrupt must not end others' writes
    for (CommitQueue::Request* request : *batch) {
      request->error = nullptr;
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
  };
  try {
    write_once(run, deadline);
  } catch (const LimitError&) {
    if (batch == nullptr || batch->size() == 1) throw;
    write_each(*batch, deadline);
  }
}

/// Together they have exceeded a limit: commits one after the other.
void Store::write_each(const std::vector<CommitQueue::Request*>& requests, Deadline deadline) {
  for (CommitQueue::Request* request : requests) {
    request->error = nullptr;
    try {
      write_once([&](Writing& writing) { request->mutation(*writing.work); }, deadline);
    } catch (...) {
      request->error = std::current_exception();
    }
  }
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
  if (maintenance_ != nullptr) maintenance_->log_slower_than(limit);
}

std::optional<Deadline> Store::chore() {
  const std::optional<Deadline> tended =
      maintenance_ != nullptr ? maintenance_->tend() : std::nullopt;
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
                   {{"limit_ms", std::to_string(transaction->limit().count())}, {"store", name()}});
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
