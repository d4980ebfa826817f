// SPDX-License-Identifier: MIT
//
// A bulk import: while it lives, the store is set up for writing much data. The writing is done in
// phases; each phase is one transaction.
//
//     graven::BulkImport import(db);
//     import.phase("people", [&] {
//       for (std::size_t i = 0; i < rows.size() && import.advance(i, rows.size()); i += 1000)
//         db.batch_insert(people, rows_from(i));
//     });
//     import.finish();
//
// The page cache is larger, automatic checkpoints are off and transactions have no time limit.
// These settings are not kept in the file: they end with the import, or the process. At the end a
// checkpoint empties the WAL, and the planner's statistics are renewed. Readers see the state
// before a phase until it is committed, and do not wait.
//
// A phase belongs to the thread that begins it, which also calls advance(). abort(): any thread.
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
  /// MiB of page cache during the import; at least 1. A phase keeps records in up to half as much
  /// memory in addition.
  std::size_t cache_mb = 512;
  /// Called by advance(), at most every 50 ms, and at the end of a phase, on the phase's thread:
  /// the name of the phase, how much of it is done, and the total (0: unknown). Its exceptions pass
  /// through.
  std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)> progress{};
};

class BulkImport {
 public:
  /// UsageError on a read-only store, inside a transaction of this thread, and while another import
  /// of this process runs on the same store.
  explicit BulkImport(const Database& database, BulkOptions options = {});
  BulkImport(BulkImport&&) noexcept;
  BulkImport& operator=(BulkImport&&) = delete;
  /// Calls finish() and ignores its errors; during stack unwinding it waits 100 ms at most.
  ~BulkImport();

  /// Runs `body` in one transaction without a time limit: committed when it returns, rolled back
  /// when it throws. AbortedError, without calling it, once abort() was called.
  void phase(Text name, const std::function<void()>& body) const;
  /// The two halves of phase(), for bindings.
  void begin_phase(Text name) const;
  void end_phase(bool commit) const;

  /// Called between two steps of a phase: reports progress. False once abort() was called: the
  /// phase should then return, so that what it has done is committed.
  [[nodiscard]] bool advance(std::uint64_t done, std::uint64_t total = 0) const;

  /// Asks the import to end. Any thread, any time.
  void abort() const noexcept;
  [[nodiscard]] bool aborted() const noexcept;

  struct Phase {
    std::string name;
    double seconds = 0;
    bool committed = false;
    std::uint64_t done = 0;  ///< the last value that advance() got
  };
  /// The phases that have ended, in order.
  [[nodiscard]] std::vector<Phase> phases() const;

  /// Restores the settings, empties the WAL, renews the statistics, and rolls back an open phase.
  /// Idempotent. False if readers or writers kept the WAL from being emptied: it waits a second at
  /// most for readers, and busy_timeout or `patience` for writers. Then call maintenance() later.
  bool finish(std::optional<std::chrono::milliseconds> patience = std::nullopt) const;

 private:
  struct State;
  detail::Held<State> state_;
};

}  // namespace graven
