// SPDX-License-Identifier: MIT
//
// Keeps a mapped file that another program cuts off from killing the process. Reading a mapping
// behind the end of its file is a SIGBUS; for a range that is guarded here the handler lays zeros
// over it and remembers that it was lost. Whoever has the range asks lost() and refuses to go on.
//
// Always holds: a fault anywhere else, and a signal that somebody sends, goes to the handler that
// was there before, as if this one were not (faulthandler, a sanitizer, the program's own). Where
// another handler has been set since, the next guard() puts this one before it. The handler takes
// no lock and allocates nothing.
//
// Any thread. A range lives as long as what it guards is mapped.
#pragma once

#include <cstddef>
#include <utility>

namespace graven::sqlite {

class GuardedRange {
 public:
  GuardedRange() = default;
  /// Ranges that begin at the same address are one. (Where there are very many, none is guarded.)
  GuardedRange(const volatile void* from, std::size_t bytes);
  GuardedRange(GuardedRange&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}
  GuardedRange& operator=(GuardedRange&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~GuardedRange();

  /// Whether the file was cut off under it.
  [[nodiscard]] bool lost() const noexcept;

 private:
  int slot_ = -1;
};

}  // namespace graven::sqlite
