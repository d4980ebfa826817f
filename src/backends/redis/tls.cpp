// SPDX-License-Identifier: MIT
//
// TLS through OpenSSL, which reads and writes by way of our socket: its own would raise SIGPIPE.
// See tls.hpp.
#include "backends/redis/tls.hpp"

#include <graven/error.hpp>

#include <exception>
#include <string>

#include <fmt/format.h>

#if defined(GRAVEN_WITH_OPENSSL)

#include <algorithm>
#include <climits>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace graven::redis {
namespace {

/// The newest error of this thread's OpenSSL.
std::string reason() {
  const unsigned long code = ::ERR_peek_last_error();
  const char* text = ::ERR_reason_error_string(code);
  std::string said = text != nullptr ? text : "unknown error";
  ::ERR_clear_error();
  return said;
}

int length(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, INT_MAX)); }

template <auto free>
struct Free {
  template <class Of>
  void operator()(Of* of) const noexcept {
    free(of);
  }
};

}  // namespace

struct TlsSession::State {
  explicit State(const Socket& of) : socket(of) {}

  /// The number of bytes; 0 if it would block. `done` is what OpenSSL returned.
  std::size_t result(int done) {
    if (done > 0) return static_cast<std::size_t>(done);
    const int error = ::SSL_get_error(session.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      wants_writing = error == SSL_ERROR_WANT_WRITE;
      return 0;
    }
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    if (error == SSL_ERROR_ZERO_RETURN) throw Broken{"the server closed the connection"};
    throw Broken{fmt::format("TLS failed: {}", reason())};
  }

