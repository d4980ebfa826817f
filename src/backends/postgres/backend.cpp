// SPDX-License-Identifier: MIT
//
// See postgres_backend.hpp. Any thread.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/postgres/commit_request.hpp"
#include "backends/postgres/log_request.hpp"
#include "backends/postgres/postgres_backend.hpp"
#include "backends/postgres/reads.hpp"
#include "backends/postgres/table_sql.hpp"

namespace graven::postgres {

using port::Batch;
using port::CommitId;
using port::CommitOptions;
using port::CommitResult;
using port::Key;
using port::LogEntry;
using port::LogListener;
using port::Outcome;
using port::Partition;
using port::ReadOp;
using port::ReadSink;
using port::Reason;
using port::Record;
using port::StateVersion;

namespace {

using Clock = std::chrono::steady_clock;
using Waits = Connection::Waits;

/// The partitions that a client has locked are not locked for long if the client stops.
constexpr auto kBegin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// For the answer to what the server has until the deadline to do.
constexpr std::chrono::milliseconds kGrace{300};
Deadline with_grace(Deadline deadline) { return std::max(deadline, Clock::now()) + kGrace; }

}  // namespace

PostgresBackend::PostgresBackend(std::shared_ptr<Store> store) : store_(std::move(store)) {
  for (const port::Space space : every_space()) {
    find_sql_.push_back(postgres::find_sql(store_->schema, space));
  }
}

StateVersion PostgresBackend::read(const Partition& partition, std::span<const ReadOp> ops,
                                   ReadSink each, Deadline deadline) {
  const ReadRequest request(store_->schema, partition, ops);
  const Result answer = store_->ask(deadline, [&](Connection& connection) {
    return connection.run(request.text(), request.parameters(), deadline);
  });
  return request.deliver(answer, each);
}

std::optional<Record> PostgresBackend::find(const Partition& partition, const Key& key,
                                            StateVersion& state, Deadline deadline) {
  const Parameters parameters = find_parameters(partition, key);
  const Result answer = store_->ask(deadline, [&](Connection& connection) {
    return connection.run(find_sql_[static_cast<std::size_t>(key.space)], parameters, deadline);
  });
  return found(answer, state);
}

CommitResult PostgresBackend::commit(const CommitId& id, std::span<const Batch> batches,
                                     const CommitOptions& options, Deadline deadline) {
  if (batches.empty()) return options.durable ? make_durable(deadline) : CommitResult{};
  require_allowed(batches);
  if (!std::all_of(batches.begin(), batches.end(), names_fit)) {
    return {.outcome = Outcome::kNotDone,
            .reason = Reason::kTooLarge,
            .detail = "PostgreSQL takes no key of more than 2,600 bytes"};
  }
  const int bits = (options.resent ? kResent : 0) | (options.durable ? kDurable : 0);
  CommitResult result;
  try {
    result = batches.size() == 1 ? commit_one(id, batches.front(), bits, deadline)
                                 : commit_several(id, batches, bits, deadline);
  } catch (const Failure& failure) {
    result = result_of(failure, options.resent);
    if (result.outcome == Outcome::kConflict) {
      try {
        for (const Batch& batch : batches) {
          result.states.push_back(read(
              batch.partition, {}, [](std::size_t, std::span<port::Row>, std::uint64_t) {},
              with_grace(deadline)));
        }
      } catch (const Error&) {
        result = {.outcome = Outcome::kUnknown};
      }
    }
  }
  tell(batches, result);
  return result;
}

void PostgresBackend::tell(std::span<const Batch> batches, const CommitResult& result) {
  // What is unknown may have been done.
  if (result.outcome != Outcome::kDone && result.outcome != Outcome::kUnknown) return;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (!writes(batches[i])) continue;
    followers_.committed(batches[i].partition);
    upkeep_.committed(batches[i].partition, i < result.states.size() ? result.states[i].clock : 0);
  }
}

CommitResult PostgresBackend::commit_one(const CommitId& id, const Batch& batch, int bits,
                                         Deadline deadline) {
  const Connections::Lent connection = store_->connections.lend(with_grace(deadline));
  const CommitRequest request(*store_, id, batch, bits, connection->server_time(deadline));
  const Result answer =
      connection->run(request.text(), request.parameters(), with_grace(deadline), Waits::kToTheEnd);
  return request.result(answer, *connection);
}

