// SPDX-License-Identifier: MIT
//
// The housekeeper's loop: sleeps until something is due, runs the chore without the mutex, and
// notes when it wants to run again.
#include "base/housekeeper.hpp"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace graven::base {

Housekeeper::Housekeeper(std::function<std::optional<Deadline>()> chore)
    : state_(std::make_unique<State>()), chore_(std::move(chore)) {}

void Housekeeper::wake(Deadline when) {
  const std::scoped_lock lock(mutex_);
  if (state_->stopping) return;
  if (state_->due && *state_->due <= when) return;
  state_->due = when;
  if (!state_->thread.joinable()) {
    // Signals are for the program's own threads, so all are blocked here, except those that this
    // thread may cause itself; blocked, they would kill the process.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    for (const int own : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) sigdelset(&all, own);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    state_->thread = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  state_->changed.notify_all();
}

void Housekeeper::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!state_->stopping) {
    if (!state_->due) {
      state_->changed.wait(lock);
    } else if (std::chrono::steady_clock::now() < *state_->due) {
      const Deadline due = *state_->due;
      state_->changed.wait_until(lock, due);
    } else {
      state_->due.reset();
      lock.unlock();
      const std::optional<Deadline> again = chore_();
      lock.lock();
      if (again && (!state_->due || *again < *state_->due)) state_->due = again;
    }
  }
}

void Housekeeper::stop() noexcept {
  std::thread thread;
  {
    const std::scoped_lock lock(mutex_);
    state_->stopping = true;
    state_->changed.notify_all();
    thread = std::move(state_->thread);
  }
  if (thread.joinable()) thread.join();
}

void Housekeeper::child_after_fork() noexcept {
  const State* inherited = state_.release();
  state_ = std::make_unique<State>();
  state_->stopping = inherited->stopping;
  // `inherited` is leaked, because its thread and condition variable are the parent's.
}

}  // namespace graven::base
