// SPDX-License-Identifier: MIT
//
// A child process of a test: runs a function, says "true" or not by its exit status, and may
// send lines over a pipe. Never outlives the test.
#pragma once

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

namespace graven::test {

/// The child's end of the pipe. A line is one write(), so it is sent whole or not at all.
class Reporter {
 public:
  explicit Reporter(int descriptor) : descriptor_(descriptor) {}
  void say(std::string line) const {
    line += '\n';
    if (::write(descriptor_, line.data(), line.size()) < 0) ::_exit(3);
  }

 private:
  int descriptor_;
};

/// gcc's AddressSanitizer leaves its allocator locked in a child that is forked while another
/// thread allocates; so there, waits until all others sleep (a second at most). See forks.hpp for
/// tests whose threads never do.
inline void before_fork() {
#ifdef __SANITIZE_ADDRESS__
  const auto sleeps = [](const std::filesystem::path& thread) {
    std::ifstream file(thread / "stat");
    const std::string stat(std::istreambuf_iterator<char>(file), {});
    const auto name_end = stat.rfind(')');
    return name_end == std::string::npos || stat.compare(name_end, 3, ") S") == 0;
  };
  const std::string own = std::to_string(::gettid());
  for (int waited = 0; waited < 1000; ++waited) {
    bool all = true;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      all = all && (thread.path().filename() == own || sleeps(thread.path()));
    }
    if (all) return;
    ::usleep(1000);
  }
#endif
}

class Child {
 public:
  explicit Child(const std::function<bool(const Reporter&)>& work) {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    before_fork();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
      ::close(ends[0]);
      ::_exit(run(work, Reporter(ends[1])));
    }
    ::close(ends[1]);
    read_ = ends[0];
  }
  explicit Child(const std::function<bool()>& work)
      : Child([&work](const Reporter&) { return work(); }) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) kill();
    ::close(read_);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// The next line the child said; empty when it has ended.
  std::string line() {
    for (;;) {
      const auto end = buffer_.find('\n');
      if (end != std::string::npos) {
        std::string text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return text;
      }
      char bytes[4096];
      const ssize_t count = ::read(read_, bytes, sizeof bytes);
      if (count <= 0) return {};
      buffer_.append(bytes, static_cast<std::size_t>(count));
    }
  }

  /// Waits for the end; true when the function returned true.
  bool succeeded() {
    int status = 0;
    if (pid_ > 0) {
      EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    }
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  void kill() {
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
  }

 private:
  static int run(const std::function<bool(const Reporter&)>& work, const Reporter& reporter) {
    try {
      return work(reporter) ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child %d: %s\n", static_cast<int>(::getpid()), error.what());
      return 2;
    }
  }

  pid_t pid_ = -1;
  int read_ = -1;
  std::string buffer_;
};

}  // namespace graven::test
