// SPDX-License-Identifier: MIT
//
// A disk that fails, at every single call a commit makes: the answer is the truth, now, after
// reopening, and after a crash that leaves recovery to read whatever is in the WAL; and the
// store is usable afterwards, or refuses and says so.
#include <graven/error.hpp>

#include <array>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/faulty_vfs.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Record;

enum class Answer { kCommitted, kNothingChanged, kUnknown };

const char* name(Answer answer) {
  switch (answer) {
    case Answer::kCommitted:
      return "committed";
    case Answer::kNothingChanged:
      return "nothing changed";
    case Answer::kUnknown:
      break;
  }
  return "unknown";
}

constexpr std::size_t kSmall = 1500;   // a commit of a few pages, one write
constexpr std::size_t kLarge = 50000;  // several writes

/// Twelve records that say which state they belong to.
std::vector<Change> many_changes(char filler, std::size_t size = kSmall) {
  std::vector<Change> changes;
  for (std::int64_t id = 1; id <= 12; ++id) {
    changes.push_back({node_key(id), node_record(0, std::string(size, filler))});
  }
  return changes;
}

class Faults : public ::testing::Test {
 protected:
  sqlite::Options options(sqlite::Synchronous synchronous) const {
    return {.synchronous = synchronous, .vfs = faulty_vfs()};
  }

  /// 'o' for the old state, 'n' for the new; fails on anything between.
  static char state(port::Backend& backend) {
    std::string seen;
    const auto view = records(backend).view();
    for (const auto& row : view->scan({.space = port::Space::kNode}, 100)) {
      EXPECT_EQ(row.record.body, std::string(row.record.body.size(), row.record.body.at(0)));
      seen += row.record.body.at(0);
    }
    EXPECT_TRUE(seen == std::string(12, 'o') || seen == std::string(12, 'n')) << seen;
    return seen.empty() ? '?' : seen[0];
  }

  /// The state that recovery would find if every process died now.
  char state_after_crash(const std::string& path) {
    const TemporaryFolder elsewhere;
    std::filesystem::copy_file(path, elsewhere / "copy.db");
    if (std::filesystem::exists(path + "-wal")) {
      std::filesystem::copy_file(path + "-wal", elsewhere / "copy.db-wal");
    }
    const Opened recovered = sqlite::open(elsewhere / "copy.db");
    EXPECT_TRUE(recovered->check().empty());
    return state(*recovered);
  }

  static Answer attempt(port::Backend& backend, std::size_t size = kSmall) {
    try {
      write(backend, many_changes('n', size));
      return Answer::kCommitted;
    } catch (const CommitUnknownError&) {
      return Answer::kUnknown;
    } catch (const UnavailableError&) {
      return Answer::kNothingChanged;
    }
  }

  /// Fails the nth call of a commit, for every n; counts the answers by kind.
  std::array<int, 3> sweep(FaultPlan plan, sqlite::Synchronous synchronous, std::size_t size) {
    std::array<int, 3> answers{};
    const TemporaryFolder folder;
    for (int n = 1; n < 1000; ++n) {
      const std::string path = folder / (std::to_string(n) + ".db");
      Opened backend = sqlite::open(path, options(synchronous));
      write(*backend, many_changes('o'));
      plan.at = n;
      arm(plan);
      const Answer answer = attempt(*backend, size);
      const bool happened = fault_happened();
      disarm();
      ++answers[static_cast<std::size_t>(answer)];
      SCOPED_TRACE("call " + std::to_string(n) + ": " + name(answer));

      switch (answer) {
        case Answer::kCommitted:
          EXPECT_EQ(state(*backend), 'n');
          EXPECT_EQ(state_after_crash(path), 'n');
          break;
        case Answer::kNothingChanged:
          EXPECT_EQ(state(*backend), 'o');
          EXPECT_EQ(state_after_crash(path), 'o');
          break;
        case Answer::kUnknown:
          EXPECT_THROW(backend->begin(soon()), UnavailableError);
          break;
      }
      if (answer != Answer::kUnknown) {
        write(*backend, many_changes('n'));
        EXPECT_EQ(state(*backend), 'n');
        EXPECT_EQ(state_after_crash(path), 'n');
      }
      backend.reset();
      backend = sqlite::open(path, options(synchronous));
      const char reopened = state(*backend);
      if (answer != Answer::kUnknown) {
        EXPECT_EQ(reopened, 'n');
      }
      EXPECT_TRUE(backend->check().empty());
      write(*backend, many_changes('n'));
      if (::testing::Test::HasFailure() || !happened) break;  // n is past the last call
    }
    return answers;
  }
};

