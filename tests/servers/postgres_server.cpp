// SPDX-License-Identifier: MIT
//
// See postgres_server.hpp. One thread at a time.
#include "servers/postgres_server.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "backends/postgres/connection.hpp"

namespace graven::test {
namespace {

using Clock = std::chrono::steady_clock;

/// The folder of initdb and postgres, of the newest version; empty: none.
std::string binaries() {
  if (const char* const given = std::getenv("GRAVEN_POSTGRES_BIN")) return given;
  std::vector<std::pair<int, std::string>> found;
  std::error_code error;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const auto folder = version.path() / "bin";
    if (std::filesystem::exists(folder / "initdb", error)) {
      found.emplace_back(std::atoi(version.path().filename().c_str()), folder.string());
    }
  }
  return found.empty() ? std::string() : std::max_element(found.begin(), found.end())->second;
}

/// Whom a server runs as, where we are root.
const passwd* server_user() {
  if (::geteuid() != 0) return nullptr;
  const passwd* const user = ::getpwnam("postgres");
  return user != nullptr ? user : ::getpwnam("nobody");
}

/// Starts a program as the server's user; it gets a signal when this process ends.
pid_t launch(const std::vector<std::string>& words, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const passwd* const user = server_user();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child > 0) return child;
  const int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log >= 0) {
    ::dup2(log, 1);
    ::dup2(log, 2);
  }
  ::setsid();
  if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) {
    ::_exit(126);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // to postgres: end at once
  if (::getppid() != parent) ::_exit(125);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

std::optional<std::string> PostgresServer::missing() {
  if (binaries().empty()) return "no PostgreSQL server is installed (Debian: postgresql)";
  if (::geteuid() == 0 && server_user() == nullptr) return "no user to run PostgreSQL as";
  return std::nullopt;
}

PostgresServer::PostgresServer(const std::string& options) : options_(options) {
  if (const auto why = missing()) throw std::runtime_error(*why);
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0711));
  const std::string data = folder_ / "data";
  std::filesystem::create_directory(data);
  if (const passwd* const user = server_user()) {
    if (::chown(data.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("chown failed");
    }
  }
  const pid_t initdb = launch({binaries() + "/initdb", "-D", data, "-U", "graven", "-A", "trust",
                               "-E", "UTF8", "--locale=C", "--no-sync"},
                              folder_ / "initdb.log");
  int status = 0;
  if (::waitpid(initdb, &status, 0) != initdb || status != 0) {
    throw std::runtime_error("initdb failed; see " + (folder_ / "initdb.log"));
  }
  start();
}

PostgresServer::~PostgresServer() {
  if (server_ > 0) stop(End::kCrash);
}

std::string PostgresServer::url(const std::string& user, const std::string& database) const {
  return "postgresql://" + user + "@/" + database + "?host=" + (folder_ / "data");
}

void PostgresServer::start() {
  std::vector<std::string> words{binaries() + "/postgres", "-D", folder_ / "data",    "-k",
                                 folder_ / "data",         "-c", "listen_addresses=", "-c",
                                 "shared_buffers=64MB",    "-c", "max_connections=60"};
  std::istringstream more(options_);
  for (std::string word; more >> word;) words.push_back(word);
  server_ = launch(words, folder_ / "server.log");
  const auto end = Clock::now() + std::chrono::seconds(60);
  for (;;) {
    try {
      sql("SELECT 1");
      return;
    } catch (const std::runtime_error& error) {
      int status = 0;
      if (Clock::now() > end || ::waitpid(server_, &status, WNOHANG) == server_) {
        server_ = -1;
        throw std::runtime_error(std::string("postgres did not start: ") + error.what());
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void PostgresServer::stop(End how) {
  ::kill(server_, how == End::kClean ? SIGINT : SIGQUIT);
  int status = 0;
  ::waitpid(server_, &status, 0);
  server_ = -1;
}

std::string PostgresServer::sql(const std::string& text, const std::string& database) const {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  try {
    const auto connection = postgres::Connection::open(
        {{"host", folder_ / "data"}, {"user", "graven"}, {"dbname", database}}, nullptr, deadline);
    const postgres::Result result = connection->script(text, deadline);
    return result.rows() > 0 ? std::string(result.bytes(0, 0)) : std::string();
  } catch (const postgres::Failure& failure) {
    throw std::runtime_error(text + ": " + failure.text);
  }
}

PostgresServer& shared_postgres() {
  static PostgresServer server;
  return server;
}

}  // namespace graven::test
