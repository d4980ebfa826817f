// SPDX-License-Identifier: MIT
//
// A small HTTP server for monitoring: GET and HEAD of a few fixed paths, one request a connection.
//
// Always holds: a request is read whole, within limits of size and time, before anything else
// happens, so clients that are slow, or send too much, cost a thread for seconds at most and a
// tenth of one where others wait; with a token nothing but /healthz is told without it, and
// without one only a loopback address is served, to requests that name it.
//
// run() in one thread; stop() from any. The handler is called from several threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace graven::console {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 9464;         ///< 0: any that is free
  std::string token{};     ///< empty: none is asked for, on a loopback address only
  std::string tls_cert{};  ///< a file with the certificate chain, PEM; empty: no TLS
  std::string tls_key{};   ///< the file with its key
};

struct Answer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body{};
};

/// Whether only this machine reaches an address, given as --host is.
bool is_loopback(const std::string& host);

class Http {
 public:
  /// Answers a path; `verbose` where the query says so. Status 404 for an unknown one.
  using Handler = std::function<Answer(const std::string& path, bool verbose)>;

  /// Listens at once. UsageError for an address that would need a token, and for a port,
  /// certificate or key that cannot be used.
  Http(HttpOptions options, Handler handler);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  [[nodiscard]] int port() const noexcept;
  /// Serves until stop().
  void run();
  void stop();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace graven::console
