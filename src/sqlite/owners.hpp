// SPDX-License-Identifier: MIT
//
// Who is alive: each owner number is held as a lock on the byte of that offset of a file
// beside the database, `<database>-owners`, which stays empty. Process ids come back; a lock
// dies with its process and nothing else.
//
// Always holds: the locks are open-file-description locks, so they belong to the descriptor,
// not the process: two stores of one process see each other, closing some other descriptor
// drops nothing, and a forked child holds none once it has closed its copy. Only who holds
// every byte unlinks the file, and who has locked a byte looks whether the file is still in
// its place, so nobody holds a lock where others do not look.
//
// Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

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

 private:
  void prepare_fork() noexcept override;
  void parent_after_fork() noexcept override;
  void child_after_fork() noexcept override;
  bool lock_all_again() noexcept;

  const std::string path_;
  std::mutex mutex_;
  int descriptor_ = -1;          // open from the first hold() on
  std::set<std::int64_t> held_;  // by this object
  base::ForkEnrolment enrolment_{*this, base::kForkRankPool};
};

}  // namespace graven::sqlite
