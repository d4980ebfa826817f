// SPDX-License-Identifier: MIT
//
// cpp-httplib listens, parses requests and writes responses. Reading connections and comparing
// paths is done here, because cpp-httplib has no limits for them. See http.hpp for threads.
#include "serve/http.hpp"

#include <graven/error.hpp>

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <httplib.h>

#include "serve/connection.hpp"

namespace graven::serve {
namespace {

constexpr std::size_t kWorkers = 32;
constexpr std::size_t kMostQueued = 256;
constexpr int kBacklog = 256;
constexpr auto kPatience = std::chrono::seconds(5);                 // with a client, in total
constexpr auto kPatienceInAQueue = std::chrono::milliseconds(100);  // if others wait

/// Set in the accepting thread while it rejects a connection.
thread_local bool turning_away = false;

/// Threads for connections. If too many connections wait, the accepting thread rejects the next
/// one.
class Workers final : public httplib::TaskQueue {
 public:
  explicit Workers(std::atomic<std::size_t>& queued) : queued_(queued) {
    for (std::size_t i = 0; i < kWorkers; ++i) threads_.emplace_back([this] { work(); });
  }

  void enqueue(std::function<void()> job) override {
    {
      const std::scoped_lock lock(mutex_);
      if (jobs_.size() < kMostQueued) {
        jobs_.push_back(std::move(job));
        queued_ = jobs_.size();
        ready_.notify_one();
        return;
      }
    }
    turning_away = true;
    job();
    turning_away = false;
  }

  void shutdown() override {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
    }
    ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ready_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      queued_ = jobs_.size();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::atomic<std::size_t>& queued_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool ending_ = false;                     // guarded by mutex_
  std::vector<std::thread> threads_;
};

/// A request that was read completely, for cpp-httplib to parse; and the connection for the
/// response.
class Exchange final : public httplib::Stream {
 public:
  Exchange(std::string request, Connection& connection)
      : request_(std::move(request)), connection_(connection) {}

