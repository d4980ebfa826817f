// SPDX-License-Identifier: MIT
//
// The PostgreSQL backend: one store in one schema of a PostgreSQL database (13 or later). Any
// number of processes on any hosts may use it. docs/format/postgres.md describes the tables;
// docs/stores.md says what is promised.
//
// Any thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "port/backend.hpp"

namespace graven::postgres {

struct Settings {
  std::string url{};             ///< for libpq: without graven's own options
  std::string schema{"graven"};  ///< stores in different schemas are different stores
  bool read_only = false;
  bool create = true;   ///< whether a store that is missing is made; if not: UnavailableError
  bool durable = true;  ///< false: synchronous_commit = off, a crash of the server may take the
                        ///< last commits
  int max_connections = 10;
};

/// The settings that a URL names: postgresql://… or postgres://…, as libpq takes it. `query` are
/// the options after '?' that graven itself does not know (name, value, both decoded): schema,
/// synchronous_commit (on, off), and libpq's own (sslmode, connect_timeout, …). UsageError says
/// what is wrong, without passwords.
Settings settings_of(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& query);

/// Opens the store; makes it if there is none and the settings allow that. UnavailableError if the
/// server cannot be reached; UsageError if libpq is not installed, the server is too old or a
/// standby, or a right is missing; ForeignFileError if the schema is not graven's or of a newer
/// format.
std::unique_ptr<port::Backend> open(const Settings& settings);

}  // namespace graven::postgres
