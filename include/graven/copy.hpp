// SPDX-License-Identifier: MIT
//
// copy_store(): copies everything that is in one store into another, of the same kind or not: from
// a file to a server, from there to a file. docs/operations.md says when to take a backup instead.
//
// Always holds: what is read is one state of the source, while others write. A copy that did not
// end cannot be opened; copying again starts it over. At the end the copy was read back, and holds
// the same as was read.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <graven/argument.hpp>

namespace graven {

struct CopyOptions {
  /// Called now and then, with numbers of records; while it copies, `total` is not known yet (0),
  /// while it compares it is. An exception from it ends the copy.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
  /// How long one write waits for other writers of the target.
  std::chrono::milliseconds busy_timeout{30'000};
};

/// What was copied.
struct CopyReport {
  std::string from{};  ///< the stores, as messages name them: without passwords
  std::string to{};
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< of keys and contents, without what a store adds
  std::uint64_t prefixes = 0;
  std::uint64_t nodes = 0;  ///< dicts and lists, in every prefix
  std::uint64_t maps = 0;
  std::uint64_t items = 0;  ///< of the maps
  std::uint64_t counters = 0;
  /// A hash, 32 hexadecimal digits, of all keys and contents; both stores have it.
  std::string digest{};
  /// Nodes that were removed from the copy: in the source only handles of programs kept them, or
  /// they were pending deletion.
  std::uint64_t collected = 0;
  /// Whether uids are the same in both stores. If not, the 13 last characters of each are
  /// different.
  bool same_uids = false;
};

/// Copies the store at `from` (a path or URL) into the one at `to`, which is created if it is
/// missing. UsageError if something is in it already; then nothing is changed. BusyError while
/// another process copies into it. What a lazy store has not flushed is not copied.
CopyReport copy_store(Text from, Text to, const CopyOptions& options = {});

}  // namespace graven
