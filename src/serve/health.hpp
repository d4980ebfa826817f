// SPDX-License-Identifier: MIT
//
// Whether a store is fit for work: what /readyz answers. Each check says what it found.
//
// Any thread.
#pragma once

#include <graven/database.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace graven::console {

struct Limits {
  std::uint64_t most_wal = std::uint64_t{256} << 20U;    ///< bytes
  std::uint64_t least_free = std::uint64_t{100} << 20U;  ///< bytes, on the file's disk
  bool expect_writable = false;
};

struct Check {
  std::string name;
  bool ok = false;
  std::string what;
};

/// In the order of a reader's interest; none of them writes or waits for a writer.
std::vector<Check> check_readiness(const Database& db, const std::string& path,
                                   const Limits& limits);

}  // namespace graven::console
