// SPDX-License-Identifier: MIT
//
// What the port promises about leases: one at a time, by turns, and its token is the fence.
#include <atomic>
#include <mutex>
#include <thread>

#include <graven/error.hpp>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

using port::Batch;
using port::CommitResult;
using port::Lease;
using port::Outcome;
using port::Reason;
using std::chrono::milliseconds;

class PortLeases : public PortConformance {
 protected:
  Lease acquire(port::Backend& store) { return store.leases().acquire({}, patiently()); }
  static Batch add_one(std::uint64_t fence = 0) {
    return {.operations = {{.kind = Do::kAdd, .key = at_counter("n"), .number = 1}},
            .fence = fence};
  }

  void SetUp() override {
    if (!GetParam().leases) GTEST_SKIP() << "no leases";
  }

  std::unique_ptr<port::Backend> second_ = open_();
  Client other_{*second_};
};
INSTANTIATE_TEST_SUITE_P(Stores, PortLeases, ::testing::ValuesIn(every_port()), port_name);

TEST_P(PortLeases, OnlyTheHolderWrites) {
  client_.put(at_counter("n"), a_number(0));
  const port::StateVersion before = client_.state();
  const Lease lease = acquire(*store_);
  EXPECT_NE(lease.token, 0U);
  EXPECT_EQ(lease.state, before);
  EXPECT_EQ(client_.commit(add_one(lease.token)).outcome, Outcome::kDone);
  CommitResult result = other_.commit(add_one());
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kLeased);
  EXPECT_GT(result.wait, milliseconds(0));
  EXPECT_LE(result.wait, milliseconds(60'000));
  EXPECT_EQ(other_.number(at_counter("n")), 1);  // reads go on
  EXPECT_TRUE(other_.holds({.kind = Is::kAbsent, .key = at_node(9)}));
  store_->leases().release({}, lease);
  EXPECT_EQ(other_.commit(add_one()).outcome, Outcome::kDone);
  result = client_.commit(add_one(lease.token));
  EXPECT_EQ(result.outcome, Outcome::kNotDone);
  EXPECT_EQ(result.reason, Reason::kFenced);
  EXPECT_EQ(client_.number(at_counter("n")), 2);
}

TEST_P(PortLeases, ATokenOfSomeoneElseIsRefused) {
  const Lease lease = acquire(*store_);
  EXPECT_EQ(other_.commit(add_one(lease.token + 1)).reason, Reason::kFenced);
  Lease wrong = lease;
  ++wrong.token;
  EXPECT_FALSE(second_->leases().renew({}, wrong));
  second_->leases().release({}, wrong);
  EXPECT_EQ(client_.commit(add_one(lease.token)).outcome, Outcome::kDone);
  store_->leases().release({}, lease);
}

TEST_P(PortLeases, RefusedWhenSentAgainIsForGood) {
  const Lease lease = acquire(*store_);
  const port::CommitId id = other_.next();
  EXPECT_EQ(other_.commit(id, add_one(), true).reason, Reason::kLeased);
  store_->leases().release({}, lease);
  EXPECT_EQ(other_.commit(id, add_one()).outcome, Outcome::kNotDone);
  EXPECT_EQ(client_.number(at_counter("n")), -1);
}

TEST_P(PortLeases, WhoWaitsTooLongIsTold) {
  const Lease lease = acquire(*store_);
  EXPECT_THROW(second_->leases().acquire({}, after(milliseconds(20))), BusyError);
  EXPECT_EQ(client_.commit(add_one(lease.token)).outcome, Outcome::kDone);
  store_->leases().release({}, lease);
  second_->leases().release({}, acquire(*second_));
}

TEST_P(PortLeases, ALeaseThatIsNotRenewedRunsOut) {
  Lease lease = acquire(*store_);
  if (lease.until > after(std::chrono::seconds(5))) GTEST_SKIP() << "a lease of this store lasts";
  const auto first = lease.until;
  std::this_thread::sleep_for(milliseconds(5));
  ASSERT_TRUE(store_->leases().renew({}, lease));
  EXPECT_GT(lease.until, first);
  client_.commit(add_one(lease.token));
  const Lease next = acquire(*second_);  // waits until it has run out
  EXPECT_GE(std::chrono::steady_clock::now(), lease.until - milliseconds(1));
  EXPECT_EQ(next.state, client_.state());
  EXPECT_FALSE(store_->leases().renew({}, lease));
  EXPECT_EQ(client_.commit(add_one(lease.token)).reason, Reason::kFenced);
  store_->leases().release({}, lease);  // changes nothing
  EXPECT_EQ(other_.commit(add_one(next.token)).outcome, Outcome::kDone);
  second_->leases().release({}, next);
}

TEST_P(PortLeases, ALeaseThatRanOutLetsOthersWrite) {
  const Lease lease = acquire(*store_);
  if (lease.until > after(std::chrono::seconds(5))) GTEST_SKIP() << "a lease of this store lasts";
  std::this_thread::sleep_until(lease.until + milliseconds(20));
  EXPECT_EQ(other_.commit(add_one()).outcome, Outcome::kDone);
  EXPECT_EQ(client_.commit(add_one(lease.token)).reason, Reason::kFenced);
}

TEST_P(PortLeases, WhoAsksFirstGetsItFirst) {
  const Lease lease = acquire(*store_);
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&, i] {
      port::Backend& store = i % 2 == 0 ? *store_ : *second_;
      const Lease mine = acquire(store);
      {
        const std::scoped_lock lock(mutex);
        order.push_back(i);
      }
      store.leases().release({}, mine);
    });
    std::this_thread::sleep_for(milliseconds(100));  // until it waits
  }
  store_->leases().release({}, lease);
  const Lease again = acquire(*store_);  // behind those who wait
  for (std::thread& one : waiting) one.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  store_->leases().release({}, again);
}

