// SPDX-License-Identifier: MIT
//
// The program is asked for its version: Redis 6 has another layout of the append-only file, so it
// would not see the one that a newer server left behind.
#include "backends/redis/embedded/server_program.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "backends/redis/embedded/saved_state.hpp"

namespace graven::redis {
namespace {

constexpr const char* kVariable = "GRAVEN_REDIS_SERVER";
constexpr int kOldest = 7;

// hz 100 finds the end of the first AOF sooner; the watchdog sets 10 then. What the server takes
// for paths is relative to its working directory, the folder.
constexpr std::string_view kConfiguration =
    "# Written by graven at each start of the server; changes are lost.\n"
    "port 0\n"
    "unixsocket s.new\n"
    "unixsocketperm 700\n"
    "daemonize no\n"
    "pidfile pid\n"
    "dir .\n"
    "dbfilename dump.rdb\n"
    "save \"\"\n"
    "rdbchecksum yes\n"
    "appendonly no\n"
    "appendfsync everysec\n"
    "appenddirname appendonlydir\n"
    "aof-load-truncated yes\n"
    "aof-use-rdb-preamble yes\n"
    "maxmemory 0\n"
    "maxmemory-policy noeviction\n"
    "disable-thp yes\n"
    "hz 100\n"
    "timeout 0\n"
    "loglevel notice\n";

bool runs(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string search() {
  std::string folders = "/usr/bin:/usr/local/bin";
  if (const char* path = std::getenv("PATH")) folders = std::string(path) + ":" + folders;
  for (const char* name : {"redis-server", "valkey-server"}) {
    for (std::size_t from = 0; from <= folders.size();) {
      const std::size_t end = std::min(folders.find(':', from), folders.size());
      const std::string folder = folders.substr(from, end - from);
      from = end + 1;
      // The watchdog runs it from another working directory.
      if (folder.empty() || folder.front() != '/') continue;
      if (std::string program = folder + "/" + name; runs(program)) return program;
    }
  }
  throw UsageError(
      "no redis-server or valkey-server is installed, which a redis+embedded store needs; install "
      "one (Debian: redis-server), or let the environment variable GRAVEN_REDIS_SERVER name it");
}

/// What `program --version` prints; empty if it cannot be run.
std::string version_line(const std::string& program) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::string option = "--version";
  std::string name = program;
  std::array<char*, 3> arguments{name.data(), option.data(), nullptr};
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  std::array<char, 256> bytes{};
  for (ssize_t count = 0; error == 0; text.append(bytes.data(), static_cast<std::size_t>(count))) {
    count = ::read(ends[0], bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      count = 0;
    else if (count <= 0 || text.size() > 4096)
      break;
  }
  ::close(ends[0]);
  while (error == 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return text;
}

void require_new_enough(const std::string& program) {
  const std::string line = version_line(program);
  const std::size_t at = line.find(" v=");
  if (at == line.npos) {
    throw UsageError(program +
                     " is not a Redis or Valkey server: `--version` does not say so; set " +
                     kVariable + " to the path of one");
  }
  const std::string version = line.substr(at + 3, line.find(' ', at + 3) - at - 3);
  if (std::atoi(version.c_str()) >= kOldest) return;
  throw UsageError(program + " is of version " + version + "; a redis+embedded store needs Redis " +
                   std::to_string(kOldest) + " or later, or Valkey");
}

}  // namespace

std::string find_server_program() {
  std::string program;
  const char* given = std::getenv(kVariable);
  if (given != nullptr && *given != '\0') {
    program = given;
    if (program.front() != '/' || !runs(program)) {
      throw UsageError(std::string(kVariable) + " names " + program +
                       ", which is not the absolute path of a program");
    }
  } else {
    program = search();
  }
  require_new_enough(program);
  return program;
}

void write_configuration(int folder) {
  const int file =
      ::openat(folder, kConfigName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool good = file >= 0 && ::write(file, kConfiguration.data(), kConfiguration.size()) ==
                                     static_cast<ssize_t>(kConfiguration.size());
  const int error = errno;
  if (file >= 0) ::close(file);
  if (good) return;
  throw UnavailableError("cannot write the configuration of a private server: " +
                         std::generic_category().message(error) +
                         "; is the disk full, or the folder not writable?");
}

}  // namespace graven::redis
