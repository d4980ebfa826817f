// SPDX-License-Identifier: MIT
//
// A store in a folder of its own, and maps in it.
#pragma once

#include <graven/graven.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {

class MapTest : public ::testing::Test {
 protected:
  [[nodiscard]] Map open(MapOptions options = {}) const { return Map(path_, options); }
  [[nodiscard]] static MapOptions lazy() {
    MapOptions options;
    options.persist = Persist::kLazy;
    options.flush_interval = std::chrono::hours(1);
    return options;
  }
  [[nodiscard]] static MapOptions named(std::string name) {
    MapOptions options;
    options.name = std::move(name);
    return options;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "m.db";
};

inline void wait_until(const std::function<bool()>& done) {
  for (int i = 0; i < 30'000 && !done(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(done());
}

}  // namespace graven::test
