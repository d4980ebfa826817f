// SPDX-License-Identifier: MIT
//
// Reads the state version (Mark) of a store: the header of the WAL index, 48 bytes of the -shm
// file. Every process maps it and every commit rewrites it before it returns (SQLite's "WAL-mode
// File Format", https://sqlite.org/walformat.html). SQLite compares it too, to decide when to drop
// its page cache.
//
// Always holds: until let_go() a connection of this object has the store open and has read from it.
// So the file cannot be removed under the mapping when another process closes the store's last
// other connection. The mapping comes from SQLite, not from a descriptor of ours: closing that
// would drop the locks of another SQLite in this process. It is read-only.
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
  /// Maps the header through the connection `pin`. Returns nothing if that is impossible (no shared
  /// memory).
  static std::unique_ptr<WalIndex> watch(std::unique_ptr<Connection> pin);
  WalIndex(const WalIndex&) = delete;
  WalIndex& operator=(const WalIndex&) = delete;
  ~WalIndex();

  [[nodiscard]] const port::MarkWords& words() const noexcept { return *words_; }
  /// Closes the connection. The words stay readable; they keep the last value or a newer one.
  void let_go() noexcept { pin_.reset(); }

  /// Whether the state version is complete and stands for one state only. False for an index that
  /// was just rebuilt from an empty WAL, as at the first open after a clean close.
  [[nodiscard]] static bool distinctive(const port::Mark& mark) noexcept;

  /// The commit counter. Other changes of the header (the WAL starts over) do not change it.
  [[nodiscard]] static std::uint32_t commits(const port::Mark& mark) noexcept;

 private:
  WalIndex(std::unique_ptr<Connection> pin, const port::MarkWords* words);

  std::unique_ptr<Connection> pin_;
  const port::MarkWords* words_;
  GuardedRange guarded_;
};

}  // namespace graven::sqlite
