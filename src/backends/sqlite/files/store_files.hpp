// SPDX-License-Identifier: MIT
//
// Whether the files a connection has open are still the store's: whether whoever opens the store
// by its name would open these. A commit into any others is lost, however well it went, so it is
// asked between publishing a commit and acknowledging it, and before a checkpoint.
//
// Told by name: main file, WAL and WAL index, each against what SQLite has open. Told by content:
// the main file's epoch must be one that the WAL has been for (wal_owner.hpp), and the WAL must
// begin with the salts of its index; so another file's bytes copied into one of them are found.
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

/// What a connection has open of a store, by the layer beneath graven's.
struct OpenFiles {
  sqlite3_file* main = nullptr;
  sqlite3_file* wal = nullptr;                    // nullptr: not yet
  const volatile std::uint32_t* index = nullptr;  // nullptr: not yet
  bool index_lost = false;                        // cut off under its mapping
};

/// Which file a descriptor or a name leads to.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};

class StoreFiles {
 public:
  /// Of the store at this absolute path.
  explicit StoreFiles(std::string path);
  ~StoreFiles();
  StoreFiles(const StoreFiles&) = delete;
  StoreFiles& operator=(const StoreFiles&) = delete;

  /// What happened to them, as in "state.db-wal was deleted or moved"; empty: nothing. Sure with
  /// the write lock held; without, what others are changing just now may look wrong.
  /// `newest`: the stamp that an open transaction sees, which spares a search of the WAL.
  std::string look(const OpenFiles& open, const Stamp& newest = {});

  /// The main file may have this epoch: its stamp was committed behind others of the same WAL.
  void expect(Epoch epoch) { epochs_.push_back(epoch); }

  /// Whether no name in their folder has changed since the last look, which was a moment ago: with
  /// one system call.
  [[nodiscard]] bool quiet(std::chrono::steady_clock::time_point now) const noexcept;
  /// Whether the last look was a moment ago.
  [[nodiscard]] bool recent(std::chrono::steady_clock::time_point now) const noexcept;
  /// The main file that is open, whatever its name leads to by now; nothing: it cannot be told.
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
  // Of one generation of the WAL, by its salts: the epochs that the main file may have; or that
  // nobody can tell.
  std::array<std::uint32_t, 2> salts_{};
  std::vector<Epoch> epochs_;
  bool any_epoch_ = false;
  struct timespec seen_ {};  // the folder's last change, at the last look
  std::chrono::steady_clock::time_point looked_{};
};

/// The main file's stamp, by the layer beneath graven's; none where it cannot be read.
Stamp stamp_in_file(sqlite3_file* main);

/// What to do where a look has found something.
std::string remedy_for_files(const std::string& name);

}  // namespace graven::sqlite