constexpr auto kCommitted = static_cast<std::size_t>(Answer::kCommitted);
constexpr auto kNothingChanged = static_cast<std::size_t>(Answer::kNothingChanged);
constexpr auto kUnknown = static_cast<std::size_t>(Answer::kUnknown);

using Leave = FaultPlan::Leave;
constexpr auto kNormal = sqlite::Synchronous::kNormal;
constexpr auto kFull = sqlite::Synchronous::kFull;

TEST_F(Faults, OneFailedCallIsAnsweredTruthfully) {
  for (const auto synchronous : {kNormal, kFull}) {
    for (const auto leave : {Leave::kNothing, Leave::kHalf, Leave::kAll}) {
      for (const std::size_t size : {kSmall, kLarge}) {
        const auto answers = sweep({.code = SQLITE_IOERR, .leave = leave}, synchronous, size);
        EXPECT_GE(answers[kNothingChanged], size == kSmall ? 1 : 5);
        EXPECT_EQ(answers[kUnknown], 0);  // the disk works again, so the truth is found
        // The round without a fault; and where room ahead in the WAL could not be made.
        EXPECT_EQ(answers[kCommitted], synchronous == kFull && size == kLarge ? 2 : 1);
      }
    }
  }
}

TEST_F(Faults, ADiskThatFailsForGoodIsAnsweredTruthfully) {
  for (const auto synchronous : {kNormal, kFull}) {
    for (const auto leave : {Leave::kNothing, Leave::kAll}) {
      const auto answers =
          sweep({.for_good = true, .code = SQLITE_IOERR, .leave = leave}, synchronous, kLarge);
      EXPECT_GE(answers[kUnknown], 5);  // no fence could be written
      EXPECT_EQ(answers[kCommitted], 1);
    }
  }
}

TEST_F(Faults, AFullDiskChangesNothingAndTheStoreStaysUsable) {
  for (const bool for_good : {false, true}) {
    for (const auto leave : {Leave::kNothing, Leave::kHalf}) {
      for (const std::size_t size : {kSmall, kLarge}) {
        const auto answers =
            sweep({.for_good = for_good, .code = SQLITE_FULL, .leave = leave}, kNormal, size);
        EXPECT_GE(answers[kNothingChanged], size == kSmall ? 1 : 5);
        EXPECT_EQ(answers[kUnknown], 0);
        EXPECT_EQ(answers[kCommitted], 1);
      }
    }
  }
}

TEST_F(Faults, ACommitThatIsThereIsACommitWhateverWasReported) {
  const TemporaryFolder folder;
  const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
  write(*backend, many_changes('o'));
  arm({.after_commit = true});
  EXPECT_NO_THROW(write(*backend, many_changes('n')));
  EXPECT_TRUE(fault_happened());
  disarm();
  EXPECT_EQ(state(*backend), 'n');
}

// Another process commits after the failure and before the truth is looked for. Its commit may
// even have the same id, since it read the clock before ours moved it.
TEST_F(Faults, AnotherCommitInBetweenDoesNotPassForOurs) {
  for (const auto leave : {Leave::kNothing, Leave::kAll}) {
    for (const int commits : {1, 3}) {
      const TemporaryFolder folder;
      const std::string path = folder / "a.db";
      const Opened backend = sqlite::open(path, options(kNormal));
      const Opened other = sqlite::open(path);
      write(*backend, many_changes('o'));
      const auto others_commits = [&] {
        for (int i = 0; i < commits; ++i) write(*other, {{node_key(100 + i), std::nullopt}});
      };
      arm({.at = 1, .code = SQLITE_IOERR, .leave = leave, .between = others_commits});
      EXPECT_STREQ(name(attempt(*backend)), name(Answer::kNothingChanged));
      disarm();
      EXPECT_EQ(state(*backend), 'o');
      EXPECT_EQ(state_after_crash(path), 'o');
      write(*backend, many_changes('n'));
      EXPECT_EQ(state_after_crash(path), 'n');
    }
  }
}

