// SPDX-License-Identifier: MIT
//
// The backend puts its parts together. See backend.hpp.
#include "backends/redis/backend.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/redis/commits.hpp"
#include "backends/redis/holds.hpp"
#include "backends/redis/leases.hpp"
#include "backends/redis/opening.hpp"
#include "backends/redis/pushes.hpp"
#include "backends/redis/reading.hpp"
#include "backends/redis/view.hpp"
#include "base/housekeeper.hpp"

namespace graven::redis {
namespace {

using namespace port;

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostRows = 4'096;   // of a range in one call of a script
constexpr std::uint64_t kFewEntries = 64;  // of the log, for the first try
constexpr std::size_t kMostChanges = 250'000;
constexpr std::size_t kMostPredicates = 100'000;

class Subscribed final : public Subscription {
 public:
  explicit Subscribed(std::shared_ptr<Pushes> pushes) : pushes_(std::move(pushes)) {}
  ~Subscribed() override { pushes_->stop(); }

 private:
  const std::shared_ptr<Pushes> pushes_;
};

class RedisBackend final : public Backend, public Restamped {
 public:
  explicit RedisBackend(std::shared_ptr<Core> core)
      : core_(std::move(core)),
        leases_(core_, [this] { keeper_.wake(Clock::now()); }),
        keeper_([this] { return tend(); }) {
    facts_.name = fmt::format("{} ({})", core_->name, core_->key_prefix);
    facts_.identity =
        fmt::format("{} {} {:x}", core_->name, core_->key_prefix, decoded(core_->constant));
    facts_.constant = decoded(core_->constant);
    facts_.read_only = core_->connections.settings().read_only;
    facts_.slow_commits = true;
    facts_.most_changes = kMostChanges;
    facts_.most_predicates = kMostPredicates;
  }
  ~RedisBackend() override { close(); }

  [[nodiscard]] const Facts& facts() const noexcept override { return facts_; }

  StateVersion read(const Partition& partition, std::span<const ReadOp> ops, ReadSink each,
                    Deadline deadline) override {
    core_->require_open();
    const bool in_pages = std::any_of(ops.begin(), ops.end(), [](const ReadOp& op) {
      return !op.key && !narrow(op.range) &&
             (!ordered(op.range.space) || (!op.count && op.limit > kMostRows));
    });
    if (in_pages) {
      const std::unique_ptr<SnapshotView> view = new_view(partition, deadline);
      view->begin();
      read_with(*view, ops, each);
      return *view->state();
    }
    return read_at_once(partition, ops, each, deadline);
  }

  std::optional<Record> find(const Partition& partition, const Key& key, StateVersion& state,
                             Deadline deadline) override {
    core_->require_open();
    Reading reading(*core_, partition);
    const std::size_t place = reading.ask_record(key);
    state = reading.run(deadline);
    return reading.record(place);
  }

  CommitResult commit(const CommitId& id, std::span<const Batch> batches,
                      const CommitOptions& options, Deadline deadline) override {
    if (facts_.read_only && std::any_of(batches.begin(), batches.end(), writes)) {
      return {.outcome = Outcome::kNotDone, .reason = Reason::kReadOnly};
    }
    return redis::commit(*core_, id, batches,
                         {.resent = options.resent,
                          .durable = options.durable || core_->connections.settings().durable},
                         deadline);
  }

  CommitResult resolve(const CommitId& id, std::span<const Partition> partitions,
                       Deadline deadline) override {
    return redis::resolve(*core_, id, partitions, deadline);
  }

  std::unique_ptr<View> snapshot(const Partition& partition, Deadline deadline) override {
    core_->require_open();
    std::unique_ptr<SnapshotView> view = new_view(partition, deadline);
    view->begin();
    view->set_deadline(std::nullopt);
    return view;
  }

  bool log(const Partition& partition, const StateVersion& from, LogSink each,
           Deadline deadline) override {
    core_->require_open();
    std::vector<LogEntry> entries;
    StateVersion newest;
    for (std::uint64_t last = kFewEntries;;) {
      Reading reading(*core_, partition);
      reading.ask_log(last);
      newest = reading.run(deadline);
      entries = reading.log();
      const std::uint64_t after = newest.clock - std::min(newest.clock, from.clock);
      if (after <= last || entries.size() < last) break;
      last = after + kFewEntries;  // there may be more by then
    }
    std::erase_if(entries, [&](const LogEntry& entry) { return entry.state.clock <= from.clock; });
    StateVersion reached = from;
    for (const LogEntry& entry : entries) {
      if (entry.state.clock != reached.clock + 1 || entry.previous != reached.history) return false;
      reached = entry.state;
    }
    if (reached != newest) return false;
    for (const LogEntry& entry : entries) each(entry);
    return true;
  }

