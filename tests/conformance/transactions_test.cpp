// SPDX-License-Identifier: MIT
//
// What the port promises about views and transactions: one state each, all or nothing.
#include <graven/error.hpp>

#include <thread>

#include "conformance/store_under_test.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Record;
using port::Space;

class Transactions : public Conformance {
 protected:
  std::string body(std::int64_t id) {
    const auto record = backend_->load(node_key(id));
    return record ? record->body : "-";
  }
  static std::string body(port::View& view, std::int64_t id) {
    const auto record = view.load(node_key(id));
    return record ? record->body : "-";
  }
  static void put(port::WriteTransaction& transaction, std::int64_t id, std::string value) {
    const std::vector<Change> one{{node_key(id), node_record(1, std::move(value))}};
    transaction.apply(one);
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, Transactions, ::testing::ValuesIn(every_backend()),
                         backend_name);

TEST_P(Transactions, NothingIsSeenBeforeTheCommit) {
  write(*backend_, {{node_key(1), node_record(0, "before")}});
  const auto transaction = backend_->begin(soon());
  put(*transaction, 1, "after");
  put(*transaction, 2, "new");
  EXPECT_EQ(body(*transaction, 1), "after");  // its own writes
  EXPECT_EQ(body(*transaction, 2), "new");
  EXPECT_EQ(body(1), "before");
  EXPECT_EQ(body(*backend_->view(), 2), "-");
  transaction->commit(2);
  EXPECT_EQ(body(1), "after");
  EXPECT_EQ(body(2), "new");
}

TEST_P(Transactions, DestroyingRollsBack) {
  write(*backend_, {{node_key(1), node_record(0, "before")}});
  {
    const auto transaction = backend_->begin(soon());
    put(*transaction, 1, "after");
    put(*transaction, 2, "new");
  }
  EXPECT_EQ(body(1), "before");
  EXPECT_EQ(body(2), "-");
  write(*backend_, {{node_key(2), node_record(0, "later")}});
  EXPECT_EQ(body(2), "later");
}

TEST_P(Transactions, ScansAndLoadsOfManySeeOwnWrites) {
  write(*backend_, {{node_key(1), node_record(0, "1")},
                    {node_key(2), node_record(0, "2")},
                    {node_key(3), node_record(0, "3")}});
  const auto transaction = backend_->begin(soon());
  const std::vector<Change> changes{{node_key(1), std::nullopt},
                                    {node_key(2), node_record(1, "two")},
                                    {node_key(4), node_record(1, "four")}};
  transaction->apply(changes);
  std::string seen;
  for (const auto& row : transaction->scan({.space = Space::kNode}, 2))
    seen += row.record.body + " ";
  EXPECT_EQ(seen, "two 3 ");
  seen.clear();
  for (const auto& row : transaction->scan({.space = Space::kNode, .reverse = true}, 2)) {
    seen += row.record.body + " ";
  }
  EXPECT_EQ(seen, "four 3 ");
  const std::vector<Key> keys{node_key(1), node_key(2), node_key(4)};
  std::vector<std::string> bodies(3, "-");
  transaction->load_many(keys, [&](std::size_t i, Record* record) {
    if (record != nullptr) bodies[i] = record->body;
  });
  EXPECT_EQ(bodies, (std::vector<std::string>{"-", "two", "four"}));
}

TEST_P(Transactions, AViewSeesTheStateOfItsFirstRead) {
  write(*backend_, {{node_key(1), node_record(0, "a")}});
  const auto early = backend_->view();
  const auto unread = backend_->view();
  EXPECT_EQ(body(*early, 1), "a");
  write(*backend_, {{node_key(1), node_record(0, "b")}, {node_key(2), node_record(0, "new")}});
  const auto middle = backend_->view();
  EXPECT_EQ(body(*middle, 1), "b");
  write(*backend_, {{node_key(1), std::nullopt}});

  EXPECT_EQ(body(*early, 1), "a");
  EXPECT_EQ(body(*early, 2), "-");
  EXPECT_EQ(early->scan({.space = Space::kNode}, 10).size(), 1U);
  EXPECT_EQ(body(*middle, 1), "b");
  EXPECT_EQ(middle->scan({.space = Space::kNode}, 10).size(), 2U);
  EXPECT_EQ(body(*unread, 1), "-");
  EXPECT_EQ(body(*unread, 2), "new");
  EXPECT_EQ(body(1), "-");
}

TEST_P(Transactions, ViewsEndInAnyOrder) {
  std::vector<std::unique_ptr<port::View>> views;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    write(*backend_, {{node_key(1), node_record(0, std::to_string(i))}});
    views.push_back(backend_->view());
    EXPECT_EQ(body(*views.back(), 1), std::to_string(i));
  }
  for (const std::size_t gone : {19U, 0U, 10U, 5U, 14U}) views[gone].reset();
  write(*backend_, {{node_key(1), std::nullopt}});
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (views[i]) {
      EXPECT_EQ(body(*views[i], 1), std::to_string(i + 1));
    }
  }
}

