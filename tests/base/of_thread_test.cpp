// SPDX-License-Identifier: MIT
#include "base/of_thread.hpp"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace graven::base {
namespace {

std::atomic<int> alive{0};
std::string order;  // of the ends, written by one thread

struct First {
  First() { ++alive; }
  ~First() {
    --alive;
    order += "first ";
  }
  int number = 0;
};

struct Second {
  Second() { ++alive; }
  ~Second() {
    --alive;
    order += "second ";
    of_thread<First>().number = 7;  // may be asked for by others that end
  }
};

TEST(OfThread, EachThreadHasItsOwnAndKeepsIt) {
  struct Count {
    int value = 0;
  };
  of_thread<Count>().value = 1;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong] {
      for (int i = 0; i < 1000; ++i) {
        if (of_thread<Count>().value++ != i) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(of_thread<Count>().value, 1);
}

TEST(OfThread, ItEndsWithItsThread) {
  std::thread([] {
    of_thread<First>().number = 1;
    of_thread<Second>();
    EXPECT_EQ(alive, 2);
  }).join();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(order, "second first ");
  // What another makes on its way out ends too.
  std::thread([] { of_thread<Second>(); }).join();
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace graven::base
