// SPDX-License-Identifier: MIT
//
// A small HTTP server for monitoring: GET and HEAD of a few fixed paths, one request per
// connection.
//
// Always holds: a request is read completely, with limits of size and time, before it is handled.
// So a client that is slow or sends too much occupies a thread for 5 seconds at most, or 0.1
// seconds if others wait. With a token, only /healthz answers without it. Without a token, only a
// loopback address is served, and only requests whose Host header names one.
//
// run() in one thread; stop() from any. The handler is called from several threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace graven::serve {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 9464;         ///< 0: any free port
  std::string token{};     ///< empty: no token is needed; only on a loopback address
  std::string tls_cert{};  ///< a file with the certificate chain, PEM; empty: no TLS
  std::string tls_key{};   ///< a file with its private key, PEM
};

struct Answer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body{};
};

/// Whether only this machine can reach an address given as --host.
bool is_loopback(const std::string& host);

class Http {
 public:
  /// Answers a path; `verbose` is the query parameter. Status 404 for an unknown path.
  using Handler = std::function<Answer(const std::string& path, bool verbose)>;

  /// Starts to listen. UsageError if the address needs a token, or if the port, certificate or key
  /// cannot be used.
  Http(HttpOptions options, Handler handler);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  [[nodiscard]] int port() const noexcept;
  /// Serves until stop() is called.
  void run();
  void stop();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace graven::serve
