// SPDX-License-Identifier: MIT
//
// Checkpoints, timed and counted. Any thread.
#include "sqlite/traffic.hpp"

#include <chrono>
#include <thread>

#include "base/fork.hpp"

namespace graven::sqlite {

int Traffic::checkpoint(sqlite3* connection, int mode) {
  int in_wal = -1;
  int moved = -1;
  int code = SQLITE_OK;
  {
    const base::Timed timed(checkpoints, slow, "checkpoint", name, [&] {
      return LogField{"wal_pages", std::to_string(in_wal)};
    });
    checkpointing_.store(base::fork_generation() + 1);
    code = sqlite3_wal_checkpoint_v2(connection, "main", mode, &in_wal, &moved);
    checkpointing_.store(0);
  }
  // After a truncation both are 0; -1: it was not to be had at all. Some are left to whoever writes
  // meanwhile.
  constexpr int few = 1000;
  if (code != SQLITE_OK || in_wal - moved > few) counts.add(Event::kIncompleteCheckpoint);
  return code;
}

void Traffic::checkpoint_after_commits(sqlite3* connection) {
  sqlite3_wal_hook(
      connection,
      [](void* self, sqlite3* committed, const char*, int pages) {
        static_cast<Traffic*>(self)->after_commit(committed, pages);
        return SQLITE_OK;
      },
      this);
}

void Traffic::after_commit(sqlite3* committed, int pages) {
  if (pages < checkpoint_at) {
    ask_at = checkpoint_at;
  } else if (!ask || pages / kPatience >= checkpoint_at) {
    // SQLite would not wait for the one that another thread is at, and the WAL would grow.
    while (checkpointing_.load() == base::fork_generation() + 1) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    // As with the automatic one what goes wrong here is no failure of the commit.
    static_cast<void>(checkpoint(committed));
  } else if (pages >= ask_at) {
    ask_at = pages + checkpoint_at;
    asked_.store(true);
    ask();
  }
}

std::string Traffic::describe(const store::Key& key) {
  std::string text(store::schema(key.space).table);
  text += ' ' + std::to_string(key.a);
  if (key.b != 0) text += ' ' + std::to_string(key.b);
  constexpr std::size_t kShown = 80;
  if (!key.name.empty()) text += ' ' + key.name.substr(0, kShown);
  return text;
}

}  // namespace graven::sqlite
