// SPDX-License-Identifier: MIT
//
// of_thread<T>(), an object that each thread has for itself: what thread_local would give, on the
// heap. A shared library's thread_local variables lie in every thread's static block if any of them
// is to be reached without a call (near_tls.hpp), and of that block glibc keeps some hundred bytes
// for all libraries loaded late. So only words are there, one of them the place of these objects.
//
// Always holds: an object is made when its thread first asks, and destroyed when the thread ends,
// the last made first, unless another has asked for it meanwhile; then once more.
//
// Any thread. The main thread's end with the process.
#pragma once

#include <cstddef>

#include "base/near_tls.hpp"

namespace graven::base {

/// This thread's objects by slot; null until it asks for the first.
GRAVEN_NEAR_TLS extern constinit thread_local void** objects_of_thread;

/// A slot for objects that `destroy` ends. There are a few dozen.
std::size_t take_thread_slot(void (*destroy)(void*)) noexcept;
void keep_for_thread(std::size_t slot, void* object);

/// T stands for the one use of it: no two callers that mean different objects share it.
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
