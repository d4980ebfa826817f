// SPDX-License-Identifier: MIT
//
// See oracle.hpp. Any thread.
#include "port/oracle.hpp"

#include <list>
#include <random>
#include <utility>

#include <graven/error.hpp>

#include "port/oracle_part.hpp"

namespace graven::oracle {
namespace {

using namespace port;

using Clock = std::chrono::steady_clock;

CommitResult not_done(Reason reason) { return {.outcome = Outcome::kNotDone, .reason = reason}; }

}  // namespace

class OracleStore {
 public:
  struct Subscriber {
    const Oracle* of;
    Partition partition;
    LogListener* listener;
    const Subscription* subscription;
  };

  explicit OracleStore(Settings given) : settings(given) {}
  CommitResult attempt(const CommitId& id, std::span<const Batch> batches, LocalLeases& leases);
  void advance(const CommitId& id, const Batch& batch);
  void publish(const Oracle* beating = nullptr);

  const Settings settings;
  const std::shared_ptr<LocalLeases::Table> lease_table = LocalLeases::make_table(settings.lease);
  const std::uint64_t constant = std::uint64_t{std::random_device()()} << 32U | 1U;
  std::mutex publishing;              // before `mutex`
  std::list<Subscriber> subscribers;  // publishing
  std::mutex mutex;                   // of all that follows
  std::map<Partition, Part> parts;
  std::deque<std::pair<Partition, LogEntry>> unpublished;
};

namespace {

class OracleView final : public View {
 public:
  OracleView(std::shared_ptr<OracleStore> store, const Part& part,
             std::shared_ptr<const std::atomic<bool>> closed)
      : store_(std::move(store)),
        records_(part.records),
        state_(part.state),
        closed_(std::move(closed)) {}
  ~OracleView() override {
    const std::scoped_lock lock(store_->mutex);  // whoever writes counts those who share
    records_.reset();
  }

  std::optional<Record> load(const Key& key) override {
    const auto at = records().find(key);
    return at == records_->end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    return rows_of(records(), range, limit);
  }
  [[nodiscard]] std::optional<StateVersion> state() const override { return state_; }

 private:
  [[nodiscard]] const Records& records() const {
    if (*closed_) throw ClosedError("oracle: the store of this view was closed; open it again");
    return *records_;
  }

  const std::shared_ptr<OracleStore> store_;
  std::shared_ptr<const Records> records_;
  const StateVersion state_;
  const std::shared_ptr<const std::atomic<bool>> closed_;
};

class Subscribed final : public Subscription {
 public:
  Subscribed(std::shared_ptr<OracleStore> store, const Oracle* of, const Partition& partition,
             LogListener& listener)
      : store_(std::move(store)) {
    const std::scoped_lock lock(store_->publishing);
    store_->subscribers.push_back({of, partition, &listener, this});
  }
  ~Subscribed() override {
    const std::scoped_lock lock(store_->publishing);
    store_->subscribers.remove_if([&](const auto& one) { return one.subscription == this; });
  }