TEST_F(Faults, AnotherCommitToTheSameRecordDoesNotPassForOurs) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.db";
  const Opened backend = sqlite::open(path, options(kNormal));
  const Opened other = sqlite::open(path);
  const auto body = [&](std::int64_t id) { return backend->load(node_key(id))->body; };
  write(*backend, {{node_key(1), node_record(0, "old")}});
  arm({.at = 1, .code = SQLITE_IOERR, .between = [&] {
         write(*other, {{node_key(1), node_record(0, "theirs")}});
       }});
  EXPECT_THROW(write(*backend, {{node_key(1), node_record(0, "ours")}}), UnavailableError);
  disarm();
  EXPECT_EQ(body(1), "theirs");
}

TEST_F(Faults, OurCommitIsFoundBehindAnotherOne) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.db";
  const Opened backend = sqlite::open(path, options(kNormal));
  const Opened other = sqlite::open(path);
  write(*backend, many_changes('o'));
  arm({.after_commit = true, .between = [&] {
         write(*other, {{node_key(3), node_record(0, std::string(1500, 'n'))}});
       }});
  EXPECT_STREQ(name(attempt(*backend)), name(Answer::kCommitted));
  disarm();
  EXPECT_EQ(state(*backend), 'n');
}

// A counter's value tells nothing where others may have added to it.
TEST_F(Faults, AnotherIncrementDoesNotPassForOurs) {
  const auto raise = [](port::Backend& backend) {
    const auto transaction = records(backend).begin(soon());
    const auto before = transaction->load(counter_key("n"));
    const std::vector<Change> changes{
        {counter_key("n"), counter_record(0, (before ? before->integers[0] : 0) + 1)}};
    transaction->apply(changes);
    transaction->commit(clock_of(*transaction) + 1);
  };
  for (const auto leave : {Leave::kNothing, Leave::kAll}) {
    for (const int others : {0, 1, 2}) {
      const TemporaryFolder folder;
      const std::string path = folder / "a.db";
      Opened backend = sqlite::open(path, options(kNormal));
      const Opened other = sqlite::open(path);
      raise(*backend);
      arm({.at = 1, .code = SQLITE_IOERR, .leave = leave, .between = [&] {
             for (int i = 0; i < others; ++i) raise(*other);
           }});
      if (others == 0) {
        EXPECT_THROW(raise(*backend), UnavailableError);
      } else {
        EXPECT_THROW(raise(*backend), CommitUnknownError);
      }
      disarm();
      EXPECT_EQ(count(*other, "n"), 1 + others);
      backend.reset();
      raise(*sqlite::open(path));
      EXPECT_EQ(count(*other, "n"), 2 + others);
    }
  }
}

TEST_F(Faults, AnIncrementThatIsThereIsThereWhateverWasReported) {
  const TemporaryFolder folder;
  const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
  const std::vector<Change> changes{{counter_key("n"), counter_record(0, 1)}};
  const auto transaction = backend->begin(soon());
  transaction->apply(changes);
  arm({.after_commit = true});
  EXPECT_NO_THROW(transaction->commit(1));
  EXPECT_TRUE(fault_happened());
  disarm();
  EXPECT_EQ(count(*backend, "n"), 1);
}

TEST_F(Faults, WithoutATraceTheAnswerIsUnknown) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.db";
  Opened backend = sqlite::open(path, options(kNormal));
  const Opened other = sqlite::open(path);
  write(*backend, {{node_key(1), node_record(0, "gone")}});
  arm({.after_commit = true, .between = [&] { write(*other, {}); }});
  EXPECT_THROW(write(*backend, {{node_key(1), std::nullopt}}), CommitUnknownError);
  disarm();
  EXPECT_THROW(backend->begin(soon()), UnavailableError);
  EXPECT_EQ(backend->load(node_key(1)), std::nullopt);  // reading goes on
  backend.reset();
  backend = sqlite::open(path);
  EXPECT_NO_THROW(backend->begin(soon()));
}

