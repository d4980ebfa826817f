// SPDX-License-Identifier: MIT
//
// Transaction steps and how they end. See transaction.hpp.
#include "store/transaction.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "base/of_thread.hpp"

namespace graven::store {

using Clock = std::chrono::steady_clock;

GRAVEN_NEAR_TLS constinit thread_local std::uint32_t open_in_thread = 0;

Transaction::Transaction(Store& store, const Limits& limits, const void* owner, Deadline deadline)
    : store_(store),
      identity_(store.backend().facts().identity),
      limit_(limits.transaction),
      busy_(limits.busy),
      expires_(Clock::now() + limits.transaction),
      steps_{{kOutermost, owner}} {
  writing_.emplace(store, deadline, true);
  if (limits.read_cache != 0) writing_->work->expect_much(limits.read_cache);
}

void Transaction::refuse(End why) const {
  switch (why) {
    case End::kLimit:
      throw TransactionExpiredError(
          fmt::format("the transaction was rolled back because it took longer than its limit of {} "
                      "ms; do long work outside, or raise transaction_limit",
                      limit_.count()));
    case End::kClosed:
      throw ClosedError(
          "the transaction was rolled back because the database that it was begun on was closed; "
          "leave its block, and open the database again");
    case End::kFailed:
      throw UnavailableError(
          "the transaction was rolled back after an error; leave its block and begin another");
    default:
      throw UsageError(
          "the transaction was rolled back because another thread ended it or the transaction "
          "around it; begin and end a transaction in one thread, the inner ones first");
  }
}

// --- How steps end

Transaction::Steps::iterator Transaction::find(std::uint64_t step) noexcept {
  return std::find_if(steps_.begin(), steps_.end(),
                      [&](const One& one) { return one.number == step; });
}

void Transaction::end_from(Steps::iterator at, End why) noexcept {
  for (auto each = at; each != steps_.end(); ++each) {
    if (each->ended == End::kNone) each->ended = why;
  }
  const auto kept = static_cast<std::size_t>(at - steps_.begin());
  if (kept >= keep_) return;
  keep_ = kept;
  last_ = why;
  if (statements_ == 0) settle();
}

/// Takes the ended steps out of the work. With the mutex held, and no statement running.
void Transaction::settle() noexcept {
  if (!writing_) return;
  try {
    while (keep_ > 0 && depth_ > keep_) {
      writing_->work->rollback_to_savepoint();
      --depth_;
    }
  } catch (const std::exception&) {
    for (One& one : steps_) {
      if (one.ended == End::kNone) one.ended = End::kFailed;
    }
    keep_ = 0;
  }
  if (keep_ > 0) return;
  writing_.reset();
  store_.ended(*this);
}

void Transaction::forget_from(Steps::iterator at) noexcept {
  steps_.erase(at, steps_.end());
  if (steps_.empty()) over_.store(true, std::memory_order_release);
}

/// Another thread has ended it, and perhaps nothing in its own thread will.
void Transaction::abandon(Steps::iterator at) noexcept {
  at->abandoned = true;
  if (at == steps_.begin()) abandoned_.store(true, std::memory_order_release);
}

/// Removes abandoned steps, from the innermost one on: their thread is being told.
void Transaction::forget_abandoned() noexcept {
  auto at = steps_.end();
  while (at != steps_.begin() && (at - 1)->abandoned) --at;
  forget_from(at);
}

bool Transaction::is_of(const Store& store) const noexcept {
  // The store of an abandoned transaction may be gone, and another one be at its address.
  return abandoned() ? identity_ == store.backend().facts().identity : &store_ == &store;
}

bool Transaction::end_all(End why) noexcept {
  const std::scoped_lock lock(mutex_);
  if (keep_ == 0 || steps_.empty() || committing_) return false;
  end_from(steps_.begin(), why);
  return true;
}

bool Transaction::end_of(const void* owner) noexcept {
  const std::scoped_lock lock(mutex_);
  if (committing_) return false;
  const auto at = std::find_if(steps_.begin(), steps_.end(), [&](const One& one) {
    return one.owner == owner && one.ended == End::kNone;
  });
  if (at == steps_.end()) return false;
  end_from(at, End::kClosed);
  return true;
}

void Transaction::rollback(std::uint64_t step) noexcept {
  if (!own()) {  // the parent's: a thread that is not here may hold its mutex
    if (const auto at = find(step); at != steps_.end()) forget_from(at);
    return;
  }
  const std::scoped_lock lock(mutex_);
  const auto at = find(step);
  if (at == steps_.end() || committing_) return;
  if (at == steps_.begin() && at->ended == End::kNone) {
    store_.activity().counts.add(Event::kRolledBack);
  }
  if (in_its_thread()) {
    end_from(at, End::kOuter);
    forget_from(at);
  } else {
    end_from(at, End::kElsewhere);
    abandon(at);
  }
}

// --- What its own thread does

/// A statement of the thread: while it runs, no other thread touches the work.
class Transaction::Statement {
 public:
  explicit Statement(Transaction& of) : of_(of) {
    const std::scoped_lock lock(of_.mutex_);
    if (of_.steps_.empty()) of_.refuse(of_.last_);
    if (const End why = of_.steps_.back().ended; why != End::kNone) {
      of_.forget_abandoned();
      of_.refuse(why);
    }
    depth_ = of_.steps_.size();
    ++of_.statements_;
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() {
    if (depth_ != 0) leave();
  }

  /// If the step has ended meanwhile, throws the reason.
  void done() {
    const std::size_t depth = std::exchange(depth_, 0);
    const auto [kept, why] = leave();
    if (kept >= depth) return;
    const std::scoped_lock lock(of_.mutex_);
    of_.forget_abandoned();
    of_.refuse(why);
  }

 private:
  std::pair<std::size_t, End> leave() noexcept {
    const std::scoped_lock lock(of_.mutex_);
    if (--of_.statements_ == 0) of_.settle();
    return {of_.keep_, of_.last_};
  }

  Transaction& of_;
  std::size_t depth_ = 0;
};

void Transaction::use(base::FunctionRef<void(Work&)> body) {
  if (!own()) {
    forget_abandoned();
    throw UsageError(
        "this transaction was begun by the parent process: a forked child cannot go on "
        "with it; roll it back and begin another");
  }
  Statement statement(*this);
  body(*writing_->work);
  statement.done();
}

std::uint64_t Transaction::begin(const void* owner) {
  std::uint64_t number = 0;
  try {
    use([&](Work& work) {
      work.savepoint();
      const std::scoped_lock lock(mutex_);
      ++depth_;
      // If an outer step has ended meanwhile, the new one has too.
      const bool stays = keep_ == steps_.size();
      number = ++numbers_;
      steps_.push_back({number, owner, stays ? End::kNone : last_});
      if (stays) ++keep_;
    });
  } catch (...) {
    if (number == 0) throw;
    const std::scoped_lock lock(mutex_);
    forget_from(find(number));  // no caller will end it
    forget_abandoned();
    throw;
  }
  return number;
}

void Transaction::commit(std::uint64_t step, bool durable) {
  if (!own()) {
    rollback(step);
    throw UsageError(
        "this transaction was begun by the parent process: a forked child cannot commit it; begin "
        "another");
  }
  {
    std::unique_lock lock(mutex_);
    const auto at = find(step);
    if (at == steps_.end()) refuse(End::kOuter);
    if (const End why = at->ended; why != End::kNone) {
      if (in_its_thread()) {
        forget_from(at);
      } else {
        abandon(at);
      }
      refuse(why);
    }
    if (!in_its_thread()) {
      end_from(at, End::kElsewhere);
      abandon(at);
      throw UsageError(
          "a transaction was begun in one thread and left in another; it was rolled back. What "
          "another thread does is not part of it: begin, use and end it in one thread");
    }
    if (at + 1 != steps_.end()) {
      const One inner = at[1];
      end_from(at, End::kOuter);
      forget_from(at);
      if (inner.abandoned) refuse(inner.ended);
      throw UsageError(
          "a transaction was ended before one inside it; both were rolled back: end the inner one "
          "first");
    }
    try {
      if (at == steps_.begin()) {
        commit_outermost(lock);
      } else {
        writing_->work->release_savepoint();
        --depth_;
        --keep_;
        durable_ = durable_ || durable;
        forget_from(at);
        return;
      }
    } catch (...) {
      if (!lock) lock.lock();
      end_from(find(step), End::kFailed);
      forget_from(find(step));
      throw;
    }
    durable = durable || durable_;
  }
  ThreadTransactions::get().forget_over();
  store_.activity().counts.add(Event::kCommitted);
  if (durable) store_.make_durable(Clock::now() + busy_);
}

/// Called with the mutex, which is released during the commit: what would end the transaction now
/// comes too late.
void Transaction::commit_outermost(std::unique_lock<std::mutex>& lock) {
  committing_ = true;
  lock.unlock();
  try {
    store_.commit_work(*writing_->work, *writing_->writes);
  } catch (const port::Conflict&) {
    lock.lock();
    committing_ = false;
    throw UnavailableError(fmt::format(
        "the transaction on {} was rolled back: it lost the lease, and other writers changed what "
        "it had read; run it again",
        store_.name()));
  } catch (...) {
    lock.lock();
    committing_ = false;
    throw;
  }
  lock.lock();
  committing_ = false;
  keep_ = 0;
  settle();
  forget_from(steps_.begin());
}

// --- The thread's list

ThreadTransactions& ThreadTransactions::get() { return base::of_thread<ThreadTransactions>(); }

ThreadTransactions::~ThreadTransactions() {
  for (const auto& transaction : list_) {
    if (transaction->own()) transaction->end_all(Transaction::End::kThread);
  }
  open_in_thread = 0;
}

void ThreadTransactions::add(std::shared_ptr<Transaction> transaction) {
  list_.push_back(std::move(transaction));
  ++open_in_thread;
}

void ThreadTransactions::forget_over() noexcept {
  std::erase_if(list_, [](const auto& transaction) { return transaction->over(); });
  open_in_thread = static_cast<std::uint32_t>(list_.size());
}

Transaction* ThreadTransactions::find(const Store& store) noexcept {
  forget_over();
  for (const auto& transaction : list_) {
    if (transaction->is_of(store)) return transaction.get();
  }
  return nullptr;
}

std::shared_ptr<Transaction> ThreadTransactions::shared(const Transaction& one) const {
  return *std::find_if(list_.begin(), list_.end(),
                       [&](const auto& each) { return each.get() == &one; });
}

Transaction* ThreadTransactions::on_store(const std::string& identity) const noexcept {
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const auto& open) {
    return open->own() && !open->over() && open->identity() == identity;
  });
  return found == list_.end() ? nullptr : found->get();
}