  [[nodiscard]] bool is_readable() const override { return read_ < request_.size(); }
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* into, size_t size) override {
    const std::size_t count = std::min(size, request_.size() - read_);
    std::memcpy(into, request_.data() + read_, count);
    read_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, size_t size) override {
    return connection_.write({bytes, size}) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { unknown(ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const override { unknown(ip, port); }
  [[nodiscard]] socket_t socket() const override { return INVALID_SOCKET; }

 private:
  static void unknown(std::string& ip, int& port) {
    ip.clear();
    port = 0;
  }

  const std::string request_;
  std::size_t read_ = 0;
  Connection& connection_;
};

std::string plain_response(int status, const char* reason) {
  const std::string body = std::string(reason) + "\n";
  return "HTTP/1.1 " + std::to_string(status) + " " + reason +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

bool is_loopback(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (host == "localhost") return true;
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24U == 127;
  return ::inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

namespace {

/// The host in a Host header, without port and brackets.
std::string host_of(const std::string& value) {
  if (value.starts_with('[')) return value.substr(1, value.find(']') - 1);
  return value.substr(0, value.find(':'));
}

/// Compares in a time that does not depend on the contents.
bool same_secret(const std::string& a, const std::string& b) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> of_a{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> of_b{};
  SHA256(reinterpret_cast<const unsigned char*>(a.data()), a.size(), of_a.data());
  SHA256(reinterpret_cast<const unsigned char*>(b.data()), b.size(), of_b.data());
  return CRYPTO_memcmp(of_a.data(), of_b.data(), of_a.size()) == 0;
}

}  // namespace

class Http::Server final : public httplib::Server {
 public:
  Server(HttpOptions options, Http::Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {
    if (options_.token.empty() && !is_loopback(options_.host)) {
      throw UsageError("serving on " + options_.host +
                       ", which others can reach, needs a token: give --token-file");
    }
    if (options_.tls_cert.empty() != options_.tls_key.empty()) {
      throw UsageError("TLS needs both --tls-cert and --tls-key");
    }
    if (!options_.tls_cert.empty()) tls_.emplace(options_.tls_cert, options_.tls_key);
    new_task_queue = [this] { return new Workers(queued_); };
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      answer(request, response);
      return HandlerResponse::Handled;
    });
    // cpp-httplib would let two servers share the port, and then either would answer.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    errno = 0;
    port_ = options_.port;
    if (port_ == 0) {
      port_ = bind_to_any_port(options_.host);
    } else if (!bind_to_port(options_.host, port_)) {
      port_ = -1;
    }
    if (port_ < 0) {
      const int why = errno;
      const std::string where = options_.host + " port " + std::to_string(options_.port);
      if (why == EADDRINUSE) {
        throw UsageError("cannot listen on " + where +
                         ": another program listens there, perhaps another graven serve; give "
                         "another --port, or 0 for any free port");
      }
      throw UsageError("cannot listen on " + where + ": " +
                       (why != 0 ? std::strerror(why) : "it is not an address of this machine"));
    }
    ::listen(svr_sock_, kBacklog);  // again: cpp-httplib's backlog is only 5
  }

  [[nodiscard]] int port() const noexcept { return port_; }
  void end() {
    ending_ = true;
    stop();
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    const bool away = turning_away;
    Connection connection(socket, tls_ && !away ? &*tls_ : nullptr, kPatience,
                          [this, away](Connection::Clock::duration waited) {
                            return away || ending_ || (queued_ != 0 && waited > kPatienceInAQueue);
                          });
    if (away) {
      if (!tls_) connection.write(plain_response(503, "Service Unavailable"));
      return false;
    }
    std::string head;
    switch (connection.read_head(head)) {
      case Connection::Head::kGone:
        return false;
      case Connection::Head::kTooLarge:
        connection.write(plain_response(431, "Request Header Fields Too Large"));
        break;
      case Connection::Head::kWhole: {
        Exchange exchange(std::move(head), connection);
        bool closed = false;
        process_request(exchange, true, closed, [](httplib::Request&) {});
        break;
      }
    }
    connection.finish();
    return true;
  }

  void answer(const httplib::Request& request, httplib::Response& response) const {
    const Answer given = decide(request, response);
    response.status = given.status;
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_content(given.body, given.type);
  }

  [[nodiscard]] Answer decide(const httplib::Request& request, httplib::Response& response) const {
    const auto plain = [](int status, const char* text) {
      return Answer{.status = status, .body = text};
    };
    if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      return plain(405, "only GET and HEAD here\n");
    }
    if (options_.token.empty()) {
      // DNS rebinding: a page in a browser may resolve its own name to this address.
      const std::string host = host_of(request.get_header_value("Host"));
      if (!host.empty() && !is_loopback(host)) return plain(421, "not served under that name\n");
    } else if (request.path != "/healthz" && !authorised(request)) {
      response.set_header("WWW-Authenticate", "Bearer realm=\"graven\"");
      return plain(401, "a bearer token is needed\n");
    }
    try {
      const bool verbose =
          request.has_param("verbose") && request.get_param_value("verbose") != "0";
      return handler_(request.path, verbose);
    } catch (const std::exception& error) {
      return {.status = 503, .body = std::string(error.what()) + "\n"};
    }
  }

  [[nodiscard]] bool authorised(const httplib::Request& request) const {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string given = request.get_header_value("Authorization");
    if (!given.starts_with(kScheme)) return false;
    return same_secret(given.substr(kScheme.size()), options_.token);
  }

  const HttpOptions options_;
  const Http::Handler handler_;
  std::optional<Tls> tls_;
  int port_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<std::size_t> queued_{0};
};

Http::Http(HttpOptions options, Handler handler)
    : server_(std::make_unique<Server>(std::move(options), std::move(handler))) {}
Http::~Http() = default;

int Http::port() const noexcept { return server_->port(); }
void Http::run() { server_->listen_after_bind(); }
void Http::stop() { server_->end(); }

}  // namespace graven::serve
