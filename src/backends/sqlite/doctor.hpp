// SPDX-License-Identifier: MIT
//
// What `graven doctor` asks the machine. Tests replace it, because not every machine has a network
// file system, a full disk or a second SQLite in the process.
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
  /// The name of the network file system that holds the file, or empty.
  std::function<std::string(const std::string& path)> network_file_system;
  /// Free bytes on the disk that ordinary users can use; nothing if unknown.
  std::function<std::optional<std::uint64_t>(const std::string& folder)> free_bytes;
  /// Paths of the SQLite libraries that are loaded in this process.
  std::function<std::set<std::string>()> sqlite_libraries;
  int sqlite_version = 0;  ///< of the SQLite that graven uses, as SQLITE_VERSION_NUMBER
};

/// The real answers, for this machine and process.
Surroundings real_surroundings();

/// graven::examine(), with the given answers.
std::vector<Finding> examine(std::string_view path, const Surroundings& surroundings);

}  // namespace graven::sqlite
