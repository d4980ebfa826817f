// SPDX-License-Identifier: MIT
//
// See commits.hpp. A commit is asked for once; whether a reply that is lost matters is for those
// who called. Any thread.
#include "backends/redis/commits.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "backends/redis/commit_request.hpp"

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;
using port::CommitResult;
using port::Outcome;
using port::Reason;

constexpr std::chrono::seconds kForTheAnswer{1};             // that the time is over
constexpr std::size_t kMostBytes = std::size_t{500} << 20U;  // of one argument
constexpr std::size_t kMostBatches = 255;                    // the answer counts them in a byte

/// Runs a script once, on this connection; learns the server's time if that is due.
Reply run(Core& core, Connection& connection, const Call& call, Deadline deadline) {
  std::vector<Command> commands;
  const bool ask_time = core.clock.old(Clock::now());
  if (ask_time) commands.emplace_back("TIME");
  commands.push_back(core.digests.command(call));
  std::vector<Reply> replies = connection.ask(commands, deadline);
  if (ask_time) core.clock.learn(replies.front().part(), Clock::now());
  if (!no_script(replies.back().part())) return std::move(replies.back());
  return connection.ask(core.digests.command(call, true), deadline);
}

/// Whether WAITAOF says that it cannot be asked.
bool tells_nothing_of_disks(std::string_view error) {
  return error.find("appendonly is disabled") != error.npos ||
         error.find("nknown command") != error.npos;
}

/// A server waits for what a connection has written last, so this writes something.
Call durable_beat(const Core& core) {
  return {.script = Script::kBeat,
          .keys = {core.first_head(), core.first_head()},
          .arguments = {core.constant, "1"}};
}

/// Waits until all that was written so far is on every replica, and on disk where the server tells.
/// Returns what is missing, in words.
std::string wait_until_durable(Core& core, Connection& connection, Deadline deadline) {
  const Call beat = durable_beat(core);
  std::vector<Reply> said =
      connection.ask({{core.digests.command(beat), Command("ROLE")}}, deadline);
  if (no_script(said[0].part())) {
    said = connection.ask({{core.digests.command(beat, true), Command("ROLE")}}, deadline);
  }
  const Reply& role = said[1];
  core.check(role.part());
  if (role[0].text() != "master") return "the server takes no writes any more";
  core.check(said[0].part());
  const auto replicas = static_cast<std::int64_t>(role[2].size());
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  const std::int64_t time = std::max<std::int64_t>(left.count() - 50, 1);
  if (core.has_waitaof) {
    const Reply wait =
        connection.ask(Command("WAITAOF").add("1").add(replicas).add(time), deadline);
    if (!wait.part().error()) {
      if (wait[0].number() >= 1 && wait[1].number() >= replicas) return {};
      return "the server or a replica has not written it to disk in time";
    }
    if (!tells_nothing_of_disks(wait.part().text())) core.fail(wait.part());
  }
  if (replicas == 0) return {};  // nothing can be asked
  const Reply wait = connection.ask(Command("WAIT").add(replicas).add(time), deadline);
  core.check(wait.part());
  return wait.part().number() >= replicas ? std::string() : "a replica has not got it in time";
}

/// What is done and not yet known to be durable; an error must not tell that it was not done.
CommitResult made_durable(Core& core, Connection& connection, CommitResult done,
                          Deadline deadline) {
  std::string missing;
  try {
    missing = wait_until_durable(core, connection, deadline);
  } catch (const Error& error) {
    missing = error.what();
  }
  if (missing.empty()) return done;
  return {.outcome = Outcome::kUnknown, .detail = std::move(missing)};
}

bool too_large(const Call& call, std::size_t batches) {
  return batches > kMostBatches || call.arguments.size() + call.keys.size() > 1'000'000 ||
         std::any_of(call.arguments.begin(), call.arguments.end(),
                     [](const std::string& one) { return one.size() > kMostBytes; });
}

