// SPDX-License-Identifier: MIT
//
// Slots, and what happens when a thread ends. See of_thread.hpp.
#include "base/of_thread.hpp"

#include <array>
#include <atomic>
#include <cstdlib>

namespace graven::base {

GRAVEN_NEAR_TLS constinit thread_local void** objects_of_thread = nullptr;

namespace {

constexpr std::size_t kSlots = 32;

constinit std::atomic<std::size_t> taken{0};
constinit std::array<std::atomic<void (*)(void*)>, kSlots> destroyers{};

/// Destroys this thread's objects when it ends. A destructor may ask for others.
struct Ending {
  Ending() = default;
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() {
    for (std::size_t slot = kSlots; slot-- > 0;) {
      void* object = objects_of_thread[slot];
      if (object == nullptr) continue;
      objects_of_thread[slot] = nullptr;
      destroyers[slot].load(std::memory_order_relaxed)(object);
      slot = kSlots;  // start again from the last slot
    }
    delete[] objects_of_thread;
    objects_of_thread = nullptr;
  }
};

}  // namespace

std::size_t take_thread_slot(void (*destroy)(void*)) noexcept {
  const std::size_t slot = taken.fetch_add(1, std::memory_order_relaxed);
  if (slot >= kSlots) std::abort();  // cannot happen: the source uses fewer slots
  destroyers[slot].store(destroy, std::memory_order_relaxed);
  return slot;
}

void keep_for_thread(std::size_t slot, void* object) {
  if (objects_of_thread == nullptr) {
    objects_of_thread = new void* [kSlots] {};
    // If the thread is past its end, an object made now is leaked.
    thread_local const Ending ending;
    static_cast<void>(ending);
  }
  objects_of_thread[slot] = object;
}

}  // namespace graven::base
