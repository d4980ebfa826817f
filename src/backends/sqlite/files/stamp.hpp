// SPDX-License-Identifier: MIT
//
// The stamp: 20 bytes in the first page of a store that identify a state. Each generation of the
// WAL, each checkpoint and each backup has its own *epoch*, a random number. The stamp contains
// that epoch and the one before. So graven can tell whether a WAL belongs to this state of this
// file (wal_owner.hpp). docs/format/sqlite.md describes the bytes, docs/design/files.md the
// reasons.
//
// A system SQLite cannot write a stamp: there write_stamp() does nothing. Stamps that others have
// written are kept and checked.
//
// Any thread, with a connection of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <sqlite3.h>

namespace graven::sqlite {

/// 0: no epoch.
using Epoch = std::uint64_t;

struct Stamp {
  static constexpr std::size_t kOffset = 72;  // offset in the first page
  static constexpr std::size_t kSize = 20;

  std::array<unsigned char, kSize> bytes{};

  [[nodiscard]] bool present() const noexcept;
  [[nodiscard]] Epoch before() const noexcept { return number(0); }
  [[nodiscard]] Epoch epoch() const noexcept { return number(8); }
  /// The stamp that follows this one: a new epoch, with this one's as the one before.
  [[nodiscard]] Stamp next() const;

 private:
  [[nodiscard]] std::uint64_t number(std::size_t at) const noexcept;
};

#ifdef GRAVEN_SQLITE_SYSTEM
inline constexpr bool kWritesStamps = false;
#else
inline constexpr bool kWritesStamps = true;
#endif

/// The stamp that the connection's open transaction sees; empty with a system SQLite.
Stamp read_stamp(sqlite3* connection);

/// Writes the next stamp into the first page, inside a write transaction. Returns SQLite's code.
int write_stamp(sqlite3* connection);

}  // namespace graven::sqlite
