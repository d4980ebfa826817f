// SPDX-License-Identifier: MIT
//
// The memory backend. Either a store that exists only as long as the object, or a lazy store over
// another one: commits are kept here until a flush commits them to the store below. A flush writes
// everything up to a flush barrier (cut) in one transaction. So the store below always has a state
// that this store once had, and commits do not wait for it. See docs/design/persist.md.
//
// Always holds: a version is kept while some view can see it, and the newest version of a record
// also until it is in the store below.
//
// Any thread may call a Backend. After a fork, the child has its own copy of a store in memory
// only. A lazy store, all views and all transactions remain the parent's.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "port/backend.hpp"

namespace graven::lazy {

/// A new, empty store in memory. `name` is for messages only: each call makes another store.
std::unique_ptr<port::Backend> open(std::string name);

struct Options {
  std::chrono::milliseconds flush_interval{1000};       ///< between two flushes
  std::size_t pending_limit = std::size_t{256} << 20U;  ///< bytes; then begin() waits
  std::chrono::milliseconds patience{30'000};           ///< of a flush with the store below
};

/// A lazy store over `below`. Takes the exclusive-writer lease: BusyError if another process writes
/// that store. flush() throws its errors. The error of a background flush is thrown once, by the
/// next begin(); nothing is lost, since the next flush writes everything. The destructor flushes.
std::unique_ptr<port::Backend> over(std::unique_ptr<port::Backend> below,
                                    const Options& options = {});

}  // namespace graven::lazy
