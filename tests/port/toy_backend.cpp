// SPDX-License-Identifier: MIT
//
// See toy_backend.hpp. Any thread.
#include "port/toy_backend.hpp"

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "port/predicates.hpp"

namespace graven::test {

using namespace port;

namespace {

void require_open(const std::atomic<bool>& closed) {
  if (closed) throw ClosedError("the toy store was closed; open it again");
}

class ToyView final : public View {
 public:
  ToyView(ToyBackend::State state, std::shared_ptr<const std::atomic<bool>> closed)
      : state_(std::move(state)), closed_(std::move(closed)) {}

  std::optional<Record> load(const Key& key) override {
    require_open(*closed_);
    const auto at = state_.records.find(key);
    return at == state_.records.end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    require_open(*closed_);
    std::vector<Row> rows;
    for (const auto& [key, record] : state_.records) {
      if (in_range(range, key)) rows.push_back({key, record});
    }
    if (backwards(range)) std::reverse(rows.begin(), rows.end());
    rows.resize(std::min(rows.size(), limit));
    return rows;
  }
  [[nodiscard]] std::optional<StateVersion> state() const override { return state_.version; }

 private:
  const ToyBackend::State state_;
  const std::shared_ptr<const std::atomic<bool>> closed_;
};

}  // namespace

ToyBackend::ToyBackend(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)),
      facts_{.name = "toy",
             .identity = "toy " + std::to_string(std::uintptr_t(shared_.get())),
             .constant = 1},
      leases_(shared_->leases, facts_.name, [of = shared_.get()](const Partition& partition) {
        const std::scoped_lock lock(of->mutex);
        return of->states[partition].version;
      }) {}

std::unique_ptr<View> ToyBackend::snapshot(const Partition& partition, Deadline) {
  require_open(*closed_);
  const std::scoped_lock lock(shared_->mutex);
  return std::make_unique<ToyView>(shared_->states[partition], closed_);
}

StateVersion ToyBackend::read(const Partition& partition, std::span<const ReadOp> ops,
                              ReadSink each, Deadline deadline) {
  const std::unique_ptr<View> view = snapshot(partition, deadline);
  read_with(*view, ops, each);
  return *view->state();
}

CommitResult ToyBackend::commit(const CommitId& id, std::span<const Batch> batches,
                                const CommitOptions& options, Deadline deadline) {
  require_open(*closed_);
  if (batches.empty()) return {};
  if (batches.size() > 1) throw UsageError("toy: a commit is of one partition; make two commits");
  const std::scoped_lock lock(shared_->mutex);
  Outcomes& outcomes = shared_->outcomes[batches.front().partition];
  if (std::optional<CommitResult> known = outcomes.of(id)) return *std::move(known);
  CommitResult result = attempt(id, batches.front(), deadline);
  outcomes.decided(id, result, options.resent);
  return result;
}

CommitResult ToyBackend::attempt(const CommitId& id, const Batch& batch, Deadline deadline) {
  if (std::chrono::steady_clock::now() >= deadline) {
    return {.outcome = Outcome::kNotDone, .reason = Reason::kLate};
  }
  if (CommitResult refused = leases_.admit(batch); refused.outcome != Outcome::kDone) {
    return refused;
  }
  State& state = shared_->states[batch.partition];
  ToyView before(state, closed_);
  auto [result, changes] = plan({&batch, 1}, before, state.version);
  if (result.outcome == Outcome::kDone && writes(batch)) {
    for (const auto& [key, record] : changes) {
      state.records.erase(key);
      if (record) state.records.emplace(key, *record);
    }
    const std::uint64_t previous = state.version.history;
    ToyView after(state, closed_);
    state.version = state_after(state.version, id, changes, after);
    state.log.push_back({state.version, previous, id, batch.told.hashes, batch.told.flags()});
  }
  result.states.push_back(state.version);
  return result;
}

CommitResult ToyBackend::resolve(const CommitId& id, std::span<const Partition> partitions,
                                 Deadline) {
  require_open(*closed_);
  const std::scoped_lock lock(shared_->mutex);
  return shared_->outcomes[partitions.front()].resolve(id);
}

bool ToyBackend::log(const Partition& partition, const StateVersion& from, LogSink each, Deadline) {
  require_open(*closed_);
  std::unique_lock lock(shared_->mutex);
  const State state = shared_->states[partition];
  lock.unlock();
  auto next = state.log.begin();
  while (next != state.log.end() && next->previous != from.history) ++next;
  if (next == state.log.end() && from != state.version) return false;
  std::for_each(next, state.log.end(), each);
  return true;
}

}  // namespace graven::test
