// SPDX-License-Identifier: MIT
//
// fork() at every bad moment: with connections open and idle, in the middle of views and
// transactions, while other threads read and write. Parent and child both go on, what belongs
// to the parent is refused in the child, and the child's locks are real.
#include <graven/graven.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/forks.hpp"

namespace graven::test {
namespace {

using port::Change;
using std::chrono::milliseconds;

class Fork : public ::testing::Test {
 protected:
  Fork() { write(*backend_, {{node_key(1), node_record(0, "before")}}); }

  std::string body(std::int64_t id) const {
    const auto record = backend_->load(node_key(id));
    return record ? record->body : "-";
  }

  /// What a call throws, as a word and its message.
  template <typename Expected>
  static bool throws(const std::function<void()>& call, const std::string& words) {
    try {
      call();
    } catch (const Expected& error) {
      if (std::string(error.what()).find(words) != std::string::npos) return true;
      std::cerr << error.what() << '\n';
    } catch (const std::exception& error) {
      std::cerr << "another error: " << error.what() << '\n';
    }
    return false;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "a.db";
  Opened backend_ = sqlite::open(path_);
};

TEST_F(Fork, ParentAndChildCountTogether) {
  constexpr int kEach = 400;
  for (int i = 0; i < 5; ++i) increment(*backend_, "n");
  Child child([&] {
    for (int i = 0; i < kEach; ++i) {
      increment(*backend_, "n");
      if (count(*backend_, "n") <= i) return false;
    }
    // And so does a child of the child.
    Child grandchild([&] {
      for (int i = 0; i < kEach; ++i) increment(*backend_, "n");
      return true;
    });
    for (int i = 0; i < kEach; ++i) increment(*backend_, "n");
    return grandchild.succeeded();
  });
  for (int i = 0; i < kEach; ++i) increment(*backend_, "n");
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(count(*backend_, "n"), 5 + 4 * kEach);
  EXPECT_TRUE(backend_->check().empty());
}

// Without the reset of SQLite's lock table this loses half of the increments: the parent
// believes to be the last user of the file and takes the WAL away (docs/design/fork.md).
TEST_F(Fork, TheParentClosesAndReopensMeanwhile) {
  constexpr int kEach = 400;
  Child child([&](const Reporter& reporter) {
    increment(*backend_, "n");
    reporter.say("working");
    for (int i = 1; i < kEach; ++i) increment(*backend_, "n");
    return true;
  });
  EXPECT_EQ(child.line(), "working");
  for (int i = 0; i < kEach; ++i) {
    if (i % 20 == 0) {
      backend_.reset();
      backend_ = sqlite::open(path_);
    }
    increment(*backend_, "n");
  }
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(count(*backend_, "n"), 2 * kEach);
  EXPECT_TRUE(backend_->check().empty());
}

TEST_F(Fork, TheChildClosesAndReopensMeanwhile) {
  const auto view = backend_->view();
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  Child child([&] {
    backend_.reset();
    const Opened own = sqlite::open(path_);
    write(*own, {{node_key(1), node_record(0, "after")}});
    own->maintain();
    return own->load(node_key(1))->body == "after";
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  EXPECT_EQ(body(1), "after");
}

TEST_F(Fork, AViewStaysTheParents) {
  auto view = backend_->view();
  const auto unread = backend_->view();
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  Child child([&] {
    const bool refused =
        throws<UsageError>([&] { view->load(node_key(1)); }, "begun by the parent") &&
        throws<UsageError>([&] { view->scan({.space = port::Space::kNode}, 1); }, "parent") &&
        throws<UsageError>([&] { unread->load(node_key(1)); }, "parent");
    view.reset();  // does nothing to the parent's
    write(*backend_, {{node_key(1), node_record(0, "after")}});
    return refused && backend_->view()->load(node_key(1))->body == "after";
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  EXPECT_EQ(unread->load(node_key(1))->body, "after");
}

TEST_F(Fork, ATransactionStaysTheParents) {
  auto transaction = backend_->begin(soon());
  const std::vector<Change> change{{node_key(1), node_record(7, "by the parent")}};
  transaction->apply(change);
  const std::string parent = std::to_string(::getpid());
  Child child([&](const Reporter& reporter) {
    const bool refused =
        throws<UsageError>([&] { transaction->load(node_key(1)); }, "begun by the parent") &&
        throws<UsageError>([&] { transaction->apply(change); }, "parent") &&
        throws<UsageError>([&] { transaction->savepoint(0); }, "parent") &&
        throws<UsageError>([&] { transaction->commit(7); }, "parent");
    transaction.reset();  // does nothing to the parent's
    // The parent's lock counts here.
    const bool locked = throws<BusyError>([&] { backend_->begin(in(milliseconds(30))); }, parent);
    const bool unseen = body(1) == "before";
    reporter.say("looked");
    increment(*backend_, "n");  // waits for the parent
    return refused && locked && unseen && body(1) == "by the parent";
  });
  EXPECT_EQ(child.line(), "looked");
  transaction->commit(7);
  transaction.reset();
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(body(1), "by the parent");
  EXPECT_EQ(count(*backend_, "n"), 1);
}

TEST_F(Fork, TheChildsLocksAreReal) {
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  Child child([&](const Reporter& reporter) {
    const auto transaction = backend_->begin(soon());
    reporter.say("begun");
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) return false;
    write(*transaction, {{node_key(1), node_record(0, "by the child")}});
    return true;
  });
  EXPECT_EQ(child.line(), "begun");
  EXPECT_TRUE(throws<BusyError>([&] { backend_->begin(in(milliseconds(30))); },
                                "process " + std::to_string(child.pid())));
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  increment(*backend_, "n");  // waits for the child
  EXPECT_EQ(body(1), "by the child");
  EXPECT_TRUE(child.succeeded());
  ::close(go[0]);
  ::close(go[1]);
}

TEST_F(Fork, AChildsViewHoldsCheckpointsBack) {
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  Child child([&](const Reporter& reporter) {
    const auto view = backend_->view();
    bool right = view->load(node_key(1))->body == "before";
    reporter.say("reading");
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) return false;
    for (std::int64_t id = 1; id <= 200; ++id) {
      const auto record = view->load(node_key(id));
      right = right && (id == 1 ? record->body == "before" : !record);
    }
    return right;
  });
  EXPECT_EQ(child.line(), "reading");
  // Enough to fill the WAL several times over: the state of the view must not be overwritten.
  for (int round = 0; round < 3; ++round) {
    std::vector<Change> changes;
    for (std::int64_t id = 1; id <= 200; ++id) {
      changes.push_back({node_key(id), node_record(0, std::string(40000, 'x'))});
    }
    write(*backend_, changes);
    backend_->maintain();
  }
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  EXPECT_TRUE(child.succeeded());
  ::close(go[0]);
  ::close(go[1]);
}

TEST_F(Fork, WhileThreadsReadAndWrite) {
  GRAVEN_FORKS_AMID_THREADS();
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) {
      increment(*backend_, "threads");
      ++written;
    }
  });
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto view = backend_->view();
        view->load(node_key(1));
        backend_->load(counter_key("threads"));
      }
    });
  }
  constexpr int kChildren = 20;
  constexpr int kEach = 10;
  for (int i = 0; i < kChildren; ++i) {
    Child child([&] {
      for (int n = 0; n < kEach; ++n) increment(*backend_, "children");
      return true;
    });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count(*backend_, "children"), kChildren * kEach);
  EXPECT_EQ(count(*backend_, "threads"), written);
  EXPECT_TRUE(backend_->check().empty());
}

