// SPDX-License-Identifier: MIT
//
// One client's connection, plain or with TLS: nothing on it takes longer than a deadline.
//
// One thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

namespace graven::console {

/// A certificate and its key, as connections use them. Any thread.
class Tls {
 public:
  /// UsageError where the files do not hold them.
  Tls(const std::string& certificate, const std::string& key);
  [[nodiscard]] SSL_CTX* context() const noexcept { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

class Connection {
 public:
  using Clock = std::chrono::steady_clock;
  /// Asked now and then while the client is waited for: whether to give up on it.
  using GiveUp = std::function<bool(Clock::duration waited)>;

  /// Takes the socket, which is closed in the end.
  Connection(int socket, const Tls* tls, Clock::duration patience, GiveUp give_up);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  enum class Head { kWhole, kTooLarge, kGone };
  /// Reads a request up to the empty line that ends its header; what may follow stays unread.
  Head read_head(std::string& head);
  bool write(std::string_view bytes);
  /// Ends it so that the client gets what was written, also where it is still sending.
  void finish();

 private:
  bool wait(short events);
  bool shake_hands();
  /// Bytes, 0 at the end, or -1.
  long receive(char* into, std::size_t size);
  bool tls_waits(int result);

  const int socket_;
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
  const Clock::time_point start_ = Clock::now();
  const Clock::duration patience_;
  const GiveUp give_up_;
  bool broken_ = false;
};

}  // namespace graven::console
