// SPDX-License-Identifier: MIT
//
// See reading.hpp. One thread at a time.
#include "backends/redis/reading.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::Row;
using port::Space;
using port::StateVersion;

constexpr std::size_t kNowhere = SIZE_MAX;

std::uint64_t number_at(std::string_view text, std::size_t at) {
  std::uint64_t number = 0;
  if (at < text.size()) std::from_chars(text.data() + at, text.data() + text.size(), number);
  return number;
}

/// The changes of a stream's entry; its id is "clock-piece".
Undone undone_of(const ReplyPart& entry) {
  const std::string_view id = entry[0].text();
  Undone undone{.clock = number_at(id, 0), .piece = number_at(id, id.find('-') + 1)};
  const ReplyPart fields = entry[1];
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string_view was = fields[i + 1].text();
    if (fields[i].text().empty()) {
      undone.previous = decoded(was);
    } else if (std::optional<Key> key = decoded_key(fields[i].text())) {
      std::optional<port::Record> record;
      if (was.starts_with('+')) record = decoded_record(key->space, was.substr(1));
      undone.changes.push_back({*std::move(key), std::move(record)});
    }
  }
  return undone;
}

}  // namespace

Reading::Reading(Core& core, const port::Partition& partition)
    : core_(core), partition_(partition), names_(core.names(partition)) {}

std::size_t Reading::ask_record(const Key& key) {
  records_[segment_of(key)].push_back(asked_.size());
  asked_.push_back({.key = key});
  return asked_.size() - 1;
}

std::size_t Reading::ask_rows(const Range& range, std::size_t limit) {
  if (!ordered(range.space)) return ask_ids(range, limit);
  Asked asked{.range = range, .limit = limit, .answer = kNowhere, .within = ranges_.size()};
  if (limit != 0) {
    ranges_.push_back(asked_.size());
    add_range(asked);
  }
  asked_.push_back(std::move(asked));
  return asked_.size() - 1;
}

/// The ids follow their range in asked_.
std::size_t Reading::ask_ids(const Range& range, std::size_t limit) {
  const std::size_t place = asked_.size();
  asked_.push_back({.range = range, .limit = limit});
  if (range.from > range.to) return place;
  const auto count = static_cast<std::uint64_t>(range.to) - static_cast<std::uint64_t>(range.from);
  for (std::uint64_t i = 0; i <= count; ++i) {
    const auto id = static_cast<std::int64_t>(static_cast<std::uint64_t>(range.from) + i);
    ask_record({.space = range.space, .a = id});
  }
  asked_[place].within = asked_.size();
  return place;
}

std::vector<Row> Reading::rows_of_ids(std::size_t place) const {
  const Range& range = asked_[place].range;
  std::vector<Row> rows;
  const std::size_t first = place + 1;
  const std::size_t end = std::max(asked_[place].within, first);
  for (std::size_t i = first; i < end && rows.size() < asked_[place].limit; ++i) {
    const std::size_t at = port::backwards(range) ? end - 1 - (i - first) : i;
    if (auto found = record(at)) rows.push_back({asked_[at].key, *std::move(found)});
  }
  return rows;
}

std::size_t Reading::ask_count(const Range& range) {
  if (!ordered(range.space)) return ask_ids(range, SIZE_MAX);
  const Bounds ends = bounds(range);
  asked_.push_back({.range = range, .answer = commands_.size()});
  const std::size_t only = segment_of(range.space, range.a);
  for (std::size_t segment = 0; segment < kSegments; ++segment) {
    if (!port::spans(range) && segment != only) continue;
    commands_.push_back(
        Command("ZLEXCOUNT").add(names_.ordered(segment)).add(ends.from).add(ends.to));
  }
  return asked_.size() - 1;
}

std::size_t Reading::ask_keys(const Range& range) {
  asked_.push_back({.range = range, .answer = commands_.size()});
  for (std::size_t segment = 0; segment < kSegments; ++segment) {
    commands_.push_back(Command("HKEYS").add(names_.records(segment)));
  }
  return asked_.size() - 1;
}