TEST_F(Faults, AFullDiskIsNamedWithItsFile) {
  const TemporaryFolder folder;
  const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
  arm({.at = 1, .for_good = true, .code = SQLITE_FULL});
  std::string message;
  try {
    write(*backend, many_changes('n'));
  } catch (const UnavailableError& error) {
    message = error.what();
  }
  disarm();
  EXPECT_NE(message.find("full"), std::string::npos) << message;
  EXPECT_NE(message.find(folder / "a.db"), std::string::npos) << message;
}

TEST_F(Faults, ErrorsWhileApplyingEndTheTransaction) {
  // More than the page cache holds, so that pages are written before the commit.
  std::vector<Change> large;
  for (std::int64_t id = 1; id <= 12; ++id) {
    large.push_back({node_key(id), node_record(0, std::string(6 << 20, 'x'))});
  }
  for (const int code : {SQLITE_IOERR, SQLITE_FULL}) {
    const TemporaryFolder folder;
    const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
    write(*backend, many_changes('o'));
    {
      const auto transaction = backend->begin(soon());
      arm({.at = 1, .code = code});
      EXPECT_THROW(transaction->apply(large), UnavailableError);
      EXPECT_TRUE(fault_happened());
      disarm();
      // What was applied is a part only: it can neither be added to nor committed.
      EXPECT_THROW(transaction->apply(many_changes('n')), UnavailableError);
      EXPECT_THROW(transaction->savepoint(0), UnavailableError);
      EXPECT_THROW(transaction->commit(1000), UnavailableError);
    }
    EXPECT_EQ(state(*backend), 'o');
    EXPECT_EQ(state_after_crash(folder / "a.db"), 'o');
    write(*backend, many_changes('n'));
    EXPECT_EQ(state(*backend), 'n');
  }
}

TEST_F(Faults, AFailedCheckpointHurtsNoCommit) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.db";
  const Opened backend = sqlite::open(path, options(kNormal));
  write(*backend, many_changes('o'));
  // Enough for an automatic checkpoint in each commit. What fails is what comes after the
  // frames: the pages it moves, thousands of calls, and the sync before them.
  std::vector<Change> big = many_changes('o');
  big.push_back(
      {{.space = port::Space::kBlob, .a = 1}, Record{.body = std::string(18 << 20, 'b')}});
  arm({});
  write(*backend, big);
  const int calls = disarm();
  ASSERT_GT(calls, 3000);
  for (const int from : {calls - 1, calls - 100, calls - 3000}) {
    arm({.at = from, .for_good = true, .code = SQLITE_IOERR});
    Answer answer = Answer::kCommitted;
    try {
      write(*backend, big);
    } catch (const CommitUnknownError&) {
      answer = Answer::kUnknown;
    } catch (const UnavailableError&) {
      answer = Answer::kNothingChanged;
    }
    disarm();
    EXPECT_EQ(name(answer), std::string("committed")) << from << " of " << calls;
    EXPECT_EQ(state_after_crash(path), 'o');
    EXPECT_TRUE(backend->check().empty());
  }
}

TEST_F(Faults, ReadsThatFailSaySoAndTheStoreRecovers) {
  const TemporaryFolder folder;
  const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
  arm({.at = 1, .code = SQLITE_IOERR});
  // The first read of a new connection maps the shared index.
  EXPECT_NO_THROW(backend->load(node_key(1)));
  disarm();
  EXPECT_EQ(backend->load(node_key(1)), std::nullopt);
}

TEST_F(Faults, CreationThatFailsLeavesNothingHalfMade) {
  for (const int code : {SQLITE_IOERR, SQLITE_FULL}) {
    for (int n = 1; n < 1000; ++n) {
      SCOPED_TRACE(n);
      const TemporaryFolder folder;
      arm({.at = n, .for_good = n % 2 == 0, .code = code});
      bool opened = false;
      try {
        const Opened backend = sqlite::open(folder / "a.db", options(kNormal));
        opened = true;
      } catch (const UnavailableError&) {
      }
      const bool happened = fault_happened();
      disarm();
      const Opened backend = sqlite::open(folder / "a.db");
      write(*backend, many_changes('o'));
      EXPECT_EQ(state(*backend), 'o');
      EXPECT_TRUE(backend->check().empty());
      if (!happened) {
        EXPECT_TRUE(opened);
        EXPECT_GT(n, 10);
        break;
      }
    }
  }
}

}  // namespace
}  // namespace graven::test
