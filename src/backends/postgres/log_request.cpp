// SPDX-License-Identifier: MIT
//
// See log_request.hpp. One thread at a time.
#include "backends/postgres/log_request.hpp"

#include <cstring>

#include <fmt/format.h>

#include "backends/postgres/reads.hpp"

namespace graven::postgres {

using port::LogEntry;
using port::StateVersion;

std::optional<std::vector<LogEntry>> log_after(const Store& store, Connection& connection,
                                               const port::Partition& partition,
                                               const StateVersion& from, Deadline deadline) {
  const std::string text = fmt::format(
      "SELECT c.clock, c.history, c.pending, c.previous, c.session, c.seq, c.flags, c.hashes "
      "FROM {}.commits c WHERE c.part = $1 AND c.kind = 0 AND c.clock >= $2 ORDER BY c.clock",
      store.schema);
  Parameters parameters;
  parameters.add(partition.number);
  parameters.add(from.clock);
  const Result answer = connection.run(text, parameters, deadline);
  std::vector<LogEntry> entries;
  if (answer.rows() == 0) {
    if (from == StateVersion{}) return entries;
    return std::nullopt;
  }
  // The state's own row, or the one after it if its own is deleted already.
  const bool itself = answer.uint64(0, 0) == from.clock;
  const bool next = answer.uint64(0, 0) == from.clock + 1;
  if (!(itself && answer.uint64(0, 1) == from.history) &&
      !(next && answer.uint64(0, 3) == from.history)) {
    return std::nullopt;
  }
  // Older rows may be missing in between: the last commit of each session is kept for longer.
  StateVersion last = from;
  for (int row = itself ? 1 : 0; row < answer.rows(); ++row) {
    if (answer.uint64(row, 0) != last.clock + 1 || answer.uint64(row, 3) != last.history) {
      return std::nullopt;
    }
    LogEntry& entry = entries.emplace_back();
    entry.state = {.clock = answer.uint64(row, 0),
                   .history = answer.uint64(row, 1),
                   .pending = answer.uint64(row, 2)};
    last = entry.state;
    entry.previous = answer.uint64(row, 3);
    entry.id = {.session = answer.uint64(row, 4), .sequence = answer.uint64(row, 5)};
    entry.flags = answer.uint64(row, 6);
    const std::string_view hashes = answer.bytes(row, 7);
    entry.hashes.resize(hashes.size() / sizeof(std::uint64_t));
    if (!hashes.empty()) std::memcpy(entry.hashes.data(), hashes.data(), hashes.size());
  }
  return entries;
}

StateVersion newest(const Store& store, Connection& connection, const port::Partition& partition,
                    Deadline deadline) {
  const ReadRequest request(store.schema, partition, {});
  const Result answer = connection.run(request.text(), request.parameters(), deadline);
  return request.deliver(answer, [](std::size_t, std::span<port::Row>, std::uint64_t) {});
}

}  // namespace graven::postgres
