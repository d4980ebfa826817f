// SPDX-License-Identifier: MIT
//
// Reads of the newest state, and the lease. Transactions are in optimistic_transaction.cpp.
#include "store/optimistic.hpp"

#include <chrono>
#include <utility>

#include <graven/error.hpp>

#include "store/optimistic_transaction.hpp"

namespace graven::store {
namespace {

using port::Deadline;
using port::Key;
using port::Partition;
using port::Record;
using port::StateVersion;

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(30);  // of a read
constexpr auto kRenewal = std::chrono::milliseconds(300);

/// A view that lets the followed log reach the state it sees: after its first read, nothing older
/// is in the cache.
class ReachingView final : public port::View {
 public:
  ReachingView(std::unique_ptr<port::View> below, FollowedLog& followed)
      : below_(std::move(below)), followed_(followed) {}

  std::optional<Record> load(const Key& key) override {
    return reaching([&] { return below_->load(key); });
  }
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override {
    reaching([&] {
      below_->load_many(keys, each);
      return true;
    });
  }
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    return reaching([&] { return below_->scan(range, limit); });
  }
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override {
    reaching([&] {
      below_->read(ops, each);
      return true;
    });
  }
  [[nodiscard]] std::optional<StateVersion> state() const override { return below_->state(); }
  bool any_orphans() override {
    return reaching([&] { return below_->any_orphans(); });
  }
  std::uint64_t count_items(std::int64_t map) override {
    return reaching([&] { return below_->count_items(map); });
  }

 private:
  template <class Read>
  auto reaching(const Read& read) -> decltype(read()) {
    auto result = read();
    if (!reached_) {
      if (const std::optional<StateVersion> state = below_->state()) followed_.reach(*state);
      reached_ = true;
    }
    return result;
  }

  std::unique_ptr<port::View> below_;
  FollowedLog& followed_;
  bool reached_ = false;
};

}  // namespace

Optimistic::Optimistic(port::Backend& backend)
    : backend_(backend),
      followed_(backend),
      committer_(backend),
      renewal_([this] { return renew(); }) {}

Optimistic::~Optimistic() { close(); }

void Optimistic::close() noexcept {
  renewal_.stop();
  followed_.stop();
}

std::optional<Record> Optimistic::load(const Key& key) {
  StateVersion state;
  std::optional<Record> record = backend_.find({}, key, state, Clock::now() + kPatience);
  followed_.reach(state);
  return record;
}

std::optional<Record> Optimistic::load_node(std::int64_t id, bool& reclaiming) {
  StateVersion state;
  std::optional<Record> record =
      backend_.find({}, {.space = port::Space::kNode, .a = id}, state, Clock::now() + kPatience);
  reclaiming = state.pending != 0;
  followed_.reach(state);
  return record;
}

std::unique_ptr<port::View> Optimistic::view() {
  return std::make_unique<ReachingView>(backend_.snapshot({}, Clock::now() + kPatience), followed_);
}

std::unique_ptr<port::WriteTransaction> Optimistic::begin(Deadline deadline) {
  if (backend_.facts().read_only) {
    throw UsageError(backend_.facts().name + " is open read-only: nothing can be written");
  }
  return std::make_unique<Transaction>(Transaction::Parts{*this, backend_, followed_, committer_,
                                                          std::exchange(*fresh_, {}), *fresh_},
                                       std::nullopt, deadline);
}

std::unique_ptr<port::WriteTransaction> Optimistic::begin_alone(Deadline deadline) {
  if (backend_.facts().read_only) {
    throw UsageError(backend_.facts().name + " is open read-only: nothing can be written");
  }
  Alone alone = take_lease(deadline);
  fresh_->clear();  // it may be older than the lease
  try {
    return std::make_unique<Transaction>(
        Transaction::Parts{*this, backend_, followed_, committer_, {}, *fresh_}, alone, deadline);
  } catch (...) {
    alone.release();
    throw;
  }
}

Optimistic::Alone Optimistic::take_lease(Deadline deadline) {
  const port::Lease lease = backend_.leases().acquire({}, deadline);
  {
    const std::scoped_lock lock(held_->mutex);
    held_->lease = lease;
  }
  struct Release {
    Optimistic* of;
    void operator()() const noexcept {
      Held& held = *of->held_;
      const std::scoped_lock lock(held.mutex);
      if (held.lease) of->backend_.leases().release({}, *held.lease);
      held.lease.reset();
    }
  };
  try {
    renewal_.wake(Clock::now() + kRenewal);
    followed_.reach(lease.state);
    return {lease.token, lease.state, Release{this}};
  } catch (...) {
    Release{this}();
    throw;
  }
}

/// If the lease is lost all the same, its token no longer counts: the commit is refused.
std::optional<Deadline> Optimistic::renew() {
  const std::scoped_lock lock(held_->mutex);
  if (!held_->lease) return std::nullopt;
  try {
    backend_.leases().renew({}, *held_->lease);
  } catch (const Error&) {
    // Not reachable at the moment.
  }
  return Clock::now() + kRenewal;
}

void Optimistic::sync(Deadline deadline) { committer_.sync(deadline); }

}  // namespace graven::store
