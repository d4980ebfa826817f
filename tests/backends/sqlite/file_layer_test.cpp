// SPDX-License-Identifier: MIT
//
// The layer that gathers a commit's frames: SQLite over it, with a page cache so small that
// transactions reach the WAL long before they commit, next to a connection without the layer.
// After every commit the files are copied as a crash would leave them and recovered. And what the
// layer does to the marks of readers: the states they read stay, whoever moves the WAL meanwhile.
#include "backends/sqlite/vfs/file_layer.hpp"

#include <graven/error.hpp>

#include <array>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

class Database {
 public:
  explicit Database(const std::string& path, const std::string& layer = {}) {
    EXPECT_EQ(sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              layer.empty() ? nullptr : layer.c_str()),
              SQLITE_OK);
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA synchronous = NORMAL");
    run("PRAGMA wal_autocheckpoint = 0");
    run("PRAGMA cache_size = 5");
    run("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, fill INTEGER, body TEXT)");
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(handle_); }

  void run(const std::string& sql) {
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << sql << ": " << (message != nullptr ? message : "");
    sqlite3_free(message);
  }

  /// A row of about a page.
  void put(int id, int fill) {
    run("INSERT OR REPLACE INTO t VALUES (" + std::to_string(id) + ", " + std::to_string(fill) +
        ", '" + std::string(2500, static_cast<char>('a' + fill % 26)) + "')");
  }

  /// Every row, and a word where its body is not what `fill` says.
  std::map<int, int> rows() {
    std::map<int, int> found;
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(handle_, "SELECT id, fill, body FROM t", -1, &statement, nullptr);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const int fill = sqlite3_column_int(statement, 1);
      found[sqlite3_column_int(statement, 0)] = fill;
      EXPECT_EQ(reinterpret_cast<const char*>(sqlite3_column_text(statement, 2)),
                std::string(2500, static_cast<char>('a' + fill % 26)));
    }
    EXPECT_EQ(sqlite3_finalize(statement), SQLITE_OK) << sqlite3_errmsg(handle_);
    return found;
  }

  /// What a checkpoint of a mode says: the frames in the WAL, and how many of them are moved.
  std::pair<int, int> checkpoint(const std::string& mode) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(handle_, ("PRAGMA wal_checkpoint(" + mode + ")").c_str(), -1, &statement,
                       nullptr);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const std::pair<int, int> frames{sqlite3_column_int(statement, 1),
                                     sqlite3_column_int(statement, 2)};
    sqlite3_finalize(statement);
    return frames;
  }

  std::string check() {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(handle_, "PRAGMA integrity_check", -1, &statement, nullptr);
    sqlite3_step(statement);
    const std::string result = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return result;
  }

 private:
  sqlite3* handle_ = nullptr;
};

