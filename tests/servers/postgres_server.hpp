// SPDX-License-Identifier: MIT
//
// A PostgreSQL server of a test's own: in a temporary folder, on a unix socket only, as a user who
// is not root. It ends with the test process.
//
// One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {

class PostgresServer {
 public:
  /// Why there can be no server here, for GTEST_SKIP; nothing if there can be one.
  static std::optional<std::string> missing();

  /// Starts one; `options` are further ones of postgres ("-c name=value").
  explicit PostgresServer(const std::string& options = "-c fsync=off");
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// For a database and user; the user graven is a superuser.
  [[nodiscard]] std::string url(const std::string& user = "graven",
                                const std::string& database = "postgres") const;

  /// Called by a thread that lives longer than the server.
  void start();
  /// How it ends: kClean waits for nobody, but writes everything; kCrash as after a crash: it
  /// recovers at the next start.
  enum class End { kClean, kCrash };
  void stop(End how);

  /// Runs SQL as a superuser; the first field of the first row, or nothing.
  std::string sql(const std::string& text, const std::string& database = "postgres") const;

 private:
  TemporaryFolder folder_;
  std::string options_;
  pid_t server_ = -1;
};

/// One for all tests of this process, which need no restart.
PostgresServer& shared_postgres();

}  // namespace graven::test
