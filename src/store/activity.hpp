// SPDX-License-Identifier: MIT
//
// What a store of this process has done: the figures of stats() that are counted above the port.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "observe/log.hpp"
#include "observe/metrics.hpp"

namespace graven::store {

enum class Event : std::uint8_t {
  kCommits,
  kFailedCommits,
  kRecords,
  kBytes,
  kCommitted,  // and below: transactions
  kRolledBack,
  kExpired,
  kConflicts,
  kBusy,
};
inline constexpr std::size_t kEvents = 9;

class Work;

struct Activity {
  observe::Counters<Event, kEvents> counts;
  observe::Latency commit;
  observe::Latency lane;
  observe::Latency collection;
  observe::SlowLimit slow;
};

/// What a commit wrote, as far as its changes were kept: prefixes of graphs, the first key of a
/// map.
std::string describe(const Work& work);

}  // namespace graven::store
