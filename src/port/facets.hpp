// SPDX-License-Identifier: MIT
//
// Facets: what some stores can do and others cannot. A facet is an interface that a backend may
// implement besides Backend; facet<Files>(backend) gives it, or nullptr. Interactive and
// SharedState, which are facets too, have files of their own.
//
// Any thread, unless said otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/interrupt.hpp"

namespace graven::port {

using base::Deadline;

/// How to copy a store while others use it.
struct Copying {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};  ///< in pages
  int pages_per_step = 1024;
  std::chrono::milliseconds pause{0};  ///< between two steps
};

/// A store in files.
class Files {
 public:
  virtual ~Files() = default;

  /// Checks the store's own structure (for SQLite, PRAGMA integrity_check). Returns one line per
  /// problem; empty when sound. Reads only.
  virtual std::vector<std::string> check() = 0;

  /// A record that mend() salvaged but could not keep in place: a description, and its bytes.
  struct Loss {
    std::string what;
    std::string bytes;
  };
  /// Reindexes: rebuilds what the store derives from its own records (for SQLite, indexes), where
  /// check() complains. Called with no transaction of this process open.
  virtual std::vector<Loss> mend() = 0;

  /// Copies what is committed, as one state, into the file `path`, which is empty and used by
  /// nobody else.
  virtual void copy_to(const std::string& path, const Copying& how) = 0;

  /// Size of the store in bytes, all its files together.
  [[nodiscard]] virtual std::uint64_t size_on_disk() const = 0;
};

/// A store whose constant (Facts::constant) can be set.
class Restamped {
 public:
  virtual ~Restamped() = default;
  /// Gives the store another constant, which counts from its next opening, if nothing was ever
  /// committed to it or nothing is in it: ids and uids of what is in it would change. Returns
  /// whether it has done so; a commit comes before or after all of this.
  virtual bool set_constant(std::uint64_t constant) = 0;
};

/// A store that can be prepared for one large amount of writing.
class Bulk {
 public:
  virtual ~Bulk() = default;
  /// Until end_bulk(): page caches of about `cache_bytes`, also for connections opened meanwhile,
  /// and no checkpoints. None of this outlives the process. UsageError while another bulk phase
  /// runs.
  virtual void begin_bulk(std::size_t cache_bytes) = 0;
  /// Ends the bulk phase in any case; then checkpoints, and updates the planner's statistics, until
  /// the deadline. Called with no transaction open. Returns whether nothing is left to do.
  virtual bool end_bulk(Deadline deadline) = 0;
};

/// A store that keeps commits in memory for a while before it writes them.
class WriteBack {
 public:
  virtual ~WriteBack() = default;
  /// Returns when every commit that has returned is in the store below, where other processes can
  /// read it.
  virtual void flush() = 0;
  /// From now on, writers wait while more than `bytes` of commits are not flushed yet.
  virtual void bound_pending(std::size_t bytes) = 0;
};

/// A store that this process maintains.
class Maintenance {
 public:
  virtual ~Maintenance() = default;

  /// Maintains the store where that is due: checkpoint, release of free pages, planner statistics.
  /// Called with no transaction open. Returns what keeps it from releasing all free space, in
  /// words; empty if nothing does.
  virtual std::string maintain() = 0;

  /// Sets the function to be called, from any thread, with the time at which tend() will have
  /// something to do. Called once, before anything else.
  virtual void when_due(std::function<void(Deadline)> wake) = 0;
  /// Closes what has been idle too long and ends what has been open too long; returns when to call
  /// it again.
  virtual std::optional<Deadline> tend() = 0;

  /// Sets the total size of the page caches of all connections to about `bytes`, from now on.
  virtual void bound_page_caches(std::size_t bytes) = 0;
  /// From now on, logs the backend's own operations that take longer than `limit`; 0: none.
  virtual void log_slower_than(std::chrono::nanoseconds limit) = 0;
};

}  // namespace graven::port