  // What OpenSSL calls.
  static State& of(BIO* bio) { return *static_cast<State*>(::BIO_get_data(bio)); }
  template <class Transfer>
  static int transfer(BIO* bio, int retry, const Transfer& call) noexcept {
    ::BIO_clear_retry_flags(bio);
    try {
      const std::size_t moved = call(of(bio).socket);
      if (moved > 0) return static_cast<int>(moved);
      ::BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    } catch (...) {
      of(bio).failure = std::current_exception();
    }
    return -1;
  }
  static int write(BIO* bio, const char* bytes, int size) {
    return transfer(bio, BIO_FLAGS_WRITE, [&](const Socket& to) {
      return to.send(bytes, static_cast<std::size_t>(size));
    });
  }
  static int read(BIO* bio, char* to, int room) {
    return transfer(bio, BIO_FLAGS_READ, [&](const Socket& from) {
      return from.receive(to, static_cast<std::size_t>(room));
    });
  }
  static long control(BIO* /*bio*/, int command, long /*number*/, void* /*data*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* own = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "graven");
      if (own == nullptr) throw std::bad_alloc();
      ::BIO_meth_set_write(own, write);
      ::BIO_meth_set_read(own, read);
      ::BIO_meth_set_ctrl(own, control);
      return own;
    }();
    return made;
  }

  const Socket& socket;
  std::unique_ptr<SSL_CTX, Free<::SSL_CTX_free>> context{};
  std::unique_ptr<SSL, Free<::SSL_free>> session{};
  std::exception_ptr failure{};  // what the socket threw below OpenSSL
  bool wants_writing = false;    // what it waits for
};

namespace {

void refuse(const std::string& what, const std::string& file) {
  throw UsageError(fmt::format("cannot use {} {} for TLS: {}", what, file, reason()));
}

void load(SSL_CTX* context, const Tls& tls) {
  ::ERR_clear_error();
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_verify(context, tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  ::SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const std::string& authorities = tls.authorities;
  if (authorities.empty()) {
    ::SSL_CTX_set_default_verify_paths(context);
  } else if (::SSL_CTX_load_verify_locations(context, authorities.c_str(), nullptr) != 1) {
    refuse("the certificate authorities", authorities);
  }
  if (tls.certificate.empty()) return;
  const std::string& key = tls.key.empty() ? tls.certificate : tls.key;
  if (::SSL_CTX_use_certificate_chain_file(context, tls.certificate.c_str()) != 1) {
    refuse("the certificate", tls.certificate);
  }
  if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    refuse("the private key", key);
  }
}

void expect_host(SSL* session, const std::string& host) {
  X509_VERIFY_PARAM* expected = ::SSL_get0_param(session);
  if (::X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1) return;
  ::ERR_clear_error();
  if (::SSL_set1_host(session, host.c_str()) != 1 ||
      ::SSL_set_tlsext_host_name(session, host.c_str()) != 1) {
    throw UsageError(fmt::format("'{}' cannot be the name of a host: {}", host, reason()));
  }
}

/// What went wrong is in the thread's list of errors, or in the verification's result.
[[noreturn]] void throw_refused(SSL* session, const std::string& host) {
  const long verified = ::SSL_get_verify_result(session);
  const std::string why = reason();
  if (verified != X509_V_OK) {
    throw UsageError(
        fmt::format("the TLS certificate of {} is refused: {}; name the authorities that signed it "
                    "(ssl_ca_certs), and the host as it is in the certificate",
                    host, ::X509_verify_cert_error_string(verified)));
  }
  throw UsageError(fmt::format("no TLS with {}: {}", host, why));
}

}  // namespace

TlsSession::TlsSession(const Settings& settings, const Socket& socket, base::Deadline deadline)
    : state_(std::make_unique<State>(socket)) {
  State& state = *state_;
  const std::string& host = settings.tls.host.empty() ? settings.host : settings.tls.host;
  state.context.reset(::SSL_CTX_new(::TLS_client_method()));
  if (!state.context) throw std::bad_alloc();
  load(state.context.get(), settings.tls);
  state.session.reset(::SSL_new(state.context.get()));
  BIO* bio = ::BIO_new(State::method());
  if (!state.session || bio == nullptr) throw std::bad_alloc();
  ::BIO_set_data(bio, &state);
  ::BIO_set_init(bio, 1);
  SSL* session = state.session.get();
  ::SSL_set_bio(session, bio, bio);
  expect_host(session, host);
  for (;;) {
    ::ERR_clear_error();
    const int done = ::SSL_connect(session);
    if (done == 1) return;
    if (::SSL_get_error(session, done) == SSL_ERROR_SSL) throw_refused(session, host);
    state.result(done);
    const Socket::For what{.reading = !state.wants_writing, .writing = state.wants_writing};
    if (socket.wait(what, deadline) == Socket::Woken::kDeadline) {
      throw Broken{"TLS was not agreed upon in time"};
    }
  }
}

TlsSession::~TlsSession() = default;

std::size_t TlsSession::send(const char* bytes, std::size_t size) {
  ::ERR_clear_error();
  return state_->result(::SSL_write(state_->session.get(), bytes, length(size)));
}

std::size_t TlsSession::receive(char* to, std::size_t room) {
  ::ERR_clear_error();
  return state_->result(::SSL_read(state_->session.get(), to, length(room)));
}

bool TlsSession::pending() const noexcept { return ::SSL_pending(state_->session.get()) > 0; }

void TlsSession::abandon() noexcept { static_cast<void>(state_.release()); }

}  // namespace graven::redis

#else  // no OpenSSL

namespace graven::redis {

struct TlsSession::State {};

TlsSession::TlsSession(const Settings& settings, const Socket& /*socket*/,
                       base::Deadline /*deadline*/) {
  throw UsageError(fmt::format(
      "cannot use TLS with {}: this graven was built without OpenSSL; install its headers "
      "(libssl-dev) and build graven again, or use redis://",
      settings.host));
}
TlsSession::~TlsSession() = default;
std::size_t TlsSession::send(const char* /*bytes*/, std::size_t /*size*/) { return 0; }
std::size_t TlsSession::receive(char* /*to*/, std::size_t /*room*/) { return 0; }
bool TlsSession::pending() const noexcept { return false; }
void TlsSession::abandon() noexcept {}

}  // namespace graven::redis

#endif
