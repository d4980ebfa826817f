// SPDX-License-Identifier: MIT
//
// The functions of the server, in PL/pgSQL: commits, what became of them, leases, upkeep. They are
// made from port::schema(), and their names end with a hash of their text, so that processes of
// different versions of graven may use one store.
//
// Always holds: a function that changes anything of a partition takes the partition's lock first,
// in a statement of its own, under READ COMMITTED: what follows sees every commit before it.
//
// Pure functions; any thread.
#pragma once

#include <string>

namespace graven::postgres {

/// The functions of a schema.
struct Functions {
  explicit Functions(const std::string& schema);

  std::string text;    ///< creates them
  std::string suffix;  ///< of every name

  // Statements that call one.
  std::string commit;  ///< a batch without ranges and operations
  std::string commit_full;
  std::string resolve;

  // Names, with the schema.
  std::string take_lease;
  std::string keep_lease;  ///< renews or releases
  std::string leave_queue;
  std::string prune;
  std::string alive;  ///< with a lock or a fresh row; without locks: with a row
};

/// Bits of the options of a commit.
enum CommitBits : int {
  kResent = 1,
  kDurable = 2,
  kWrites = 4,
  kCheckOnly = 8,   ///< decides, but writes nothing
  kApplyOnly = 16,  ///< was checked in the same transaction
  kLists = 32,      ///< puts a record of what is pending deletion
  kUnlists = 64,    ///< may erase one
};

/// Kinds of rows of `commits`; from kRefused on: not done, for the reason that is added.
inline constexpr int kKindDone = 0;       // is in the log
inline constexpr int kKindConfirmed = 1;  // done, and changed nothing
inline constexpr int kKindConflict = 2;
inline constexpr int kKindRefused = 16;

}  // namespace graven::postgres