TEST_P(PortLeases, UnderItNobodyElseChangesAnything) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      port::Backend& store = t % 2 == 0 ? *store_ : *second_;
      Client client(store);
      for (int i = 0; i < 20; ++i) {
        const Lease lease = acquire(store);
        if (!(client.state() == lease.state)) ++wrong;
        const std::int64_t seen = std::max<std::int64_t>(client.number(at_counter("sum")), 0);
        const CommitResult result = client.commit(
            {.changes = {{at_counter("sum"), a_number(seen + 1)}}, .fence = lease.token});
        if (result.outcome != Outcome::kDone) ++wrong;
        store.leases().release({}, lease);
      }
    });
  }
  threads.emplace_back([&] {
    Client client(*second_);
    for (int i = 0; i < 200; ++i) client.commit(add_one());  // refused, or done before a lease
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(client_.number(at_counter("sum")), 60);
}

TEST_P(PortLeases, PartitionsHaveLeasesOfTheirOwn) {
  if (!GetParam().partitions) GTEST_SKIP() << "one partition";
  const Lease lease = acquire(*store_);
  Client there(*second_, {.number = 3});
  EXPECT_EQ(there.commit(add_one()).outcome, Outcome::kDone);
  EXPECT_EQ(there.commit(add_one(lease.token)).reason, Reason::kFenced);
  store_->leases().release({}, lease);
}

TEST_P(PortLeases, TellWhoIsAlive) {
  store_->leases().announce(12);
  EXPECT_TRUE(store_->leases().alive(12));
  EXPECT_TRUE(second_->leases().alive(12));
  EXPECT_FALSE(second_->leases().alive(13));
  store_->close();
  EXPECT_FALSE(second_->leases().alive(12));
}

TEST_P(PortLeases, CloseGivesTheLeaseBack) {
  acquire(*store_);
  store_->close();
  EXPECT_EQ(other_.commit(add_one()).outcome, Outcome::kDone);
}

}  // namespace
}  // namespace graven::test
