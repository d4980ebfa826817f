// SPDX-License-Identifier: MIT
//
// Sends, sends again, asks for the outcome. An Attempt is one commit from its first request to its
// outcome; it is in doubt from the first lost reply on. See committer.hpp.
#include "store/committer.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "base/fork.hpp"
#include "base/interrupt.hpp"
#include "observe/log.hpp"

namespace graven::store {
namespace {

using port::Batch;
using port::CommitId;
using port::CommitResult;
using port::Deadline;
using port::Outcome;
using port::Partition;
using port::Reason;

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{200};
constexpr std::chrono::seconds kForResolving{1};

/// Pauses between attempts, each twice as long as the one before.
class Pauses {
 public:
  explicit Pauses(Deadline deadline) : deadline_(deadline) {}

  /// Pauses, for no longer than `most`. False, at once, when the deadline has passed.
  bool pause(std::chrono::milliseconds most = kLongestPause) {
    const Deadline now = Clock::now();
    if (now >= deadline_) return false;
    base::sleep_until(std::min<Deadline>(deadline_, now + std::min(next_, most)));
    base::check_interrupt();  // a short sleep does not
    next_ = std::min(next_ * 2, kLongestPause);
    return true;
  }

 private:
  const Deadline deadline_;
  std::chrono::milliseconds next_ = kFirstPause;
};

[[noreturn]] void overflow(const std::string& store, const std::vector<Batch>& batches) {
  std::set<std::string> counters;
  for (const Batch& batch : batches) {
    for (const port::Operation& operation : batch.operations) {
      if (operation.kind == port::Operation::Kind::kAdd) counters.insert(operation.key.name);
    }
  }
  const std::string which =
      counters.size() == 1 ? fmt::format("the counter '{}'", *counters.begin()) : "a counter";
  throw LimitError(fmt::format("{} in {} would leave the range of 64 bits", which, store));
}

/// A refusal as an error.
[[noreturn]] void refuse(const std::string& store, const CommitResult& result) {
  switch (result.reason) {
    case Reason::kLeased:
      throw BusyError(fmt::format(
          "{} is being written by another process, which has its lease and did not end its "
          "transaction in time; wait longer, or end it there",
          store));
    case Reason::kFenced:
      throw TransactionExpiredError(fmt::format(
          "the lease of {} was lost before the commit, because this process was stopped or cut off "
          "for longer than a lease lasts; nothing was written: run the transaction again",
          store));
    case Reason::kNoPartition:
      throw UsageError(fmt::format(
          "what this would write to in {} was deleted meanwhile; open it again", store));
    case Reason::kReadOnly:
      throw UsageError(fmt::format(
          "the server of {} takes no writes, because it is a replica; open the store at the server "
          "that does",
          store));
    case Reason::kFull:
      throw UnavailableError(fmt::format(
          "{} has no room left, in memory or on disk; make room there, then try again", store));
    case Reason::kOverflow:
      break;  // told by overflow()
    case Reason::kTooLarge:
      throw LimitError(fmt::format(
          "the commit is larger than {} takes at once; write it in several parts", store));
    case Reason::kRefused:
      throw UsageError(
          fmt::format("{} refuses the commit: {}; check the rights of its user and what "
                      "other programs have written there",
                      store, result.detail.empty() ? "no reason given" : result.detail));
    case Reason::kUnreached:
      throw UnavailableError(
          fmt::format("{} cannot be reached, and nothing was written; check the server and the "
                      "network, then try "
                      "again",
                      store));
    case Reason::kNone:
    case Reason::kLate:
    case Reason::kBurnt:
      break;
  }
  throw BusyError(fmt::format(
      "{} did not get to the commit in time, and nothing was written; wait longer, or try again",
      store));
}

}  // namespace

// --- Ids

CommitId Committer::Session::next() {
  if (const std::uint64_t now = base::fork_generation(); fork_generation != now) {
    std::random_device device;
    std::uniform_int_distribution<std::uint64_t> any(1, ~std::uint64_t{0} >> 1U);
    number = any(device);
    last = 0;
    fork_generation = now;
  }
  return {.session = number, .sequence = ++last};
}

CommitId Committer::next() { return session_.next(); }

// --- One commit

class Committer::Attempt {
 public:
  Attempt(port::Backend& backend, const CommitId& id, const std::vector<Batch>& batches,
          const port::CommitOptions& options, Deadline deadline)
      : backend_(backend), id_(id), batches_(batches), options_(options), deadline_(deadline) {}

  CommitResult run() {
    Pauses pauses(deadline_);
    for (;;) {
      std::optional<CommitResult> result = send();
      if (result && result->outcome == Outcome::kDone) return *std::move(result);
      if (in_doubt()) {
        if (result && known(*result)) return *std::move(result);
        if (pauses.pause()) continue;
        return at_last();
      }
      if (result->outcome == Outcome::kConflict) return *std::move(result);
      if (!again(*result, pauses)) return *std::move(result);
    }
  }

 private:
  [[nodiscard]] const std::string& name() const noexcept { return backend_.facts().name; }
  [[nodiscard]] bool in_doubt() const noexcept { return options_.resent; }

  /// Nothing: the request may or may not have arrived. From then on the commit is in doubt.
  std::optional<CommitResult> send() {
    const base::Uninterrupted whole;
    try {
      CommitResult result = backend_.commit(id_, batches_, options_, deadline_);
      if (result.outcome != Outcome::kUnknown) return result;
    } catch (const Error& error) {
      const bool lost = error.code() == Errc::kUnavailable || error.code() == Errc::kCommitUnknown;
      if (!lost && !in_doubt()) throw;
      if (!lost) unknown(error.what());
      why_ = error.what();
    } catch (const std::exception& error) {  // perhaps no memory for the reply
      why_ = error.what();
    }
    if (!in_doubt()) doubt();
    return std::nullopt;
  }