  std::unique_ptr<Subscription> subscribe(const Partition& partition,
                                          LogListener& listener) override {
    core_->require_open();
    auto pushes = std::make_shared<Pushes>(core_, partition, listener);
    const std::scoped_lock lock(mutex_);
    std::erase_if(pushes_, [](const auto& one) { return one.expired(); });
    pushes_.push_back(pushes);
    return std::make_unique<Subscribed>(std::move(pushes));
  }

  Leases& leases() override { return leases_; }

  bool set_constant(std::uint64_t constant) override {
    const Reply answer = core_->run({.script = Script::kRestamp,
                                     .keys = {core_->first_head()},
                                     .arguments = {core_->constant, encoded(constant)}},
                                    Clock::now() + core_->connections.settings().connect_timeout);
    return answer.part().number() == 1;
  }

  void close() noexcept override {
    if (closing_.exchange(true)) return;
    keeper_.stop();
    leases_.close();
    core_->closed = true;
    std::vector<std::shared_ptr<Pushes>> pushes;
    {
      const std::scoped_lock lock(mutex_);
      for (const auto& one : pushes_) {
        if (auto alive = one.lock()) pushes.push_back(std::move(alive));
      }
    }
    for (const auto& one : pushes) one->stop();
    core_->connections.close();
  }

 private:
  std::unique_ptr<SnapshotView> new_view(const Partition& partition, Deadline deadline) {
    auto view = std::make_unique<SnapshotView>(core_, holds_, partition);
    view->set_deadline(deadline);
    keeper_.wake(Clock::now() + Holds::kEvery);
    return view;
  }

  StateVersion read_at_once(const Partition& partition, std::span<const ReadOp> ops, ReadSink each,
                            Deadline deadline) {
    Reading reading(*core_, partition);
    std::vector<std::size_t> places;
    places.reserve(ops.size());
    for (const ReadOp& op : ops) {
      places.push_back(op.key     ? reading.ask_record(*op.key)
                       : op.count ? reading.ask_count(op.range)
                                  : reading.ask_rows(op.range, op.limit));
    }
    const StateVersion state = reading.run(deadline);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      std::vector<Row> rows;
      if (ops[i].key) {
        if (auto record = reading.record(places[i])) {
          rows.push_back({*ops[i].key, *std::move(record)});
        }
      } else if (ops[i].count) {
        each(i, {}, reading.count(places[i]));
        continue;
      } else {
        rows = reading.rows(places[i]);
      }
      each(i, rows, rows.size());
    }
    return state;
  }

  std::optional<Deadline> tend() noexcept {
    std::optional<Deadline> next = leases_.tend();
    try {
      for (const Partition& partition :
           core_->may_hold ? holds_->all_due() : std::vector<Partition>()) {
        const auto sent = Clock::now();
        const Reply held =
            core_->run({.script = Script::kHold,
                        .keys = {core_->names(partition).head(), core_->first_head()},
                        .arguments = {core_->constant}},
                       sent + std::chrono::seconds(1));
        if (held.part().number() == 1) holds_->renewed(partition, sent);
      }
    } catch (const std::exception&) {  // again in a second
    }
    if (holds_->any()) {
      const Deadline again = Clock::now() + Holds::kEvery;
      next = next ? std::min(*next, again) : again;
    }
    return next;
  }

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Holds> holds_ = std::make_shared<Holds>();
  Facts facts_;
  RedisLeases leases_;
  std::atomic<bool> closing_{false};
  base::ForkMutex mutex_{base::kForkRankPool};
  std::vector<std::weak_ptr<Pushes>> pushes_;  // mutex_
  base::Housekeeper keeper_;
};

}  // namespace

std::unique_ptr<Backend> open(Settings settings, std::unique_ptr<PrivateServer> server) {
  if (server) {
    settings.socket = server->socket();
    settings.revive = [own = std::shared_ptr(std::move(server))](Deadline deadline) {
      own->revive(deadline);
    };
  }
  return std::make_unique<RedisBackend>(open_core(settings));
}

}  // namespace graven::redis
