// SPDX-License-Identifier: MIT
//
// Decides whether a store may still be written, and checks its files at each commit
// (docs/design/files.md). After a commit went into files that are no longer the store's, nothing
// more is written or reported as durable until the store is opened again.
//
// Always holds: a commit is acknowledged only if a check after its publishing found the store's
// files in place.
//
// Used with the writer's connection; the flags by any thread.
#pragma once

#include <graven/error.hpp>

#include <atomic>
#include <string>

#include "backends/sqlite/owners.hpp"
#include "backends/sqlite/pool/connection.hpp"

namespace graven::sqlite {

class Standing {
 public:
  Standing(const std::string& name, Owners& owners) : name_(name), owners_(owners) {}

  /// A commit has an unknown outcome: nobody may write, except the exclusive writer, who repeats it
  /// (claim()).
  void doubt() noexcept { doubtful_.store(true); }
  [[nodiscard]] bool doubtful() const noexcept { return doubtful_.load(); }
  /// Nobody may write any more.
  [[nodiscard]] bool lost() const noexcept { return lost_.load(); }
  [[nodiscard]] bool has_written() const noexcept { return has_written_.load(); }

  /// UnavailableError if the store is lost.
  void require() const;
  /// Call with the write lock held and nothing written. UnavailableError if the files are not the
  /// store's. Writes a new stamp if this commit may start the WAL over (stamp.hpp).
  void before_commit(Connection& connection);
  /// Call after a commit was published and before it is acknowledged; whether it is in the store.
  bool published(Connection& connection);
  /// The error for a commit that is not.
  [[nodiscard]] CommitUnknownError unknown() const;
  /// Updates the record of the main file (main_record.hpp) if one is due. Call after a commit or
  /// checkpoint.
  void note_main(Connection& connection);
  /// The record is out of date: the next note_main() writes it.
  void main_moved() noexcept { note_due_.store(true); }

 private:
  const std::string& name_;
  Owners& owners_;
  std::atomic<bool> doubtful_{false};
  std::atomic<bool> lost_{false};
  std::atomic<bool> has_written_{false};
  std::atomic<bool> note_due_{true};
  std::string what_;  // what happened to the files; used with the writer's connection
};

}  // namespace graven::sqlite
