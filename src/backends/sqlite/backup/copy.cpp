// SPDX-License-Identifier: MIT
//
// Runs SQLite's online backup step by step. One thread at a time.
#include "backends/sqlite/backup/copy.hpp"

#include <memory>

#include "base/interrupt.hpp"

namespace graven::sqlite {

void copy_store(Connection& source, const Target& copy, const port::Copying& how) {
  Connection target(copy, copy.path, SQLITE_OPEN_READWRITE);
  // Nobody uses the copy before it is complete and synced.
  target.execute("PRAGMA synchronous = OFF");
  target.execute("PRAGMA journal_mode = MEMORY");
  source.begin().execute();
  source.integer("SELECT count(*) FROM main.sqlite_schema");  // the transaction's state
  {
    const std::unique_ptr<sqlite3_backup, int (*)(sqlite3_backup*)> backup(
        sqlite3_backup_init(target.handle(), "main", source.handle(), "main"),
        &sqlite3_backup_finish);
    if (!backup) target.fail(sqlite3_extended_errcode(target.handle()));
    for (base::InterruptPoll poll;; poll()) {
      const int code = sqlite3_backup_step(backup.get(), how.pages_per_step);
      if (code != SQLITE_OK && code != SQLITE_DONE) {
        // SQLite does not say which of the two files failed. Except for damage, it is more likely
        // the copy.
        throw_fault({.code = code, .system = 0, .message = {}},
                    (code & 0xff) == SQLITE_CORRUPT ? source.name() : copy.name);
      }
      const int total = sqlite3_backup_pagecount(backup.get());
      const int left = sqlite3_backup_remaining(backup.get());
      if (how.progress) {
        how.progress(static_cast<std::uint64_t>(total - left), static_cast<std::uint64_t>(total));
      }
      if (code == SQLITE_DONE) break;
      if (how.pause.count() > 0) {
        base::sleep_until(std::chrono::steady_clock::now() + how.pause);
      }
    }
  }
  source.commit().execute();
}

}  // namespace graven::sqlite