TEST_F(Fork, StoresAreOpenedInTheChildWhileThreadsOpenThem) {
  GRAVEN_FORKS_AMID_THREADS();
  std::atomic<bool> stop{false};
  std::thread opener([&] {
    while (!stop) Opened(sqlite::open(path_))->load(node_key(1));
  });
  for (int i = 0; i < 20; ++i) {
    Child child([&] { return Opened(sqlite::open(path_))->load(node_key(1))->body == "before"; });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  opener.join();
}

TEST_F(Fork, WhileCachesFindTheirMark) {
  GRAVEN_FORKS_AMID_THREADS();
  const std::string path = path_ + "-graph";
  constexpr int kReads = 200;  // in which each cache attaches itself
  {
    const Database db(path);
    db["number"] = 7;
  }
  const auto read = [&](const Database& db) {
    for (int i = 0; i < kReads; ++i) {
      if (db["number"].get<std::int64_t>() != 7) return false;
    }
    return true;
  };
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) EXPECT_TRUE(read(Database(path)));
  });
  for (int i = 0; i < 100; ++i) {
    const Database shared(path);
    Child child([&] { return read(shared) && read(Database(path)); });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  reader.join();
}

TEST_F(Fork, WhileReadsAreEnded) {
  GRAVEN_FORKS_AMID_THREADS();
  const Opened limited = sqlite::open(path_, {.reader_limit = std::chrono::milliseconds(1)});
  std::atomic<bool> stop{false};
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) limited->tend();
  });
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        try {
          for (const auto view = limited->view(); !stop;) {
            view->load(node_key(1));
            std::this_thread::sleep_for(std::chrono::microseconds(300));
          }
        } catch (const TransactionExpiredError&) {
          ++ended;
        }
      }
    });
  }
  for (int i = 0; i < 100 || ended < 20; ++i) {
    Child child([&] { return limited->view()->load(node_key(1))->body == "before"; });
    EXPECT_TRUE(child.succeeded());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Fork, ParentAndChildDrawDifferentNumbers) {
  // SQLite's generator is copied by a fork; WAL salts and temporary names come from it.
  const auto draw = [] {
    std::uint64_t number = 0;
    sqlite3_randomness(sizeof number, &number);
    return std::to_string(number);
  };
  draw();
  Child child([&](const Reporter& reporter) {
    reporter.say(draw());
    return true;
  });
  EXPECT_NE(child.line(), draw());
  EXPECT_TRUE(child.succeeded());
}

