// SPDX-License-Identifier: MIT
//
// Starting the server: `appendonly yes` over an .rdb starts empty, so it loads the .rdb without an
// AOF, then an AOF is made, then `state` says that the AOF counts, then the socket gets its name.
// Where `state` says so already, the server loads the AOF.
//
// Ending it: SHUTDOWN SAVE, then the dump becomes the .rdb and the AOF is dropped.
#include "backends/redis/embedded/watchdog_run.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <string_view>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/redis/embedded/saved_state.hpp"
#include "backends/redis/embedded/server_line.hpp"

namespace graven::redis {
namespace {

constexpr int kShortestPause = 10;   // ms
constexpr int kLongestPause = 2000;  // ms
constexpr int kLivedWell = 10;       // s; afterwards the pauses start over
constexpr int kPatience = 30'000;    // ms; a fork of a large server takes long
constexpr int kFullDiskPause = 500;  // ms

void sleep_ms(int milliseconds) noexcept {
  const struct timespec time { milliseconds / 1000, (milliseconds % 1000) * 1'000'000L };
  ::nanosleep(&time, nullptr);
}

void wake_up(int /*signal*/) {}

class Watchdog {
 public:
  explicit Watchdog(const Watch& watch) noexcept : watch_(watch) {}

  int run() noexcept {
    struct sigaction action {};
    action.sa_handler = wake_up;  // without SA_RESTART: they end waits
    ::sigaction(SIGCHLD, &action, nullptr);
    ::sigaction(SIGALRM, &action, nullptr);
    if (!start()) return 1;  // whoever waits for it tells the user
    int pause = kShortestPause;
    for (;;) {
      if (alive()) {
        if (!last_user_left()) continue;
        if (stop()) return 0;
        // Users may come again until the next try.
        ::flock(watch_.users, LOCK_UN);
        sleep_ms(kFullDiskPause);
        continue;
      }
      ::unlink(kSocketName);
      if (::flock(watch_.users, LOCK_EX | LOCK_NB) == 0) return 0;  // the AOF has it all
      if (::time(nullptr) - started_ > kLivedWell) pause = kShortestPause;
      say("the server ended by itself; it is started again\n");
      sleep_ms(pause);
      pause = std::min(2 * pause, kLongestPause);
      start();
    }
  }

 private:
  void say(std::string_view text) const noexcept {
    constexpr std::string_view kWho = "graven: ";
    static_cast<void>(::write(watch_.log, kWho.data(), kWho.size()) < 0 ||
                      ::write(watch_.log, text.data(), text.size()) < 0);
  }

  bool alive() noexcept {
    if (server_ > 0 && ::waitpid(server_, &status_, WNOHANG | __WALL) == server_) server_ = -1;
    return server_ > 0;
  }

  void wait_for_end() noexcept {
    while (server_ > 0) {
      const pid_t ended = ::waitpid(server_, &status_, __WALL);
      if (ended == server_ || errno != EINTR) server_ = -1;
    }
  }

  void kill() noexcept {
    if (server_ > 0) ::kill(server_, SIGKILL);
    wait_for_end();
  }

  /// Waits for the last user's end; false when a signal came, such as the server's end.
  [[nodiscard]] bool last_user_left() const noexcept {
    // The alarm is for a SIGCHLD that comes just before flock().
    struct itimerval every {};
    every.it_interval.tv_sec = every.it_value.tv_sec = 1;
    ::setitimer(ITIMER_REAL, &every, nullptr);
    const bool left = ::flock(watch_.users, LOCK_EX) == 0;
    every = {};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    return left;
  }

