// SPDX-License-Identifier: MIT
//
// Who is alive, and who may write: locks on bytes of a file beside the database,
// `<database>-owners`. An owner number, from 1, is held as a lock on the byte of that offset.
// Byte 0 is shared by all who write, or held alone by the one who keeps others from writing; its
// process, and which copy of graven in it, is what the file then says, for messages. Behind that is
// a note of the main file (main_record.hpp). Process ids come back; a lock dies with its
// process and nothing else.
//
// Always holds: the locks are open-file-description locks, so they belong to the descriptor,
// not the process: two stores of one process see each other, closing some other descriptor
// drops nothing, and a forked child holds none once it has closed its copy. Only who holds
// every byte unlinks the file, and who has locked a byte looks whether the file is still in
// its place, so nobody holds a lock where others do not look.
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
  /// How many numbers are held, by this process and others.
  std::size_t count();

  /// From now on this is one of the writers; false while there is one who keeps others away.
  bool join_writers();
  /// From now on it is the only one; false while there are others.
  bool claim();
  void leave_writers() noexcept;
  /// Gives up every lock and the file; nothing is held after that.
  void close() noexcept;
  [[nodiscard]] bool writes();
  /// The one who keeps others from writing.
  struct OnlyWriter {
    std::int64_t process = 0;  ///< 0: there is none, or it is not told
    bool this_copy = false;    ///< of graven, of which a process may have several
  };
  [[nodiscard]] OnlyWriter only_writer() const noexcept;
  enum class Stay : std::uint8_t { kInPlace, kMadeAnew, kTaken };
  /// Where another program took the file away, makes it anew with every lock that this has; kTaken
  /// where somebody else has taken one of them since. If it throws, too, they are displaced().
  Stay stay();
  /// Whether this lacks locks that it goes by, because the file they were in is gone.
  [[nodiscard]] bool displaced() const noexcept { return displaced_.load(); }
  /// See main_record.hpp; only for one of the writers.
  void note_main(Identity main, const volatile std::uint32_t* index);

 private:
  static constexpr std::int64_t kWriters = 0;

  void child_after_fork() noexcept override;
  bool take(short type, std::int64_t offset);
  bool lock_all_again() noexcept;

  const std::string database_;
  const std::string path_;
  base::ForkMutex mutex_{base::kForkRankPool};
  int descriptor_ = -1;          // open from the first hold() on
  std::set<std::int64_t> held_;  // by this object
  short writing_ = F_UNLCK;      // what it has on byte 0
  // Set when the descriptor goes whose file has these locks, until all are in the one in its place.
  std::atomic<bool> displaced_{false};
  bool closed_ = false;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::sqlite
