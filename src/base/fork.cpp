// SPDX-License-Identifier: MIT
//
// The registry behind fork.hpp: one pthread_atfork for the whole library, a
// sorted list of guards, and the generation counter. The list's own mutex is
// held from prepare to after, so no guard comes or goes while the process
// forks.
#include "base/fork.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace graven::base {

struct ForkRegistry {
  std::mutex mutex;
  std::vector<const ForkEnrolment*> guards;  // sorted by rank
  std::atomic<std::uint64_t> generation{1};

  // Never destroyed: handlers may run while the process exits.
  static ForkRegistry& get() {
    static auto* registry = [] {
      auto* made = new ForkRegistry;
      ::pthread_atfork(prepare, parent, child);
      return made;
    }();
    return *registry;
  }

  static void prepare() {
    ForkRegistry& self = get();
    self.mutex.lock();
    for (const ForkEnrolment* enrolment : self.guards) enrolment->guard_.prepare_fork();
  }

  static void parent() {
    ForkRegistry& self = get();
    for (auto it = self.guards.rbegin(); it != self.guards.rend(); ++it) {
      (*it)->guard_.parent_after_fork();
    }
    self.mutex.unlock();
  }

  static void child() {
    ForkRegistry& self = get();
    self.generation.fetch_add(1, std::memory_order_relaxed);
    for (auto it = self.guards.rbegin(); it != self.guards.rend(); ++it) {
      (*it)->guard_.child_after_fork();
    }
    self.mutex.unlock();
  }

  static void add(const ForkEnrolment* enrolment) {
    ForkRegistry& self = get();
    const std::scoped_lock lock(self.mutex);
    auto at = std::upper_bound(self.guards.begin(), self.guards.end(), enrolment,
                               [](const ForkEnrolment* left, const ForkEnrolment* right) {
                                 return left->rank_ < right->rank_;
                               });
    self.guards.insert(at, enrolment);
  }

  static void remove(const ForkEnrolment* enrolment) {
    ForkRegistry& self = get();
    const std::scoped_lock lock(self.mutex);
    std::erase(self.guards, enrolment);
  }
};

ForkEnrolment::ForkEnrolment(ForkGuard& guard, int rank) : guard_(guard), rank_(rank) {
  ForkRegistry::add(this);
}

ForkEnrolment::~ForkEnrolment() { ForkRegistry::remove(this); }

std::uint64_t fork_generation() noexcept {
  static ForkRegistry& registry = ForkRegistry::get();
  return registry.generation.load(std::memory_order_relaxed);
}

}  // namespace graven::base
