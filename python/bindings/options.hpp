// SPDX-License-Identifier: MIT
//
// Options of DB and Map as Python gives them: seconds and names.
//
// Pure functions; any thread.
#pragma once

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <graven/graven.hpp>

namespace graven::python {

inline std::chrono::milliseconds milliseconds(double seconds, const char* option) {
  if (!(seconds >= 0 && seconds <= 1e9)) {
    throw UsageError(std::string(option) + " must be a number of seconds from 0 to 1e9");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

inline Synchronous synchronous_from(const std::string& name) {
  if (name == "off") return Synchronous::kOff;
  if (name == "normal") return Synchronous::kNormal;
  if (name == "full") return Synchronous::kFull;
  throw UsageError("synchronous must be 'off', 'normal' or 'full', not '" + name + "'");
}

inline Persist persist_from(const std::string& name) {
  if (name == "writethrough") return Persist::kWritethrough;
  if (name == "lazy") return Persist::kLazy;
  if (name == "memory") return Persist::kMemory;
  throw UsageError("persist must be 'writethrough', 'lazy' or 'memory', not '" + name + "'");
}

inline std::size_t pending_limit_from(std::int64_t bytes) {
  if (bytes < 0) throw UsageError("pending_limit must not be negative");
  return static_cast<std::size_t>(bytes);
}

inline int pages_from(std::int64_t pages) {
  if (pages < 1 || pages > std::numeric_limits<int>::max()) {
    throw UsageError("pages_per_step must be at least 1 and less than 2 ** 31");
  }
  return static_cast<int>(pages);
}

inline std::size_t memory_from(std::int64_t mebibytes) {
  if (mebibytes < 0) throw UsageError("memory_mb must not be negative");
  return static_cast<std::size_t>(mebibytes);
}

}  // namespace graven::python