/// All or nothing: decided for every partition under its lock, in the order of their numbers, then
/// done in one transaction.
CommitResult PostgresBackend::commit_several(const CommitId& id, std::span<const Batch> batches,
                                             int bits, Deadline deadline) {
  std::vector<std::size_t> order(batches.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t one, std::size_t other) {
    return batches[one].partition < batches[other].partition;
  });
  std::optional<Connections::Lent> lent(store_->connections.lend(with_grace(deadline)));
  Connection* const connection = &**lent;
  const Deadline end = with_grace(deadline);
  std::vector<CommitResult> results(batches.size());
  const auto call = [&](std::size_t i, int more) {
    const CommitRequest request(*store_, id, batches[i], bits | more,
                                connection->server_time(deadline));
    results[i] = request.result(
        connection->run(request.text(), request.parameters(), end, Waits::kToTheEnd), *connection);
  };
  const auto together = [&] {
    CommitResult all;
    for (CommitResult& one : results) {
      if (one.outcome == Outcome::kNotDone || all.outcome == Outcome::kNotDone) {
        if (all.outcome != Outcome::kNotDone) all = std::move(one);
        continue;
      }
      if (one.outcome == Outcome::kConflict) all.outcome = Outcome::kConflict;
      all.states.insert(all.states.end(), one.states.begin(), one.states.end());
      all.given.insert(all.given.end(), one.given.begin(), one.given.end());
      std::move(one.fresh.begin(), one.fresh.end(), std::back_inserter(all.fresh));
    }
    if (all.outcome != Outcome::kDone) all.given.clear();
    if (all.outcome == Outcome::kNotDone) all.states.clear();
    return all;
  };
  bool committing = false;
  try {
    connection->script(kBegin, end);
    for (const std::size_t i : order) call(i, kCheckOnly);
    CommitResult decided = together();
    // Done already: then what was given tells so, or the states are those of that commit.
    const Result own = [&] {
      Parameters parameters;
      parameters.add(batches[order.front()].partition.number);
      parameters.add(id.session);
      parameters.add(id.sequence);
      return connection->run("SELECT FROM " + store_->schema +
                                 ".commits t WHERE t.part = $1 AND t.session = $2 AND t.seq = $3",
                             parameters, end, Waits::kToTheEnd);
    }();
    if (decided.outcome != Outcome::kDone || own.rows() != 0) {
      connection->script("ROLLBACK", end);
      lent.reset();
      if (decided.outcome != Outcome::kDone && (bits & kResent) != 0 && own.rows() == 0) {
        std::vector<Partition> partitions;
        for (const Batch& batch : batches) partitions.push_back(batch.partition);
        if (resolve(id, partitions, end).outcome == Outcome::kUnknown) {
          return {.outcome = Outcome::kUnknown};
        }
      }
      return decided;
    }
    for (const std::size_t i : order) call(i, kApplyOnly);
    committing = true;
    connection->script("COMMIT", end);
    return together();
  } catch (Failure& failure) {
    // Nothing is done before COMMIT was sent.
    if (failure.state.empty() && !committing && (bits & kResent) == 0) failure.sent = false;
    throw;
  }
}

CommitResult PostgresBackend::make_durable(Deadline deadline) {
  try {
    const Connections::Lent connection = store_->connections.lend(with_grace(deadline));
    connection->run(
        "SELECT set_config('synchronous_commit', 'on', true), "
        "pg_logical_emit_message(true, 'graven', '')",
        Parameters(), with_grace(deadline), Waits::kToTheEnd);
    return {};
  } catch (const Failure& failure) {
    return result_of(failure, false);
  }
}

CommitResult PostgresBackend::resolve(const CommitId& id, std::span<const Partition> partitions,
                                      Deadline deadline) {
  std::vector<Partition> order(partitions.begin(), partitions.end());
  std::sort(order.begin(), order.end());
  const Deadline end = with_grace(deadline);
  try {
    const Connections::Lent connection = store_->connections.lend(end);
    std::vector<std::pair<Partition, CommitResult>> results;
    if (order.size() > 1) connection->script(kBegin, end);
    for (const Partition& partition : order) {
      const Result answer =
          connection->run(store_->functions.resolve,
                          resolve_parameters(*store_, id, partition, connection->server_time(end)),
                          end, Waits::kToTheEnd);
      results.emplace_back(partition, result_of(answer, {}, *connection));
    }
    if (order.size() > 1) connection->script("COMMIT", end);
    CommitResult all = results.front().second;
    if (all.outcome != Outcome::kDone || results.size() == 1) return all;
    all.states.clear();
    for (const Partition& partition : partitions) {
      const auto at = std::find_if(results.begin(), results.end(),
                                   [&](const auto& one) { return one.first == partition; });
      all.states.insert(all.states.end(), at->second.states.begin(), at->second.states.end());
    }
    return all;
  } catch (const Failure& failure) {
    return {.outcome = Outcome::kUnknown, .detail = failure.text};
  }
}

std::unique_ptr<port::View> PostgresBackend::snapshot(const Partition& partition, Deadline) {
  store_->connections.require_open();
  return make_view(store_, views_, partition);
}

bool PostgresBackend::log(const Partition& partition, const StateVersion& from, port::LogSink each,
                          Deadline deadline) {
  const auto entries = store_->ask(deadline, [&](Connection& connection) {
    return log_after(*store_, connection, partition, from, deadline);
  });
  if (!entries) return false;
  for (const LogEntry& entry : *entries) each(entry);
  return true;
}

std::unique_ptr<port::Subscription> PostgresBackend::subscribe(const Partition& partition,
                                                               LogListener& listener) {
  return followers_.add(partition, listener);
}

bool PostgresBackend::set_constant(std::uint64_t constant) {
  const Deadline deadline = Clock::now() + std::chrono::seconds(30);
  // The lock of commits first; each statement sees what is committed when it begins.
  std::string sql = fmt::format(
      "SELECT pg_advisory_xact_lock({1});"
      "UPDATE {0}.meta SET value = '{2}' WHERE key = 'constant'",
      store_->schema, static_cast<std::int64_t>(store_->lock_of({})), constant);
  for (const port::Space space : every_space()) {
    sql += fmt::format(" AND NOT EXISTS (SELECT FROM {}.{})", store_->schema,
                       port::schema(space).table);
  }
  return store_
             ->ask(deadline,
                   [&](Connection& connection) {
                     return connection.script(sql + " RETURNING 1", deadline);
                   })
             .rows() != 0;
}

void PostgresBackend::close() noexcept {
  leases_.close();
  upkeep_.stop();
  followers_.close();
  views_->close();
  store_->connections.close();
}

}  // namespace graven::postgres
