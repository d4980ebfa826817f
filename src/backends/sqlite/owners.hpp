// SPDX-License-Identifier: MIT
//
// Leases: which processes are alive, and which may write. A lease is a lock on one byte of a file
// next to the database, `<database>-owners`. Owner number N (from 1) is a lock on byte N. Byte 0 is
// the writer lease: all writers share it, or one exclusive writer holds it. An exclusive writer
// also writes its process id and the copy of graven into the file, for messages. After that comes a
// record of the main file (main_record.hpp). A process id can be reused; a lock ends exactly when
// its process ends.
//
// Always holds: the locks belong to the open file description, not to the process. So two stores of
// one process see each other's locks, closing another descriptor drops no lock, and a forked child
// holds none after closing its copy of the descriptor. A process unlinks the file only while it
// holds every byte. After locking a byte it checks that the name still leads to the same file, so
// no process holds locks in a file that the others no longer use.
//
// Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <string>

#include "backends/sqlite/files/store_files.hpp"
#include "base/fork.hpp"

namespace graven::sqlite {

class Owners final : private base::ForkGuard {
 public:
  explicit Owners(const std::string& database);
  Owners(const Owners&) = delete;
  Owners& operator=(const Owners&) = delete;
  ~Owners();

  void hold(std::int64_t owner);
  bool alive(std::int64_t owner);
  /// How many owner numbers are held, by this process and others.
  std::size_t count();

  /// Takes a share of the writer lease; false if an exclusive writer has it.
  bool join_writers();
  /// Takes the exclusive writer lease; false if there are other writers.
  bool claim();
  /// Releases every lock and closes the file; hold() and the like then throw ClosedError.
  void close() noexcept;
  [[nodiscard]] bool writes();
  /// The exclusive writer.
  struct OnlyWriter {
    std::int64_t process = 0;  ///< 0: none, or unknown
    bool this_copy = false;    ///< the same copy of graven; a process can have several
  };
  [[nodiscard]] OnlyWriter only_writer() const noexcept;
  enum class Stay : std::uint8_t { kInPlace, kMadeAnew, kTaken };
  /// If another program removed the file, creates it again with all locks of this object. kTaken:
  /// another process has taken one of them meanwhile. After kTaken or an exception displaced() is
  /// true.
  Stay stay();
  /// Whether the locks of this object are gone because their file is gone.
  [[nodiscard]] bool displaced() const noexcept { return displaced_.load(); }
  /// Writes the record of main_record.hpp. Only while this object has the writer lease.
  void note_main(Identity main, const volatile std::uint32_t* index);

 private:
  static constexpr std::int64_t kWriters = 0;

  void child_after_fork() noexcept override;
  bool take(short type, std::int64_t offset);
  bool lock_all_again() noexcept;

  const std::string database_;
  const std::string path_;
  base::ForkMutex mutex_{base::kForkRankPool};
  int descriptor_ = -1;          // opened by the first lock
  std::set<std::int64_t> held_;  // owner numbers held by this object
  short writing_ = F_UNLCK;      // the lock it has on byte 0
  // True from when the file with the locks is found gone until all are held in the new file.
  std::atomic<bool> displaced_{false};
  bool closed_ = false;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
