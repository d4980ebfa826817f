// SPDX-License-Identifier: MIT
//
// For tests of private servers: joins one, speaks to it, finds its processes in /proc, and kills
// them. Only processes of the test's own folder are ever found.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "backends/redis/embedded/private_server.hpp"
#include "backends/redis/embedded/server_line.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {

using Server = std::unique_ptr<redis::PrivateServer>;

inline base::Deadline in_seconds(int seconds) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

inline Server join(const std::string& path, bool create = true) {
  return redis::join_private_server(path, create, in_seconds(60));
}

/// The reply to a command; empty if nobody answers.
inline std::string ask(const redis::PrivateServer& server, const std::string& command) {
  redis::ServerLine line;
  if (!line.connect(server.socket().c_str(), 5000)) return {};
  return std::string(line.ask(command));
}
inline std::string get(const redis::PrivateServer& server, const std::string& key) {
  const std::string reply = ask(server, "GET " + key);
  const auto begin = reply.find('\n');
  if (reply.empty() || reply.front() != '$' || reply[1] == '-') return {};
  return reply.substr(begin + 1, reply.size() - begin - 3);
}
inline bool set(const redis::PrivateServer& server, const std::string& key,
                const std::string& value) {
  return ask(server, "SET " + key + " " + value) == "+OK\r\n";
}

/// Processes whose working directory is this folder: the watchdog and the server.
inline std::vector<pid_t> processes_in(const std::string& folder) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    if (std::filesystem::read_symlink(entry.path() / "cwd", error) == folder && !error) {
      found.push_back(pid);
    }
  }
  return found;
}

inline pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto end = text.rfind(')');
  if (end == std::string::npos) return -1;
  std::istringstream rest(text.substr(end + 1));
  char state = 0;
  pid_t parent = -1;
  rest >> state >> parent;
  return parent;
}

inline pid_t server_of(const redis::PrivateServer& server) {
  const std::string info = ask(server, "INFO server");
  const auto at = info.find("process_id:");
  return at == std::string::npos ? -1 : std::atoi(info.c_str() + at + 11);
}
inline pid_t watchdog_of(const redis::PrivateServer& server) {
  const pid_t pid = server_of(server);
  return pid > 0 ? parent_of(pid) : -1;
}

/// Waits until neither watchdog nor server is left; false after a minute.
inline bool all_gone(const std::string& folder) {
  for (const auto end = in_seconds(60); std::chrono::steady_clock::now() < end;) {
    if (processes_in(folder).empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

template <class Done>
bool eventually(Done done) {
  for (const auto end = in_seconds(60); std::chrono::steady_clock::now() < end;) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace graven::test
