// SPDX-License-Identifier: MIT
//
// Two processes that increment one counter as fast as they can, for the same half second:
// Database::incr against raw SQLite's BEGIN IMMEDIATE, UPDATE, COMMIT with its busy timeout.
// The processes are this program, started anew (`--child`).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "contest.hpp"
#include "rivals.hpp"

namespace graven::bench {

namespace {

constexpr double kSeconds = 0.7;
constexpr double kUntilStart = 0.4;  // both have opened the store by then

template <class Increment>
std::uint64_t count_until(double start, double seconds, const Increment& increment) {
  increment();  // what opening leaves for later is done now
  const double wait = start - monotonic_seconds();
  if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  std::uint64_t count = 0;
  for (; monotonic_seconds() < start + seconds; ++count) increment();
  return count;
}

Turn two_processes(const std::string& what, const std::string& path) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const double start = monotonic_seconds() + kUntilStart;
  const std::string command =
      fmt::format("'{}' --child {} '{}' {:.6f} {:.3f}", self, what, path, start, kSeconds);
  std::array<std::FILE*, 2> pipes{};
  for (std::FILE*& pipe : pipes) pipe = ::popen(command.c_str(), "r");
  std::array<double, 2> counts{};
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    if (pipes[i] == nullptr || std::fscanf(pipes[i], "%lf", &counts[i]) != 1)
      throw std::runtime_error("a counting process failed: " + command);
    ::pclose(pipes[i]);
  }
  const auto [fewer, more] = std::minmax(counts[0], counts[1]);
  return {kSeconds / (fewer + more), more / std::max(fewer, 1.0)};
}

}  // namespace

int count_in_child(const std::string& what, const std::string& path, double start, double seconds) {
  std::uint64_t count = 0;
  if (what == "graven") {
    const Database db(path);
    count = count_until(start, seconds, [&] { db.incr("hits"); });
  } else {
    RawCounter counter(path);
    count = count_until(start, seconds, [&] { counter.increment(); });
  }
  std::printf("%llu\n", static_cast<unsigned long long>(count));
  return 0;
}

std::vector<Contestant> shared_counter(const Terms&, const std::string& folder) {
  const std::string ours = folder + "/graven.db";
  const std::string theirs = folder + "/raw.db";
  Database(ours).incr("hits");
  RawCounter(theirs).increment();
  return {
      {Role::kOurs, "graven, Database::incr", [=] { return two_processes("graven", ours); }},
      {Role::kRival, "raw SQLite, BEGIN IMMEDIATE", [=] { return two_processes("raw", theirs); }}};
}

}  // namespace graven::bench
