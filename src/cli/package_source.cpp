// SPDX-License-Identifier: MIT
//
// The child process that lists or unpacks packages, at the other end of a pipe. One thread.
#include "cli/package_source.hpp"

#include <graven/error.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to us

namespace graven::cli {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kUnpackers = {
    {{".gz", "gzip"}, {".xz", "xz"}, {".bz2", "bzip2"}, {".lz4", "lz4"}, {".zst", "zstd"}}};

}  // namespace

PackageSource::PackageSource(const std::string& file) : name_(file) {
  if (file.empty()) {
    name_ = "apt-cache dumpavail";
    start({"apt-cache", "dumpavail"});
    return;
  }
  for (const auto& [suffix, tool] : kUnpackers) {
    if (!file.ends_with(suffix)) continue;
    if (::access(file.c_str(), R_OK) != 0) {
      throw UnavailableError(fmt::format("cannot open {}: {}", file, std::strerror(errno)));
    }
    start({std::string(tool), "-dc", "--", file});
    return;
  }
  input_ = std::make_unique<Input>(file);
}

void PackageSource::start(const std::vector<std::string>& command) {
  tool_ = command.front();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw UnavailableError(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  input_ = std::make_unique<Input>(ends[0], name_);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  // This program ignores SIGPIPE; a child that outlives its reader must not.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const int error =
      posix_spawnp(&child_, tool_.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error == 0) return;
  child_ = -1;
  throw UnavailableError(fmt::format(
      "cannot run {}: {}; {}", tool_, std::strerror(error),
      tool_ == "apt-cache"
          ? "on a machine without apt, give a Packages file of any Debian mirror with --input"
          : "install it, or unpack the file first"));
}

int PackageSource::wait() {
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  return status;
}

void PackageSource::finish() {
  input_.reset();
  if (child_ < 0) return;
  const int status = wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  throw UnavailableError(fmt::format("{} failed reading {}", tool_, name_));
}

PackageSource::~PackageSource() {
  input_.reset();  // first: so that a child still writing ends
  if (child_ >= 0) wait();
}

}  // namespace graven::cli
