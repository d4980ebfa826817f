// SPDX-License-Identifier: MIT
//
// Joining a private server. Three locks: `users`, shared by all users, and taken alone by the
// watchdog that ends the server; `start.lock`, of the one user that starts it, never of a watchdog;
// `server.lock`, of a watchdog and its server.
//
// Any thread.
#include "backends/redis/embedded/private_server.hpp"

#include <graven/error.hpp>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

#include "backends/redis/embedded/lock_file.hpp"
#include "backends/redis/embedded/private_folder.hpp"
#include "backends/redis/embedded/saved_state.hpp"
#include "backends/redis/embedded/server_line.hpp"
#include "backends/redis/embedded/server_program.hpp"
#include "backends/redis/embedded/watchdog.hpp"

namespace graven::redis {
namespace {

constexpr int kPatience = 250;  // ms for an answer

class User final : public PrivateServer {
 public:
  User(const std::string& path, bool create, base::Deadline deadline)
      : folder_(path, create),
        users_(folder_.descriptor(), kUsersName, LockFile::InChild::kShared),
        socket_(folder_.reach(kSocketName)) {
    if (users_.try_lock(LOCK_SH) && answers()) return;
    LockFile starting(folder_.descriptor(), kStartLockName);
    lock_start(starting, deadline);
    // A watchdog that ends the server holds it alone, until nothing of them is left.
    if (!users_.lock(LOCK_SH, deadline)) fail("is being ended, which takes long");
    start_or_find(deadline);
  }

  [[nodiscard]] const std::string& socket() const noexcept override { return socket_; }
  [[nodiscard]] const std::string& folder() const noexcept override { return folder_.path(); }

  void revive(base::Deadline deadline) override {
    if (answers()) return;
    LockFile starting(folder_.descriptor(), kStartLockName);
    lock_start(starting, deadline);
    start_or_find(deadline);
  }

 private:
  [[nodiscard]] bool answers() const {
    ServerLine line;
    return line.connect(socket_.c_str(), kPatience) && line.ready();
  }

  void lock_start(LockFile& starting, base::Deadline deadline) const {
    if (!starting.lock(LOCK_EX, deadline))
      fail("is being started by another process, which takes long");
  }

  /// With the users lock shared and the start lock: the server does not end, nobody else starts
  /// one.
  void start_or_find(base::Deadline deadline) const {
    // Twice, as the first watchdog or server may just have been killed.
    if (try_start(deadline) || try_start(deadline)) return;
    fail("did not start");
  }

  bool try_start(base::Deadline deadline) const {
    {
      LockFile server(folder_.descriptor(), kServerLockName);
      Pauses pauses(deadline);
      // While it is held but nobody answers, the server is about to die, or to be started again.
      while (!server.try_lock(LOCK_EX)) {
        if (answers()) return true;
        if (!pauses.next()) fail("does not answer");
      }
      launch(server);
    }  // the watchdog goes on holding the lock
    return wait_until_ready(deadline);
  }

  void launch(const LockFile& server) const {
    folder_.require_takeable();
    const std::string program = find_server_program();
    write_configuration(folder_.descriptor());
    ::unlinkat(folder_.descriptor(), kSocketName, 0);
    ::renameat(folder_.descriptor(), kLogName, folder_.descriptor(), "log.old");
    const int log = ::openat(folder_.descriptor(), kLogName,
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0) fail("cannot be started: " + std::generic_category().message(errno));
    const LockFile users(folder_.descriptor(), kUsersName);  // a description of the watchdog's own
    const int error = start_watchdog({.folder = folder_.descriptor(),
                                      .users = users.descriptor(),
                                      .server_lock = server.descriptor(),
                                      .log = log,
                                      .program = program.c_str(),
                                      .data = folder_.relative().c_str()});
    ::close(log);
    if (error != 0) fail("cannot be started: " + std::generic_category().message(error));
  }

  /// False if the watchdog gave up.
  [[nodiscard]] bool wait_until_ready(base::Deadline deadline) const {
    Pauses pauses(deadline);
    while (!answers()) {
      // Only the watchdog and its server hold it; free means that they gave up.
      LockFile server(folder_.descriptor(), kServerLockName);
      if (server.try_lock(LOCK_SH)) return false;
      if (!pauses.next()) fail("is not ready in time");
    }
    return true;
  }

  [[noreturn]] void fail(const std::string& what) const {
    std::string text = "the private server of " + folder_.data() + " " + what;
    const std::string log = folder_.log_tail();
    if (!log.empty())
      text += "; the last lines of " + folder_.path() + "/" + kLogName + ":\n" + log;
    throw UnavailableError(text);
  }

  const PrivateFolder folder_;
  LockFile users_;
  const std::string socket_;
};

}  // namespace

std::unique_ptr<PrivateServer> join_private_server(const std::string& path, bool create,
                                                   base::Deadline deadline) {
  return std::make_unique<User>(path, create, deadline);
}

}  // namespace graven::redis
