// SPDX-License-Identifier: MIT
//
// The sink: what it gets, from which level on, under threads, across a fork, and when it throws.
#include "observe/log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/forks.hpp"

namespace graven::test {
namespace {

class Log : public ::testing::Test {
 protected:
  void TearDown() override { set_log_sink({}); }
};

TEST_F(Log, NothingWithoutASink) {
  EXPECT_FALSE(observe::logged(LogLevel::kError));
  observe::log(LogLevel::kError, "unheard", {});
}

TEST_F(Log, FromItsLevelOn) {
  std::vector<std::string> lines;
  set_log_sink([&](const LogRecord& record) { lines.push_back(to_string(record)); });
  observe::log(LogLevel::kInfo, "opened", {{"store", "x.db"}});
  observe::log(LogLevel::kWarning, "slow", {{"store", "a b.db"}, {"ms", "3.5"}, {"key", ""}});
  set_log_level(LogLevel::kDebug);
  observe::log(LogLevel::kDebug, "detail", {{"text", "\"q\"\\\n\x01"}, {"name", "Gr\xc3\xa4n"}});
  set_log_sink({});
  observe::log(LogLevel::kError, "unheard", {});
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "slow store=\"a b.db\" ms=3.5 key=\"\"",
                       "detail text=\"\\\"q\\\"\\\\\\n\\x01\" name=\"Gr\xc3\xa4n\"",
                   }));
}

TEST_F(Log, ASinkThatThrowsHurtsNobody) {
  set_log_sink([](const LogRecord&) { throw std::runtime_error("no"); });
  observe::log(LogLevel::kError, "heard", {});
}

TEST_F(Log, SetWhileOthersLog) {
  std::atomic<bool> stop{false};
  std::atomic<int> heard{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop) observe::log(LogLevel::kWarning, "event", {{"key", "value"}});
    });
  }
  for (int i = 0; i < 300; ++i) {
    set_log_sink(
        [&heard](const LogRecord& record) { heard += static_cast<int>(record.fields.size()); });
    std::this_thread::yield();
    set_log_sink({});
  }
  set_log_sink([&heard](const LogRecord&) { ++heard; });
  const int before = heard;
  while (heard == before) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Log, AForkWhileOthersLog) {
  GRAVEN_FORKS_AMID_THREADS();
  std::atomic<bool> stop{false};
  set_log_sink([](const LogRecord&) {});
  std::thread other([&] {
    while (!stop) observe::log(LogLevel::kWarning, "event", {});
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      observe::log(LogLevel::kError, "child", {});
      ::_exit(0);
    }
    int status = 1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  other.join();
}

TEST_F(Log, TimedSaysWhatIsSlow) {
  std::vector<std::string> lines;
  set_log_sink([&](const LogRecord& record) { lines.push_back(to_string(record)); });
  const auto latency = std::make_unique<observe::Latency>();
  observe::SlowLimit slow;
  const auto run = [&] {
    const observe::Timed timed(*latency, slow, "nap", "x.db", [] {
      return LogField{"path", "a/b"};
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  run();
  slow.set(std::chrono::seconds(100));
  run();
  EXPECT_TRUE(lines.empty());
  slow.set(std::chrono::milliseconds(1));
  run();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("slow_operation operation=nap ms="));
  EXPECT_TRUE(lines[0].ends_with(" store=x.db path=a/b"));
  EXPECT_EQ(latency->snapshot().count, 3U);
}

}  // namespace
}  // namespace graven::test
