// SPDX-License-Identifier: MIT
//
// See counting_store.hpp.
#include "port/counting_store.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <thread>

#include <graven/error.hpp>

namespace graven::test {
namespace {

using port::CommitId;
using port::CommitResult;
using port::Deadline;
using port::LogEntry;
using port::Partition;
using port::StateVersion;

/// A generator that several threads share.
struct Dice {
  explicit Dice(std::uint64_t seed) : engine(seed) {}

  std::mutex mutex;
  std::mt19937_64 engine;

  bool one_in(std::size_t n) { return n != 0 && engine() % n == 0; }
  std::size_t below(std::size_t n) { return engine() % n; }
};

}  // namespace

Script random_script(std::uint64_t seed, const Rates& rates) {
  constexpr std::size_t kMostCalls = 12;
  return [dice = std::make_shared<Dice>(seed), rates](const Call& call) {
    const std::scoped_lock lock(dice->mutex);
    Fault fault;
    if (call.asked != Asked::kCommit && call.asked != Asked::kResolve) return fault;
    if (dice->one_in(rates.lost_request)) {
      fault.kind = Fault::Kind::kLoseRequest;
    } else if (dice->one_in(rates.lost_reply)) {
      fault.kind = Fault::Kind::kLoseReply;
    } else if (dice->one_in(rates.late)) {
      fault.kind = Fault::Kind::kLate;
      fault.calls = dice->below(kMostCalls);
    } else if (dice->one_in(rates.unreached)) {
      fault.kind = Fault::Kind::kUnreached;
    }
    return fault;
  };
}

EntryScript random_entries(std::uint64_t seed, const Rates& rates) {
  constexpr std::size_t kMostEntries = 5;
  return [dice = std::make_shared<Dice>(seed), rates](const LogEntry&) {
    const std::scoped_lock lock(dice->mutex);
    EntryFault fault;
    if (dice->one_in(rates.lost_entry)) {
      fault.kind = EntryFault::Kind::kLose;
    } else if (dice->one_in(rates.late_entry)) {
      fault.kind = EntryFault::Kind::kLate;
      fault.entries = 1 + dice->below(kMostEntries);
    } else if (dice->one_in(rates.double_entry)) {
      fault.kind = EntryFault::Kind::kDouble;
    }
    return fault;
  };
}

// --- Views, leases, listeners

class CountingStore::Counted final : public port::View {
 public:
  Counted(CountingStore& store, std::unique_ptr<port::View> inner)
      : store_(store), inner_(std::move(inner)) {}

  std::optional<port::Record> load(const port::Key& key) override {
    return store_.ask(Asked::kRead, [&] { return inner_->load(key); });
  }
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override {
    store_.ask(Asked::kRead, [&] { inner_->load_many(keys, each); });
  }
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override {
    return store_.ask(Asked::kRead, [&] { return inner_->scan(range, limit); });
  }
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override {
    store_.ask(Asked::kRead, [&] { inner_->read(ops, each); });
  }
  bool any_orphans() override {
    return store_.ask(Asked::kRead, [&] { return inner_->any_orphans(); });
  }
  std::uint64_t count_items(std::int64_t map) override {
    return store_.ask(Asked::kRead, [&] { return inner_->count_items(map); });
  }
  [[nodiscard]] std::optional<StateVersion> state() const override { return inner_->state(); }

 private:
  CountingStore& store_;
  std::unique_ptr<port::View> inner_;
};

class CountingStore::CountedLeases final : public port::Leases {
 public:
  explicit CountedLeases(CountingStore& store) : store_(store) {}

  void announce(std::int64_t process) override {
    store_.ask(Asked::kLease, [&] { inner().announce(process); });
  }
  bool alive(std::int64_t process) override {
    return store_.ask(Asked::kLease, [&] { return inner().alive(process); });
  }
  port::Lease acquire(const Partition& partition, Deadline deadline) override {
    return store_.ask(Asked::kLease, [&] { return inner().acquire(partition, deadline); });
  }
  bool renew(const Partition& partition, port::Lease& lease) override {
    return store_.ask(Asked::kLease, [&] { return inner().renew(partition, lease); });
  }
  void release(const Partition& partition, const port::Lease& lease) noexcept override {
    try {
      store_.ask(Asked::kLease, [&] { inner().release(partition, lease); });
    } catch (const UnavailableError&) {
      // It runs out.
    }
  }

 private:
  port::Leases& inner() { return store_.inner_->leases(); }

  CountingStore& store_;
};

/// Stands between the store and a listener. It outlives the subscription where a test tells
/// something at that moment.
class CountingStore::Relay final : public port::LogListener {
 public:
  Relay(CountingStore& store, Partition partition, port::LogListener& listener)
      : store_(store), partition_(partition), listener_(&listener) {}

