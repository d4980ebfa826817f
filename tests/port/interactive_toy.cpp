// SPDX-License-Identifier: MIT
//
// See interactive_toy.hpp. Any thread; a transaction belongs to the thread that began it.
#include "port/interactive_toy.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <graven/error.hpp>

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::Record;
using port::Row;

using Closed = std::shared_ptr<const std::atomic<bool>>;

void require_open(const std::atomic<bool>& closed) {
  if (closed) throw ClosedError("the interactive toy was closed; open it again");
}

/// Reads a copy of the records.
template <class Base>
class Reading : public Base {
 public:
  Reading(InteractiveToy::Records records, Closed closed)
      : records_(std::move(records)), closed_(std::move(closed)) {
    require_open(*closed_);
  }

  std::optional<Record> load(const Key& key) override {
    require_open(*closed_);
    const auto at = records_.find(key);
    return at == records_.end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<Row> scan(const port::Range& range, std::size_t limit) override {
    require_open(*closed_);
    std::vector<Row> rows;
    for (const auto& [key, record] : records_) {
      if (port::in_range(range, key)) rows.push_back({key, record});
    }
    if (port::backwards(range)) std::reverse(rows.begin(), rows.end());
    rows.resize(std::min(rows.size(), limit));
    return rows;
  }

 protected:
  InteractiveToy::Records records_;

 private:
  const Closed closed_;
};

class Writing final : public Reading<port::WriteTransaction> {
 public:
  Writing(std::shared_ptr<InteractiveToy::Shared> shared, std::unique_lock<std::timed_mutex> lock,
          Closed closed)
      : Reading(shared->copy(), std::move(closed)),
        shared_(std::move(shared)),
        lock_(std::move(lock)) {}

  void apply(std::span<const Change> changes) override {
    for (const Change& change : changes) {
      records_.erase(change.key);
      if (change.record) records_.emplace(change.key, *change.record);
    }
  }
  void savepoint(int depth) override {
    savepoints_.resize(static_cast<std::size_t>(depth));
    savepoints_.push_back(records_);
  }
  void rollback_to(int depth) override {
    savepoints_.resize(static_cast<std::size_t>(depth) + 1);
    records_ = savepoints_.back();
  }
  void release(int depth) override { savepoints_.resize(static_cast<std::size_t>(depth)); }
  void commit(std::uint64_t) override {
    const std::scoped_lock lock(shared_->mutex);
    shared_->records.swap(records_);
  }

 private:
  const std::shared_ptr<InteractiveToy::Shared> shared_;
  const std::unique_lock<std::timed_mutex> lock_;
  std::vector<InteractiveToy::Records> savepoints_;
};

}  // namespace

InteractiveToy::InteractiveToy(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)),
      leases_(shared_->leases, facts_.name, [of = shared_.get()](const port::Partition&) {
        const std::scoped_lock writing(of->writing);  // commits that were admitted are done
        Reading<port::View> newest(of->copy(), std::make_shared<std::atomic<bool>>(false));
        return port::state_of(newest);
      }) {}

void InteractiveToy::close() noexcept {
  *closed_ = true;
  leases_.close();
}

std::optional<Record> InteractiveToy::load_node(std::int64_t id, bool& reclaiming) {
  const auto seen = view();
  reclaiming = port::any_pending(*seen);
  return seen->load({.space = port::Space::kNode, .a = id});
}

std::unique_ptr<port::View> InteractiveToy::view() {
  return std::make_unique<Reading<port::View>>(shared_->copy(), closed_);
}

std::unique_ptr<port::WriteTransaction> InteractiveToy::begin(port::Deadline deadline) {
  std::unique_lock lock(shared_->writing, std::defer_lock);
  const auto left = deadline - std::chrono::steady_clock::now();
  if (!lock.try_lock_until(std::chrono::system_clock::now() + left)) {
    throw BusyError("interactive toy: another writer is busy; try again");
  }
  return std::make_unique<Writing>(shared_, std::move(lock), closed_);
}

}  // namespace graven::test
