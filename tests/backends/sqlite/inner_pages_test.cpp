// SPDX-License-Identifier: MIT
//
// The copies of inner pages that the file layer keeps for readers: they spare reads, and nobody
// ever sees a state with them that was not committed, whoever writes and moves the WAL meanwhile.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "backends/sqlite/vfs/file_layer.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

/// A table whose inner pages hold rows too, of a few hundred small pages, three levels deep; each
/// row has a number. The connection keeps copies of inner pages, if told to.
class Tree {
 public:
  Tree(const std::string& path, const std::string& layer, std::size_t copies = 0) {
    EXPECT_EQ(sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              layer.empty() ? nullptr : layer.c_str()),
              SQLITE_OK);
    wait_for_others();  // who opens it just now may be recovering its WAL
    for (const char* sql :
         {"PRAGMA page_size = 512", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF",
          "PRAGMA wal_autocheckpoint = 0", "PRAGMA cache_size = 10",
          "CREATE TABLE IF NOT EXISTS t (key TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID"}) {
      EXPECT_TRUE(run(sql)) << sql << ": " << sqlite3_errmsg(handle_);
    }
    wait_for_others(std::chrono::milliseconds(0));
    if (copies != 0) sqlite::keep_inner_pages(handle_, copies);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { sqlite3_close(handle_); }

  void wait_for_others(std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    sqlite3_busy_timeout(handle_, static_cast<int>(patience.count()));
  }

  bool run(const std::string& sql) {
    return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  }

  static std::string key(int id) {
    return std::string(40, static_cast<char>('a' + id % 7)) + std::to_string(id);
  }

  void put(int id, int number) {
    EXPECT_TRUE(
        run("INSERT OR REPLACE INTO t VALUES ('" + key(id) + "', " + std::to_string(number) + ")"));
  }
  void erase(int id) { EXPECT_TRUE(run("DELETE FROM t WHERE key = '" + key(id) + "'")); }

  std::optional<int> get(int id) {
    const auto found = select("SELECT key, number FROM t WHERE key = '" + key(id) + "'");
    return found.empty() ? std::nullopt : std::optional(found.begin()->second);
  }
  std::map<std::string, int> rows() { return select("SELECT key, number FROM t"); }

  void checkpoint(int mode) { sqlite3_wal_checkpoint_v2(handle_, nullptr, mode, nullptr, nullptr); }

 private:
  std::map<std::string, int> select(const std::string& sql) {
    std::map<std::string, int> found;
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      found[reinterpret_cast<const char*>(sqlite3_column_text(statement, 0))] =
          sqlite3_column_int(statement, 1);
    }
    EXPECT_EQ(sqlite3_finalize(statement), SQLITE_OK) << sqlite3_errmsg(handle_);
    return found;
  }

  sqlite3* handle_ = nullptr;
};

class InnerPages : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
};

constexpr std::array kCheckpoints{SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL,
                                  SQLITE_CHECKPOINT_RESTART, SQLITE_CHECKPOINT_TRUNCATE};

/// Calls of read(2) and its like by this process so far.
std::int64_t reads_so_far() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::int64_t number = 0;
  while (io >> name >> number) {
    if (name == "syscr:") return number;
  }
  throw std::runtime_error("/proc/self/io has no syscr");
}

TEST_F(InnerPages, AreReadOnceBesideOthersCommits) {
  constexpr int kRows = 2000;
  constexpr int kCommits = 200;
  Tree writer(path_, "");
  writer.run("BEGIN");
  for (int id = 0; id < kRows; ++id) writer.put(id, id);
  writer.run("COMMIT");
  int number = kRows;
  const auto reads = [&](Tree& reader) {
    reader.get(0);
    std::int64_t all = 0;
    for (int i = 0; i < kCommits; ++i) {
      writer.put(i * 7 % kRows, ++number);  // another each time: the same would be no commit
      const std::int64_t before = reads_so_far();
      EXPECT_TRUE(reader.get(i * 11 % kRows));
      all += reads_so_far() - before;
    }
    return static_cast<double>(all) / kCommits;
  };
  Tree without(path_, sqlite::file_layer_over(""));
  Tree with(path_, sqlite::file_layer_over(""), std::size_t{1} << 20);
  for (const bool backfilled : {false, true}) {
    if (backfilled) {
      writer.checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
      writer.put(0, ++number);
    }
    EXPECT_GE(reads(without), 4) << "the first page and three levels";
    EXPECT_LE(reads(with), 2.5) << "a leaf, and what a commit has changed";
  }
}

