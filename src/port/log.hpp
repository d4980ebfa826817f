// SPDX-License-Identifier: MIT
//
// The log of a partition: its last commits, in order, each with hashes of what it changed. By it
// the caches of all processes follow each other's commits. Stores whose state version stands in
// memory that all processes share (SharedState) have none.
#pragma once

#include <cstdint>
#include <vector>

#include "base/function_ref.hpp"
#include "port/state_version.hpp"
#include "port/touched.hpp"

namespace graven::port {

struct LogEntry {
  StateVersion state{};        ///< after the commit
  std::uint64_t previous = 0;  ///< StateVersion::history before it
  CommitId id{};
  std::vector<std::uint64_t> hashes{};  ///< see Told
  std::uint64_t flags = 0;              ///< Told::flags()
};

using LogSink = base::FunctionRef<void(const LogEntry&)>;

/// Gets a partition's commits as they come. Called on any thread, by one at a time; it must not use
/// the store.
class LogListener {
 public:
  virtual ~LogListener() = default;
  virtual void committed(const LogEntry& entry) noexcept = 0;
  /// The store lives, and this is its newest state. Called at least every second.
  virtual void heartbeat(const StateVersion& state) noexcept = 0;
  /// Entries may be missing: ask log() for them.
  virtual void interrupted() noexcept = 0;
};

/// Ends when it is destroyed; the listener is not called after that.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

}  // namespace graven::port
