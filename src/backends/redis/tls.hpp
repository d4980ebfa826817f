// SPDX-License-Identifier: MIT
//
// TLS on a socket. Where graven was built without OpenSSL, making one throws a UsageError.
//
// Always holds: a server whose certificate is not valid, or for another host, gets no byte of a
// command, unless the settings say so. Nothing is sent when it ends: the connection is just closed.
//
// Used by one thread at a time.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>

#include "backends/redis/settings.hpp"
#include "backends/redis/socket.hpp"

namespace graven::redis {

class TlsSession {
 public:
  /// Shakes hands. Broken; UsageError if a file cannot be read or the server's certificate is
  /// refused. The socket must live longer.
  TlsSession(const Settings& settings, const Socket& socket, base::Deadline deadline);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  /// As in Socket. What was sent must be sent again with the same bytes if it would block.
  std::size_t send(const char* bytes, std::size_t size);
  std::size_t receive(char* to, std::size_t room);
  /// Whether bytes have been received and decrypted that receive() has not returned.
  [[nodiscard]] bool pending() const noexcept;
  /// For the child of a fork, where a lock of OpenSSL may be held for ever: frees nothing.
  void abandon() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace graven::redis