TEST_F(InnerPages, ReadersWithCopiesSeeWhatIsCommittedWhateverCheckpointsDo) {
  Random random;
  struct Reader {
    std::unique_ptr<Tree> tree;
    std::optional<std::map<std::string, int>> snapshot;
  };
  std::array<Reader, 4> readers;
  const auto open = [&](Reader& reader) {
    // Also with so little room that copies push each other out.
    constexpr std::array<std::size_t, 3> kRoom{2048, 16384, 1 << 20};
    reader.tree = std::make_unique<Tree>(path_, sqlite::file_layer_over(""),
                                         kRoom[random.below(kRoom.size())]);
    reader.snapshot.reset();
  };
  // Writers too: one with copies, which may change the files itself.
  Tree writer(path_, sqlite::file_layer_over(""), 1 << 20);
  Tree stranger(path_, "");
  for (Reader& reader : readers) open(reader);
  constexpr std::size_t kIds = 700;
  std::map<std::string, int> rows;
  for (int step = 0; step < 8000; ++step) {
    Reader& reader = readers[random.below(readers.size())];
    switch (random.below(10)) {
      case 0:
        (random.one_in(3) ? writer : stranger)
            .checkpoint(random.one_in(2) ? SQLITE_CHECKPOINT_PASSIVE
                                         : kCheckpoints[random.below(kCheckpoints.size())]);
        break;
      case 1:
        if (random.one_in(30)) open(reader);
        break;
      case 2:
        if (reader.snapshot) {
          reader.tree->run("COMMIT");
          reader.snapshot.reset();
        } else if (random.one_in(4)) {
          reader.tree->run("BEGIN");
          reader.snapshot = reader.tree->rows();
          ASSERT_EQ(*reader.snapshot, rows) << "step " << step;
        }
        break;
      case 3:
      case 4:
      case 5: {
        const int id = static_cast<int>(random.below(kIds));
        const auto& state = reader.snapshot ? *reader.snapshot : rows;
        const auto known = state.find(Tree::key(id));
        ASSERT_EQ(reader.tree->get(id),
                  known == state.end() ? std::nullopt : std::optional(known->second))
            << "step " << step;
        break;
      }
      default: {
        // Large ones reach the WAL before they commit, and lose what they wrote if they do not.
        Tree& tree = random.one_in(2) ? stranger : writer;
        auto after = rows;
        tree.run("BEGIN IMMEDIATE");
        for (std::size_t i = random.one_in(5) ? random.below(200) : random.below(4); i > 0; --i) {
          const int id = static_cast<int>(random.below(kIds));
          const int number = static_cast<int>(random.below(1000));
          if (random.one_in(4)) {
            tree.erase(id);
            after.erase(Tree::key(id));
          } else {
            tree.put(id, number);
            after[Tree::key(id)] = number;
          }
        }
        if (random.one_in(10)) {
          ASSERT_EQ(tree.rows(), after) << "step " << step;
        }
        if (random.one_in(4)) {
          tree.run("ROLLBACK");
        } else {
          tree.run("COMMIT");
          rows = std::move(after);
        }
      }
    }
  }
  for (Reader& reader : readers) {
    EXPECT_EQ(reader.tree->rows(), reader.snapshot ? *reader.snapshot : rows);
  }
}

TEST_F(InnerPages, ReadersWithCopiesSeeWholeCommitsAmidThem) {
  constexpr int kRows = 500;
  constexpr int kCommits = 3000;
  const std::string& layer = sqlite::file_layer_over("");
  {
    Tree tree(path_, layer);
    tree.run("BEGIN");
    for (int id = 0; id < kRows; ++id) tree.put(id, 1000);
    tree.run("COMMIT");
  }
  Random random;
  std::atomic<bool> ended{false};
  // Moves numbers from row to row.
  std::thread writer([&, seed = random.below(1000)] {
    Tree tree(path_, layer, 1 << 20);
    tree.wait_for_others();
    for (int i = 0; i < kCommits; ++i) {
      const std::string by = std::to_string(i % 9);
      const std::string from = Tree::key(static_cast<int>((seed + i * 131U) % kRows));
      const std::string to = Tree::key(static_cast<int>((seed + i * 137U + 1) % kRows));
      EXPECT_TRUE(tree.run("BEGIN IMMEDIATE; UPDATE t SET number = number - " + by +
                           " WHERE key = '" + from + "'; UPDATE t SET number = number + " + by +
                           " WHERE key = '" + to + "'; COMMIT"));
    }
    ended = true;
  });
  std::thread checkpointer([&] {
    Tree tree(path_, "");
    tree.wait_for_others();
    for (std::size_t i = 0; !ended; ++i) {
      tree.checkpoint(kCheckpoints[i % kCheckpoints.size()]);
      std::this_thread::sleep_for(std::chrono::milliseconds(i % 5));
    }
  });
  const auto sums = [&] {
    Tree tree(path_, layer, 1 << 20);
    tree.wait_for_others();
    while (!ended) {
      int sum = 0;
      const auto rows = tree.rows();
      for (const auto& [key, number] : rows) sum += number;
      EXPECT_EQ(rows.size(), std::size_t{kRows});
      EXPECT_EQ(sum, kRows * 1000);
    }
  };
  std::thread other(sums);
  sums();
  for (std::thread* thread : {&writer, &checkpointer, &other}) thread->join();
}

}  // namespace
}  // namespace graven::test
