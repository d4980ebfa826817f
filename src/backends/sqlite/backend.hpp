// SPDX-License-Identifier: MIT
//
// The SQLite backend: a store in one file, in WAL mode, which several processes may use at
// once. docs/format/sqlite.md describes the file, docs/design/fork.md what a fork does.
//
// Always holds: at most one connection of the process writes. Nothing is refused half-way:
// open() either gives a store that works or has changed nothing.
//
// Any thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "port/backend.hpp"

namespace graven::sqlite {

/// How far a commit that returned is safe: from a crash of the process (kOff, kNormal) or of
/// the machine too (kFull). After a crash of the machine kNormal may lack the last commits,
/// kOff may find the file damaged.
enum class Synchronous { kOff, kNormal, kFull };

/// How far maintain() has a checkpoint go.
enum class CheckpointMode { kPassive, kFull, kRestart, kTruncate };

struct Options {
  bool read_only = false;
  bool create = true;  ///< make a store where there is none
  bool allow_network_file_system = false;
  bool immutable =
      false;  ///< with read_only: nobody changes the file, so nothing is locked or made
  Synchronous synchronous = Synchronous::kNormal;
  std::chrono::milliseconds busy_timeout{5000};   ///< how long a read waits for locks
  int max_readers = 64;                           ///< views and loads at the same time
  std::chrono::milliseconds keep_alive{300'000};  ///< an idle read connection is closed after that
  std::chrono::milliseconds reader_limit{0};      ///< a view older than that is ended; 0: none is
  int checkpoint_pages = 4000;  ///< in the WAL, from which on it is checkpointed; 0: it is not
  CheckpointMode checkpoint = CheckpointMode::kTruncate;
  std::size_t cache_bytes = std::size_t{96} << 20U;  ///< of all page caches together
  std::size_t mmap_bytes = 0;                        ///< of the file, by each connection
  bool temp_store_in_memory = false;
  std::string vfs{};  ///< SQLite's file layer; empty: its default
};

/// What the first open() of a process does for it, done by itself: it sets up SQLite, unless that
/// is the system's, which the program may yet want to configure.
void prepare();

/// Opens the store at `path`, and makes one where there is no file or an empty one, if told to.
/// UsageError, UnavailableError, ForeignFileError or CorruptionError where that cannot be.
std::unique_ptr<store::Backend> open(const std::string& path, const Options& options = {});

}  // namespace graven::sqlite
