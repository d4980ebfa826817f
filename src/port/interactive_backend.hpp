// SPDX-License-Identifier: MIT
//
// The calls of Backend for stores with interactive transactions, written once: a commit is one
// WriteTransaction that checks predicates, does operations and changes, and advances the store's
// clock. Such a store is one partition, whatever number it is asked for. Store uses the facet
// Interactive instead; these calls make the same suites run on every store.
//
// Always holds: state versions come from the clock record. So a commit of others that does not
// advance the clock (clocked()) has no state of its own: kUnmoved does not notice it. While a node
// is pending deletion, `pending` moves with every commit. Outcomes are remembered in this process
// only: a reply within a process is not lost.
//
// Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "base/fork.hpp"
#include "port/backend.hpp"
#include "port/predicates.hpp"
#include "port/remembered_outcomes.hpp"

namespace graven::port {

/// The state of a view of a store that is one partition.
StateVersion state_of(View& view);

class InteractiveBackend : public Backend, public Interactive {
 public:
  StateVersion read(const Partition& partition, std::span<const ReadOp> ops, ReadSink each,
                    Deadline deadline) override;
  CommitResult commit(const CommitId& id, std::span<const Batch> batches,
                      const CommitOptions& options, Deadline deadline) override;
  CommitResult resolve(const CommitId& id, std::span<const Partition> partitions,
                       Deadline deadline) override;
  std::unique_ptr<View> snapshot(const Partition& partition, Deadline deadline) override;
  /// There is none: SharedState takes its place.
  bool log(const Partition&, const StateVersion&, LogSink, Deadline) override { return false; }
  std::unique_ptr<Subscription> subscribe(const Partition&, LogListener&) override {
    return nullptr;
  }
  std::optional<Record> find(const Partition& partition, const Key& key, StateVersion& state,
                             Deadline deadline) override;

 protected:
  /// kDone if the leases allow the batch now, else the answer to its commit: kFenced, kLeased.
  /// Called with the write transaction open, if the batch writes.
  virtual CommitResult admit(const Batch& batch) = 0;
  /// Returns when everything that was committed is durable.
  virtual void make_durable(Deadline deadline) = 0;

 private:
  struct Commits {
    std::timed_mutex mutex;  // held while a transaction of commit() is open
    Outcomes outcomes;
  };

  std::unique_lock<std::timed_mutex> turn(Deadline deadline);
  CommitResult attempt(std::span<const Batch> batches, Deadline deadline);

  base::ForkRenewed<Commits> commits_;
};

}  // namespace graven::port