  void doubt() {
    options_.resent = true;
    uninterrupted_.emplace();
    observe::log(LogLevel::kInfo, "commit_resent", {{"store", name()}, {"why", why_}});
  }

  /// Whether a refusal of a commit in doubt is final: that copy was refused, but an earlier one may
  /// still be under way unless the store remembers the refusal.
  bool known(CommitResult& result) {
    if (result.outcome == Outcome::kConflict) return true;
    if (result.reason == Reason::kReadOnly || result.reason == Reason::kUnreached) return false;
    if (result.reason != Reason::kBurnt) {
      // Not every store can remember the refusal together with its answer.
      std::optional<CommitResult> outcome =
          resolve(std::min(deadline_, Clock::now() + kForResolving));
      if (!outcome) return false;
      if (outcome->outcome != Outcome::kNotDone) {
        result = *std::move(outcome);
        return true;
      }
    }
    settle(result);
    return true;
  }

  /// This id was refused for good: the refusal as a conflict if another id may have success.
  void settle(CommitResult& result) const {
    const bool retry = result.reason == Reason::kLeased || result.reason == Reason::kBurnt;
    if (result.reason == Reason::kOverflow) overflow(name(), batches_);
    if (!retry || Clock::now() >= deadline_) refuse(name(), result);
    result.outcome = Outcome::kConflict;
  }

  /// After a refusal of a commit that is not in doubt: waits, if the same request may be taken
  /// later. False: it is a conflict now.
  bool again(CommitResult& result, Pauses& pauses) {
    switch (result.reason) {
      case Reason::kLeased:
        // The lease may be released before it runs out.
        if (!pauses.pause(result.wait.count() > 0 ? result.wait : kLongestPause)) {
          refuse(name(), result);
        }
        return true;
      case Reason::kReadOnly:
        // A server that was demoted: the backend looks for the one that takes writes.
        if (backend_.facts().read_only || !pauses.pause()) refuse(name(), result);
        return true;
      case Reason::kUnreached:
        if (!pauses.pause()) refuse(name(), result);
        return true;
      default:
        settle(result);
        return false;
    }
  }

  /// The deadline has passed, and the commit is in doubt.
  CommitResult at_last() {
    std::optional<CommitResult> outcome = resolve(Clock::now() + kForResolving);
    if (!outcome) unknown(why_);
    if (outcome->outcome == Outcome::kNotDone) {
      if (outcome->reason == Reason::kOverflow) overflow(name(), batches_);
      refuse(name(), *outcome);
    }
    return *std::move(outcome);
  }

  std::optional<CommitResult> resolve(Deadline until) {
    std::vector<Partition> partitions;
    for (const Batch& batch : batches_) partitions.push_back(batch.partition);
    for (Pauses pauses(until);;) {
      try {
        CommitResult result = backend_.resolve(id_, partitions, until);
        // A replica cannot know what the server does that takes writes.
        const bool asked =
            result.outcome != Outcome::kUnknown &&
            (result.outcome != Outcome::kNotDone ||
             (result.reason != Reason::kReadOnly && result.reason != Reason::kUnreached &&
              result.reason != Reason::kFull));
        if (asked) return result;
      } catch (const std::exception& error) {
        why_ = error.what();
      }
      if (!pauses.pause()) return std::nullopt;
    }
  }

  [[noreturn]] void unknown(const std::string& why) const {
    throw CommitUnknownError(fmt::format(
        "the reply of {} to a commit was lost, and it could not be asked afterwards ({}): the "
        "commit "
        "is in the store or it is not; read again what was written before you write it once more",
        name(), why.empty() ? "no answer" : why));
  }

  port::Backend& backend_;
  const CommitId id_;
  const std::vector<Batch>& batches_;
  port::CommitOptions options_;
  const Deadline deadline_;
  std::optional<base::Uninterrupted> uninterrupted_;  // while in doubt
  std::string why_;
};

CommitResult Committer::commit(const CommitId& id, const std::vector<Batch>& batches,
                               const port::CommitOptions& options, Deadline deadline) {
  if (id.session != session_.number || session_.fork_generation != base::fork_generation()) {
    throw UsageError(
        "this process was forked after the transaction began, and the transaction belongs to its "
        "parent; begin another one");
  }
  return Attempt(backend_, id, batches, options, deadline).run();
}

// --- What changes nothing

CommitResult Committer::confirm(const std::vector<Batch>& batches, Deadline deadline) {
  for (Pauses pauses(deadline);;) {
    try {
      CommitResult result = backend_.commit(confirming_.next(), batches, {}, deadline);
      if (result.outcome == Outcome::kDone || result.outcome == Outcome::kConflict) return result;
      const bool again = result.outcome == Outcome::kUnknown || result.reason == Reason::kLeased ||
                         result.reason == Reason::kReadOnly || result.reason == Reason::kUnreached;
      if (!again || !pauses.pause()) refuse(backend_.facts().name, result);
    } catch (const UnavailableError&) {
      if (!pauses.pause()) throw;
    }
  }
}

void Committer::sync(Deadline deadline) {
  for (Pauses pauses(deadline);;) {
    try {
      const CommitResult result = backend_.commit({}, {}, {.durable = true}, deadline);
      if (result.outcome == Outcome::kDone) return;
      if (!pauses.pause()) break;
    } catch (const UnavailableError&) {
      if (!pauses.pause()) throw;
    }
  }
  throw UnavailableError(fmt::format(
      "{} did not tell in time whether everything is durable; wait longer, or try again",
      backend_.facts().name));
}

}  // namespace graven::store
