// SPDX-License-Identifier: MIT
//
// How often a thread has waited for an answer of a store: a trip. Counted by the stores that tests
// put in front of others. Each thread has its own numbers; housekeeping is others'.
#pragma once

#include <cstddef>

namespace graven::test {

struct Trips {
  std::size_t reads = 0;   // of any number of records
  std::size_t begins = 0;  // the write lock
  std::size_t writes = 0;  // changes applied, savepoints
  std::size_t commits = 0;
  std::size_t others = 0;  // outcomes, logs, leases

  [[nodiscard]] std::size_t all() const { return reads + begins + writes + commits + others; }

  friend Trips operator-(const Trips& now, const Trips& before) {
    return {now.reads - before.reads, now.begins - before.begins, now.writes - before.writes,
            now.commits - before.commits, now.others - before.others};
  }
};

inline Trips& trips_of_thread() {
  thread_local Trips trips;
  return trips;
}

}  // namespace graven::test