 private:
  const std::shared_ptr<OracleStore> store_;
};

}  // namespace

CommitResult OracleStore::attempt(const CommitId& id, std::span<const Batch> batches,
                                  LocalLeases& leases) {
  CommitResult result;
  std::size_t changes = 0;
  std::size_t predicates = 0;
  for (const Batch& batch : batches) {
    changes += batch.changes.size() + batch.operations.size();
    predicates += batch.predicates.size();
  }
  if (changes > settings.most_changes || predicates > settings.most_predicates) {
    return {.outcome = Outcome::kNotDone, .reason = Reason::kTooLarge};
  }
  std::map<Partition, std::shared_ptr<Records>> before;
  for (const Batch& batch : batches) {
    const Part& part = parts[batch.partition];
    if (CommitResult refused = leases.admit(batch); refused.outcome != Outcome::kDone) {
      return refused;
    }
    result.states.push_back(part.state);
    for (const Predicate& says : batch.predicates) {
      if (part.holds(says)) continue;
      result.outcome = Outcome::kConflict;
      if (of_key(says.kind)) result.fresh.push_back({says.key, part.find(says.key)});
    }
    if (!batch.operations.empty()) before[batch.partition] = part.records;
  }
  for (auto batch = batches.begin(); batch != batches.end(); ++batch) {
    for (const Operation& does : batch->operations) {
      if (result.outcome != Outcome::kDone) break;
      result.given.push_back(parts[batch->partition].operate(does, result));
    }
  }
  if (result.outcome != Outcome::kDone) {
    result.given.clear();
    for (auto& [partition, records] : before) parts[partition].records = records;
    return result;
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (writes(batches[i])) advance(id, batches[i]);
    result.states[i] = parts[batches[i].partition].state;
  }
  return result;
}

void OracleStore::advance(const CommitId& id, const Batch& batch) {
  Part& part = parts[batch.partition];
  StateVersion& state = part.state;
  const std::uint64_t previous = state.history;
  ++state.clock;
  state.history = history_after(previous, id);
  for (const auto& [key, record] : batch.changes) {
    part.set(key, record);
    if (key.space == Space::kOrphan && key.a == 0 && record) state.pending = state.clock;
  }
  if (rows_of(*part.records, {.space = Space::kOrphan, .a = 0}, 1).empty()) state.pending = 0;
  part.log.push_back({state, previous, id, batch.told.hashes, batch.told.flags()});
  if (part.log.size() > settings.log_entries) part.log.pop_front();
  unpublished.emplace_back(batch.partition, part.log.back());
}

/// Tells subscribers of every commit that they were not told of yet; then those of `beating` which
/// state is the newest.
void OracleStore::publish(const Oracle* beating) {
  const std::scoped_lock order(publishing);
  std::unique_lock lock(mutex);
  while (!unpublished.empty()) {
    const auto [partition, entry] = std::move(unpublished.front());
    unpublished.pop_front();
    lock.unlock();
    for (const Subscriber& one : subscribers) {
      if (one.partition == partition) one.listener->committed(entry);
    }
    lock.lock();
  }
  std::vector<std::pair<LogListener*, StateVersion>> beats;
  for (const Subscriber& one : subscribers) {
    if (one.of == beating) beats.emplace_back(one.listener, parts[one.partition].state);
  }
  lock.unlock();
  for (const auto& [listener, state] : beats) listener->heartbeat(state);
}

std::shared_ptr<OracleStore> Oracle::create(Settings settings) {
  return std::make_shared<OracleStore>(settings);
}

std::unique_ptr<Oracle> Oracle::open(std::shared_ptr<OracleStore> store) {
  return std::make_unique<Oracle>(std::move(store));
}

Oracle::Oracle(std::shared_ptr<OracleStore> store)
    : store_(std::move(store)),
      leases_(store_->lease_table, "oracle",
              [store = store_.get()](const Partition& partition) {
                const std::scoped_lock lock(store->mutex);
                return store->parts[partition].state;
              }),
      heartbeat_([this]() -> std::optional<Deadline> {
        store_->publish(this);
        return Clock::now() + store_->settings.heartbeat;
      }) {
  static std::atomic<std::uint64_t> handles{0};
  facts_.name = "oracle";
  facts_.identity = "oracle " + std::to_string(++handles);
  facts_.constant = store_->constant;
  facts_.most_changes = store_->settings.most_changes;
  facts_.most_predicates = store_->settings.most_predicates;
  facts_.slow_commits = store_->settings.slow_commits;
}

void Oracle::close() noexcept {
  if (closed_->exchange(true)) return;
  heartbeat_.stop();
  leases_.close();
  const std::scoped_lock lock(store_->publishing);
  store_->subscribers.remove_if([&](const auto& one) { return one.of == this; });
}

std::unique_lock<std::mutex> Oracle::enter() const {
  std::unique_lock lock(store_->mutex);
  if (*closed_) throw ClosedError("oracle: the store was closed; open it again");
  return lock;
}

StateVersion Oracle::read(const Partition& partition, std::span<const ReadOp> ops, ReadSink each,
                          Deadline deadline) {
  const std::unique_ptr<View> view = snapshot(partition, deadline);
  read_with(*view, ops, each);
  return *view->state();
}

CommitResult Oracle::commit(const CommitId& id, std::span<const Batch> batches,
                            const CommitOptions& options, Deadline deadline) {
  require_allowed(batches);
  CommitResult result;
  {
    const auto lock = enter();
    for (const Batch& batch : batches) {
      const Part::Last* const decided = store_->parts[batch.partition].decided(id);
      if (decided == nullptr) continue;
      return decided->sequence == id.sequence ? decided->result : not_done(Reason::kBurnt);
    }
    const bool late = Clock::now() >= deadline;
    result = late ? not_done(Reason::kLate) : store_->attempt(id, batches, leases_);
    for (const Batch& batch : batches) {
      if (result.outcome != Outcome::kDone && !options.resent) break;
      store_->parts[batch.partition].outcomes[id.session] = {id.sequence, result};
    }
  }
  store_->publish();
  return result;
}

CommitResult Oracle::resolve(const CommitId& id, std::span<const Partition> partitions, Deadline) {
  const auto lock = enter();
  for (const Partition& partition : partitions) {
    const Part::Last* const decided = store_->parts[partition].decided(id);
    if (decided == nullptr) continue;
    return decided->sequence == id.sequence ? decided->result
                                            : CommitResult{.outcome = Outcome::kUnknown};
  }
  for (const Partition& partition : partitions) {
    store_->parts[partition].outcomes[id.session] = {id.sequence, not_done(Reason::kBurnt)};
  }
  return not_done(Reason::kBurnt);
}

std::unique_ptr<View> Oracle::snapshot(const Partition& partition, Deadline) {
  const auto lock = enter();
  return std::make_unique<OracleView>(store_, store_->parts[partition], closed_);
}

bool Oracle::log(const Partition& partition, const StateVersion& from, LogSink each, Deadline) {
  std::vector<LogEntry> later;
  {
    const auto lock = enter();
    const Part& part = store_->parts[partition];
    for (const LogEntry& entry : part.log) {
      const bool next = entry.previous == from.history && entry.state.clock == from.clock + 1;
      if (next || !later.empty()) later.push_back(entry);
    }
    if (later.empty() && from != part.state) return false;
  }
  for (const LogEntry& entry : later) each(entry);
  return true;
}

std::unique_ptr<Subscription> Oracle::subscribe(const Partition& partition, LogListener& listener) {
  enter().unlock();
  auto subscribed = std::make_unique<Subscribed>(store_, this, partition, listener);
  heartbeat_.wake(Clock::now());
  return subscribed;
}

}  // namespace graven::oracle
