// SPDX-License-Identifier: MIT
//
// Writes where commits wait for the disk: they queue, and one commits for several.
#include <algorithm>
#include <condition_variable>
#include <exception>
#include <thread>

#include "store/store.hpp"
#include "store/writing.hpp"

namespace graven::store {

using Clock = std::chrono::steady_clock;

namespace {
// Of the time a commit takes, the part its leader waits for others; and what counts as its time.
constexpr int kPatienceOfCommit = 4;
constexpr auto kLongCommit = std::chrono::milliseconds(4);
}  // namespace

struct Store::Request {
  base::FunctionRef<void(Work&)> mutation;
  std::exception_ptr error{};
  bool done = false;  // queue_mutex_
  std::condition_variable moved{};
};

/// The first of the queue commits for all who came until it had the write lock; the others wait
/// to be told, or to be the first.
void Store::write_together(base::FunctionRef<void(Work&)> mutation, Deadline deadline) {
  Request mine{mutation};
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(&mine);
  queued_.store(queue_.size(), std::memory_order_relaxed);
  mine.moved.wait(lock, [&] { return mine.done || queue_.front() == &mine; });
  if (!mine.done) {
    lock.unlock();
    await_companions();
    std::vector<Request*> batch;
    try {
      lead(batch, deadline);
    } catch (...) {
      if (batch.empty()) batch.push_back(&mine);
      for (Request* request : batch) {
        if (!request->error) request->error = std::current_exception();
      }
    }
    lock.lock();
    for (Request* request : batch) {
      queue_.pop_front();
      request->done = true;
      if (request != &mine) request->moved.notify_one();
    }
    companions_ = batch.size() + queue_.size();
    queued_.store(queue_.size(), std::memory_order_relaxed);
    if (!queue_.empty()) queue_.front()->moved.notify_one();
  }
  lock.unlock();
  if (mine.error) std::rethrow_exception(mine.error);
}

/// Whoever was committed last, or came meanwhile, is likely to write again at once: a commit for
/// all of them is worth a little patience. Who is alone waits for nobody.
void Store::await_companions() {
  const auto until = Clock::now() + commit_took_ / kPatienceOfCommit;
  while (queued_.load(std::memory_order_relaxed) < companions_ && Clock::now() < until) {
    std::this_thread::yield();
  }
}

void Store::lead(std::vector<Request*>& batch, Deadline deadline) {
  const LaneHold hold(lane_, activity_, deadline, "a write");
  Writing writing(*this, deadline);
  {
    const std::scoped_lock lock(queue_mutex_);
    batch.assign(queue_.begin(), queue_.end());
  }
  if (batch.size() == 1) {
    batch.front()->mutation(*writing.work);
  } else {
    for (Request* request : batch) {
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
  const auto begun = Clock::now();
  commit_work(*writing.work, *writing.writes);
  commit_took_ = std::min<Clock::duration>(Clock::now() - begun, kLongCommit);
}

}  // namespace graven::store
