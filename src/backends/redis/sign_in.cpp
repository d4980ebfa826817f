// SPDX-License-Identifier: MIT
//
// What is said first on a connection to a Redis server. See connection.hpp.
#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "backends/redis/connection.hpp"

namespace graven::redis {
namespace {

/// Whether an error at sign-in says that trying again later may help: the server is loading its
/// data, has too many clients, waits for its master, …
bool passes(std::string_view error) {
  constexpr std::array<std::string_view, 7> kStay{"ERR",    "WRONGPASS", "NOAUTH",   "NOPERM",
                                                  "DENIED", "NOPROTO",   "WRONGTYPE"};
  if (error.find("max number of clients") != error.npos) return true;
  const std::string_view code = error.substr(0, error.find(' '));
  return std::find(kStay.begin(), kStay.end(), code) == kStay.end();
}

std::string advice(std::string_view error) {
  if (error.starts_with("WRONGPASS")) return "check the user and the password in the URL";
  if (error.starts_with("NOAUTH")) {
    return "the server asks for a password: redis://user:password@host or redis://:password@host";
  }
  if (error.starts_with("NOPROTO") || error.find("unknown command") != error.npos) {
    return "graven needs RESP3: Redis 6.2 or later, or Valkey";
  }
  if (error.find("DB index") != error.npos) {
    return "the server has no such database; their number is its setting 'databases'";
  }
  return "check the URL and the server's configuration";
}

void refuse(const Settings& settings, std::string_view error) {
  const std::string where = name_of(settings);
  // A server that does not know a command repeats its arguments.
  std::string shown(error.substr(0, error.find(", with args")));
  if (!settings.password.empty()) {
    for (std::size_t at = 0; (at = shown.find(settings.password, at)) != shown.npos; at += 3) {
      shown.replace(at, settings.password.size(), "***");
    }
  }
  if (passes(error)) throw Unreached(fmt::format("{} is not ready: {}", where, shown));
  throw UsageError(fmt::format("{} refuses to sign in: {}; {}", where, shown, advice(error)));
}

}  // namespace

void Connection::sign_in(const Settings& settings, Deadline deadline) {
  std::vector<Command> commands;
  Command& hello = commands.emplace_back("HELLO").add("3");
  if (!settings.password.empty() || !settings.user.empty()) {
    hello.add("AUTH").add(settings.user.empty() ? "default" : settings.user);
    hello.add(settings.password);
  }
  hello.add("SETNAME").add("graven");
  if (settings.database != 0) commands.push_back(Command("SELECT").add(settings.database));
  const std::vector<Reply> replies = ask(commands, deadline);
  for (const Reply& reply : replies) {
    if (reply.part().error()) refuse(settings, reply.part().text());
  }
  const ReplyPart said = replies.front().part();
  for (std::size_t at = 0; at + 1 < said.size(); at += 2) {
    const std::string_view name = said[at].text();
    const std::string_view value = said[at + 1].text();
    if (name == "server") server_.name = value;
    if (name == "version") server_.version = value;
    if (name == "role") server_.role = value;
    if (name == "mode") server_.mode = value;
  }
  if (server_.name.empty()) {
    throw UsageError(fmt::format("{} is no Redis or Valkey server", name_of(settings)));
  }
}

}  // namespace graven::redis
