// SPDX-License-Identifier: MIT
//
// See scripts.hpp. Any thread.
#include "backends/redis/scripts.hpp"

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {

const char* text_of(Script script) noexcept {
  switch (script) {
    case Script::kCommit:
      return lua::commit;
    case Script::kRead:
      return lua::read;
    case Script::kResolve:
      return lua::resolve;
    case Script::kHold:
      return lua::hold;
    case Script::kBeat:
      return lua::beat;
    case Script::kLease:
      return lua::lease;
    case Script::kCreate:
      return lua::create;
    case Script::kRestamp:
      break;
  }
  return lua::restamp;
}

void Digests::load(Connection& connection, Deadline deadline) {
  std::vector<Command> commands;
  for (std::size_t i = 0; i < kScripts; ++i) {
    commands.push_back(
        Command("SCRIPT").add("LOAD").add(std::string_view(text_of(static_cast<Script>(i)))));
  }
  const std::vector<Reply> replies = connection.ask(commands, deadline);
  for (std::size_t i = 0; i < kScripts; ++i) {
    if (replies[i].part().error()) {
      throw UsageError(fmt::format("the server takes no scripts, which graven needs: {}",
                                   replies[i].part().text()));
    }
    digests_[i] = replies[i].part().text();
  }
}

Command Digests::command(const Call& call, bool with_text) const {
  Command command(with_text ? "EVAL" : "EVALSHA");
  if (with_text) {
    command.add(std::string_view(text_of(call.script)));
  } else {
    command.add(std::string_view(digests_[static_cast<std::size_t>(call.script)]));
  }
  command.add(static_cast<std::int64_t>(call.keys.size()));
  for (const std::string& key : call.keys) command.add(std::string_view(key));
  for (const std::string& argument : call.arguments) command.add(std::string_view(argument));
  return command;
}

bool no_script(const ReplyPart& reply) noexcept {
  return reply.error() && reply.text().starts_with("NOSCRIPT");
}

}  // namespace graven::redis
