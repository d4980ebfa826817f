// SPDX-License-Identifier: MIT
//
// The least of a client: one command at a time over a unix socket, and its reply as bytes. For
// starting and ending a private server.
//
// Always holds: calls only what is async-signal-safe, so the watchdog may use it. Used by one
// thread at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace graven::redis {

class ServerLine {
 public:
  ServerLine() noexcept = default;
  ~ServerLine();
  ServerLine(const ServerLine&) = delete;
  ServerLine& operator=(const ServerLine&) = delete;

  /// Connects. A wait for a reply ends after `patience_ms`; 0: never.
  bool connect(const char* socket, int patience_ms) noexcept;
  /// Whether the server answers and has loaded its data. A full disk makes it refuse even PING.
  bool ready() noexcept;
  /// Sends a command (one line, without its end) and returns the reply, which is valid until the
  /// next call and cut off after 8 KiB. Empty: the connection broke or the patience ended.
  std::string_view ask(std::string_view command) noexcept;

 private:
  [[nodiscard]] bool whole() const noexcept;

  int descriptor_ = -1;
  std::size_t size_ = 0;
  char reply_[8192];
};

}  // namespace graven::redis
