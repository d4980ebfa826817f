// SPDX-License-Identifier: MIT
//
// Waiting, errors, and the runs of the thread. See flusher.hpp.
#include "port/flusher.hpp"

#include <utility>

#include "base/interrupt.hpp"
#include "observe/log_failure.hpp"

namespace graven::port {

Flusher::Flusher(const char* what, const std::string& name, std::chrono::milliseconds interval,
                 std::size_t limit, std::function<std::optional<Deadline>()> flush)
    : Housekeeper([this] { return turn(); }),
      what_(what),
      name_(name),
      interval_(interval),
      flush_(std::move(flush)),
      limit_(limit) {}

void Flusher::flushed(std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  remove(bytes);
  state_->changed.notify_all();
}

bool Flusher::wait_until_ready(Deadline deadline) {
  if (ready()) return true;
  if (pending() > limit_) Housekeeper::wake(std::chrono::steady_clock::now());
  std::unique_lock<std::mutex> lock(mutex_);
  const bool in_time = base::wait_until(lock, state_->changed, deadline,
                                        [this] { return ready() || failed_ || state_->stopping; });
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(error_, nullptr));
  return in_time;
}

void Flusher::set_error(std::exception_ptr error) {
  const std::scoped_lock lock(mutex_);
  failed_ = error != nullptr;
  error_ = std::move(error);
  state_->changed.notify_all();
}

void Flusher::run(base::FunctionRef<void()> flush) {
  try {
    flush();
  } catch (...) {
    failures_.fetch_add(1);
    throw;
  }
  set_error(nullptr);  // the flush wrote what an earlier one could not
}

std::optional<Deadline> Flusher::turn() noexcept {
  std::optional<Deadline> again;
  try {
    again = flush_();
    if (again && pending() >= early_from_) return std::chrono::steady_clock::now();
  } catch (...) {
    failures_.fetch_add(1);
    observe::log_failure("flush_failed", what_, name_);
    set_error(std::current_exception());
    again = later();
  }
  early_ = false;
  return again;
}

}  // namespace graven::port
