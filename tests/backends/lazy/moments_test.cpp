// SPDX-License-Identifier: MIT
//
// What happens while a view fixes its state below: a commit and a flush just before it is fixed,
// or a flush just after. The view has one state all the same.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "port/interactive_backend.hpp"

namespace graven::test {
namespace {

using port::Key;
using port::Record;

/// Another store; whenever a view of it fixes its state the test is called, before and after.
class Watched final : public port::InteractiveBackend {
 public:
  std::function<void()> before_fixing;
  std::function<void()> after_fixing;

  std::optional<Record> load(const Key& key) override { return store_->load(key); }
  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override {
    return store_->load_node(id, reclaiming);
  }
  std::unique_ptr<port::View> view() override { return std::make_unique<WatchedView>(*this); }
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override {
    return store_->begin(deadline);
  }
  [[nodiscard]] const port::Facts& facts() const noexcept override { return store_->facts(); }
  port::Leases& leases() override { return store_->leases(); }
  void close() noexcept override {}
  port::CommitResult admit(const port::Batch&) override { return {}; }
  void make_durable(base::Deadline) override {}

 private:
  class WatchedView final : public port::View {
   public:
    explicit WatchedView(Watched& store) : store_(store), view_(store.store_->view()) {}
    std::optional<Record> load(const Key& key) override { return fixed().load(key); }
    void load_many(std::span<const Key> keys,
                   const std::function<void(std::size_t, Record*)>& each) override {
      fixed().load_many(keys, each);
    }
    std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
      return fixed().scan(range, limit);
    }

   private:
    port::View& fixed() {
      if (!std::exchange(fixed_, true)) {
        // Once: what the test does may look below itself.
        if (const auto call = std::exchange(store_.before_fixing, nullptr)) call();
        view_->load(port::clock_key());
        if (const auto call = std::exchange(store_.after_fixing, nullptr)) call();
      }
      return *view_;
    }
    Watched& store_;
    std::unique_ptr<port::View> view_;
    bool fixed_ = false;
  };

  Opened store_ = lazy::open("below");
};

class Moments : public ::testing::Test {
 protected:
  Moments() {
    auto lower = std::make_unique<Watched>();
    below = lower.get();
    above = lazy::over(std::move(lower), {.flush_interval = std::chrono::hours(1)});
    // One that is only below, one that is here too.
    put({1, 2}, "old");
    above->flush();
    put({2}, "old again");
  }
  void put(const std::vector<std::int64_t>& ids, const std::string& body) {
    std::vector<port::Change> changes;
    for (const std::int64_t id : ids) changes.push_back({node_key(id), node_record(0, body)});
    write(*above, changes);
  }
  /// What a view has, by every way to read.
  static std::string seen(port::View& view) {
    std::string text;
    for (const port::Row& row : view.scan({.space = port::Space::kNode}, 1)) {
      text += row.record.body + ", ";
    }
    text += view.load(node_key(1))->body + ", " + view.load(node_key(2))->body;
    const std::vector<Key> keys{node_key(1), node_key(2)};
    view.load_many(keys, [&](std::size_t, Record* record) { text += ", " + record->body; });
    return text;
  }

  Watched* below = nullptr;
  Opened above;
};

TEST_F(Moments, ACommitThatIsFlushedBeforeTheStateBelowIsFixedIsSeenWhole) {
  below->before_fixing = [&] {
    put({1, 2}, "new");
    above->flush();
  };
  EXPECT_EQ(seen(*above->view()), "new, new, new, new, new");
}

TEST_F(Moments, WhatIsFlushedAfterTheStateBelowIsFixedIsNotForgotten) {
  put({1, 2}, "pending");
  below->after_fixing = [&] { above->flush(); };
  const auto view = above->view();
  EXPECT_EQ(seen(*view), "pending, pending, pending, pending, pending");
  put({1, 2}, "new");
  above->flush();
  EXPECT_EQ(seen(*view), "pending, pending, pending, pending, pending");
}

TEST_F(Moments, ATransactionSeesItsStateWhateverIsFlushed) {
  put({1}, "pending");
  const auto transaction = above->begin(soon());
  EXPECT_EQ(transaction->load(node_key(1))->body, "pending");
  below->before_fixing = [&] { above->flush(); };
  below->after_fixing = [&] { above->flush(); };
  EXPECT_EQ(seen(*transaction), "pending, pending, old again, pending, old again");
}

}  // namespace
}  // namespace graven::test
