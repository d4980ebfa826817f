// SPDX-License-Identifier: MIT
//
// A batch: everything that one commit does in one partition, and what must hold for it. A mutation
// runs on the client, over records that it has read; the facts it relied on are the predicates. The
// store checks the predicates, then applies operations and changes, or nothing at all.
//
// Always holds: the predicates are checked before the first write; operations come before changes;
// no record is both in an operation and in a change; the batches of a commit are for different
// partitions. A batch of predicates alone changes no state: it confirms what was read, also while
// another process has the lease.
//
// Plain values; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "port/range.hpp"
#include "port/record.hpp"
#include "port/state_version.hpp"
#include "port/touched.hpp"

namespace graven::port {

/// A fact that a commit relies on.
struct Predicate {
  enum class Kind : std::uint8_t {
    kVersion,   ///< the record has `number` as its version
    kAbsent,    ///< there is no such record
    kSame,      ///< the record, in a space without versions, is `record`
    kAnchor,    ///< the node's anchor is `number`
    kAnchored,  ///< the node exists; its anchor is a node, or it is a root (its own anchor)
    kCount,     ///< the range has `number` records
    kNth,       ///< the record at place `number` (from 1) of the range is `key`
    kPending,   ///< StateVersion::pending is `number`
    kUnmoved,   ///< nothing was committed since the state `state`
  };
  Kind kind{};
  Key key{};
  std::uint64_t number = 0;
  Record record{};
  Range range{};
  StateVersion state{};
};

/// A change that commutes with others of its kind: the store does it to what is there then.
struct Operation {
  enum class Kind : std::uint8_t {
    kAdd,         ///< adds `number` to a counter; gives the sum. Overflow: the batch is not done
    kLinks,       ///< adds `number` to an edge, erased at 0; gives the sum. Below 0, or if the
                  ///< edge's parent is the child's anchor: conflict. (A root is not its own parent:
                  ///< its links to itself are an edge.)
    kErase,       ///< erases the record; gives 1 if it existed, else 0
    kEraseRange,  ///< erases the first `number` records of the range; gives how many
  };
  Kind kind{};
  Key key{};
  std::int64_t number = 0;
  Range range{};
};

struct Batch {
  Partition partition{};
  std::vector<Predicate> predicates{};
  std::vector<Operation> operations{};
  std::vector<Change> changes{};  ///< each key once
  Told told{};                    ///< what other caches must drop
  std::uint64_t fence = 0;        ///< the token of the lease under which it is written; 0: none
};

/// Whether it is not of predicates alone.
inline bool writes(const Batch& batch) noexcept {
  return !batch.operations.empty() || !batch.changes.empty();
}

enum class Outcome : std::uint8_t {
  kDone,      ///< applied, once
  kConflict,  ///< a predicate failed; nothing changed. If `resent`, the id is refused for ever
  kNotDone,   ///< nothing changed, for a Reason. If `resent`, the id is refused for ever
  kUnknown,   ///< the store could not be asked
};

enum class Reason : std::uint8_t {
  kNone,
  kLeased,       ///< another process has the lease of the partition
  kFenced,       ///< the fence is not the lease's token: the own lease is lost
  kLate,         ///< the deadline had passed when the store had its turn
  kBurnt,        ///< resolve() was asked first
  kNoPartition,  ///< the partition was deleted
  kReadOnly,     ///< a server that takes no writes
  kFull,         ///< no room: memory or disk of the store
  kOverflow,     ///< a counter would leave the 64-bit range
  kTooLarge,     ///< more than the store takes in one batch
  kRefused,      ///< the store refuses it: rights, types
  kUnreached,    ///< the store could not be reached, and nothing was sent
};

struct CommitResult {
  Outcome outcome{};
  Reason reason{};
  std::vector<StateVersion> states{};  ///< of each batch: kDone: after it; kConflict: as it is
  std::vector<std::int64_t> given{};   ///< by the operations of all batches, one each, in order
  std::vector<Change> fresh{};  ///< kConflict: what is there now, for failed predicates on keys
  std::chrono::milliseconds wait{};  ///< kLeased: how long the lease still lasts, at most
  std::string detail{};              ///< kRefused: in the store's words
};

struct CommitOptions {
  bool resent = false;   ///< this id was sent before, so a conflict too must be remembered
  bool durable = false;  ///< returns when it survives a loss of power and, where there are
                         ///< replicas, of a server
};

}  // namespace graven::port
