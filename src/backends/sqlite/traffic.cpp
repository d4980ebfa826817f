// SPDX-License-Identifier: MIT
//
// Checkpoints: running and timing them, and when commits start them. See traffic.hpp. Any thread.
#include "backends/sqlite/traffic.hpp"

#include <chrono>
#include <thread>

#include "backends/sqlite/pool/connection.hpp"
#include "base/fork.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

// How long a commit that starts the WAL over waits for writers, and for readers of other states.
constexpr std::chrono::milliseconds kForTheLock{2};
constexpr std::chrono::microseconds kPause{200};

}  // namespace

bool Traffic::is_checkpointing() const noexcept {
  return checkpointing_.load() == base::fork_generation() + 1;
}

Traffic::Checkpointed Traffic::checkpoint(sqlite3* connection, int mode) {
  return checkpoint(connection, mode, {}, [] {});
}

Traffic::Checkpointed Traffic::checkpoint(sqlite3* connection, int mode, base::Deadline until,
                                          base::FunctionRef<void()> before) {
  Checkpointed done;
  {
    const observe::Timed timed(checkpoints, slow, "checkpoint", name, [&] {
      return LogField{"wal_pages", std::to_string(done.in_wal)};
    });
    for (base::InterruptPoll poll;; poll()) {
      if (!is_checkpointing()) {
        before();
        checkpointing_.store(base::fork_generation() + 1);
        done.code = sqlite3_wal_checkpoint_v2(connection, "main", mode, &done.in_wal, &done.moved);
        checkpointing_.store(0);
      }
      if (!done.kept_out() || std::chrono::steady_clock::now() >= until) break;
      std::this_thread::sleep_for(kPause);
    }
  }
  // After a truncation both numbers are 0; -1 if the checkpoint could not start. A few pages may
  // remain because others write meanwhile.
  constexpr int few = 1000;
  if (done.code != SQLITE_OK || done.in_wal - done.moved > few) {
    counts.add(Event::kIncompleteCheckpoint);
  }
  if (after_checkpoint) after_checkpoint();
  return done;
}

void Traffic::checkpoint_after_commits(Connection& connection) {
  sqlite3_wal_hook(
      connection.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto& committed = *static_cast<Connection*>(self);
        committed.traffic()->after_commit(committed, pages);
        return SQLITE_OK;
      },
      &connection);
}

void Traffic::checkpoint_at(int pages) noexcept {
  if (pages == checkpoint_at_) return;
  checkpoint_at_ = pages;
  ask_at_ = start_over_at_ = 0;
}

void Traffic::after_commit(Connection& committed, std::int64_t pages) {
  if (stamping) return;
  commits_.store(commits() + 1, std::memory_order_relaxed);
  if (pages < checkpoint_at_ || start_over_at_ == 0) {
    ask_at_ = checkpoint_at_;
    start_over_at_ = asks ? checkpoint_at_ * kPatience : checkpoint_at_;
  }
  if (pages >= start_over_at_) {
    // Readers of old states may prevent it, so do not try again at once.
    start_over_at_ = pages + checkpoint_at_ / kPatience;
    start_over(committed);
    grown_.store(true);
    if (wake) wake();
  } else if (asks && pages >= ask_at_ && prepare_checkpoint(committed)) {
    ask_at_ = pages + checkpoint_at_;
    asked_.store(true);
    wake();
  }
}

void Traffic::start_over(Connection& connection) {
  // SQLite does not wait for a checkpoint of another thread, and the WAL would grow.
  while (is_checkpointing()) std::this_thread::sleep_for(kPause);
  // RESTART holds the write lock: otherwise another process could append its next commit, and the
  // WAL would not start over. As with SQLite's automatic checkpoint, an error here does not fail
  // the commit.
  const base::Uninterrupted committed_already;
  const auto deadline = connection.deadline();
  connection.set_deadline(std::chrono::steady_clock::now() + kForTheLock);
  if (prepare_checkpoint(connection)) {
    static_cast<void>(checkpoint(connection.handle(), SQLITE_CHECKPOINT_RESTART));
  }
  connection.set_deadline(deadline);
}

bool Traffic::prepare_checkpoint(Connection& connection) {
  if (!before_checkpoint) return true;
  const auto deadline = connection.deadline();
  connection.set_deadline(std::chrono::steady_clock::now() + kForTheLock);
  const bool done = before_checkpoint(connection);
  connection.set_deadline(deadline);
  return done;
}

std::string Traffic::describe(const port::Key& key) {
  std::string text(port::schema(key.space).table);
  text += ' ' + std::to_string(key.a);
  if (key.b != 0) text += ' ' + std::to_string(key.b);
  constexpr std::size_t kShown = 80;
  if (!key.name.empty()) text += ' ' + key.name.substr(0, kShown);
  return text;
}

}  // namespace graven::sqlite
