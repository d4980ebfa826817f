// SPDX-License-Identifier: MIT
//
// The bytes to and from a server, with or without TLS. Like a socket, it does not block; to wait,
// call wait().
//
// Used by one thread at a time.
#pragma once

#include <cstddef>
#include <optional>

#include "backends/redis/settings.hpp"
#include "backends/redis/socket.hpp"
#include "backends/redis/tls.hpp"

namespace graven::redis {

class Stream {
 public:
  /// Connects, and shakes hands. Broken, UsageError.
  Stream(const Settings& settings, base::Deadline deadline) : socket_(settings, deadline) {
    if (settings.tls.on && settings.socket.empty()) tls_.emplace(settings, socket_, deadline);
  }

  /// As in Socket.
  std::size_t send(const char* bytes, std::size_t size) {
    return tls_ ? tls_->send(bytes, size) : socket_.send(bytes, size);
  }
  std::size_t receive(char* to, std::size_t room) {
    return tls_ ? tls_->receive(to, room) : socket_.receive(to, room);
  }
  Socket::Woken wait(Socket::For what, base::Deadline deadline, int wake = -1) const {
    if (what.reading && tls_ && tls_->pending()) return Socket::Woken::kReady;
    return socket_.wait(what, deadline, wake);
  }
  [[nodiscard]] Socket::Incoming incoming() const noexcept {
    return tls_ && tls_->pending() ? Socket::Incoming::kSomething : socket_.incoming();
  }
  /// With TLS, bytes may have been sent although send() returned 0.
  [[nodiscard]] bool encrypted() const noexcept { return tls_.has_value(); }

  void abandon() noexcept {
    socket_.close();
    if (tls_) tls_->abandon();
  }

 private:
  Socket socket_;
  std::optional<TlsSession> tls_{};
};

}  // namespace graven::redis
