// SPDX-License-Identifier: MIT
//
// A server that says what a test tells it to: to each thing that it receives, the next reply; when
// there is none left, it closes the connection.
//
// Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "backends/redis/settings.hpp"

namespace graven::test {

/// What a healthy server says to HELLO.
inline const std::string kHello =
    "%4\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+mode\r\n+standalone\r\n+role\r\n+"
    "master\r\n";

class ScriptedServer {
 public:
  /// The replies of the first connection, of the second, …; later ones are closed at once.
  explicit ScriptedServer(std::vector<std::vector<std::string>> scripts)
      : scripts_(std::move(scripts)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, at, size) != 0 || ::listen(listener_, 10) != 0 ||
        ::getsockname(listener_, at, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    settings_.host = "127.0.0.1";
    settings_.port = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] const redis::Settings& settings() const { return settings_; }

 private:
  void run() {
    for (std::size_t at = 0;; ++at) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      std::array<char, 65536> asked;
      for (const std::string& reply :
           at < scripts_.size() ? scripts_[at] : std::vector<std::string>()) {
        if (::recv(client, asked.data(), asked.size(), 0) <= 0) break;
        (void)::send(client, reply.data(), reply.size(), MSG_NOSIGNAL);
      }
      ::close(client);
    }
  }

  const std::vector<std::vector<std::string>> scripts_;
  redis::Settings settings_{};
  int listener_ = -1;
  std::thread thread_;
};

}  // namespace graven::test
