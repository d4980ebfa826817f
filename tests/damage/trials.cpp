// SPDX-License-Identifier: MIT
//
// Children that tell how far they are by memory they share with their parent. See trials.hpp.
#include "damage/trials.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace graven::test {
namespace {

constexpr std::size_t kInAChild = 50;

struct Shared {
  volatile std::size_t at;
  volatile std::size_t failed;
  char note[4000];
};

class Child final : public Trial {
 public:
  explicit Child(Shared& shared) : shared_(shared) {}

  void note(const std::string& what) override {
    const std::size_t size = std::min(what.size(), sizeof shared_.note - 1);
    std::memcpy(shared_.note, what.data(), size);
    shared_.note[size] = '\0';
  }
  void fail(const std::string& what) override {
    failed = true;
    std::cout << "trial " << shared_.at << ": " << what << "\n" << shared_.note << std::endl;
  }
  bool failed = false;

 private:
  Shared& shared_;
};

}  // namespace

std::size_t run_trials(std::size_t count, unsigned seconds,
                       const std::function<void(std::size_t, Trial&)>& trial) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap failed");
  auto& shared = *new (memory) Shared{};
  for (std::size_t next = 0; next < count;) {
    std::cout.flush();
    const pid_t process = ::fork();
    if (process == 0) {
      Child child(shared);
      const std::size_t end = std::min(count, next + kInAChild);
      for (std::size_t at = next; at < end; ++at) {
        shared.at = at;
        shared.note[0] = '\0';
        child.failed = false;
        ::alarm(seconds);
        try {
          trial(at, child);
        } catch (const std::exception& error) {
          child.fail(std::string("an exception came out: ") + error.what());
        }
        if (child.failed) shared.failed = shared.failed + 1;
      }
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(process, &status, 0);
    next = shared.at + 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    shared.failed = shared.failed + 1;
    std::cout << "trial " << shared.at
              << (WIFSIGNALED(status) ? (WTERMSIG(status) == SIGALRM ? ": did not end in time"
                                                                     : ": ended by a signal: ") +
                                            std::string(::strsignal(WTERMSIG(status)))
                                      : ": ended")
              << "\n"
              << shared.note << std::endl;
  }
  const std::size_t failed = shared.failed;
  ::munmap(memory, sizeof(Shared));
  return failed;
}

}  // namespace graven::test