CommitResult attempt(Core& core, Connection& connection, CommitRequest* request, bool resent,
                     bool durable, Deadline deadline) {
  const auto until = std::max(deadline, Clock::now() + kForTheAnswer);
  CommitResult result;
  if (request != nullptr) {
    request->set_latest(core.clock.at(deadline));
    result = request->result(run(core, connection, request->call(), until).part());
    if (result.reason == Reason::kLate && !resent && Clock::now() < deadline) {
      // The server's clock was set forward.
      const Reply time = connection.ask(Command("TIME"), until);
      core.clock.learn(time.part(), Clock::now());
      request->set_latest(core.clock.at(deadline));
      result = request->result(run(core, connection, request->call(), until).part());
    }
  } else {
    // Nothing was to be done, so an error can be told as it is.
    const Reply beat = run(core, connection, durable_beat(core), until);
    if (beat.part().error()) return refused(beat.part().text());
  }
  if (!durable || result.outcome != Outcome::kDone) return result;
  return made_durable(core, connection, std::move(result), until);
}

}  // namespace

CommitResult commit(Core& core, const port::CommitId& id, std::span<const port::Batch> batches,
                    const port::CommitOptions& options, Deadline deadline) {
  core.require_open();
  if (batches.empty() && !options.durable) return {};
  std::optional<CommitRequest> request;
  if (!batches.empty()) request.emplace(core, id, batches, options.resent);
  if (request && too_large(request->call(), batches.size())) {
    return {.outcome = Outcome::kNotDone, .reason = Reason::kTooLarge};
  }
  std::optional<Connections::Lent> connection;
  try {
    connection.emplace(core.connections.lend(std::max(deadline, Clock::now() + kForTheAnswer)));
  } catch (const UnavailableError& error) {  // also of a private server that does not start
    return {.outcome = Outcome::kNotDone, .reason = Reason::kUnreached, .detail = error.what()};
  }
  try {
    const base::Uninterrupted uninterrupted;  // what was sent is waited for
    CommitResult result = attempt(core, **connection, request ? &*request : nullptr, options.resent,
                                  options.durable, deadline);
    if (result.reason == Reason::kReadOnly) core.connections.renew();
    return result;
  } catch (const Unreached& error) {
    return {.outcome = Outcome::kNotDone, .reason = Reason::kUnreached, .detail = error.what()};
  } catch (const Lost& error) {
    return {.outcome = Outcome::kUnknown, .detail = error.what()};
  }
}

CommitResult resolve(Core& core, const port::CommitId& id,
                     std::span<const port::Partition> partitions, Deadline deadline) {
  core.require_open();
  Call call{.script = Script::kResolve,
            .arguments = {core.constant, encoded(id.session), encoded(id.sequence)}};
  for (const port::Partition& partition : partitions) {
    const Names names = core.names(partition);
    call.keys.push_back(names.head());
    call.keys.push_back(names.outcomes());
  }
  call.keys.push_back(core.first_head());
  try {
    const base::Uninterrupted uninterrupted;
    const Reply reply = core.run(call, deadline);
    if (reply.part().array()) {
      CommitResult result = decoded_result(reply[0].text());
      if (result.outcome != Outcome::kDone || !core.connections.settings().durable) return result;
      const auto connection = core.connections.lend(deadline);
      return made_durable(core, *connection, std::move(result),
                          std::max(deadline, Clock::now() + kForTheAnswer));
    }
    if (reply.part().text() == "gone") {
      return {.outcome = Outcome::kUnknown, .detail = "the store was deleted while it was open"};
    }
    return {.outcome = Outcome::kUnknown,
            .detail = "the session has committed since; ask before the next commit"};
  } catch (const ClosedError&) {
    throw;
  } catch (const Error& error) {
    return {.outcome = Outcome::kUnknown, .detail = error.what()};
  }
}

}  // namespace graven::redis
