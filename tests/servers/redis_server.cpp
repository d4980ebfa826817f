// SPDX-License-Identifier: MIT
//
// Starts and ends redis-server. See redis_server.hpp.
#include "servers/redis_server.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace graven::test {
namespace {

constexpr std::chrono::seconds kPatience{30};

const std::string& program() {
  static const std::string found = [] {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "");
    for (std::string folder; std::getline(folders, folder, ':');) {
      for (const char* name : {"/redis-server", "/valkey-server"}) {
        if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
      }
    }
    return std::string();
  }();
  return found;
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* to = reinterpret_cast<sockaddr*>(&address);
  if (::bind(descriptor, to, size) != 0 || ::getsockname(descriptor, to, &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(descriptor);
  return ntohs(address.sin_port);
}

RedisServer& shared_redis() {
  static RedisServer server;
  return server;
}

bool RedisServer::available() { return !program().empty(); }

RedisServer::RedisServer(Setup setup) : setup_(std::move(setup)) {
  if (setup_.port || setup_.tls) port_ = free_port();
  write_configuration();
  start();
}

RedisServer::~RedisServer() { kill(); }

void RedisServer::write_configuration() {
  std::ofstream file(folder_ / "redis.conf");
  file << "unixsocket " << (folder_ / "redis.sock") << "\nunixsocketperm 700\n"
       << "bind 127.0.0.1\nport " << (setup_.port ? port_ : 0) << "\n";
  if (setup_.tls) file << "tls-port " << port_ << "\n";
  file << "dir " << folder_.path().string() << "\nlogfile " << (folder_ / "log")
       << "\nsave \"\"\nappendonly no\ndaemonize no\n";
  for (const std::string& line : setup_.lines) file << line << "\n";
}

void RedisServer::start() {
  if (!available()) throw std::runtime_error(missing());
  const std::string configuration = folder_ / "redis.conf";
  ::unlink((folder_ / "redis.sock").c_str());
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (const int descriptor : {0, 1, 2}) ::dup2(nowhere, descriptor);
    ::execl(program().c_str(), program().c_str(), configuration.c_str(), nullptr);
    ::_exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!answers()) {
    const bool ended = ::waitpid(process_, nullptr, WNOHANG) != 0;
    if (ended) process_ = -1;
    if (ended || std::chrono::steady_clock::now() > end) {
      kill();
      throw std::runtime_error("redis-server did not start:\n" + content(folder_ / "log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

/// Whether it says anything at all: PONG, or that it is loading, or wants a password.
bool RedisServer::answers() const {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder_ / "redis.sock").c_str(), sizeof address.sun_path - 1);
  std::array<char, 64> reply{};
  bool said = ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::send(descriptor, "PING\r\n", 6, MSG_NOSIGNAL) == 6;
  pollfd polled{descriptor, POLLIN, 0};
  said = said && ::poll(&polled, 1, 1'000) == 1 &&
         ::recv(descriptor, reply.data(), reply.size(), 0) > 0;
  ::close(descriptor);
  return said;
}

void RedisServer::stop() {
  if (process_ < 0) return;
  resume();
  ::kill(process_, SIGTERM);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

void RedisServer::kill() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

void RedisServer::pause() {
  ::kill(process_, SIGSTOP);
  ::waitpid(process_, nullptr, WUNTRACED);
}

void RedisServer::resume() { ::kill(process_, SIGCONT); }

redis::Settings RedisServer::settings() const {
  redis::Settings settings;
  settings.socket = folder_ / "redis.sock";
  return settings;
}

redis::Settings RedisServer::tcp() const {
  redis::Settings settings;
  settings.host = "127.0.0.1";
  settings.port = port_;
  return settings;
}

}  // namespace graven::test
