// SPDX-License-Identifier: MIT
//
// The paths and the life of the server. serve() runs on the main thread, answers on the server's
// threads.
#include "serve/serve.hpp"

#include <graven/error.hpp>

#include <fmt/format.h>

#include <csignal>

#include <atomic>
#include <thread>
#include <vector>

#include "serve/log_lines.hpp"
#include "serve/status.hpp"
#include "serve/token.hpp"

namespace graven::serve {
namespace {

constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";

Answer readiness(const Database& db, const ServeOptions& options, bool verbose) {
  const std::vector<Check> checks = check_readiness(db, options.path, options.limits);
  Answer answer{.body = {}};
  std::string lines;
  for (const Check& check : checks) {
    if (!check.ok) answer.status = 503;
    if (verbose || !check.ok) {
      lines += fmt::format("[{}] {}: {}\n", check.ok ? "ok" : "FAILED", check.name, check.what);
    }
  }
  answer.body = lines + (answer.status == 200 ? "ready\n" : "not ready\n");
  return answer;
}

Answer answer_to(const std::string& path, bool verbose, const Database& db,
                 const ServeOptions& options) {
  if (path == "/healthz") {
    return {.body = db.stats().file.readable ? "alive\n" : "alive, but the store cannot be read\n"};
  }
  if (path == "/metrics") return {.type = kExposition, .body = db.metrics()};
  if (path == "/readyz") return readiness(db, options, verbose);
  if (path == "/status") {
    return {.type = "application/json", .body = to_json(db.stats(), db.connection_stats()) + "\n"};
  }
  return {.status = 404, .body = "there are /metrics, /healthz, /readyz and /status\n"};
}

/// While one exists, only wait() gets SIGINT, SIGTERM and SIGHUP: threads started meanwhile inherit
/// the blocked signals. A signal that was ignored (nohup) stays ignored.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    for (const int signal : {SIGINT, SIGHUP}) {
      struct sigaction now {};
      if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_IGN) {
        sigaddset(&signals_, signal);
      }
    }
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~EndSignals() {
    const timespec at_once{};
    while (sigtimedwait(&signals_, nullptr, &at_once) > 0) {
      // A repeated request to end; it has ended already.
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  void wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
  }
  /// Makes wait() return; from another thread.
  void raise() const { pthread_kill(waiter_, SIGTERM); }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  const pthread_t waiter_ = pthread_self();
};

}  // namespace

void serve(const ServeOptions& options, const std::function<Database()>& open) {
  const EndSignals signals;
  const LogLines log(options.log_level);
  HttpOptions http = options.http;
  http.token = read_token(options.token_file, log);
  const Database db = open();
  Http server(http, [&](const std::string& path, bool verbose) {
    return answer_to(path, verbose, db, options);
  });
  if (http.tls_cert.empty() && !is_loopback(http.host)) {
    log.warn("no_tls", "the token and all figures are sent unencrypted over the network from " +
                           http.host +
                           ": give --tls-cert and --tls-key, or put it behind a proxy with TLS");
  }
  std::atomic<bool> asked{false};
  std::atomic<bool> ended{false};
  std::thread serving([&] {
    server.run();
    ended = true;
    if (!asked) signals.raise();
  });
  if (options.listening) {
    const bool six = http.host.find(':') != std::string::npos;
    options.listening(fmt::format("{}://{}:{}", http.tls_cert.empty() ? "http" : "https",
                                  six ? "[" + http.host + "]" : http.host, server.port()));
  }
  signals.wait();
  const bool by_itself = ended;
  asked = true;
  while (!ended) {
    server.stop();  // no effect before run() has started
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  serving.join();
  db.close();
  if (by_itself) throw UnavailableError("the server could not go on accepting connections");
}

}  // namespace graven::serve
