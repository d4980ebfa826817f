// SPDX-License-Identifier: MIT
//
// Checkpoints, timed and counted. Any thread.
#include "sqlite/traffic.hpp"

namespace graven::sqlite {

int Traffic::checkpoint(sqlite3* connection, int mode) {
  int in_wal = -1;
  int moved = -1;
  int code = SQLITE_OK;
  {
    const base::Timed timed(checkpoints, slow, "checkpoint", name, [&] {
      return LogField{"wal_pages", std::to_string(in_wal)};
    });
    code = sqlite3_wal_checkpoint_v2(connection, "main", mode, &in_wal, &moved);
  }
  // After a truncation both are 0; -1: it was not to be had at all.
  if (code != SQLITE_OK || in_wal != moved) counts.add(Event::kIncompleteCheckpoint);
  return code;
}

void Traffic::checkpoint_after_commits(sqlite3* connection) {
  sqlite3_wal_hook(
      connection,
      [](void* self, sqlite3* committed, const char*, int pages) {
        auto& traffic = *static_cast<Traffic*>(self);
        // As with the automatic one what goes wrong here is no failure of the commit.
        if (pages >= traffic.checkpoint_at) static_cast<void>(traffic.checkpoint(committed));
        return SQLITE_OK;
      },
      this);
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
