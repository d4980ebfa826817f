// SPDX-License-Identifier: MIT
//
// The commits after a state, from the table of commits.
//
// One thread at a time.
#pragma once

#include <optional>
#include <vector>

#include "backends/postgres/store.hpp"
#include "port/log.hpp"

namespace graven::postgres {

/// Nothing where the state is not in the log. Throws a Failure.
std::optional<std::vector<port::LogEntry>> log_after(const Store& store, Connection& connection,
                                                     const port::Partition& partition,
                                                     const port::StateVersion& from,
                                                     Deadline deadline);

/// The newest state. Throws a Failure.
port::StateVersion newest(const Store& store, Connection& connection,
                          const port::Partition& partition, Deadline deadline);

}  // namespace graven::postgres
