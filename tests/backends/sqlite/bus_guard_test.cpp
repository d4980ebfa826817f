// SPDX-License-Identifier: MIT
//
// A mapping whose file is cut off reads as zeros and says so; every other fault, and a signal that
// is sent, is as it was without the guard, whoever set a handler and when.
#include <array>
#include <csetjmp>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "backends/sqlite/vfs/bus_guard.hpp"

namespace graven::test {
namespace {

constexpr std::size_t kSize = 8192;

/// A mapped file of two pages, to be cut off.
class Mapped {
 public:
  explicit Mapped(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (::ftruncate(descriptor_, kSize) != 0) throw std::runtime_error("ftruncate");
    void* mapped = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    bytes_ = static_cast<volatile char*>(mapped);
    bytes_[0] = 'x';
    bytes_[kSize - 1] = 'y';
  }
  ~Mapped() {
    ::munmap(const_cast<char*>(bytes_), kSize);
    ::close(descriptor_);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  [[nodiscard]] volatile char* bytes() const { return bytes_; }
  void cut() const {
    if (::ftruncate(descriptor_, 0) != 0) throw std::runtime_error("ftruncate");
  }

 private:
  int descriptor_;
  volatile char* bytes_;
};

/// The signal that ends a child which does this, or 0; its exit status times 1000.
int end_of(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    // Whatever the test's own runtime has set.
    std::signal(SIGBUS, SIG_DFL);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 1000 * WEXITSTATUS(status);
}

volatile std::sig_atomic_t handled = 0;

void leave(int) { ::_exit(42); }

/// As faulthandler does it: what was there is put back, and the signal raised again.
struct sigaction was {};
void restore_and_raise(int signal) {
  handled = handled + 1;
  if (handled > 3) ::_exit(99);  // for ever
  ::sigaction(signal, &was, nullptr);
  ::raise(signal);
}

void set_handler(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_NODEFER;
  ::sigaction(SIGBUS, &action, &was);
}

sigjmp_buf before_fault;
void jump_back(int) { ::siglongjmp(before_fault, 1); }

/// Reads it so much deeper on the stack.
[[gnu::noinline]] char read_below(int frames, const volatile char* at) {
  volatile char room[300] = {};
  room[0] = frames == 0 ? *at : read_below(frames - 1, at);
  return room[0];
}

class BusGuard : public ::testing::Test {
 protected:
  /// Reads a mapping that nobody guards and that is cut off.
  void fault() const {
    const Mapped other(folder_ / "other");
    other.cut();
    static_cast<void>(other.bytes()[0]);
  }

  TemporaryFolder folder_;
};

TEST_F(BusGuard, WhatIsCutOffIsZerosAndLost) {
  EXPECT_EQ(end_of([&] {
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              const sqlite::GuardedRange again(file.bytes(), kSize);
              if (range.lost() || file.bytes()[0] != 'x') return 1;
              file.cut();
              if (file.bytes()[kSize - 1] != 0) return 2;
              file.bytes()[0] = 'z';
              return range.lost() && again.lost() ? 7 : 3;
            }),
            7000);
}

TEST_F(BusGuard, ARangeThatIsGuardedNoMoreIsNot) {
  EXPECT_EQ(end_of([&] {
              const Mapped file(folder_ / "file");
              { const sqlite::GuardedRange range(file.bytes(), kSize); }
              file.cut();
              return static_cast<int>(file.bytes()[0]);
            }),
            SIGBUS);
}

TEST_F(BusGuard, FaultsElsewhereKillAsEver) {
  EXPECT_EQ(end_of([&] {
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              fault();
              return 0;
            }),
            SIGBUS);
}

TEST_F(BusGuard, ASentSignalKillsAsEver) {
  EXPECT_EQ(end_of([&] {
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              ::raise(SIGBUS);
              return 0;
            }),
            SIGBUS);
}

TEST_F(BusGuard, TheHandlerThatWasThereGetsTheOthers) {
  EXPECT_EQ(end_of([&] {
              set_handler(leave);
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              file.cut();
              if (file.bytes()[0] != 0) return 1;
              fault();
              return 0;
            }),
            42000);
}

TEST_F(BusGuard, AHandlerSetLaterIsPassedByTheNextRange) {
  EXPECT_EQ(end_of([&] {
              const Mapped first(folder_ / "first");
              const sqlite::GuardedRange one(first.bytes(), kSize);
              set_handler(restore_and_raise);
              const Mapped second(folder_ / "second");
              const sqlite::GuardedRange two(second.bytes(), kSize);
              first.cut();
              second.cut();
              if (first.bytes()[0] != 0 || second.bytes()[0] != 0 || handled != 0) return 1;
              fault();  // told to the later one once, and then it kills
              return 2;
            }),
            SIGBUS);
}

TEST_F(BusGuard, AHandlerThatRecoversIsAskedEachTime) {
  EXPECT_EQ(end_of([&] {
              set_handler([](int) { handled = handled + 1; });
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              for (int i = 0; i < 3; ++i) ::raise(SIGBUS);
              return handled == 3 ? 5 : 1;
            }),
            5000);
}

TEST_F(BusGuard, AHandlerThatJumpsAwayIsAskedEachTime) {
  EXPECT_EQ(end_of([&] {
              set_handler(jump_back);
              const Mapped file(folder_ / "file");
              const sqlite::GuardedRange range(file.bytes(), kSize);
              const Mapped other(folder_ / "other");
              other.cut();
              // In the same place of the stack, deeper, and less deep.
              static constexpr std::array kFrames{1, 1, 1, 4, 9, 2, 30, 0};
              static volatile std::size_t jumps = 0;
              if (sigsetjmp(before_fault, 1) != 0) jumps = jumps + 1;
              if (jumps < kFrames.size()) {
                static_cast<void>(read_below(kFrames[jumps], other.bytes()));
                return 1;
              }
              file.cut();
              return file.bytes()[0] == 0 && range.lost() ? 5 : 2;
            }),
            5000);
}

TEST_F(BusGuard, AfterAJumpAHandlerThatRaisesAgainIsStillToldOnce) {
  EXPECT_EQ(end_of([&] {
              const Mapped first(folder_ / "first");
              const sqlite::GuardedRange one(first.bytes(), kSize);
              set_handler(jump_back);
              const Mapped second(folder_ / "second");
              const sqlite::GuardedRange two(second.bytes(), kSize);
              const Mapped other(folder_ / "other");
              other.cut();
              if (sigsetjmp(before_fault, 1) == 0) {
                static_cast<void>(read_below(3, other.bytes()));
                return 1;
              }
              set_handler(restore_and_raise);
              const Mapped third(folder_ / "third");
              const sqlite::GuardedRange three(third.bytes(), kSize);
              if (sigsetjmp(before_fault, 1) == 0) {
                static_cast<void>(read_below(9, other.bytes()));  // goes on to jump_back
                return 2;
              }
              return handled == 1 ? 4 : 3;
            }),
            4000);
}

}  // namespace
}  // namespace graven::test
