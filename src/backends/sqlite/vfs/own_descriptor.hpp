// SPDX-License-Identifier: MIT
//
// A descriptor whose locks are this process's alone. They belong to its open file description, of
// which the child of a fork has a copy: it would hold them when the parent is long gone.
//
// Made and ended by one thread; not while a mutex is held that is taken around fork().
#pragma once

#include <unistd.h>
#include <utility>

#include "backends/sqlite/vfs/spared.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {

class OwnDescriptor final : private base::ForkGuard {
 public:
  /// Takes it, as open() gave it, before anything is locked over it.
  explicit OwnDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnDescriptor(const OwnDescriptor&) = delete;
  OwnDescriptor& operator=(const OwnDescriptor&) = delete;
  ~OwnDescriptor() {
    if (descriptor_ >= 0) close_sparing(descriptor_);
  }

  /// Negative where there is none: it could not be opened, or is a parent's.
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  void child_after_fork() noexcept override {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

  int descriptor_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
