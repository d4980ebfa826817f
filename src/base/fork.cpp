// SPDX-License-Identifier: MIT
//
// The registry behind fork.hpp: one pthread_atfork for the whole library, the guards by rank, and
// the generation counter. The list's own mutex is held from prepare() to parent() or child(), so no
// guard is added or removed while the process forks.
#include "base/fork.hpp"

#include <pthread.h>

#include <atomic>

namespace graven::base {

struct ForkRegistry {
  std::mutex mutex;
  ForkEnrolment::Guards guards;
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
    for (const auto& [rank, guard] : self.guards) guard->prepare_fork();
  }

  static void parent() {
    ForkRegistry& self = get();
    for (auto it = self.guards.rbegin(); it != self.guards.rend(); ++it) {
      it->second->parent_after_fork();
    }
    self.mutex.unlock();
  }

  static void child() {
    ForkRegistry& self = get();
    self.generation.fetch_add(1, std::memory_order_relaxed);
    for (auto it = self.guards.rbegin(); it != self.guards.rend(); ++it) {
      it->second->child_after_fork();
    }
    self.mutex.unlock();
  }
};

ForkEnrolment::ForkEnrolment(ForkGuard& guard, int rank) {
  ForkRegistry& registry = ForkRegistry::get();
  const std::scoped_lock lock(registry.mutex);
  at_ = registry.guards.emplace(rank, &guard);
}

ForkEnrolment::~ForkEnrolment() {
  ForkRegistry& registry = ForkRegistry::get();
  const std::scoped_lock lock(registry.mutex);
  registry.guards.erase(at_);
}

std::uint64_t fork_generation() noexcept {
  static ForkRegistry& registry = ForkRegistry::get();
  return registry.generation.load(std::memory_order_relaxed);
}

}  // namespace graven::base