  [[nodiscard]] const Partition& partition() const noexcept { return partition_; }

  void committed(const LogEntry& entry) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++seen_;
    const EntryFault fault = store_.entry_script_ ? store_.entry_script_(entry) : EntryFault{};
    if (fault.kind == EntryFault::Kind::kLate) {
      late_.push_back({seen_ + fault.entries, entry});
    } else if (fault.kind != EntryFault::Kind::kLose) {
      tell(entry);
      if (fault.kind == EntryFault::Kind::kDouble) tell(entry);
    }
    deliver_until(seen_);
  }
  void heartbeat(const StateVersion& state) noexcept override {
    const std::scoped_lock lock(mutex_);
    if (listener_ != nullptr && !deaf_) listener_->heartbeat(state);
  }
  void interrupted() noexcept override {
    const std::scoped_lock lock(mutex_);
    if (listener_ != nullptr) listener_->interrupted();
  }

  void deliver() {
    const std::scoped_lock lock(mutex_);
    deliver_until(std::numeric_limits<std::size_t>::max());
  }
  void deafen(bool deaf) {
    const std::scoped_lock lock(mutex_);
    deaf_ = deaf;
  }
  /// The listener is not called after this.
  void end() {
    const std::scoped_lock lock(mutex_);
    listener_ = nullptr;
  }

 private:
  void tell(const LogEntry& entry) noexcept {
    if (listener_ != nullptr && !deaf_) listener_->committed(entry);
  }
  void deliver_until(std::size_t seen) noexcept {
    const auto due = std::stable_partition(late_.begin(), late_.end(),
                                           [seen](const Late& one) { return one.due > seen; });
    for (auto it = due; it != late_.end(); ++it) tell(it->entry);
    late_.erase(due, late_.end());
  }

  struct Late {
    std::size_t due;
    LogEntry entry;
  };
  CountingStore& store_;
  const Partition partition_;
  std::mutex mutex_;
  port::LogListener* listener_;  // mutex_, as all that follows
  bool deaf_ = false;
  std::size_t seen_ = 0;
  std::vector<Late> late_;
};

class CountingStore::Relayed final : public port::Subscription {
 public:
  Relayed(std::shared_ptr<Relay> relay, std::unique_ptr<port::Subscription> inner)
      : relay_(std::move(relay)), inner_(std::move(inner)) {}
  ~Relayed() override {
    inner_.reset();
    relay_->end();
  }

 private:
  std::shared_ptr<Relay> relay_;
  std::unique_ptr<port::Subscription> inner_;
};

// --- The store

CountingStore::CountingStore(std::shared_ptr<port::Backend> inner)
    : inner_(std::move(inner)), leases_(std::make_unique<CountedLeases>(*this)) {}

CountingStore::~CountingStore() = default;

void CountingStore::lost(const char* what) const {
  throw UnavailableError(facts().name + ": " + what + " was lost, as the test's script says");
}

Fault CountingStore::begin(Call call) {
  Trips& trips = trips_of_thread();
  if (call.asked == Asked::kRead) {
    ++trips.reads;
  } else if (call.asked == Asked::kCommit) {
    ++trips.commits;
  } else {
    ++trips.others;
  }
  {
    const std::scoped_lock lock(mutex_);
    call.number = calls_++;
  }
  deliver_until(call.number);
  Fault fault = script_ ? script_(call) : Fault{};
  if (fault.delay.count() > 0) std::this_thread::sleep_for(fault.delay);
  return fault;
}

void CountingStore::deliver_until(std::size_t number) {
  std::vector<Request> due;
  {
    const std::scoped_lock lock(mutex_);
    const auto from = std::stable_partition(
        late_.begin(), late_.end(), [number](const Request& one) { return one.due > number; });
    due.assign(std::make_move_iterator(from), std::make_move_iterator(late_.end()));
    late_.erase(from, late_.end());
  }
  for (const Request& one : due) {
    static_cast<void>(inner_->commit(one.id, one.batches, one.options, one.deadline));
  }
}

void CountingStore::deliver() {
  deliver_until(std::numeric_limits<std::size_t>::max());
  std::vector<std::weak_ptr<Relay>> relays;
  {
    const std::scoped_lock lock(mutex_);
    relays = relays_;
  }
  for (const auto& one : relays) {
    if (const auto relay = one.lock()) relay->deliver();
  }
}

std::size_t CountingStore::late() const {
  const std::scoped_lock lock(mutex_);
  return late_.size();
}

void CountingStore::deafen(bool deaf) {
  const std::scoped_lock lock(mutex_);
  for (const auto& one : relays_) {
    if (const auto relay = one.lock()) relay->deafen(deaf);
  }
}

