// SPDX-License-Identifier: MIT
//
// The committer sends commits to a store without interactive transactions, and finds out what
// became of them when replies are lost. A commit is sent again under the same id, which the store
// applies once; at the deadline the store is asked for the outcome.
//
// Always holds: a commit that returns `done` was applied once. One that returns `conflict` or
// throws was not applied and never will be; except CommitUnknownError: then the store could not be
// asked. From the first lost reply until the outcome is known a commit cannot be interrupted.
//
// By one thread at a time, which has the writer queue from next() until commit() returns: a session
// has one commit in flight. Only sync() from any thread. A forked child is a new session: ids made
// before the fork are refused there.
#pragma once

#include <cstdint>
#include <vector>

#include "port/backend.hpp"

namespace graven::store {

class Committer {
 public:
  explicit Committer(port::Backend& backend) : backend_(backend) {}

  /// The id of the next commit: known before it, because it is the version of its records. It need
  /// not be used.
  port::CommitId next();

  /// Returns `done`, or `conflict`: run the mutation again under another id. The latter also where
  /// the store has refused this id for good, though the deadline has not passed.
  port::CommitResult commit(const port::CommitId& id, const std::vector<port::Batch>& batches,
                            const port::CommitOptions& options, port::Deadline deadline);

  /// Asks whether predicates hold. The batches change nothing, and have ids of their own: an id may
  /// be asked for before and used after this.
  port::CommitResult confirm(const std::vector<port::Batch>& batches, port::Deadline deadline);

  /// Returns when everything that was committed is durable.
  void sync(port::Deadline deadline);

 private:
  struct Session {
    std::uint64_t number = 0;
    std::uint64_t last = 0;             // sequence
    std::uint64_t fork_generation = 0;  // in which the number was chosen

    port::CommitId next();
  };
  class Attempt;

  port::Backend& backend_;
  Session session_;
  Session confirming_;
};

}  // namespace graven::store
