// SPDX-License-Identifier: MIT
//
// A descriptor whose locks must end with this process. The locks belong to the open file
// description. The child of a fork has a copy of it and would hold the locks after the parent has
// ended, so the child closes its copy.
//
// One thread makes and destroys it, and not while holding a mutex that is also taken around fork().
#pragma once

#include <unistd.h>
#include <utility>

#include "backends/sqlite/vfs/spared.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {

class OwnDescriptor final : private base::ForkGuard {
 public:
  /// Takes the descriptor from open(), before anything is locked through it.
  explicit OwnDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnDescriptor(const OwnDescriptor&) = delete;
  OwnDescriptor& operator=(const OwnDescriptor&) = delete;
  ~OwnDescriptor() {
    if (descriptor_ >= 0) close_sparing(descriptor_);
  }

  /// Negative if there is none: open() failed, or it belonged to the parent process.
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  void child_after_fork() noexcept override {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

  int descriptor_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
