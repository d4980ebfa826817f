// SPDX-License-Identifier: MIT
//
// The memory backend: a store that lives and dies with the object, or one that is ahead of
// another: what is committed is kept here until a flush commits it to the store below, everything
// up to a cut in one transaction. So the store below always has a state this one once had, and
// nobody waits for it. docs/design/persist.md.
//
// Always holds: a version is kept exactly as long as some view can see it, or it is not below.
//
// Any thread may call a Backend. After a fork the child has its own copy of what was committed
// in memory alone; a store over another stays the parent's, as views and transactions do.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "port/backend.hpp"

namespace graven::memory {

/// A new, empty store. `name` is for messages only: two opens are two stores.
std::unique_ptr<store::Backend> open(std::string name);

struct Options {
  std::chrono::milliseconds flush_interval{1000};       ///< between two flushes
  std::size_t pending_limit = std::size_t{256} << 20U;  ///< bytes; then begin() waits
  std::chrono::milliseconds patience{30'000};           ///< of a flush with the store below
};

/// A store ahead of `below`, of which nobody else may be a writer: BusyError where somebody is.
/// flush() says what goes wrong; what goes wrong in the background the next begin() says, once,
/// and nothing is lost: the next flush has it all. Its end flushes.
std::unique_ptr<store::Backend> over(std::unique_ptr<store::Backend> below,
                                     const Options& options = {});

}  // namespace graven::memory
