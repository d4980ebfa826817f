// SPDX-License-Identifier: MIT
//
// Who waits in the queue, for what, and how. See commit_queue.hpp.
#include "store/commit_queue.hpp"

#include <algorithm>
#include <new>
#include <thread>

#include "base/interrupt.hpp"

namespace graven::store {
namespace {
// A leader waits for others for this fraction of the time of a commit, which counts as 4 ms at
// most.
constexpr int kPatienceOfCommit = 4;
constexpr auto kLongCommit = std::chrono::milliseconds(4);
// If commits take no longer than this, a writer waits without sleeping for twice that time.
constexpr auto kQuickCommit = std::chrono::microseconds(200);
constexpr int kAwake = 2;
}  // namespace

void CommitQueue::write(Mutation mutation, base::FunctionRef<void()> lead) {
  Request mine(mutation);
  bool leads = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(&mine);
    queued_.store(queue_.size(), std::memory_order_relaxed);
    leads = queue_.size() == 1;
  }
  if (!leads) {
    await(mine);
    leads = mine.state_.load(std::memory_order_acquire) == Request::State::kLeads;
  }
  if (leads) lead_with(mine, lead);
  if (mine.error) std::rethrow_exception(mine.error);
}

const std::vector<CommitQueue::Request*>& CommitQueue::take() {
  const std::scoped_lock lock(mutex_);
  batch_.assign(queue_.begin(), queue_.end());
  taken_ = Clock::now();
  return batch_;
}

void CommitQueue::await(Request& request) {
  const auto waits = [&request] {
    return request.state_.load(std::memory_order_acquire) == Request::State::kWaits;
  };
  const auto took = commit_took_.load(std::memory_order_relaxed);
  if (took <= kQuickCommit) {
    const auto until = Clock::now() + took * kAwake;
    while (waits() && Clock::now() < until) std::this_thread::yield();
  }
  std::exception_ptr interrupt;
  bool taken = false;  // a leader has it, so nothing ends this wait
  for (;;) {
    const std::uint32_t turn = turn_.ticket();
    if (!waits()) break;
    if (taken || !base::interruptible()) {
      turn_.wait(turn);
      continue;
    }
    turn_.wait_for(turn, base::kInterruptSlice);
    try {
      base::check_interrupt();
    } catch (const base::Cancelled&) {
      if (take_back(request)) throw;
      taken = true;
    } catch (...) {
      if (take_back(request)) throw;
      taken = true;
      interrupt = std::current_exception();  // thrown once only: after the commit
    }
  }
  if (interrupt && !request.error) request.error = interrupt;
}

/// Takes a request out of the queue before any leader has it.
bool CommitQueue::take_back(Request& request) {
  {
    const std::scoped_lock lock(mutex_);
    const auto at = std::find(queue_.begin(), queue_.end(), &request);
    const bool taken = std::find(batch_.begin(), batch_.end(), &request) != batch_.end();
    if (at == queue_.end() || taken) return false;
    queue_.erase(at);
    queued_.store(queue_.size(), std::memory_order_relaxed);
    if (request.state_.load(std::memory_order_acquire) != Request::State::kLeads) return true;
    if (queue_.empty()) return true;
    queue_.front()->state_.store(Request::State::kLeads, std::memory_order_release);
  }
  turn_.ring();
  return true;
}

/// Writers of the last commit, and those who came meanwhile, are likely to write again at once; it
/// pays to wait a little and commit for all of them. A writer that is alone waits for nobody.
void CommitQueue::await_companions() {
  const auto until =
      Clock::now() + commit_took_.load(std::memory_order_relaxed) / kPatienceOfCommit;
  while (queued_.load(std::memory_order_relaxed) < companions_ && Clock::now() < until) {
    std::this_thread::yield();
  }
}

void CommitQueue::lead_with(Request& first, base::FunctionRef<void()> lead) {
  await_companions();
  try {
    lead();
    commit_took_.store(std::min<Clock::duration>(Clock::now() - taken_, kLongCommit),
                       std::memory_order_relaxed);
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    if (batch_.empty()) batch_.push_back(&first);
    for (Request* request : batch_) {
      if (!request->error) request->error = std::current_exception();
    }
  }
  std::vector<Request*> batch;
  {
    const std::scoped_lock lock(mutex_);
    batch.swap(batch_);
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
    companions_ = batch.size() + queue_.size();
    queued_.store(queue_.size(), std::memory_order_relaxed);
    if (!queue_.empty()) {
      queue_.front()->state_.store(Request::State::kLeads, std::memory_order_release);
    }
  }
  // Without the lock, which the woken threads take next. A request may be destroyed once it is
  // done.
  for (Request* request : batch) {
    if (request != &first) request->state_.store(Request::State::kDone, std::memory_order_release);
  }
  turn_.ring();
}

void CommitQueue::child_after_fork() noexcept {
  queue_.clear();  // their threads exist in the parent only
  queued_.store(0);
  new (&batch_) std::vector<Request*>;  // a leader may have been about to change it
  companions_ = 0;
}

}  // namespace graven::store
