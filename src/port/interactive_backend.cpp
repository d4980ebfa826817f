// SPDX-License-Identifier: MIT
//
// See interactive_backend.hpp. Any thread.
#include "port/interactive_backend.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <vector>

#include <graven/error.hpp>

namespace graven::port {
namespace {

using Clock = std::chrono::steady_clock;

CommitResult not_done(Reason reason, std::string detail = {}) {
  return {.outcome = Outcome::kNotDone, .reason = reason, .detail = std::move(detail)};
}

/// While another commit() of this process, perhaps of the same id, is in progress.
CommitResult unknown(const std::string& store) {
  return {.outcome = Outcome::kUnknown,
          .detail = store + ": a commit of this process takes longer than the deadline; ask later"};
}

/// The clock record after the commit; the batches may put one themselves.
Record advanced(const Record& before, const Overlay& changes) {
  const auto own = changes.find(clock_key());
  Record clock = own != changes.end() && own->second ? *own->second : before;
  clock.integers[0] = std::max(clock.integers[0], before.integers[0] + 1);
  clock.version = static_cast<std::uint64_t>(clock.integers[0]);
  return clock;
}

}  // namespace

StateVersion state_of(View& view) {
  const Record clock = view.load(clock_key()).value_or(Record{});
  const auto now = static_cast<std::uint64_t>(clock.integers[0]);
  return {.clock = now, .history = clock.version, .pending = any_pending(view) ? now : 0};
}

StateVersion InteractiveBackend::read(const Partition&, std::span<const ReadOp> ops, ReadSink each,
                                      Deadline) {
  const std::unique_ptr<View> seen = view();
  const StateVersion state = state_of(*seen);
  read_with(*seen, ops, each);
  return state;
}

std::optional<Record> InteractiveBackend::find(const Partition&, const Key& key,
                                               StateVersion& state, Deadline) {
  const std::unique_ptr<View> seen = view();
  state = state_of(*seen);
  return seen->load(key);
}

std::unique_ptr<View> InteractiveBackend::snapshot(const Partition&, Deadline) { return view(); }

/// Waits until no other commit() is in progress; without the lock if the deadline passes first. (By
/// the system clock, as in base::lock().)
std::unique_lock<std::timed_mutex> InteractiveBackend::turn(Deadline deadline) {
  std::unique_lock held(commits_->mutex, std::defer_lock);
  while (!held.try_lock()) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) break;
    const Clock::duration slice = std::min<Clock::duration>(left, base::kInterruptSlice);
    if (held.try_lock_until(std::chrono::system_clock::now() + slice)) break;
    base::check_interrupt();
  }
  return held;
}

CommitResult InteractiveBackend::commit(const CommitId& id, std::span<const Batch> batches,
                                        const CommitOptions& options, Deadline deadline) {
  CommitResult result;
  if (!batches.empty()) {
    const std::unique_lock<std::timed_mutex> held = turn(deadline);
    if (!held) return options.resent ? unknown(facts().name) : not_done(Reason::kLate);
    if (std::optional<CommitResult> known = commits_->outcomes.of(id)) {
      result = *std::move(known);
    } else {
      result = attempt(batches, deadline);
      commits_->outcomes.decided(id, result, options.resent);
    }
  }
  if (options.durable && result.outcome == Outcome::kDone) make_durable(deadline);
  return result;
}

CommitResult InteractiveBackend::resolve(const CommitId& id, std::span<const Partition>,
                                         Deadline deadline) {
  const std::unique_lock<std::timed_mutex> held = turn(deadline);
  if (!held) return unknown(facts().name);
  return commits_->outcomes.resolve(id);
}

/// What begin() and commit() throw tells the outcome.
CommitResult InteractiveBackend::attempt(std::span<const Batch> batches, Deadline deadline) {
  const bool writing = std::any_of(batches.begin(), batches.end(), writes);
  if (writing && facts().read_only) {
    return not_done(Reason::kReadOnly, facts().name + " is open read-only");
  }
  if (Clock::now() >= deadline) return not_done(Reason::kLate);
  try {
    const std::unique_ptr<WriteTransaction> transaction = writing ? begin(deadline) : nullptr;
    const std::unique_ptr<View> seen = writing ? nullptr : view();
    View& newest = writing ? *transaction : *seen;
    const StateVersion before = state_of(newest);
    for (const Batch& batch : batches) {
      if (CommitResult refused = admit(batch); refused.outcome != Outcome::kDone) return refused;
    }
    auto [result, overlay] = plan(batches, newest, before);
    result.states.assign(batches.size(), before);
    if (!writing || result.outcome != Outcome::kDone) return result;
    const Record clock = advanced(newest.load(clock_key()).value_or(Record{}), overlay);
    overlay[clock_key()] = clock;
    std::vector<Change> changes;
    for (auto& [key, record] : overlay) changes.push_back({key, std::move(record)});
    transaction->apply(changes);
    result.states.assign(batches.size(), state_of(*transaction));
    transaction->commit(clock.version);
    return result;
  } catch (const Conflict&) {
    return {.outcome = Outcome::kConflict};
  } catch (const BusyError& busy) {
    return not_done(Reason::kLate, busy.what());
  } catch (const LimitError& limit) {
    return not_done(Reason::kTooLarge, limit.what());
  } catch (const UnavailableError& unavailable) {
    return not_done(Reason::kFull, unavailable.what());
  } catch (const CommitUnknownError& error) {
    return {.outcome = Outcome::kUnknown, .detail = error.what()};
  }
}

}  // namespace graven::port
