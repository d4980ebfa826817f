// SPDX-License-Identifier: MIT
//
// The port: what a store must be able to do. Everything above it (cache, transactions, graph, maps)
// is written once; a backend only moves records. To add a backend, implement this file and pass
// tests/conformance. What a backend can do besides, it tells by its facets (facets.hpp).
//
// Always holds: each call is one trip to the store, except where the comment says otherwise. Reads
// of one call are of one state of the partition. A commit is complete or absent, for every process.
//
// Any thread. Waits end at the deadline: then a read throws UnavailableError, and a commit tells
// its outcome. Errors name the store, never a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <graven/stats.hpp>

#include "base/function_ref.hpp"
#include "base/interrupt.hpp"
#include "port/batch.hpp"
#include "port/facets.hpp"
#include "port/interactive.hpp"
#include "port/leases.hpp"
#include "port/log.hpp"
#include "port/range.hpp"
#include "port/record.hpp"
#include "port/shared_state.hpp"
#include "port/state_version.hpp"
#include "port/view.hpp"

namespace graven::port {

using base::Deadline;

/// What a backend can report about itself, counted since it was constructed.
struct BackendStats {
  FileStats file{};
  Histogram reads{};
  FlushStats flushes{};
  CheckpointStats checkpoints{};
  std::uint64_t busy_waits = 0;
  std::uint64_t owners = 0;
  std::vector<PoolStats> pools{};
};

/// What is fixed when a store is opened.
struct Facts {
  std::string name{};      ///< in messages: a path or URL
  std::string identity{};  ///< two opens in one process with the same identity are the same store
  /// Random and not 0, fixed when the store was created. It seeds the store's hashes and ULIDs.
  std::uint64_t constant = 0;
  std::string file{};        ///< the file that holds the store, absolute; empty where there is none
  std::string cache_path{};  ///< path prefix of files that a cache may create; empty: none
  bool read_only = false;
  bool slow_commits = false;  ///< a commit waits for disk or network: it pays to combine several
  std::size_t most_changes = SIZE_MAX;     ///< of one commit, operations included
  std::size_t most_predicates = SIZE_MAX;  ///< of one commit
};

/// Gets the rows of a read, by its place among the reads; or their number where that was asked for.
/// The rows may be moved from.
using ReadSink = base::FunctionRef<void(std::size_t op, std::span<Row> rows, std::uint64_t count)>;

/// Does the reads with a view.
void read_with(View& view, std::span<const ReadOp> ops, ReadSink each);

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual const Facts& facts() const noexcept = 0;

  /// Does all reads in one state of the partition, and returns that state. Calls `each` once for
  /// each read, in any order. `each` must not use the store.
  virtual StateVersion read(const Partition& partition, std::span<const ReadOp> ops, ReadSink each,
                            Deadline deadline) = 0;

  /// One attempt to commit. With no batches and `durable`: returns when everything that was
  /// committed is durable. With batches for several partitions: all or nothing where the store can,
  /// else UsageError.
  /// An id that was done, or was answered with `resent`, gets the same answer each time. An id
  /// older than such a one of its session in the partition is kBurnt.
  virtual CommitResult commit(const CommitId& id, std::span<const Batch> batches,
                              const CommitOptions& options, Deadline deadline) = 0;

  /// What became of a commit of a session that has had no later one in these partitions. If it is
  /// not in the store, it never will be: from now on the store refuses it.
  virtual CommitResult resolve(const CommitId& id, std::span<const Partition> partitions,
                               Deadline deadline) = 0;

  /// A view of the newest state, which stays as it is.
  virtual std::unique_ptr<View> snapshot(const Partition& partition, Deadline deadline) = 0;

  /// Calls `each` for the commits after the state `from`, in order, and returns true; false, and
  /// calls nothing, where that state is not in the log.
  virtual bool log(const Partition& partition, const StateVersion& from, LogSink each,
                   Deadline deadline) = 0;

  /// From now on, tells the listener of commits, until the subscription ends. nullptr where the
  /// store tells nobody: log() must be asked, or there is none.
  virtual std::unique_ptr<Subscription> subscribe(const Partition& partition,
                                                  LogListener& listener) = 0;

  virtual Leases& leases() = 0;

  /// Releases files, connections, locks and threads, also those that views hold, and ends these
  /// views; flushes before, where there is something to flush. Waits about a second at most for
  /// operations in progress; one that takes longer releases its resources when it ends. Every later
  /// use throws ClosedError. Idempotent.
  virtual void close() noexcept = 0;

  /// One record, and the state it is of: the cheapest read. By default read() of one key.
  virtual std::optional<Record> find(const Partition& partition, const Key& key,
                                     StateVersion& state, Deadline deadline);

  /// What the backend can measure; the rest is 0.
  [[nodiscard]] virtual BackendStats stats();
};

/// The facet of a backend; nullptr if it has none.
template <class Facet>
Facet* facet(Backend& backend) noexcept {
  return dynamic_cast<Facet*>(&backend);
}

}  // namespace graven::port
