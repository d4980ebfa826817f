// SPDX-License-Identifier: MIT
//
// What an examination asks of the machine, so that a test can answer otherwise: a network file
// system, a full disk and a second SQLite are not at hand everywhere.
//
// Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <graven/doctor.hpp>

namespace graven::sqlite {

struct Surroundings {
  /// The name of the network file system that a file lies on, or nothing.
  std::function<std::string(const std::string& path)> network_file_system;
  /// Bytes of the disk that are free for users; nothing where that cannot be told.
  std::function<std::optional<std::uint64_t>(const std::string& folder)> free_bytes;
  /// The SQLite libraries that are loaded in this process, by path.
  std::function<std::set<std::string>()> sqlite_libraries;
  int sqlite_version = 0;  ///< of graven's, as SQLITE_VERSION_NUMBER
};

/// Those of this machine and process.
Surroundings real_surroundings();

/// graven::examine() in other surroundings.
std::vector<Finding> examine(std::string_view path, const Surroundings& surroundings);

}  // namespace graven::sqlite
