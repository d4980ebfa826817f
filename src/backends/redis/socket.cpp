// SPDX-License-Identifier: MIT
//
// Looks up, connects, waits, sends and receives. See socket.hpp.
#include "backends/redis/socket.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;

std::string text_of(int error) { return std::generic_category().message(error); }

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// The addresses of a host, looked up by a thread of its own: nothing can end getaddrinfo().
class Lookup {
 public:
  static std::vector<Address> run(const std::string& host, int port, base::Deadline deadline) {
    if (auto quick = std::make_shared<Lookup>(host, port); quick->look(AI_NUMERICHOST)) {
      return std::move(quick->found_);
    }
    auto lookup = std::make_shared<Lookup>(host, port);
    std::thread([lookup] { lookup->look(0); }).detach();
    std::unique_lock lock(lookup->mutex_);
    if (!base::wait_until(lock, lookup->ready_, deadline, [&] { return lookup->done_; })) {
      throw Broken{"its name was not found in time"};
    }
    if (lookup->error_ != 0) throw Broken{::gai_strerror(lookup->error_)};
    return std::move(lookup->found_);
  }

  Lookup(std::string host, int port) : host_(std::move(host)), port_(std::to_string(port)) {}

 private:
  bool look(int flags) noexcept {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(host_.c_str(), port_.c_str(), &hints, &list);
    const std::scoped_lock lock(mutex_);
    error_ = error;
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
      Address& address = found_.emplace_back();
      std::memcpy(&address.bytes, at->ai_addr, at->ai_addrlen);
      address.size = at->ai_addrlen;
    }
    if (list != nullptr) ::freeaddrinfo(list);
    done_ = true;
    ready_.notify_all();
    return error == 0;
  }

  const std::string host_;
  const std::string port_;
  std::mutex mutex_;
  std::condition_variable ready_;
  bool done_ = false;  // mutex_, as the next
  int error_ = 0;
  std::vector<Address> found_;
};

Address address_of(const std::string& path) {
  Address address;
  sockaddr_un unix_address{};
  unix_address.sun_family = AF_UNIX;
  if (path.size() >= sizeof unix_address.sun_path) {
    throw UsageError(fmt::format("the path of the socket {} is too long: {} bytes are allowed",
                                 path, sizeof unix_address.sun_path - 1));
  }
  std::memcpy(unix_address.sun_path, path.c_str(), path.size() + 1);
  std::memcpy(&address.bytes, &unix_address, sizeof unix_address);
  address.size = sizeof unix_address;
  return address;
}

void set(int descriptor, int level, int option, int value) noexcept {
  ::setsockopt(descriptor, level, option, &value, sizeof value);  // without it, it works too
}

/// A dead host is noticed after 15 s + 3 * 5 s.
void tune(int descriptor) noexcept {
  set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

timespec until(base::Deadline deadline) {
  using namespace std::chrono;
  const auto left = std::max(deadline - Clock::now(), Clock::duration::zero());
  const auto whole = duration_cast<seconds>(left);
  return {.tv_sec = static_cast<std::time_t>(whole.count()),
          .tv_nsec = static_cast<long>(duration_cast<nanoseconds>(left - whole).count())};
}

Socket::Woken wait_for(int descriptor, short events, base::Deadline deadline, int wake) {
  for (;;) {
    std::array<pollfd, 2> polled{pollfd{descriptor, events, 0}, pollfd{wake, POLLIN, 0}};
    const base::Deadline slice = base::interrupt_slice(deadline);
    const timespec left = until(slice);
    const int ready = ::ppoll(polled.data(), polled.size(), &left, nullptr);
    if (ready < 0 && errno != EINTR) throw Broken{text_of(errno)};
    if (ready > 0) {
      return polled[0].revents != 0 ? Socket::Woken::kReady : Socket::Woken::kWake;
    }
    if (Clock::now() >= deadline) return Socket::Woken::kDeadline;
    base::check_interrupt();
  }
}

/// Closes it unless it is taken.
struct Closing {
  int descriptor;
  explicit Closing(int opened) : descriptor(opened) {}
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  ~Closing() {
    if (descriptor >= 0) ::close(descriptor);
  }
  int take() { return std::exchange(descriptor, -1); }
};

int connected(const Address& address, base::Deadline deadline) {
  const int family = address.bytes.ss_family;
  Closing made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.descriptor < 0) throw Broken{text_of(errno)};
  if (family != AF_UNIX) tune(made.descriptor);
  const auto* to = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (::connect(made.descriptor, to, address.size) == 0) return made.take();
  if (errno != EINPROGRESS && errno != EINTR) throw Broken{text_of(errno)};
  if (wait_for(made.descriptor, POLLOUT, deadline, -1) != Socket::Woken::kReady) {
    throw Broken{"it did not answer in time"};
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(made.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) throw Broken{text_of(error)};
  return made.take();
}

}  // namespace

Socket::Socket(const Settings& settings, base::Deadline deadline) {
  const std::vector<Address> addresses = settings.socket.empty()
                                             ? Lookup::run(settings.host, settings.port, deadline)
                                             : std::vector{address_of(settings.socket)};
  for (std::size_t at = 0; at < addresses.size(); ++at) {
    const auto others = static_cast<int>(addresses.size() - at);
    const auto now = Clock::now();
    try {
      descriptor_ = connected(addresses[at], now + (deadline - now) / others);
      return;
    } catch (const Broken&) {
      if (others == 1) throw;
    }
  }
  throw Broken{"it has no address"};
}

Socket::Woken Socket::wait(For what, base::Deadline deadline, int wake) const {
  const int events = (what.reading ? POLLIN : 0) | (what.writing ? POLLOUT : 0);
  return wait_for(descriptor_, static_cast<short>(events), deadline, wake);
}

std::size_t Socket::send(const char* bytes, std::size_t size) const {
  const ssize_t sent = ::send(descriptor_, bytes, size, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  throw Broken{text_of(errno)};
}

std::size_t Socket::receive(char* to, std::size_t room) const {
  const ssize_t received = ::recv(descriptor_, to, room, 0);
  if (received > 0) return static_cast<std::size_t>(received);
  if (received == 0) throw Broken{"the server closed the connection"};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  throw Broken{text_of(errno)};
}

Socket::Incoming Socket::incoming() const noexcept {
  char byte = 0;
  const ssize_t received = ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (received > 0) return Incoming::kSomething;
  const bool waiting = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  return waiting ? Incoming::kNothing : Incoming::kEnd;
}

void Socket::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace graven::redis
