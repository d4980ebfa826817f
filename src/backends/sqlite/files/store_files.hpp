// SPDX-License-Identifier: MIT
//
// Checks that the files that a connection has open are still the store's, that is, the ones that a
// process would get that opens the store by its name now. A commit into other files is lost, even
// if it succeeded. So the check runs between publishing a commit and acknowledging it, and before a
// checkpoint.
//
// By name: main file, WAL and WAL index must be the same inodes that SQLite has open. By content:
// the main file's epoch must be one that the WAL fits (wal_owner.hpp), and the WAL must begin with
// the salts in its index. So it also detects that another file was copied over one of them.
//
// Always holds: no descriptor is opened on the main file or the index.
//
// One thread at a time, as its connection.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <time.h>
#include <vector>

#include <sqlite3.h>

#include "backends/sqlite/files/stamp.hpp"

namespace graven::sqlite {

/// The files that a connection has open, as the VFS beneath graven's sees them.
struct OpenFiles {
  sqlite3_file* main = nullptr;
  sqlite3_file* wal = nullptr;                    // nullptr: not open yet
  const volatile std::uint32_t* index = nullptr;  // nullptr: not mapped yet
  bool index_lost = false;                        // truncated while mapped
};

/// The file that a descriptor or a name leads to.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};

class StoreFiles {
 public:
  /// `path`: the store's absolute path.
  explicit StoreFiles(std::string path);
  ~StoreFiles();
  StoreFiles(const StoreFiles&) = delete;
  StoreFiles& operator=(const StoreFiles&) = delete;

  /// Returns what happened to the files, such as "state.db-wal was deleted or moved", or empty.
  /// Reliable with the write lock held; without it, changes that others are just making may look
  /// like damage. `newest`: the stamp that an open transaction sees; it saves a search of the WAL.
  std::string look(const OpenFiles& open, const Stamp& newest = {});

  /// The main file may have this epoch from now on: its stamp was committed to the same WAL, after
  /// others.
  void expect(Epoch epoch) { epochs_.push_back(epoch); }

  /// Whether the last look was a moment ago and no name in the folder has changed since. Costs one
  /// system call.
  [[nodiscard]] bool quiet(std::chrono::steady_clock::time_point now) const noexcept;
  /// Whether the last look was less than a millisecond ago.
  [[nodiscard]] bool recent(std::chrono::steady_clock::time_point now) const noexcept;
  /// The main file that is open, even if its name leads elsewhere by now; nothing if unknown.
  std::optional<Identity> main(const OpenFiles& open) { return identity(kMain, open); }

 private:
  enum Which : std::uint8_t { kMain, kWal, kIndex, kCount };

  std::string look_at_names(const OpenFiles& open);
  [[nodiscard]] std::string name(Which which) const;
  std::optional<Identity>& identity(Which which, const OpenFiles& open);
  bool is_main(const OpenFiles& open, const Stamp& newest);
  [[nodiscard]] bool is_wal(const OpenFiles& open) const;

  const std::string path_;
  int folder_;
  std::array<std::optional<Identity>, kCount> identities_;
  // The generation of the WAL, by its salts, for which epochs_ (the epochs that the main file may
  // have) and any_epoch_ (it cannot be told) hold.
  std::array<std::uint32_t, 2> salts_{};
  std::vector<Epoch> epochs_;
  bool any_epoch_ = false;
  struct timespec seen_ {};  // the folder's modification time at the last look
  std::chrono::steady_clock::time_point looked_{};
};

/// The main file's stamp, read through the VFS beneath graven's; empty if it cannot be read.
Stamp stamp_in_file(sqlite3_file* main);

/// What the user can do about a finding of look(); part of error messages.
std::string remedy_for_files(const std::string& name);

}  // namespace graven::sqlite
