// SPDX-License-Identifier: MIT
//
// A private redis-server: redis+embedded:///path.rdb. The processes that use a file share one
// server, which the first one starts and which ends when the last one has ended, however it ended.
// The server listens on a unix socket only that this user can reach.
//
// Any thread.
#pragma once

#include <memory>
#include <string>

#include "backends/redis/settings.hpp"
#include "base/interrupt.hpp"

namespace graven::redis {

/// As long as it lives, this process is a user of the server.
class PrivateServer {
 public:
  virtual ~PrivateServer() = default;
  /// The path of its socket, for Settings::socket; valid while this object lives, in this process.
  [[nodiscard]] virtual const std::string& socket() const noexcept = 0;
  /// For when the socket does not answer: waits until the server is there again, and starts it if
  /// its watchdog was killed. UnavailableError at the deadline.
  virtual void revive(base::Deadline deadline) = 0;
  /// The directory that holds everything of the server, beside the file.
  [[nodiscard]] virtual const std::string& folder() const noexcept = 0;
};

/// Joins the server of the file `path` (an .rdb, which need not exist), or starts it. UsageError if
/// no redis-server or valkey-server is installed, or the path cannot be one; UnavailableError if it
/// does not start by the deadline, with the last lines of its log.
std::unique_ptr<PrivateServer> join_private_server(const std::string& path, bool create,
                                                   base::Deadline deadline);

}  // namespace graven::redis
