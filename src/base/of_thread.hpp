// SPDX-License-Identifier: MIT
//
// of_thread<T>(): an object for each thread, like a thread_local one, but on the heap. If any
// thread_local variable of a shared library is to be reached without a call (near_tls.hpp), all of
// them are in every thread's static TLS block, of which glibc reserves only some hundred bytes for
// all libraries loaded late. So graven has only a few words there; one of them points to these
// objects.
//
// Always holds: an object is constructed when its thread first asks for it, and destroyed when the
// thread ends, the one with the last slot first. If a destructor asks for an object again, that one
// is destroyed too.
//
// Any thread. The main thread's objects are destroyed when the process ends.
#pragma once

#include <cstddef>

#include "base/near_tls.hpp"

namespace graven::base {

/// This thread's objects by slot; null until the thread asks for its first object.
GRAVEN_NEAR_TLS extern constinit thread_local void** objects_of_thread;

/// Takes a slot for objects that `destroy` destroys. There are 32 slots.
std::size_t take_thread_slot(void (*destroy)(void*)) noexcept;
void keep_for_thread(std::size_t slot, void* object);

/// Use a separate T for each purpose: two callers with the same T share one object.
template <class T>
T& of_thread() {
  static const std::size_t slot =
      take_thread_slot([](void* object) { delete static_cast<T*>(object); });
  void** const objects = objects_of_thread;
  if (objects != nullptr && objects[slot] != nullptr) [[likely]] {
    return *static_cast<T*>(objects[slot]);
  }
  auto* made = new T;
  keep_for_thread(slot, made);
  return *made;
}

}  // namespace graven::base
