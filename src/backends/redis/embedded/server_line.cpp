// SPDX-License-Identifier: MIT
//
// Commands go as inline commands; a reply is a line, or a length and as many bytes.
#include "backends/redis/embedded/server_line.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace graven::redis {

ServerLine::~ServerLine() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool ServerLine::connect(const char* socket, int patience_ms) noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  struct sockaddr_un address {};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(socket);
  if (size >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket, size);
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return false;
  const struct timeval patience { patience_ms / 1000, (patience_ms % 1000) * 1000 };
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool ServerLine::ready() noexcept {
  const std::string_view reply = ask("PING");
  return reply.starts_with("+PONG") || reply.starts_with("-MISCONF");
}

std::string_view ServerLine::ask(std::string_view command) noexcept {
  size_ = 0;
  char line[128];
  if (descriptor_ < 0 || command.size() + 2 > sizeof line) return {};
  std::memcpy(line, command.data(), command.size());
  std::memcpy(line + command.size(), "\r\n", 2);
  // So short a line is sent whole or not at all.
  if (::send(descriptor_, line, command.size() + 2, MSG_NOSIGNAL) < 0) return {};
  while (!whole()) {
    const ssize_t count = ::recv(descriptor_, reply_ + size_, sizeof reply_ - size_, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    size_ += static_cast<std::size_t>(count);
  }
  return {reply_, size_};
}

bool ServerLine::whole() const noexcept {
  if (size_ == sizeof reply_) return true;
  const std::string_view text{reply_, size_};
  const std::size_t end = text.find("\r\n");
  if (end == text.npos) return false;
  if (text.front() != '$' || text[1] == '-') return true;
  std::size_t length = 0;
  for (std::size_t at = 1; at < end && text[at] >= '0' && text[at] <= '9'; ++at) {
    length = length * 10 + static_cast<std::size_t>(text[at] - '0');
  }
  return size_ >= end + 2 + length + 2;
}

}  // namespace graven::redis
