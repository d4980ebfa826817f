// SPDX-License-Identifier: MIT
//
// Protects the process when another program truncates a file that it has mapped. Reading a mapping
// beyond the end of its file raises SIGBUS and would kill the process. For a guarded range, the
// signal handler maps zeros over the range and records that it was lost. The user of the range asks
// lost() and stops with an error.
//
// Always holds: any other fault, and a SIGBUS that some process sends, goes to the handler that was
// installed before, as if this one did not exist (faulthandler, a sanitizer, the program's own). If
// the program has installed another handler since, the next GuardedRange puts this one in front of
// it again. The handler takes no lock and allocates nothing.
//
// Any thread. A range must live as long as its mapping.
#pragma once

#include <cstddef>
#include <utility>

namespace graven::sqlite {

class GuardedRange {
 public:
  GuardedRange() = default;
  /// Ranges that start at the same address share one entry. The table has 4096 entries; if it is
  /// full, the range is not guarded.
  GuardedRange(const volatile void* from, std::size_t bytes);
  GuardedRange(GuardedRange&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}
  GuardedRange& operator=(GuardedRange&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~GuardedRange();

  /// Whether the file was truncated under the range.
  [[nodiscard]] bool lost() const noexcept;

 private:
  int slot_ = -1;
};

}  // namespace graven::sqlite
