// SPDX-License-Identifier: MIT
//
// See opening.hpp. Any thread.
#include "backends/redis/opening.hpp"

#include <charconv>
#include <random>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;

/// The first two numbers of a version.
std::pair<int, int> version_of(std::string_view text) {
  std::pair<int, int> version{0, 0};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, version.first);
  if (error == std::errc() && at != end) std::from_chars(at + 1, end, version.second);
  return version;
}

void check_server(Core& core, const Connection::Server& server) {
  const std::pair version = version_of(server.version);
  const bool valkey = server.name == "valkey";
  if (!valkey && version < std::pair(6, 2)) {
    throw UsageError(fmt::format("{} is Redis {}; graven needs 6.2 or later, or Valkey", core.name,
                                 server.version));
  }
  core.has_waitaof = valkey || version >= std::pair(7, 2);
  if (server.mode == "cluster") {
    throw UsageError(fmt::format(
        "{} is part of a Redis Cluster, which graven does not support; use a single server",
        core.name));
  }
  if (server.role != "master") {
    throw UsageError(
        fmt::format("{} is a replica ({}); open the store on its master", core.name, server.role));
  }
}

/// A server that may evict keys loses records. (A user who may not ask for it is believed.)
void check_policy(const Core& core, const ReplyPart& info) {
  constexpr std::string_view kPolicy = "maxmemory_policy:";
  std::string_view text = info.text();
  const std::size_t at = text.find(kPolicy);
  if (info.error() || at == text.npos) return;
  text.remove_prefix(at + kPolicy.size());
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text != "noeviction") {
    throw UsageError(fmt::format(
        "{} may evict keys (maxmemory-policy {}), so a store there would lose records; set "
        "maxmemory-policy noeviction",
        core.name, text));
  }
}

std::string random_constant() {
  std::random_device device;
  return encoded(std::uint64_t{device()} << 32U | device() | 1U);
}

[[noreturn]] void fail_right(const Core& core, std::string_view what) {
  throw UsageError(fmt::format(
      "{}: the user has not all rights that graven needs for keys and channels that begin with "
      "\"{{{}:\": {}",
      core.name, core.key_prefix, what));
}

void check_right(const Core& core, const ReplyPart& reply) {
  if (!reply.error()) return;
  const std::string_view text = reply.text();
  // Within a script: "The user executing the script …".
  if (text.find("NOPERM") != text.npos || text.find("The user executing") != text.npos) {
    fail_right(core, text);
  }
  core.fail(reply);
}

Call creation(const Core& core) {
  const Settings& settings = core.connections.settings();
  const Names names = core.names({});
  return {.script = Script::kCreate,
          .keys = {names.head(), names.outcomes(), names.log(), names.undo(), names.trial(),
                   names.records(0), names.ordered(0)},
          .arguments = {std::string(kFormat), random_constant(), settings.create ? "1" : "0",
                        settings.read_only ? "1" : "0", names.channel()}};
}

void take_store(Core& core, const ReplyPart& found) {
  const std::string_view what = found[0].text();
  if (what == "none") {
    throw UnavailableError(fmt::format(
        "there is no store with the key prefix \"{}\" in {}{}", core.key_prefix, core.name,
        core.connections.settings().create ? ", and a read-only one is not made" : ""));
  }
  if (what == "foreign" || what == "rest") {
    throw ForeignFileError(fmt::format(
        "{}: there are keys that begin with \"{{{}:\", but they are no store of graven's (at "
        "{}); use another key prefix",
        core.name, core.key_prefix, what == "rest" ? found[1].text() : core.first_head()));
  }
  if (what != kFormat) {
    throw ForeignFileError(
        fmt::format("{}: the store has the format \"{}\", and this version of graven knows \"{}\"",
                    core.name, what, kFormat));
  }
  core.constant = found[1].text();
}

/// Rights that the script does not need itself.
void try_rest(Core& core, Connection& connection, Deadline deadline) {
  const Names names = core.names({});
  const Call beat{.script = Script::kBeat,
                  .keys = {names.head(), names.head()},
                  .arguments = {core.constant, "1"}};
  std::vector<Command> commands{Command("MULTI"),
                                Command("HGET").add(names.head()).add("constant"),
                                Command("EXEC"),
                                Command("EXISTS").add(names.process(0)),
                                Command("SUBSCRIBE").add(names.channel()),
                                Command("UNSUBSCRIBE").add(names.channel())};
  if (!core.connections.settings().read_only) {
    commands.push_back(Command("WAIT").add("0").add("1"));
    commands.push_back(Command("ROLE"));
    if (core.has_waitaof) commands.push_back(Command("WAITAOF").add("0").add("0").add("1"));
  }
  for (const Reply& reply : connection.ask(commands, deadline)) check_right(core, reply.part());
  if (core.connections.settings().read_only) {
    core.may_hold = !connection.ask(core.digests.command(beat), deadline).part().error();
  }
}

}  // namespace

std::shared_ptr<Core> open_core(const Settings& settings) {
  auto core = std::make_shared<Core>(settings);
  const auto deadline = Clock::now() + settings.connect_timeout;
  const auto connection = core->connections.lend(deadline);
  check_server(*core, connection->server());
  const Reply info = connection->ask(Command("INFO").add("memory"), deadline);
  check_policy(*core, info.part());
  core->digests.load(*connection, deadline);
  const Reply found = connection->ask(core->digests.command(creation(*core)), deadline);
  check_right(*core, found.part());
  take_store(*core, found.part());
  const Reply time = connection->ask(Command("TIME"), deadline);
  core->clock.learn(time.part(), Clock::now());
  try_rest(*core, *connection, deadline);
  if (!settings.read_only) core->connections.require_master();
  return core;
}

}  // namespace graven::redis
