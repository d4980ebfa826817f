// SPDX-License-Identifier: MIT
//
// A look at the header of the WAL index, the store's mark: 48 bytes of the -shm file that every
// process maps and every commit rewrites before it returns (SQLite's "WAL-mode File Format",
// https://sqlite.org/walformat.html). SQLite itself drops its page cache by comparing it.
//
// Always holds: until let_go() a connection of its own has the store open and has read
// from it, so the last connection of another process to close cannot remove the file under the
// mapping. The mapping was asked of SQLite, never made over a descriptor of ours: closing that
// would drop another SQLite's locks. It can be read only.
//
// Any thread, once made.
#pragma once

#include <memory>

#include "backends/sqlite/pool/connection.hpp"
#include "backends/sqlite/vfs/bus_guard.hpp"
#include "port/mark.hpp"

namespace graven::sqlite {

class WalIndex {
 public:
  /// The header as `pin` sees it, or nothing where it cannot be watched (no shared memory).
  static std::unique_ptr<WalIndex> watch(std::unique_ptr<Connection> pin);
  WalIndex(const WalIndex&) = delete;
  WalIndex& operator=(const WalIndex&) = delete;
  ~WalIndex();

  [[nodiscard]] const store::MarkWords& words() const noexcept { return *words_; }
  /// Closes its connection. The words stay readable, and say what they said last or newer.
  void let_go() noexcept { pin_.reset(); }

  /// Whether the mark is whole and stands for one state only: not so that of an index just
  /// recovered from an empty WAL, as at the first open after a clean close.
  [[nodiscard]] static bool distinctive(const store::Mark& mark) noexcept;

  /// Counts commits; other changes of the header (a WAL started over) leave it alone.
  [[nodiscard]] static std::uint32_t commits(const store::Mark& mark) noexcept;

 private:
  WalIndex(std::unique_ptr<Connection> pin, const store::MarkWords* words);

  std::unique_ptr<Connection> pin_;
  const store::MarkWords* words_;
  GuardedRange guarded_;
};

}  // namespace graven::sqlite
