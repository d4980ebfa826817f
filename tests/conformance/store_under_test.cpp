// SPDX-License-Identifier: MIT
//
// The table of backends.
#include <chrono>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "conformance/store_under_test.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

// Flushed when a test says so, or all the time.
constexpr milliseconds kNever = std::chrono::hours(1);
constexpr milliseconds kAlways{1};

template <const milliseconds& interval>
std::unique_ptr<port::Backend> ahead_of_sqlite(const TemporaryFolder& folder) {
  return lazy::over(sqlite::open(folder / "store.db"), {.flush_interval = interval});
}

std::unique_ptr<port::Backend> ahead_of_memory(const TemporaryFolder&) {
  return lazy::over(lazy::open("memory"), {.flush_interval = kNever});
}

}  // namespace

std::vector<BackendKind> every_backend() {
  return {
      {"memory", [](const TemporaryFolder&) { return lazy::open("memory"); }, false},
      {"sqlite", [](const TemporaryFolder& folder) { return sqlite::open(folder / "store.db"); },
       true},
      {"lazy_over_sqlite", ahead_of_sqlite<kNever>, true},
      {"hasty_over_sqlite", ahead_of_sqlite<kAlways>, true},
      {"lazy_over_memory", ahead_of_memory, false},
  };
}

}  // namespace graven::test