void Reading::add_range(const Asked& asked) {
  const Range& range = asked.range;
  const bool all = port::spans(range);
  Bounds ends = bounds(range);
  std::vector<std::string>& arguments = read_.arguments;
  arguments.push_back(std::to_string(all ? kSegments : 1));
  arguments.push_back(std::move(ends.from));
  arguments.push_back(std::move(ends.to));
  arguments.emplace_back(port::backwards(range) ? "1" : "0");
  arguments.push_back(asked.limit > INT32_MAX ? "-1" : std::to_string(asked.limit));
  arguments.emplace_back(is_empty(range.space) ? "0" : "1");
  const std::size_t only = segment_of(range.space, range.a);
  for (std::size_t segment = 0; segment < kSegments; ++segment) {
    if (!all && segment != only) continue;
    read_.keys.push_back(names_.ordered(segment));
    read_.keys.push_back(names_.records(segment));
  }
}

void Reading::add_records(std::vector<Command>& commands) {
  for (const auto& [segment, places] : records_) {
    Command command(places.size() == 1 ? "HGET" : "HMGET");
    command.add(std::string_view(names_.records(segment)));
    for (std::size_t i = 0; i < places.size(); ++i) {
      Asked& asked = asked_[places[i]];
      asked.answer = commands.size();
      asked.within = places.size() == 1 ? kNowhere : i;
      command.add(std::string_view(encoded(asked.key)));
    }
    commands.push_back(std::move(command));
  }
}

/// Everything but the script.
std::vector<Command> Reading::commands() {
  std::vector<Command> commands = std::move(commands_);  // their answers have the same places
  head_at_ = commands.size();
  commands.push_back(Command("HMGET").add(names_.head()).add("constant").add("state"));
  if (partition_ != port::Partition{}) {
    commands.push_back(Command("HGET").add(core_.first_head()).add("constant"));
  }
  add_records(commands);
  if (undone_after_) {
    undone_at_ = commands.size();
    commands.push_back(
        Command("XRANGE").add(names_.undo()).add(std::to_string(*undone_after_ + 1)).add("+"));
  }
  if (log_last_) {
    log_at_ = commands.size();
    commands.push_back(
        Command("LRANGE").add(names_.log()).add("-" + std::to_string(*log_last_)).add("-1"));
  }
  for (const std::size_t at : ranges_) asked_[at].answer = commands.size();
  return commands;
}

void Reading::ask(const std::vector<Command>& commands, bool with_text, Deadline deadline) {
  together_ = commands.size() > 1 || !ranges_.empty() || hold_;
  if (!together_) {
    replies_ = core_.ask(commands, deadline);
    return;
  }
  std::vector<Command> all;
  all.reserve(commands.size() + 4);
  all.emplace_back("MULTI");
  all.insert(all.end(), commands.begin(), commands.end());
  if (!ranges_.empty()) all.push_back(core_.digests.command(read_, with_text));
  if (hold_) {
    all.push_back(core_.digests.command({.script = Script::kHold,
                                         .keys = {names_.head(), core_.first_head()},
                                         .arguments = {core_.constant}},
                                        with_text));
  }
  all.emplace_back("EXEC");
  replies_ = core_.ask(all, deadline);
}

/// For a server that is out of memory, which takes no MULTI.
void Reading::ask_in_script(const std::vector<Command>& commands, Deadline deadline) {
  Call call{.script = Script::kRead, .keys = read_.keys};
  call.arguments = {std::to_string(commands.size())};
  for (const Command& command : commands) {
    const std::vector<std::string>& words = command.arguments();
    call.keys.push_back(words[1]);
    call.arguments.push_back(std::to_string(words.size()));
    call.arguments.insert(call.arguments.end(), words.begin(), words.end());
  }
  call.arguments.insert(call.arguments.end(), read_.arguments.begin() + 1, read_.arguments.end());
  replies_.clear();
  replies_.push_back(core_.run(call, deadline));
  together_ = true;
}

