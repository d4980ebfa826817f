// SPDX-License-Identifier: MIT
//
// The checks that may end a thread's waits. See interrupt.hpp. A check may use graven, as a signal
// handler in Python may, as long as it does not wait.
#include "base/interrupt.hpp"

#include <atomic>
#include <thread>

#include <graven/error.hpp>
#include <graven/interrupt.hpp>

namespace graven {
namespace {

std::atomic<InterruptCheck> of_process{nullptr};
thread_local const Cancellation* of_thread = nullptr;
thread_local int uninterrupted = 0;
thread_local bool checking = false;

}  // namespace

void set_interrupt_check(InterruptCheck check) noexcept { of_process.store(check); }

void Cancellation::run(const std::function<void()>& body) const {
  struct Within {
    explicit Within(const Cancellation* inner) : outer(of_thread) { of_thread = inner; }
    ~Within() { of_thread = outer; }
    Within(const Within&) = delete;
    Within& operator=(const Within&) = delete;
    const Cancellation* outer;
  } const within(this);
  body();
}

namespace base {

bool interruptible() noexcept {
  return uninterrupted == 0 && (of_thread != nullptr || of_process.load() != nullptr);
}

void check_interrupt() {
  if (uninterrupted != 0) return;
  if (of_thread != nullptr && of_thread->cancelled()) {
    throw Cancelled("the operation was cancelled before its end");
  }
  if (checking) {
    throw UsageError(
        "a signal handler that runs while its thread waits in graven must not wait in graven "
        "itself: the interrupted call may hold what it would wait for. Set a flag, or raise an "
        "exception");
  }
  if (const InterruptCheck check = of_process.load()) {
    struct Checking {
      Checking() { checking = true; }
      ~Checking() { checking = false; }
      Checking(const Checking&) = delete;
      Checking& operator=(const Checking&) = delete;
    } const within;
    check();
  }
}

Uninterrupted::Uninterrupted() noexcept { ++uninterrupted; }
Uninterrupted::~Uninterrupted() { --uninterrupted; }

void sleep_until(std::chrono::steady_clock::time_point time) {
  for (;;) {
    const auto slice = interrupt_slice(time);
    std::this_thread::sleep_until(slice);
    if (slice >= time) return;
    check_interrupt();
  }
}

}  // namespace base
}  // namespace graven
