// SPDX-License-Identifier: MIT
//
// Reads and writes without blocking; waits with poll(). One thread at a time.
#include "serve/connection.hpp"

#include <graven/error.hpp>

#include <openssl/err.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace graven::serve {
namespace {

constexpr std::size_t kLongestHead = 8192;
constexpr std::size_t kLongestLine = 2048;  // the parser uses regular expressions on a line
constexpr auto kTick = std::chrono::milliseconds(50);
constexpr auto kLinger = std::chrono::milliseconds(200);
constexpr int kDrained = 64;  // reads of data that is ignored

std::string last_tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return code == 0 ? "unknown error" : text.data();
}

}  // namespace

Tls::Tls(const std::string& certificate, const std::string& key)
    : context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
  if (!context_) throw UnavailableError("TLS cannot be set up: " + last_tls_error());
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (SSL_CTX_use_certificate_chain_file(context_.get(), certificate.c_str()) != 1) {
    throw UsageError("no certificate chain (PEM) in " + certificate + ": " + last_tls_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context_.get()) != 1) {
    throw UsageError("no private key (PEM) for " + certificate + " in " + key + ": " +
                     last_tls_error());
  }
}

Connection::Connection(int socket, const Tls* tls, Clock::duration patience, GiveUp give_up)
    : socket_(socket),
      tls_(tls != nullptr ? SSL_new(tls->context()) : nullptr, &SSL_free),
      patience_(patience),
      give_up_(std::move(give_up)) {
  ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
  if (tls != nullptr) broken_ = !tls_ || SSL_set_fd(tls_.get(), socket_) != 1;
}

Connection::~Connection() {
  tls_.reset();
  ::close(socket_);
}

bool Connection::wait(short events) {
  while (!broken_) {
    const auto waited = Clock::now() - start_;
    if (waited >= patience_ || give_up_(waited)) break;
    pollfd watched{socket_, events, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience_ - waited);
    const int ready = ::poll(&watched, 1, static_cast<int>(std::min(left, kTick).count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) break;
  }
  broken_ = true;
  return false;
}

/// After a TLS call that did not succeed: waits if it needs that; whether to call again.
bool Connection::tls_waits(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT);
    default:
      ERR_clear_error();
      broken_ = true;
      return false;
  }
}

bool Connection::shake_hands() {
  while (!broken_) {
    const int result = SSL_accept(tls_.get());
    if (result == 1) return true;
    if (!tls_waits(result)) return false;
  }
  return false;
}

long Connection::receive(char* into, std::size_t size) {
  while (!broken_) {
    if (tls_) {
      const int got = SSL_read(tls_.get(), into, static_cast<int>(size));
      if (got > 0) return got;
      if (SSL_get_error(tls_.get(), got) == SSL_ERROR_ZERO_RETURN) return 0;
      if (!tls_waits(got)) return -1;
    } else {
      const ssize_t got = ::recv(socket_, into, size, 0);
      if (got >= 0) return got;
      if (errno == EINTR) continue;
      if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait(POLLIN)) return -1;
    }
  }
  return -1;
}

Connection::Head Connection::read_head(std::string& head) {
  head.clear();
  if (tls_ && !shake_hands()) return Head::kGone;
  std::array<char, 4096> bytes;
  std::size_t line = 0;  // start of the current line
  for (;;) {
    const long got = receive(bytes.data(), bytes.size());
    if (got <= 0) return Head::kGone;
    const std::size_t from = head.size();
    head.append(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t at = from; at < head.size(); ++at) {
      if (at - line > kLongestLine || at > kLongestHead) return Head::kTooLarge;
      if (head[at] != '\n') continue;
      const bool empty = at == line || (at == line + 1 && head[line] == '\r');
      if (empty && line != 0) {
        head.resize(at + 1);
        return Head::kWhole;
      }
      line = at + 1;
    }
  }
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty() && !broken_) {
    long put = 0;
    if (tls_) {
      const int done = SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (done <= 0 && !tls_waits(done)) return false;
      put = std::max(done, 0);
    } else {
      put = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put < 0) {
        if (errno == EINTR) continue;
        if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait(POLLOUT)) return false;
        put = 0;
      }
    }
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return !broken_;
}

void Connection::finish() {
  if (tls_ && !broken_) SSL_shutdown(tls_.get());
  ::shutdown(socket_, SHUT_WR);
  // If unread data is left at close, TCP drops what the client has not read yet.
  pollfd unread{socket_, POLLIN, 0};
  if (::poll(&unread, 1, 0) <= 0) return;
  const auto until = Clock::now() + kLinger;
  std::array<char, 4096> unwanted;
  for (int i = 0; i < kDrained; ++i) {
    pollfd watched{socket_, POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return;
    if (::recv(socket_, unwanted.data(), unwanted.size(), 0) <= 0) return;
  }
}

}  // namespace graven::serve