void CountingStore::interrupt() {
  const std::scoped_lock lock(mutex_);
  for (const auto& one : relays_) {
    if (const auto relay = one.lock()) relay->interrupted();
  }
}

void CountingStore::heartbeat(std::optional<StateVersion> state) {
  std::vector<std::weak_ptr<Relay>> relays;
  {
    const std::scoped_lock lock(mutex_);
    relays = relays_;
  }
  constexpr auto kPatience = std::chrono::seconds(10);
  for (const auto& one : relays) {
    const auto relay = one.lock();
    if (!relay) continue;
    relay->heartbeat(state ? *state
                           : inner_->read(
                                 relay->partition(), {},
                                 [](std::size_t, std::span<port::Row>, std::uint64_t) {},
                                 std::chrono::steady_clock::now() + kPatience));
  }
}

StateVersion CountingStore::read(const Partition& partition, std::span<const port::ReadOp> ops,
                                 port::ReadSink each, Deadline deadline) {
  const Fault fault = begin({.asked = Asked::kRead});
  if (fault.kind == Fault::Kind::kLoseReply) lost("the reply");
  if (fault.kind != Fault::Kind::kNone) lost("the request");
  return inner_->read(partition, ops, each, deadline);
}

std::optional<port::Record> CountingStore::find(const Partition& partition, const port::Key& key,
                                                StateVersion& state, Deadline deadline) {
  const Fault fault = begin({.asked = Asked::kRead});
  if (fault.kind == Fault::Kind::kLoseReply) lost("the reply");
  if (fault.kind != Fault::Kind::kNone) lost("the request");
  return inner_->find(partition, key, state, deadline);
}

CommitResult CountingStore::commit(const CommitId& id, std::span<const port::Batch> batches,
                                   const port::CommitOptions& options, Deadline deadline) {
  Fault fault = begin({.asked = Asked::kCommit, .id = id, .resent = options.resent});
  switch (fault.kind) {
    case Fault::Kind::kNone:
      break;
    case Fault::Kind::kLoseRequest:
      lost("the request");
    case Fault::Kind::kLoseReply:
      if (!fault.answer) static_cast<void>(inner_->commit(id, batches, options, deadline));
      lost("the reply");
    case Fault::Kind::kLate: {
      {
        const std::scoped_lock lock(mutex_);
        late_.push_back(
            {calls_ + fault.calls, id, {batches.begin(), batches.end()}, options, deadline});
      }
      lost("the request");
    }
    case Fault::Kind::kUnreached:
      return {.outcome = port::Outcome::kNotDone, .reason = port::Reason::kUnreached};
  }
  if (fault.answer) return *std::move(fault.answer);
  return inner_->commit(id, batches, options, deadline);
}

CommitResult CountingStore::resolve(const CommitId& id, std::span<const Partition> partitions,
                                    Deadline deadline) {
  Fault fault = begin({.asked = Asked::kResolve, .id = id});
  if (fault.kind == Fault::Kind::kLoseReply) {
    if (!fault.answer) static_cast<void>(inner_->resolve(id, partitions, deadline));
    lost("the reply");
  }
  if (fault.kind != Fault::Kind::kNone) lost("the request");
  if (fault.answer) return *std::move(fault.answer);
  return inner_->resolve(id, partitions, deadline);
}

std::unique_ptr<port::View> CountingStore::snapshot(const Partition& partition, Deadline deadline) {
  return std::make_unique<Counted>(*this, inner_->snapshot(partition, deadline));
}

bool CountingStore::log(const Partition& partition, const StateVersion& from, port::LogSink each,
                        Deadline deadline) {
  const Fault fault = begin({.asked = Asked::kLog});
  if (fault.kind == Fault::Kind::kLoseReply) lost("the reply");
  if (fault.kind != Fault::Kind::kNone) lost("the request");
  return inner_->log(partition, from, each, deadline);
}

std::unique_ptr<port::Subscription> CountingStore::subscribe(const Partition& partition,
                                                             port::LogListener& listener) {
  return ask(Asked::kSubscribe, [&]() -> std::unique_ptr<port::Subscription> {
    auto relay = std::make_shared<Relay>(*this, partition, listener);
    auto inner = inner_->subscribe(partition, *relay);
    if (!inner) return nullptr;
    const std::scoped_lock lock(mutex_);
    std::erase_if(relays_, [](const auto& one) { return one.expired(); });
    relays_.push_back(relay);
    return std::make_unique<Relayed>(std::move(relay), std::move(inner));
  });
}

port::Leases& CountingStore::leases() { return *leases_; }

void CountingStore::close() noexcept { inner_->close(); }

}  // namespace graven::test
