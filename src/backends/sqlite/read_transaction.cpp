// SPDX-License-Identifier: MIT
//
// Begins and ends read transactions, and ends those that are open too long. See
// read_transaction.hpp, also for threads.
#include "backends/sqlite/read_transaction.hpp"

#include <graven/error.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "backends/sqlite/vfs/fork.hpp"

namespace graven::sqlite {

namespace {
// If the oldest one is in use, try again after this.
constexpr auto kAgain = std::chrono::milliseconds(20);

[[noreturn]] void throw_closed(const std::string& name) {
  throw ClosedError(name + " was closed; open it again");
}
}  // namespace

void Reads::add(ReadTransaction& read) {
  const bool limited = limit_.count() != 0;
  if (limited) read.due_ = std::chrono::steady_clock::now() + limit_;
  {
    const std::scoped_lock lock(mutex_);
    if (closed()) throw_closed(read.source_.name);
    open_.push_back(&read);
  }
  read.known_ = true;
  if (limited && wake_) wake_(read.due_);
}

void Reads::remove(ReadTransaction& read) noexcept {
  const std::scoped_lock lock(mutex_);
  std::erase(open_, &read);
}

std::optional<base::Deadline> Reads::end_overdue(base::Deadline now) {
  if (limit_.count() == 0) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  while (!open_.empty()) {
    ReadTransaction& oldest = *open_.front();
    if (oldest.due_ > now) return oldest.due_;
    if (!oldest.end_from_outside()) return now + kAgain;
    open_.erase(open_.begin());
    ++ended_;
  }
  return std::nullopt;
}

bool Reads::end_all() noexcept {
  const std::scoped_lock lock(mutex_);
  closed_.store(true);
  std::erase_if(open_, [](ReadTransaction* read) { return read->end_from_outside(); });
  return open_.empty();
}

std::uint64_t Reads::ended() const {
  const std::scoped_lock lock(mutex_);
  return ended_;
}

ReadTransaction::~ReadTransaction() {
  if (generation_ != base::fork_generation()) return;
  if (known_) source_.reads.remove(*this);
  end();
}

Connection& ReadTransaction::connection() {
  if (generation_ != base::fork_generation()) throw_begun_by_parent(source_.name);
  if (ended_ && source_.reads.closed()) throw_closed(source_.name);
  if (ended_) {
    throw TransactionExpiredError(fmt::format(
        "a read of {} was ended after {} ms because it kept the WAL from being cleaned up; make "
        "snapshots and iterations short, or raise reader_limit",
        source_.name, source_.reads.limit().count()));
  }
  if (!lease_) begin();
  return **lease_;
}

void ReadTransaction::begin() {
  Lease lease = source_.readers.lease(source_.patience, purpose_);
  static_cast<void>(lease->commit());  // prepared now, so that end() cannot fail on it
  lease->begin().execute();
  source_.reads.add(*this);
  lease_.emplace(std::move(lease));
}

void ReadTransaction::end() noexcept {
  if (!lease_ || !lease_->ours()) return;
  Connection& connection = **lease_;
  connection.raw().release_all();  // a running one would keep the state
  if (connection.in_transaction()) {
    // Nothing is prepared here: both statements were prepared with the first use.
    if (connection.commit().try_execute() != SQLITE_OK) connection.try_execute("ROLLBACK");
  }
  lease_.reset();
}

bool ReadTransaction::end_from_outside() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return false;
  ended_ = true;
  end();
  return true;
}

}  // namespace graven::sqlite