class FileLayer : public ::testing::Test {
 protected:
  /// The rows that recovery would find if every process died now.
  static std::map<int, int> recovered(const std::string& path) {
    const TemporaryFolder elsewhere;
    std::filesystem::copy_file(path, elsewhere / "copy.db");
    std::filesystem::copy_file(path + "-wal", elsewhere / "copy.db-wal");
    Database copy(elsewhere / "copy.db");
    EXPECT_EQ(copy.check(), "ok");
    return copy.rows();
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
};

TEST_F(FileLayer, ACommitIsOneWrite) {
  Database database(path_, sqlite::file_layer_over(faulty_vfs()));
  database.run("PRAGMA cache_size = 1000");
  for (int id = 0; id < 10; ++id) database.put(id, 1);
  arm({});
  database.run("BEGIN");
  for (int id = 0; id < 10; ++id) database.put(id, 2);
  database.run("COMMIT");
  EXPECT_EQ(disarm(), 1);
  EXPECT_EQ(recovered(path_).at(9), 2);
}

TEST_F(FileLayer, WhatARolledBackTransactionLeavesIsNeverWritten) {
  Database ours(path_, sqlite::file_layer_over(""));
  Database theirs(path_);
  for (int id = 0; id < 30; ++id) ours.put(id, 1);
  // With everything in the database nothing reads the WAL, which would write what is gathered.
  ours.run("PRAGMA wal_checkpoint(RESTART)");
  ours.run("BEGIN");
  for (int id = 0; id < 30; ++id) {
    ours.run("UPDATE t SET body = upper(body) WHERE id = " + std::to_string(id));
  }
  ours.run("ROLLBACK");
  // The next frames are another connection's, in the same place.
  theirs.run("BEGIN");
  for (int id = 0; id < 30; ++id) theirs.put(id, 3);
  theirs.run("COMMIT");
  std::map<int, int> expected;
  for (int id = 0; id < 30; ++id) expected[id] = 3;
  EXPECT_EQ(ours.rows(), expected);  // reads the WAL, where anything gathered would be written
  EXPECT_EQ(theirs.rows(), expected);
  EXPECT_EQ(recovered(path_), expected);
}

TEST_F(FileLayer, FramesChangedInPlaceAreInTheFileWithTheCommit) {
  Database database(path_, sqlite::file_layer_over(""));
  database.run("BEGIN");
  // Pages reach the WAL, are changed and reach it again: SQLite rewrites the frames, and with
  // the commit the checksums of all that follow.
  for (int round = 1; round <= 5; ++round) {
    for (int id = 0; id < 40; ++id) database.put(id, round);
  }
  database.run("COMMIT");
  std::map<int, int> expected;
  for (int id = 0; id < 40; ++id) expected[id] = 5;
  EXPECT_EQ(recovered(path_), expected);
}

TEST_F(FileLayer, RandomTransactionsSurviveACrashAfterEachCommit) {
  Random random;
  Database ours(path_, sqlite::file_layer_over(""));
  Database plain(path_);
  std::map<int, int> committed;
  for (int round = 0; round < 150; ++round) {
    Database& writer = random.one_in(3) ? plain : ours;
    std::map<int, int> rows = committed;
    writer.run("BEGIN IMMEDIATE");
    std::vector<std::map<int, int>> savepoints;
    for (std::size_t step = random.below(60); step > 0; --step) {
      const int id = static_cast<int>(random.below(80));
      switch (random.below(8)) {
        case 0:
          writer.run("DELETE FROM t WHERE id = " + std::to_string(id));
          rows.erase(id);
          break;
        case 1:
          writer.run("SAVEPOINT s" + std::to_string(savepoints.size()));
          savepoints.push_back(rows);
          break;
        case 2:
          if (savepoints.empty()) break;
          savepoints.resize(1 + random.below(savepoints.size()));
          rows = savepoints.back();
          writer.run("ROLLBACK TO s" + std::to_string(savepoints.size() - 1));
          break;
        default:
          rows[id] = static_cast<int>(random.below(1000));
          writer.put(id, rows[id]);
      }
    }
    const bool commit = !random.one_in(3);
    writer.run(commit ? "COMMIT" : "ROLLBACK");
    if (commit) committed = rows;
    ASSERT_EQ((random.one_in(2) ? ours : plain).rows(), committed);
    ASSERT_EQ(recovered(path_), committed);
    if (random.one_in(20)) ours.run("PRAGMA wal_checkpoint(RESTART)");
    if (random.one_in(30)) plain.run("PRAGMA wal_checkpoint(TRUNCATE)");
    if (random.one_in(3)) ours.run("PRAGMA wal_checkpoint(PASSIVE)");
    if (random.one_in(10)) {
      ours.run(random.one_in(2) ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    }
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(FileLayer, SyncedCommitsSeldomMakeTheWalLonger) {
  Database ours(path_, sqlite::file_layer_over(""));
  ours.run("PRAGMA synchronous = FULL");
  std::map<int, int> expected;
  const auto lengths = [&](int commits) {
    int others = 0;
    for (int id = 0; id < commits; ++id) {
      const auto before = std::filesystem::file_size(path_ + "-wal");
      ours.put(id, id);
      expected[id] = id;
      if (std::filesystem::file_size(path_ + "-wal") != before) ++others;
    }
    return others;
  };
  EXPECT_LE(lengths(100), 10);  // of 8 KiB, in steps of 120
  EXPECT_EQ(recovered(path_), expected);
  // It is known again when others have cut it.
  Database(path_).run("PRAGMA wal_checkpoint(TRUNCATE)");
  const int again = lengths(100);
  EXPECT_GE(again, 1);
  EXPECT_LE(again, 11);
  EXPECT_EQ(recovered(path_), expected);
  ours.run("PRAGMA wal_checkpoint(TRUNCATE)");
  EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 0U);
}

TEST_F(FileLayer, ADiskWithRoomForTheCommitOnlyIsLargeEnough) {
  Database ours(path_, sqlite::file_layer_over(faulty_vfs()));
  ours.run("PRAGMA synchronous = FULL");
  ours.put(1, 1);
  ours.run("PRAGMA wal_checkpoint(TRUNCATE)");
  arm({.at = 3, .for_good = true, .code = SQLITE_FULL});  // behind the WAL's header and the frames
  ours.put(1, 2);
  EXPECT_TRUE(fault_happened());
  disarm();
  EXPECT_EQ(recovered(path_).at(1), 2);
}

/// What readers go by, from the index of a WAL. Reading it drops this process's locks of the file,
/// which keep off other processes only, and here there are none.
struct Index {
  explicit Index(const std::string& path) {
    std::array<std::uint32_t, 30> words{};
    std::ifstream(path + "-shm", std::ios::binary)
        .read(reinterpret_cast<char*>(words.data()), sizeof words);
    frames = words[4];
    std::copy_n(words.begin() + 26, marks.size(), marks.begin());
  }
  /// The newest mark that is not ahead of the WAL.
  [[nodiscard]] std::uint32_t newest() const {
    std::uint32_t newest = 0;
    for (const std::uint32_t mark : marks) {
      if (mark <= frames) newest = std::max(newest, mark);
    }
    return newest;
  }

  std::uint32_t frames = 0;
  std::array<std::uint32_t, 4> marks{};
};

TEST_F(FileLayer, AMarkIsMovedOnceInManyCommits) {
  Database database(path_, sqlite::file_layer_over(""));
  database.put(0, 0);
  int moved = 0;
  constexpr int kCommits = 1000;
  for (int i = 0; i < kCommits; ++i) {
    const std::uint32_t before = Index(path_).newest();
    database.run("UPDATE t SET fill = fill + 1");
    const Index index(path_);
    moved += index.newest() != before ? 1 : 0;
    // As the transaction began, before its own frame.
    ASSERT_LE(index.frames - 1 - index.newest(), 64U);
  }
  EXPECT_GE(Index(path_).frames, std::uint32_t{kCommits});
  EXPECT_GE(moved, kCommits / 64 - 1);
  EXPECT_LE(moved, kCommits / 64 + 2);
}

TEST_F(FileLayer, ACheckpointStopsAtAReadersMark) {
  Database reader(path_, sqlite::file_layer_over(""));
  Database writer(path_, sqlite::file_layer_over(""));
  Database stranger(path_);
  writer.put(0, 1);
  EXPECT_EQ(reader.rows().at(0), 1);  // moves a mark here
  const std::uint32_t mark = Index(path_).newest();
  for (int fill = 2; fill < 12; ++fill) writer.put(0, fill);
  reader.run("BEGIN");
  EXPECT_EQ(reader.rows().at(0), 11);
  EXPECT_EQ(Index(path_).newest(), mark) << "it did with the mark that was there";
  writer.put(0, 12);
  const auto [frames, done] = stranger.checkpoint("PASSIVE");
  EXPECT_LE(done, static_cast<int>(mark));
  EXPECT_GT(frames, static_cast<int>(mark));
  EXPECT_EQ(reader.rows().at(0), 11);
  reader.run("COMMIT");
  const auto [all, moved] = stranger.checkpoint("PASSIVE");
  EXPECT_EQ(all, moved);
  EXPECT_EQ(reader.rows().at(0), 12);
}

TEST_F(FileLayer, SnapshotsStayAsTheyWereWhateverCheckpointsDo) {
  Random random;
  struct Reader {
    std::unique_ptr<Database> database;
    std::optional<std::map<int, int>> snapshot;
  };
  std::array<Reader, 4> readers;
  const auto open = [&](Reader& reader) {
    reader.database =
        std::make_unique<Database>(path_, random.one_in(4) ? "" : sqlite::file_layer_over(""));
    reader.snapshot.reset();
  };
  Database writer(path_, sqlite::file_layer_over(""));
  Database stranger(path_);
  for (Reader& reader : readers) open(reader);
  std::map<int, int> rows;
  for (int step = 0; step < 6000; ++step) {
    Reader& reader = readers[random.below(readers.size())];
    switch (random.below(8)) {
      case 0:
        stranger.checkpoint(
            std::array{"PASSIVE", "PASSIVE", "FULL", "RESTART", "TRUNCATE"}[random.below(5)]);
        break;
      case 1:
        if (random.one_in(20)) open(reader);
        break;
      case 2:
      case 3:
        if (reader.snapshot) {
          reader.database->run("COMMIT");
          reader.snapshot.reset();
        } else {
          reader.database->run("BEGIN");
          reader.snapshot = reader.database->rows();
          ASSERT_EQ(*reader.snapshot, rows) << "step " << step;
        }
        break;
      case 4:
        if (reader.snapshot) {
          ASSERT_EQ(reader.database->rows(), *reader.snapshot) << "step " << step;
        }
        break;
      default: {
        const int id = static_cast<int>(random.below(12));
        const int fill = static_cast<int>(random.below(26));
        (random.one_in(3) ? stranger : writer).put(id, fill);
        rows[id] = fill;
      }
    }
  }
  EXPECT_EQ(writer.check(), "ok");
}

TEST_F(FileLayer, NeedsALayerToLieOver) {
  EXPECT_THROW(sqlite::file_layer_over("no such layer"), UsageError);
  EXPECT_EQ(sqlite::file_layer_over(""), sqlite::file_layer_over(""));
}

}  // namespace
}  // namespace graven::test
