// SPDX-License-Identifier: MIT
//
// One thread that forwards. See link.hpp.
#include "servers/link.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace graven::test {
namespace {

constexpr std::size_t kMost = std::size_t{1} << 20U;  // kept of one direction

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

}  // namespace

/// One direction of a connection.
struct Link::Way {
  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  int from;
  int to;
  bool up;  // to the server
  std::deque<Chunk> chunks{};
  std::size_t kept = 0;
};

struct Link::Pair {
  explicit Pair(int client, int server) : up{client, server, true}, down{server, client, false} {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    ::close(up.from);
    ::close(up.to);
  }
  Way up;
  Way down;
};

Link::Link(std::string socket) : Link(std::move(socket), 0) {}
Link::Link(int port) : Link(std::string(), port) {}

Link::Link(std::string socket, int port) : target_socket_(std::move(socket)), target_port_(port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* at = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, at, size) != 0 || ::listen(listener_, 100) != 0 ||
      ::getsockname(listener_, at, &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Link::~Link() {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
  }
  wake();
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void Link::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void Link::cut() {
  const std::scoped_lock lock(mutex_);
  cut_ = true;
  pairs_.clear();
  wake();
}

void Link::mend() {
  const std::scoped_lock lock(mutex_);
  cut_ = dropping_ = holding_ = false;
  delay_ = std::chrono::milliseconds(0);
  wake();
}

void Link::delay(std::chrono::milliseconds by) {
  const std::scoped_lock lock(mutex_);
  delay_ = by;
}

void Link::drop_replies() {
  const std::scoped_lock lock(mutex_);
  dropping_ = true;
}

void Link::hold_requests() {
  const std::scoped_lock lock(mutex_);
  holding_ = true;
}

std::size_t Link::connections() const {
  const std::scoped_lock lock(mutex_);
  return connections_;
}

std::size_t Link::forwarded() const {
  const std::scoped_lock lock(mutex_);
  return forwarded_;
}

int Link::connected() const {
  const int descriptor =
      ::socket(target_socket_.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = -1;
  if (target_socket_.empty()) {
    const sockaddr_in address = loopback(target_port_);
    result = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } else {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, target_socket_.c_str(), sizeof address.sun_path - 1);
    result = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  if (result == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

void Link::accept() {
  for (;;) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = cut_ ? -1 : connected();
    if (server < 0) {
      ::close(client);
      continue;
    }
    ++connections_;
    pairs_.push_back(std::make_unique<Pair>(client, server));
  }
}

/// False once there is nothing more to come.
bool Link::receive(Way& way) {
  if (way.kept >= kMost) return true;
  std::array<char, 65536> bytes;
  const ssize_t size = ::recv(way.from, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) return false;
  if (!way.up && dropping_) return true;
  way.chunks.push_back(
      {Clock::now() + delay_, std::string(bytes.data(), static_cast<std::size_t>(size))});
  way.kept += static_cast<std::size_t>(size);
  return true;
}

/// False if nobody takes it.
bool Link::send(Way& way) {
  while (!way.chunks.empty() && way.chunks.front().due <= Clock::now() && !(way.up && holding_)) {
    std::string& bytes = way.chunks.front().bytes;
    const ssize_t sent = ::send(way.to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    const auto size = static_cast<std::size_t>(sent);
    way.kept -= size;
    if (way.up) forwarded_ += size;
    bytes.erase(0, size);
    if (!bytes.empty()) return true;
    way.chunks.pop_front();
  }
  return true;
}

void Link::run() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
    std::optional<Clock::time_point> next;
    for (const auto& pair : pairs_) {
      for (const Way* way : {&pair->up, &pair->down}) {
        const bool ready = !way->chunks.empty() && !(way->up && holding_);
        const bool due = ready && way->chunks.front().due <= Clock::now();
        if (ready && !due)
          next = std::min(next.value_or(Clock::time_point::max()), way->chunks.front().due);
        polled.push_back({way->kept < kMost ? way->from : -1, POLLIN, 0});
        polled.push_back({due ? way->to : -1, POLLOUT, 0});
      }
    }
    lock.unlock();
    int patience = -1;
    if (next) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
      patience = std::max(0, static_cast<int>(left.count()));
    }
    ::poll(polled.data(), polled.size(), patience);
    std::uint64_t count = 0;
    (void)!::read(wake_, &count, sizeof count);
    lock.lock();
    accept();
    std::erase_if(pairs_, [this](const std::unique_ptr<Pair>& pair) {
      const bool open = receive(pair->up) && receive(pair->down);
      return !(send(pair->up) && send(pair->down) && open);
    });
  }
  pairs_.clear();
}

}  // namespace graven::test
