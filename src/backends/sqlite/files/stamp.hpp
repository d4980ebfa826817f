// SPDX-License-Identifier: MIT
//
// The stamp: 20 bytes in the first page of a store that say which of its states the page is of.
// Each generation of the WAL, each checkpoint and each backup has an *epoch* of its own, a random
// number, and the stamp has it and the one before. So a WAL is told from one of another file, or
// of another state of this one (wal_owner.hpp). docs/format/sqlite.md has the bytes,
// docs/design/files.md why they are there.
//
// A system's SQLite cannot write a stamp: there write_stamp() does nothing, and stamps that others
// have written are kept and looked at.
//
// Any thread, with a connection of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <sqlite3.h>

namespace graven::sqlite {

/// 0: none.
using Epoch = std::uint64_t;

struct Stamp {
  static constexpr std::size_t kOffset = 72;  // in the first page
  static constexpr std::size_t kSize = 20;

  std::array<unsigned char, kSize> bytes{};

  [[nodiscard]] bool present() const noexcept;
  [[nodiscard]] Epoch before() const noexcept { return number(0); }
  [[nodiscard]] Epoch epoch() const noexcept { return number(8); }
  /// The stamp of what comes after it.
  [[nodiscard]] Stamp next() const;

 private:
  [[nodiscard]] std::uint64_t number(std::size_t at) const noexcept;
};

#ifdef GRAVEN_SQLITE_SYSTEM
inline constexpr bool kWritesStamps = false;
#else
inline constexpr bool kWritesStamps = true;
#endif

/// The stamp as the connection's open transaction sees it; a system's SQLite does not tell.
Stamp read_stamp(sqlite3* connection);

/// Puts the next stamp into the first page, inside a write transaction. SQLite's code.
int write_stamp(sqlite3* connection);

}  // namespace graven::sqlite
