// SPDX-License-Identifier: MIT
//
// The connection of one HTTP client, plain or with TLS. Nothing on it takes longer than its
// deadline.
//
// One thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

namespace graven::serve {

/// A certificate and its private key, shared by connections. Any thread.
class Tls {
 public:
  /// UsageError if the files do not contain them.
  Tls(const std::string& certificate, const std::string& key);
  [[nodiscard]] SSL_CTX* context() const noexcept { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

class Connection {
 public:
  using Clock = std::chrono::steady_clock;
  /// Asked every 50 ms while waiting for the client; true ends the connection.
  using GiveUp = std::function<bool(Clock::duration waited)>;

  /// Takes the socket and closes it in the end.
  Connection(int socket, const Tls* tls, Clock::duration patience, GiveUp give_up);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  enum class Head { kWhole, kTooLarge, kGone };
  /// Reads a request up to the empty line after its header; does not read its body.
  Head read_head(std::string& head);
  bool write(std::string_view bytes);
  /// Ends the connection so that the client gets what was written, even if it is still sending.
  void finish();

 private:
  bool wait(short events);
  bool shake_hands();
  /// Number of bytes; 0 at the end, -1 on errors.
  long receive(char* into, std::size_t size);
  bool tls_waits(int result);

  const int socket_;
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
  const Clock::time_point start_ = Clock::now();
  const Clock::duration patience_;
  const GiveUp give_up_;
  bool broken_ = false;
};

}  // namespace graven::serve