StateVersion Reading::run(Deadline deadline) {
  const std::vector<Command> all = commands();
  bool in_script = false;
  ask(all, false, deadline);
  if (together_) {
    const ReplyPart executed = answers();
    bool forgotten = false;
    for (std::size_t i = 0; i < executed.size(); ++i) {
      forgotten = forgotten || no_script(executed[i]);
    }
    if (forgotten) ask(all, true, deadline);
  }
  if (together_ && answers().error()) {
    const auto full = [](const Reply& reply) {
      return reply.part().error() && reply.part().text().starts_with("OOM");
    };
    if (std::any_of(replies_.begin(), replies_.end(), full)) {
      ask_in_script(all, deadline);
      in_script = true;
    } else {
      for (const Reply& reply : replies_) core_.check(reply.part());
    }
  }
  const ReplyPart head = together_ ? answers()[head_at_] : replies_.front().part();
  core_.check(head);
  for (std::size_t i = 0; i < answers().size(); ++i) core_.check(answers()[i]);
  const std::string_view constant = head[0].text();
  const bool there =
      constant == core_.constant || (partition_ != port::Partition{} && constant.empty() &&
                                     answers()[head_at_ + 1].text() == core_.constant);
  if (!there) core_.fail_gone();
  held_ = hold_ && !in_script && answers()[answers().size() - 1].number() == 1;
  return decoded_state(head[1].text());
}

ReplyPart Reading::answers() const {
  return together_ ? replies_.back().part() : ReplyPart(nullptr);
}

std::optional<port::Record> Reading::record(std::size_t place) const {
  const Asked& asked = asked_[place];
  const ReplyPart part = asked.within == kNowhere ? answer(asked) : answer(asked)[asked.within];
  if (part.nil()) return std::nullopt;
  return decoded_record(asked.key.space, part.text());
}

std::vector<Row> Reading::rows(std::size_t place) const {
  const Asked& asked = asked_[place];
  if (!ordered(asked.range.space)) return rows_of_ids(place);
  std::vector<Row> rows;
  if (asked.limit == 0) return rows;
  constexpr std::size_t kStep = 4'000;  // as in read.lua
  const ReplyPart lists = answer(asked)[asked.within];
  for (std::size_t n = 0; n < lists.size(); ++n) {
    const ReplyPart fields = lists[n][0];
    for (std::size_t i = 0; i < fields.size(); ++i) {
      std::optional<Key> key = decoded_key(fields[i].text());
      port::Record record;
      if (!is_empty(asked.range.space)) {
        const ReplyPart body = lists[n][1 + i / kStep][i % kStep];
        if (body.nil()) key.reset();
        if (key) record = decoded_record(key->space, body.text());
      }
      if (!key) {
        throw ForeignFileError(
            fmt::format("{}: the keys of the store do not fit together: something else wrote there",
                        core_.name));
      }
      rows.push_back({*std::move(key), std::move(record)});
    }
  }
  if (lists.size() > 1) {
    std::sort(rows.begin(), rows.end(),
              [](const Row& one, const Row& other) { return one.key < other.key; });
    if (rows.size() > asked.limit) rows.resize(asked.limit);
  }
  return rows;
}

std::uint64_t Reading::count(std::size_t place) const {
  const Asked& asked = asked_[place];
  if (!ordered(asked.range.space)) return rows_of_ids(place).size();
  std::uint64_t sum = 0;
  const std::size_t segments = port::spans(asked.range) ? kSegments : 1;
  for (std::size_t i = 0; i < segments; ++i) {
    sum += static_cast<std::uint64_t>(answers()[asked.answer + i].number());
  }
  return sum;
}

std::vector<Key> Reading::keys(std::size_t place) const {
  const Asked& asked = asked_[place];
  std::vector<Key> keys;
  for (std::size_t segment = 0; segment < kSegments; ++segment) {
    const ReplyPart fields = answers()[asked.answer + segment];
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].text().starts_with(static_cast<char>(asked.range.space))) continue;
      std::optional<Key> key = decoded_key(fields[i].text());
      if (key && port::in_range(asked.range, *key)) keys.push_back(*std::move(key));
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<Undone> Reading::undone() const {
  std::vector<Undone> all;
  const ReplyPart entries = answers()[undone_at_];
  for (std::size_t i = 0; i < entries.size(); ++i) all.push_back(undone_of(entries[i]));
  return all;
}

std::vector<port::LogEntry> Reading::log() const {
  std::vector<port::LogEntry> all;
  const ReplyPart entries = answers()[log_at_];
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (std::optional<port::LogEntry> entry = decoded_entry(entries[i].text())) {
      all.push_back(*std::move(entry));
    }
  }
  return all;
}

}  // namespace graven::redis