TEST_F(Fork, OwnersAreNotInherited) {
  backend_->leases().announce(7);
  Child child([&](const Reporter& reporter) {
    // The parent lives, and the child does not count as it.
    bool right = backend_->leases().alive(7) && !backend_->leases().alive(8);
    backend_->leases().announce(8);
    right = right && backend_->leases().alive(8);
    reporter.say("held");
    ::pause();
    return right;
  });
  EXPECT_EQ(child.line(), "held");
  EXPECT_TRUE(backend_->leases().alive(8));
  child.kill();
  EXPECT_FALSE(backend_->leases().alive(8));
  EXPECT_TRUE(backend_->leases().alive(7));
}

TEST_F(Fork, AnOwnerDiesThoughItsChildLives) {
  Child parent([&](const Reporter& reporter) {
    backend_->leases().announce(9);
    Child child([&](const Reporter& inner) {
      inner.say("alive");
      ::usleep(20'000'000);
      return true;
    });
    if (child.line() != "alive") return false;
    reporter.say(std::to_string(child.pid()));
    ::pause();
    return true;
  });
  const auto grandchild = static_cast<pid_t>(std::stol(parent.line()));
  EXPECT_TRUE(backend_->leases().alive(9));
  parent.kill();
  EXPECT_EQ(::kill(grandchild, 0), 0);  // it lives, with every descriptor it inherited
  EXPECT_FALSE(backend_->leases().alive(9));
  ::kill(grandchild, SIGKILL);
}

TEST_F(Fork, AMemoryStoreIsCopied) {
  const Opened memory = lazy::open("memory");
  write(*memory, {{node_key(1), node_record(0, "before")}});
  auto view = memory->view();
  EXPECT_EQ(view->load(node_key(1))->body, "before");
  auto transaction = memory->begin(soon());
  memory->leases().announce(1);
  Child child([&] {
    bool right = throws<UsageError>([&] { view->load(node_key(1)); }, "begun by the parent") &&
                 throws<UsageError>([&] { transaction->commit(2); }, "begun by the parent") &&
                 !memory->leases().alive(1);
    view.reset();
    transaction.reset();
    write(*memory, {{node_key(1), node_record(0, "in the child")}});
    return right && memory->load(node_key(1))->body == "in the child";
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(memory->load(node_key(1))->body, "before");
  write(*transaction, {{node_key(1), node_record(0, "after")}});
  EXPECT_EQ(view->load(node_key(1))->body, "before");
}

}  // namespace
}  // namespace graven::test
