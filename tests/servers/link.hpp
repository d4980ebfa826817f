// SPDX-License-Identifier: MIT
//
// A bad network between a test and a server: forwards what comes to a port of 127.0.0.1, and can be
// cut, be slow, or lose what the server replies.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace graven::test {

class Link {
 public:
  /// To the server at a unix socket, or at a port of 127.0.0.1.
  explicit Link(std::string socket);
  explicit Link(int port);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] int port() const { return port_; }

  /// Closes what is connected, and every new connection at once, until mend().
  void cut();
  /// Forwards all again, at once.
  void mend();
  /// What comes now is forwarded so much later, in both directions.
  void delay(std::chrono::milliseconds by);
  /// From now on drops what the server sends.
  void drop_replies();
  /// From now on keeps what is sent to the server back, until mend().
  void hold_requests();

  /// The number of connections so far, and of bytes that went to the server.
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t forwarded() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Way;
  struct Pair;

  Link(std::string socket, int port);
  void run();
  void accept();
  void wake() const;
  [[nodiscard]] int connected() const;
  bool receive(Way& way);
  bool send(Way& way);

  const std::string target_socket_;
  const int target_port_;
  int port_ = 0;
  int listener_ = -1;
  int wake_ = -1;
  mutable std::mutex mutex_;
  bool ended_ = false;  // mutex_, as the next
  bool cut_ = false;
  bool dropping_ = false;
  bool holding_ = false;
  std::chrono::milliseconds delay_{0};
  std::size_t connections_ = 0;
  std::size_t forwarded_ = 0;
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::thread thread_;
};

}  // namespace graven::test
