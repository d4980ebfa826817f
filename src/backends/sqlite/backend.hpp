// SPDX-License-Identifier: MIT
//
// The SQLite backend: one store in one database file, in WAL mode. Several processes may use it at
// the same time. docs/format/sqlite.md describes the file; docs/design/fork.md says what happens
// after a fork.
//
// Always holds: at most one connection of a process writes. open() either returns a store that
// works or changes nothing.
//
// Any thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "port/backend.hpp"

namespace graven::sqlite {

/// How durable a commit is when its call returns. kOff and kNormal survive a crash of the process;
/// kFull also survives a crash of the machine. After a crash of the machine, the last commits may
/// be missing with kNormal, and the file may be damaged with kOff.
enum class Synchronous { kOff, kNormal, kFull };

/// How far the checkpoint of maintain() goes; SQLite's modes.
enum class CheckpointMode { kPassive, kFull, kRestart, kTruncate };

struct Options {
  bool read_only = false;
  bool create = true;  ///< create the store if the file is missing or empty
  bool allow_network_file_system = false;
  bool immutable =
      false;  ///< with read_only: nobody changes the file, so nothing is locked or created
  Synchronous synchronous = Synchronous::kNormal;
  std::chrono::milliseconds busy_timeout{5000};   ///< how long a read waits for a lock
  int max_readers = 64;                           ///< limit of views and loads at the same time
  std::chrono::milliseconds keep_alive{300'000};  ///< after it an idle read connection is closed
  std::chrono::milliseconds reader_limit{0};      ///< a view open for longer is ended; 0: no limit
  int checkpoint_pages = 4000;  ///< WAL size, in pages, that starts a checkpoint; 0: never
  CheckpointMode checkpoint = CheckpointMode::kTruncate;
  std::size_t cache_bytes = std::size_t{96} << 20U;  ///< for all page caches together
  std::size_t mmap_bytes = 0;                        ///< how much of the file each connection maps
  bool temp_store_in_memory = false;
  std::string vfs{};  ///< SQLite's file layer; empty: its default
};

/// Does in advance what the first open() of a process would do: initializes SQLite. Does nothing
/// with the system's SQLite, because the program may still want to configure it.
void prepare();

/// Opens the store at `path`. If there is no file or an empty one, creates the store, if `options`
/// allow it. Otherwise throws UsageError, UnavailableError, ForeignFileError or CorruptionError.
std::unique_ptr<port::Backend> open(const std::string& path, const Options& options = {});

}  // namespace graven::sqlite