  bool start() noexcept {
    ::unlink(kSocketName);
    ::unlink(kNewSocketName);
    ::unlink(kDumpName);
    const SavedState state = read_state(watch_.folder);
    if (state.kind == SavedState::Kind::kDamaged) return false;
    const bool from_aof = state.kind == SavedState::Kind::kAof;
    if (from_aof && !has_aof(watch_.folder)) return false;
    const Fingerprint data = fingerprint(watch_.folder, watch_.data);
    if (!from_aof) {
      remove_aof(watch_.folder);
      if (data == kUnreadable) return false;
      if (data != kNoFile && ::symlink(watch_.data, kDumpName) != 0) return false;
    }
    started_ = ::time(nullptr);
    if (!spawn(from_aof)) return false;
    if (get_ready(from_aof, data)) return true;
    say("the server did not get ready\n");
    kill();
    return false;
  }

  bool spawn(bool from_aof) noexcept {
    const pid_t own = ::getpid();
    server_ = raw_fork(SIGCHLD);
    if (server_ != 0) return server_ > 0;
    // SIGKILL: with SIGTERM a server that is busy, or writes its first AOF, would live on.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != own) ::_exit(1);  // it died before that call
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    ::fcntl(watch_.server_lock, F_SETFD, 0);  // inherited: the lock lasts as long as the server
    const char* const arguments[] = {watch_.program, kConfigName,
                                     from_aof ? "--appendonly" : nullptr, "yes", nullptr};
    ::execv(watch_.program, const_cast<char* const*>(arguments));
    say("the server program cannot be run\n");
    ::_exit(127);
  }

  bool get_ready(bool from_aof, Fingerprint data) noexcept {
    ServerLine line;
    for (int pause = 1;; pause = std::min(pause * 2, 50)) {
      if (!alive()) return false;
      // While it loads, it answers -LOADING.
      if (line.connect(kNewSocketName, kPatience) && line.ready()) break;
      // If its socket was erased it would never answer. Nobody has written to it yet.
      if (::flock(watch_.users, LOCK_EX | LOCK_NB) == 0) return false;
      sleep_ms(pause);
    }
    if (!from_aof && !make_aof(line, data)) return false;
    line.ask("CONFIG SET hz 10");
    return alive() && ::rename(kNewSocketName, kSocketName) == 0;
  }

  bool make_aof(ServerLine& line, Fingerprint data) noexcept {
    if (!line.ask("CONFIG SET appendonly yes").starts_with("+OK")) return false;
    for (int pause = 1;; pause = std::min(pause * 2, 50)) {
      const std::string_view info = line.ask("INFO persistence");
      const auto says = [info](std::string_view what) { return info.find(what) != info.npos; };
      if (info.empty() || says("aof_last_bgrewrite_status:err")) return false;
      if (says("aof_enabled:1") && says("aof_rewrite_in_progress:0") &&
          says("aof_rewrite_scheduled:0")) {
        break;
      }
      sleep_ms(pause);
    }
    return sync_path(watch_.folder, kAofName) && write_state(watch_.folder, data, kNoFile);
  }

  /// The users lock is held, so no user comes until this process has ended. False if what was
  /// acknowledged is only in the server's memory, because the disk is full: then it goes on.
  bool stop() noexcept {
    ServerLine line;
    bool saved = false;
    if (line.connect(kSocketName, 0)) {
      saved = line.ask("SHUTDOWN SAVE").empty();  // any answer is an error
      if (!saved) {
        const std::string_view info = line.ask("INFO persistence");
        if (info.find("aof_last_write_status:err") != info.npos) {
          say("the server can neither save nor write; it ends when there is room on the disk\n");
          return false;
        }
        say("the server could not save; its data stays in the append-only file\n");
        line.ask("SHUTDOWN NOSAVE");
      }
    }
    if (!saved && server_ > 0) ::kill(server_, SIGTERM);  // writes what it holds to the AOF
    wait_for_end();
    ::unlink(kSocketName);
    saved = saved && WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
    if (saved && !take_dump(watch_.folder, watch_.data)) {
      say("the .rdb could not be replaced; the data stays in the append-only file\n");
    }
    return true;
  }

  const Watch watch_;
  pid_t server_ = -1;
  int status_ = 0;
  ::time_t started_ = 0;
};

}  // namespace

int run_watchdog(const Watch& watch) noexcept { return Watchdog(watch).run(); }

}  // namespace graven::redis
