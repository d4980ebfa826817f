// SPDX-License-Identifier: MIT
//
// What the parts of one open store share: its settings, functions and connections.
//
// Any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/connections.hpp"
#include "backends/postgres/errors.hpp"
#include "backends/postgres/functions.hpp"
#include "backends/postgres/table_sql.hpp"
#include "base/hash.hpp"
#include "port/encoded_key.hpp"

namespace graven::postgres {

struct Store {
  explicit Store(const Settings& of)
      : settings(of), schema(quoted(of.schema)), functions(schema), connections(of) {}

  const Settings settings;
  const std::string schema;  ///< quoted
  const Functions functions;
  Connections connections;
  port::Facts facts{};

  /// The key of a partition's advisory lock.
  [[nodiscard]] std::uint64_t lock_of(const port::Partition& partition) const noexcept {
    return port::mix(lock_base() ^ port::mix(static_cast<std::uint64_t>(partition.number)));
  }
  /// Advisory locks are of one database: with the schema they are of one store.
  [[nodiscard]] std::uint64_t lock_base() const noexcept {
    constexpr std::uint64_t kSeed = 0x6c6f636b;
    return base::hash(schema, kSeed);
  }
  /// The channel on which commits to a partition are notified.
  [[nodiscard]] std::string channel_of(const port::Partition& partition) const {
    return "graven_" + std::to_string(lock_of(partition));
  }

  /// Calls `work` with a connection, again if the connection is lost, until the deadline. For what
  /// may be done twice. Throws errors, not Failures.
  template <class Work>
  auto ask(Deadline deadline, Work&& work) {
    return again(deadline, [&] {
      const Connections::Lent connection = connections.lend(deadline);
      return work(*connection);
    });
  }

  /// The same for `work` that has a connection of its own.
  template <class Work>
  auto again(Deadline deadline, Work&& work) {
    using std::chrono::milliseconds;
    for (milliseconds pause{1};; pause = std::min(pause * 2, milliseconds(200))) {
      try {
        return work();
      } catch (const Failure& failure) {
        const bool late = std::chrono::steady_clock::now() + pause >= deadline;
        // A standby ends reads with 40001 where they are in the way of what it replays.
        const bool passes = failure.state.empty() || failure.state == "40001";
        if (!passes || late) raise(failure, facts.name);
      }
      base::sleep_until(std::chrono::steady_clock::now() + pause);
    }
  }
};

}  // namespace graven::postgres