Transaction* ThreadTransactions::at(const std::string& file) const {
  const auto is_there = [&](const auto& open) {
    const port::Facts& facts = open->store()->backend().facts();
    if (facts.file == file) return true;
    std::error_code unknown;
    return facts.file.empty() && std::filesystem::weakly_canonical(facts.name, unknown) == file;
  };
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const auto& open) {
    return !file.empty() && open->own() && !open->over() && !open->abandoned() && is_there(open);
  });
  return found == list_.end() ? nullptr : found->get();
}

// --- Step

namespace {

/// Removes ended transactions from the thread's list on the way out.
struct ForgetOver {
  ForgetOver() = default;
  ForgetOver(const ForgetOver&) = delete;
  ForgetOver& operator=(const ForgetOver&) = delete;
  ~ForgetOver() {
    if (open_in_thread != 0) ThreadTransactions::get().forget_over();
  }
};

}  // namespace

Step& Step::operator=(Step&& other) noexcept {
  if (this != &other) {
    rollback();
    transaction_ = std::move(other.transaction_);
    number_ = other.number_;
  }
  return *this;
}

Step::~Step() { rollback(); }

void Step::commit(bool durable) {
  if (!transaction_) throw UsageError("this transaction has ended already: begin another");
  // In another thread this object keeps its step, so that the step's own thread is told of the end
  // too.
  const std::shared_ptr<Transaction> transaction = transaction_;
  if (transaction->in_its_thread()) transaction_.reset();
  const ForgetOver forget;
  transaction->commit(number_, durable);
}

void Step::rollback() noexcept {
  if (!transaction_) return;
  const std::shared_ptr<Transaction> transaction = transaction_;
  if (transaction->in_its_thread()) transaction_.reset();
  const ForgetOver forget;
  transaction->rollback(number_);
}

}  // namespace graven::store
