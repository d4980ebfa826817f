// SPDX-License-Identifier: MIT
//
// Whether a store can serve requests: the answer of /readyz. Each check says what it found.
//
// Any thread.
#pragma once

#include <graven/database.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace graven::serve {

struct Limits {
  std::uint64_t most_wal = std::uint64_t{256} << 20U;    ///< bytes
  std::uint64_t least_free = std::uint64_t{100} << 20U;  ///< bytes, on the disk of the file
  bool expect_writable = false;
};

struct Check {
  std::string name;
  bool ok = false;
  std::string what;
};

/// The checks, most interesting first. None writes or waits for a writer.
std::vector<Check> check_readiness(const Database& db, const std::string& path,
                                   const Limits& limits);

}  // namespace graven::serve
