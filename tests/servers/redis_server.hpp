// SPDX-License-Identifier: MIT
//
// A redis-server (or valkey-server) of a test's own, on a unix socket in a temporary folder. It
// persists nothing unless the test says so, and ends with the thread that started it.
//
// Used by one thread at a time.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "backends/redis/settings.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {

class RedisServer {
 public:
  struct Setup {
    std::vector<std::string> lines{};  ///< of its configuration, such as "requirepass secret"
    bool port = false;                 ///< listens on a port of 127.0.0.1, too
    bool tls = false;                  ///< the same, with TLS; `lines` name the certificates
  };

  /// Starts it. std::runtime_error with its log if that fails.
  RedisServer() : RedisServer(Setup()) {}
  explicit RedisServer(Setup setup);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// Whether there is a server to start; if not, tests are skipped, with missing() as the reason.
  static bool available();
  static constexpr const char* missing() {
    return "neither redis-server nor valkey-server is installed";
  }

  void start();  ///< the same server again, with what is in its folder
  void stop();   ///< asks it to end, and waits
  void kill();   ///< ends it at once
  void restart() {
    stop();
    start();
  }
  void pause();  ///< it answers nothing, and its kernel goes on
  void resume();

  /// The way to it over the socket; tcp() over the port.
  [[nodiscard]] redis::Settings settings() const;
  [[nodiscard]] redis::Settings tcp() const;
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  void write_configuration();
  [[nodiscard]] bool answers() const;

  const Setup setup_;
  TemporaryFolder folder_;
  int port_ = 0;
  pid_t process_ = -1;
};

/// A server for all tests of this process; tests take key prefixes of their own. Call it first from
/// the main thread.
RedisServer& shared_redis();

/// A port of 127.0.0.1 that nobody listens on now.
int free_port();

}  // namespace graven::test
