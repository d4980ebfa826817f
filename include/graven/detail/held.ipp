// SPDX-License-Identifier: MIT
//
// The pointer inside a handle: a shared_ptr whose use is a UsageError if it is null, that is, if
// the handle was moved from.
//
// Included by the headers that declare handles only. As thread-safe as a std::shared_ptr.
#pragma once

#include <memory>
#include <utility>

namespace graven::detail {

[[noreturn]] void throw_moved_from();

template <class T>
class Held {
 public:
  Held() = default;
  Held(std::shared_ptr<T> held) noexcept : held_(std::move(held)) {}

  [[nodiscard]] const std::shared_ptr<T>& shared() const {
    if (!held_) [[unlikely]]
      throw_moved_from();
    return held_;
  }
  operator const std::shared_ptr<T>&() const { return shared(); }
  T& operator*() const { return *shared(); }
  T* operator->() const { return shared().get(); }
  /// Null if it was moved from.
  [[nodiscard]] T* get() const noexcept { return held_.get(); }

 private:
  std::shared_ptr<T> held_;
};

}  // namespace graven::detail
