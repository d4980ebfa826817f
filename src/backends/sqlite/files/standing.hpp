// SPDX-License-Identifier: MIT
//
// Whether a store may still be written, and the look at its files with every commit
// (docs/design/files.md). Once a commit went into files that are no longer the store's nothing
// more is written or called durable, until the store is opened again.
//
// Always holds: what a commit of this process has published is acknowledged only if a look made
// after that found the files in place.
//
// Whoever has the writer's connection; the flags: any thread.
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

  /// A commit ended unknown: nobody writes, but for the one who writes it once more (claim()).
  void doubt() noexcept { doubtful_.store(true); }
  [[nodiscard]] bool doubtful() const noexcept { return doubtful_.load(); }
  /// Nobody writes at all.
  [[nodiscard]] bool lost() const noexcept { return lost_.load(); }
  [[nodiscard]] bool has_written() const noexcept { return has_written_.load(); }

  /// UnavailableError where the store is lost.
  void require() const;
  /// With the write lock taken and nothing written: UnavailableError where the files are not the
  /// store's. Marks a commit that may begin the WAL anew, or its checkpoint's (stamp.hpp).
  void before_commit(Connection& connection);
  /// Between a commit's publishing and its end: whether it is in the store.
  bool published(Connection& connection);
  /// For one that is not.
  [[nodiscard]] CommitUnknownError unknown() const;
  /// After a commit or a checkpoint.
  void note_main(Connection& connection);
  /// Has the next commit note it.
  void main_moved() noexcept { note_due_.store(true); }

 private:
  const std::string& name_;
  Owners& owners_;
  std::atomic<bool> doubtful_{false};
  std::atomic<bool> lost_{false};
  std::atomic<bool> has_written_{false};
  std::atomic<bool> note_due_{true};
  std::string what_;  // happened to the files; the writer's connection
};

}  // namespace graven::sqlite
