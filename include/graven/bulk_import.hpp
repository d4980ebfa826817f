// SPDX-License-Identifier: MIT
//
// A bulk import: for as long as it lives the store is set up for one large piece of writing, which
// is done in phases, a transaction each.
//
//     graven::BulkImport import(db);
//     import.phase("people", [&] {
//       for (std::size_t i = 0; i < rows.size() && import.advance(i, rows.size()); i += 1000)
//         db.batch_insert(people, rows_from(i));
//     });
//     import.finish();
//
// The page cache is raised, automatic checkpoints are off and transactions may take as long as
// they need. Nothing of that is kept in the file: it ends with the import, or the process. At the
// end the WAL is moved into the database and cut to nothing, and the planner's statistics are
// made anew. Readers see the state before a phase until it is committed, and wait for nothing.
//
// Phases belong to the thread that begins them; advance() is called there, abort() from any.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <graven/database.hpp>

namespace graven {

struct BulkOptions {
  /// MiB of page cache while it lasts; from 1 on. A phase keeps records in up to half as much
  /// again.
  std::size_t cache_mb = 512;
  /// Called by advance(), at most every 50 ms and at the end of a phase: the phase, how much of it
  /// is done, and of how much (0: unknown). On the phase's thread; what it throws passes through.
  std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)> progress{};
};

class BulkImport {
 public:
  /// UsageError on a read-only store, inside a transaction of this thread, and while another import
  /// of this process runs on the same store.
  explicit BulkImport(const Database& database, BulkOptions options = {});
  BulkImport(BulkImport&&) noexcept;
  BulkImport& operator=(BulkImport&&) = delete;
  /// finish(), but for its errors; at once where an exception is on its way.
  ~BulkImport();

  /// Runs `body` in one transaction without a time limit: committed when it returns, rolled back
  /// when it throws. AbortedError, without calling it, once abort() was called.
  void phase(Text name, const std::function<void()>& body) const;
  /// The same in halves, for bindings.
  void begin_phase(Text name) const;
  void end_phase(bool commit) const;

  /// Between two whole steps of a phase: reports progress. False once abort() was called: the phase
  /// is to return, so that what it has done is committed.
  [[nodiscard]] bool advance(std::uint64_t done, std::uint64_t total = 0) const;

  /// Asks for the end. From any thread, any time.
  void abort() const noexcept;
  [[nodiscard]] bool aborted() const noexcept;

  struct Phase {
    std::string name;
    double seconds = 0;
    bool committed = false;
    std::uint64_t done = 0;  ///< as advance() was told last
  };
  /// Those that have ended, in order.
  [[nodiscard]] std::vector<Phase> phases() const;

  /// Restores the settings, empties the WAL, makes statistics. Idempotent; also what a failed phase
  /// left open is rolled back. False where the WAL could not be emptied because of readers,
  /// waited for a second at most, or of writers until busy_timeout, or `patience`: maintenance().
  bool finish(std::optional<std::chrono::milliseconds> patience = std::nullopt) const;

 private:
  struct State;
  detail::Held<State> state_;
};

}  // namespace graven