TEST_P(Transactions, AViewWithinATransactionSeesTheStateBefore) {
  write(*backend_, {{node_key(1), node_record(0, "a")}});
  const auto transaction = backend_->begin(soon());
  put(*transaction, 1, "b");
  const auto view = backend_->view();
  EXPECT_EQ(body(*view, 1), "a");
  transaction->commit(2);
  EXPECT_EQ(body(*view, 1), "a");
  EXPECT_EQ(body(1), "b");
}

TEST_P(Transactions, SavepointsNest) {
  write(*backend_, {{node_key(1), node_record(0, "0")}});
  const auto transaction = backend_->begin(soon());
  put(*transaction, 1, "1");
  transaction->savepoint(0);
  put(*transaction, 1, "2");
  put(*transaction, 2, "2");
  transaction->savepoint(1);
  put(*transaction, 1, "3");
  const std::vector<Change> erase{{node_key(2), std::nullopt}};
  transaction->apply(erase);
  transaction->rollback_to(1);
  EXPECT_EQ(body(*transaction, 1), "2");
  EXPECT_EQ(body(*transaction, 2), "2");
  put(*transaction, 1, "4");
  transaction->release(1);
  EXPECT_EQ(body(*transaction, 1), "4");
  transaction->rollback_to(0);
  EXPECT_EQ(body(*transaction, 1), "1");
  EXPECT_EQ(body(*transaction, 2), "-");
  transaction->release(0);
  transaction->commit(2);
  EXPECT_EQ(body(1), "1");
}

TEST_P(Transactions, AnOuterSavepointEndsTheInner) {
  const auto transaction = backend_->begin(soon());
  transaction->savepoint(0);
  put(*transaction, 1, "1");
  transaction->savepoint(1);
  put(*transaction, 1, "2");
  transaction->savepoint(2);
  put(*transaction, 1, "3");
  transaction->rollback_to(0);
  EXPECT_EQ(body(*transaction, 1), "-");
  EXPECT_THROW(transaction->rollback_to(1), UsageError);
  EXPECT_THROW(transaction->release(2), UsageError);
  // The depth can be used again, and so can the one that was rolled back to.
  transaction->savepoint(1);
  put(*transaction, 1, "4");
  transaction->rollback_to(1);
  transaction->release(0);
  EXPECT_THROW(transaction->release(0), UsageError);
  EXPECT_THROW(transaction->savepoint(1), UsageError);
  put(*transaction, 1, "5");
  transaction->savepoint(0);
  transaction->savepoint(0);  // the same depth again: a new point
  put(*transaction, 1, "6");
  transaction->rollback_to(0);
  EXPECT_EQ(body(*transaction, 1), "5");
  transaction->commit(1);
  EXPECT_EQ(body(1), "5");
}

TEST_P(Transactions, CommittingWithOpenSavepointsKeepsEverything) {
  const auto transaction = backend_->begin(soon());
  transaction->savepoint(0);
  put(*transaction, 1, "1");
  transaction->savepoint(1);
  put(*transaction, 2, "2");
  transaction->commit(1);
  EXPECT_EQ(body(1), "1");
  EXPECT_EQ(body(2), "2");
}

TEST_P(Transactions, ACommittedTransactionIsOver) {
  const auto transaction = backend_->begin(soon());
  put(*transaction, 1, "1");
  transaction->commit(1);
  EXPECT_THROW(put(*transaction, 1, "2"), UsageError);
  EXPECT_THROW(transaction->commit(2), UsageError);
  EXPECT_EQ(body(1), "1");
  // And no longer in anybody's way.
  write(*backend_, {{node_key(1), node_record(0, "3")}});
  EXPECT_EQ(body(1), "3");
}

TEST_P(Transactions, OnlyOneAtATime) {
  auto first = backend_->begin(soon());
  EXPECT_THROW(backend_->begin(in(std::chrono::milliseconds(20))), BusyError);
  EXPECT_THROW(backend_->begin(base::Deadline{}), BusyError);
  std::thread waiter([this] { write(*backend_, {{node_key(1), node_record(0, "waited")}}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  put(*first, 2, "first");
  first->commit(1);
  first.reset();
  waiter.join();
  EXPECT_EQ(body(1), "waited");
  EXPECT_EQ(body(2), "first");
  EXPECT_NO_THROW(backend_->begin(base::Deadline{}));  // nobody to wait for
}

TEST_P(Transactions, AnEmptyCommitIsACommit) {
  backend_->begin(soon())->commit(1);
  const auto transaction = backend_->begin(soon());
  transaction->apply({});
  transaction->commit(2);
}

}  // namespace
}  // namespace graven::test
