// SPDX-License-Identifier: MIT
//
// How a watchdog is forked from a process with threads. Not by fork(): the handlers of fork() take
// locks that the caller may hold. So the children may only call what is async-signal-safe.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <initializer_list>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/redis/embedded/watchdog.hpp"
#include "backends/redis/embedded/watchdog_run.hpp"

namespace graven::redis {
namespace {

/// Closes everything from `first` on.
void close_from(int first) noexcept {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
  const int listed = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listed < 0) return;
  alignas(8) char entries[4096];
  for (bool found = true; found;) {
    found = false;
    ::lseek(listed, 0, SEEK_SET);
    long size = 0;
    while ((size = ::syscall(SYS_getdents64, listed, entries, sizeof entries)) > 0) {
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const struct dirent64*>(entries + at);
        at += entry->d_reclen;
        int number = 0;
        for (const char* c = entry->d_name; *c >= '0' && *c <= '9'; ++c)
          number = number * 10 + *c - '0';
        if (number >= first && number != listed && ::close(number) == 0) found = true;
      }
    }
  }
  ::close(listed);
}

/// Leaves 0 (nothing), 1 and 2 (the log), and the others of `watch` from 3 on.
bool keep_only(Watch& watch) noexcept {
  constexpr int kAbove = 16;
  constexpr int kFirst = 3;
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int* const kept[] = {&watch.folder, &watch.users, &watch.server_lock};
  const int log = ::fcntl(watch.log, F_DUPFD_CLOEXEC, kAbove);
  const int input = ::fcntl(nothing, F_DUPFD_CLOEXEC, kAbove);
  bool good = log >= 0 && input >= 0;
  for (int* const one : kept) {
    *one = ::fcntl(*one, F_DUPFD_CLOEXEC, kAbove);
    good = good && *one >= 0;
  }
  if (!good) return false;
  int at = kFirst;
  for (int* const one : kept) {
    if (::dup3(*one, at, O_CLOEXEC) < 0) return false;
    *one = at++;
  }
  if (::dup2(input, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) return false;
  close_from(at);
  watch.log = 2;
  return true;
}

void default_signals() noexcept {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
}

}  // namespace

int raw_fork(int at_end) noexcept {
#if defined(__s390__) || defined(__cris__)
  return static_cast<int>(::syscall(SYS_clone, 0, at_end, 0, 0, 0));
#else
  return static_cast<int>(::syscall(SYS_clone, at_end, 0, 0, 0, 0));
#endif
}

int start_watchdog(const Watch& watch) noexcept {
  // The caller's handlers must not run in the children.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // No signal at its end, so that a caller who waits for any child does not meet this one.
  const int between = raw_fork(0);
  if (between == 0) {
    default_signals();
    ::setsid();
    const int dog = raw_fork(0);
    if (dog != 0) ::_exit(dog > 0 ? 0 : 1);
    for (const int ignored : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT})
      ::signal(ignored, SIG_IGN);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::umask(077);
    Watch own = watch;
    if (!keep_only(own) || ::fchdir(own.folder) != 0) ::_exit(1);
    ::_exit(run_watchdog(own));
  }
  int error = between < 0 ? errno : 0;
  if (between > 0) {
    int status = 0;
    pid_t waited = 0;
    while ((waited = ::waitpid(between, &status, __WALL)) < 0 && errno == EINTR) {
    }
    if (waited == between && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) error = EAGAIN;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace graven::redis
