// SPDX-License-Identifier: MIT
//
// See commit_request.hpp; commit.lua reads the arguments. One thread at a time.
#include "backends/redis/commit_request.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using port::Batch;
using port::Change;
using port::CommitResult;
using port::Key;
using port::Operation;
using port::Outcome;
using port::Predicate;
using port::Range;
using port::Reason;
using port::Space;

using Kind = Predicate::Kind;

constexpr std::size_t kFixedKeys = 5;  // head, outcomes, log, undo log, the first head
constexpr std::size_t kTypes = 6;      // the place of an argument
constexpr std::int64_t kMostErased = 1'000'000'000;  // more are not counted exactly

/// What the record must be, as the script compares it.
std::string demand(const Predicate& says) {
  switch (says.kind) {
    case Kind::kVersion:
      return "v" + encoded(says.number);
    case Kind::kAnchor:
      return "n" + encoded(says.number);
    case Kind::kAnchored:
      return "h";
    case Kind::kSame: {
      const std::string record = encoded(says.key, says.record);
      return port::schema(says.key.space).has_version ? "t" + record.substr(8) : "s" + record;
    }
    default:
      return "a";
  }
}

bool lists_pending(const Range& range) {
  return range.space == Space::kOrphan && range.a <= 0 && (range.a == 0 || range.a_to >= 0);
}
bool lists_pending(const Key& key) { return key.space == Space::kOrphan && key.a == 0; }

void add_number(std::vector<std::string>& to, std::size_t number) {
  to.push_back(std::to_string(number));
}

}  // namespace

/// The keys and arguments of one batch.
class CommitRequest::Part {
 public:
  Part(const Core& core, const Batch& batch, std::vector<Key>& predicate_keys)
      : names_(core.names(batch.partition)), batch_(batch), predicate_keys_(predicate_keys) {
    keys_ = {names_.head(), names_.outcomes(), names_.log(), names_.undo(), core.first_head()};
    arguments_ = {writes(batch) ? "1" : "0",
                  batch.fence != 0 ? encoded(batch.fence) : std::string(),
                  core.channel(batch.partition),
                  encoded(batch.told),
                  "0",
                  "0",
                  "",
                  "",
                  "",
                  ""};
    require_once();
    add_predicates();
    add_operations();
    add_changes();
    add_orphans();
    arguments_[kTypes] = types_;
    for (const std::string& command : commands_) arguments_[kTypes + 1] += command + " ";
  }

  std::vector<std::string>& keys() { return keys_; }
  std::vector<std::string>& arguments() { return arguments_; }

 private:
  using Group = std::pair<std::size_t, std::vector<std::string>>;  // a key's place, arguments

  /// The place of a key of a segment, from 1. `read` says that the script reads it anyway.
  std::size_t place(bool in_order, std::size_t segment, bool read = false) {
    std::size_t& at = places_[(in_order ? kSegments : 0) + segment];
    if (at == 0) {
      keys_.push_back(in_order ? names_.ordered(segment) : names_.records(segment));
      types_ += read ? '-' : in_order ? 'x' : 'r';
      at = keys_.size();
    }
    return at;
  }
  std::size_t records(const Key& key, bool read = false) {
    return place(false, segment_of(key), read);
  }
  std::size_t in_order(const Key& key) {
    return ordered(key.space) ? place(true, segment_of(key)) : 0;
  }

  void require_once() const {
    std::set<Key> changed;
    bool once = true;
    if (batch_.changes.size() + batch_.operations.size() > 1) {
      for (const Change& change : batch_.changes) once = changed.insert(change.key).second && once;
      for (const Operation& does : batch_.operations) {
        once = once && (does.kind == Operation::Kind::kEraseRange || !changed.contains(does.key));
      }
    }
    if (!once) throw UsageError("a key is twice in a commit: make it one change");
  }

  void add(std::string argument) { arguments_.push_back(std::move(argument)); }
  void add(std::size_t number) { add_number(arguments_, number); }

  void add(const Range& range, std::uint64_t number, const Key* key) {
    const bool sets = ordered(range.space);
    const bool all = !sets || port::spans(range);
    add(std::string(sets ? "z" : "h"));
    add(all ? kSegments : 1);
    const std::size_t only = segment_of(range.space, range.a);
    for (std::size_t segment = 0; segment < kSegments; ++segment) {
      if (!all && segment != only) continue;
      add(place(false, segment));
      add(sets ? place(true, segment) : 0);
    }
    Bounds ends = bounds(range);
    add(std::move(ends.from));
    add(std::move(ends.to));
    add(std::string(port::backwards(range) ? "1" : "0"));
    add(std::to_string(number));
    add(key != nullptr ? encoded(*key) : std::string());
  }

  /// That so many of a few ids exist.
  void add_ids(Space space, std::int64_t from, std::int64_t to, std::uint64_t number) {
    add(std::string("c"));
    add(std::string("i"));
    add(kSegments);
    for (std::size_t segment = 0; segment < kSegments; ++segment) {
      add(place(false, segment));
      add(std::size_t{0});
    }
    std::string segments;
    if (from <= to) {
      const auto count = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from) + 1;
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto id = static_cast<std::int64_t>(static_cast<std::uint64_t>(from) + i);
        segments += "0123456789abcdef"[segment_of(space, id)];
      }
    }
    add(std::move(segments));
    add(encoded(Key{.space = space, .a = from}));
    add(std::string("0"));
    add(std::to_string(number));
    add(std::string());
  }

  /// kCount, or kNth as two of them: so many before the key, and the key.
  void add_ids(const Predicate& says) {
    const Range& range = says.range;
    if (says.kind == Kind::kCount) {
      return add_ids(range.space, range.from, range.to, says.number);
    }
    const std::int64_t key = says.key.a;
    const bool back = port::backwards(range);
    const bool can_be = says.number != 0 && port::in_range(range, says.key);
    const bool first = key == (back ? range.to : range.from);
    if (!can_be || first) {
      add_ids(range.space, 1, 0, can_be && says.number == 1 ? 0 : 1);
    } else {
      add_ids(range.space, back ? key + 1 : range.from, back ? range.to : key - 1, says.number - 1);
    }
    add_ids(range.space, key, key, 1);
  }

  void add_predicates() {
    std::array<std::vector<const Predicate*>, kSegments> of_keys;
    std::size_t groups = 0;
    std::size_t others = 0;
    for (const Predicate& says : batch_.predicates) {
      if (says.kind > Kind::kAnchored) {
        ++others;
        if (says.kind == Kind::kNth && narrow(says.range)) ++others;
        continue;
      }
      auto& group = of_keys[segment_of(says.key)];
      if (group.empty()) ++groups;
      group.push_back(&says);
    }
    add(groups);
    const std::size_t before = predicate_keys_.size();
    for (const auto& group : of_keys) {
      if (group.empty()) continue;
      add(records(group.front()->key, true));
      add(group.size());
      for (const Predicate* says : group) add(encoded(says->key));
      for (const Predicate* says : group) add(demand(*says));
      for (const Predicate* says : group) {
        add(before + static_cast<std::size_t>(says - batch_.predicates.data()));
      }
    }
    for (const Predicate& says : batch_.predicates) predicate_keys_.push_back(says.key);
    add(others);
    for (const Predicate& says : batch_.predicates) {
      if (says.kind == Kind::kPending) {
        add(std::string("p"));
        add(encoded(says.number));
      } else if (says.kind == Kind::kUnmoved) {
        add(std::string("u"));
        add(encoded(says.state).substr(0, 16));
      } else if (says.kind > Kind::kAnchored && narrow(says.range)) {
        add_ids(says);
      } else if (says.kind > Kind::kAnchored) {
        add(std::string(says.kind == Kind::kCount ? "c" : "n"));
        add(says.range, says.number, says.kind == Kind::kNth ? &says.key : nullptr);
      }
    }
  }

  void add_operations() {
    add(batch_.operations.size());
    for (const Operation& does : batch_.operations) {
      commands_.insert({"HSET", "HDEL", "ZADD", "ZREM"});  // also to undo it
      if (does.kind == Operation::Kind::kEraseRange) {
        add(std::string("r"));
        add(does.range,
            static_cast<std::uint64_t>(std::clamp<std::int64_t>(does.number, 0, kMostErased)),
            nullptr);
        touches_pending_ = touches_pending_ || lists_pending(does.range);
        continue;
      }
      const bool links = does.kind == Operation::Kind::kLinks;
      const bool erases = does.kind == Operation::Kind::kErase;
      if (!erases && does.key.space != (links ? Space::kEdge : Space::kCounter)) {
        throw UsageError("only edges and counters are added to");
      }
      add(std::string(erases ? "e" : links ? "l" : "a"));
      add(records(does.key));
      add(in_order(does.key));
      add(encoded(does.key));
      if (erases) {
        touches_pending_ = touches_pending_ || lists_pending(does.key);
        continue;
      }
      commands_.insert("HINCRBY");
      add(std::to_string(does.number));
      if (!links) continue;
      add(encoded(Key{.space = Space::kNode, .a = does.key.a}));
      add(does.key.a != does.key.b ? encoded(static_cast<std::uint64_t>(does.key.b))
                                   : std::string());
    }
  }

  void add_changes() {
    std::array<std::map<std::size_t, std::vector<std::string>>, 4> commands;  // by key
    auto& [hset, hdel, zadd, zrem] = commands;
    for (const auto& [key, record] : batch_.changes) {
      std::string field = encoded(key);
      if (const std::size_t x = in_order(key); x != 0) {
        if (record) zadd[x].emplace_back("0");
        (record ? zadd : zrem)[x].push_back(field);
      }
      auto& group = (record ? hset : hdel)[records(key)];
      group.push_back(std::move(field));
      if (record) group.push_back(encoded(key, *record));
      if (lists_pending(key)) (record ? lists_ : touches_pending_) = true;
    }
    static constexpr std::array<const char*, 4> kNames{"HSET", "HDEL", "ZADD", "ZREM"};
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (!commands[i].empty()) commands_.insert(kNames[i]);
      add(commands[i].size());
      for (auto& [at, arguments] : commands[i]) {
        add(at);
        add(arguments.size());
        std::move(arguments.begin(), arguments.end(), std::back_inserter(arguments_));
      }
    }
  }

  void add_orphans() {
    if (!lists_ && !touches_pending_) return;
    const Range pending{.space = Space::kOrphan};
    Bounds ends = bounds(pending);
    arguments_[4] = lists_ ? "2" : "1";
    arguments_[5] = std::to_string(place(true, segment_of(Space::kOrphan, 0)));
    arguments_[8] = std::move(ends.from);
    arguments_[9] = std::move(ends.to);
  }

  const Names names_;
  const Batch& batch_;
  std::vector<Key>& predicate_keys_;
  std::vector<std::string> keys_;
  std::vector<std::string> arguments_;
  std::array<std::size_t, 2 * kSegments> places_{};
  std::string types_;
  std::set<std::string> commands_;
  bool lists_ = false;
  bool touches_pending_ = false;
};

CommitRequest::CommitRequest(const Core& core, const port::CommitId& id,
                             std::span<const Batch> batches, bool resent) {
  call_.script = Script::kCommit;
  std::vector<std::string>& all = call_.arguments;
  all = {core.constant, "0", encoded(id.session), encoded(id.sequence), resent ? "1" : "0"};
  add_number(all, batches.size());
  std::set<port::Partition> partitions;
  std::vector<std::string> rest;
  for (const Batch& batch : batches) {
    if (!partitions.insert(batch.partition).second) {
      throw UsageError("a partition is twice in a commit: make it one batch");
    }
    Part part(core, batch, predicate_keys_);
    add_number(all, part.keys().size());
    add_number(all, part.arguments().size());
    std::move(part.keys().begin(), part.keys().end(), std::back_inserter(call_.keys));
    std::move(part.arguments().begin(), part.arguments().end(), std::back_inserter(rest));
  }
  std::move(rest.begin(), rest.end(), std::back_inserter(all));
}

void CommitRequest::set_latest(std::int64_t time) { call_.arguments[1] = std::to_string(time); }

CommitResult CommitRequest::result(const ReplyPart& reply) const {
  if (reply.error()) return refused(reply.text());
  CommitResult result = decoded_result(reply[0].text());
  if (result.outcome == Outcome::kConflict) {
    std::vector<std::pair<std::size_t, std::size_t>> order;  // of the predicate, in the reply
    for (std::size_t i = 1; i + 1 < reply.size(); i += 2) {
      order.emplace_back(static_cast<std::size_t>(reply[i].number()), i + 1);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [predicate, at] : order) {
      const Key& key = predicate_keys_.at(predicate);
      std::optional<port::Record> record;
      if (!reply[at].nil()) record = decoded_record(key.space, reply[at].text());
      result.fresh.push_back({key, std::move(record)});
    }
  } else if (result.reason == Reason::kLeased) {
    const std::chrono::microseconds left(reply[1].number());
    result.wait =
        std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(left));
  } else if (result.reason == Reason::kNoPartition) {
    result.detail = "the store was deleted while it was open";
  } else if (result.reason == Reason::kRefused) {
    result.detail = reply[1].text();
  }
  return result;
}

CommitResult decoded_result(std::string_view text) {
  constexpr std::size_t kFixed = 3;
  constexpr std::size_t kState = 24;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  if (text.size() < kFixed || byte(0) > 2 || byte(1) > static_cast<int>(Reason::kUnreached) ||
      text.size() < kFixed + kState * byte(2)) {
    throw ForeignFileError("an outcome in Redis is not graven's: something else wrote there");
  }
  CommitResult result{.outcome = static_cast<Outcome>(byte(0)),
                      .reason = static_cast<Reason>(byte(1))};
  std::size_t at = kFixed;
  for (std::size_t i = 0; i < byte(2); ++i, at += kState) {
    result.states.push_back(decoded_state(text, at));
  }
  while (at < text.size()) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [next, error] = std::from_chars(text.data() + at, end, number);
    if (error != std::errc()) throw ForeignFileError("an outcome in Redis is damaged");
    result.given.push_back(number);
    at = static_cast<std::size_t>(next - text.data()) + 1;
  }
  return result;
}

CommitResult refused(std::string_view error) {
  static constexpr std::array<std::pair<std::string_view, Reason>, 9> kKinds{{
      {"OOM ", Reason::kFull},
      {"MISCONF", Reason::kFull},
      {"READONLY", Reason::kReadOnly},
      {"NOREPLICAS", Reason::kFull},
      {"LOADING", Reason::kUnreached},
      {"BUSY ", Reason::kUnreached},
      {"MASTERDOWN", Reason::kUnreached},
      {"TRYAGAIN", Reason::kUnreached},
      {"GONE ", Reason::kNoPartition},
  }};
  CommitResult result{
      .outcome = Outcome::kNotDone, .reason = Reason::kRefused, .detail = std::string(error)};
  for (const auto& [kind, reason] : kKinds) {
    // Before Redis 7 the error of a script's command stands within the script's error.
    if (error.starts_with(kind) || error.find("-" + std::string(kind)) != error.npos) {
      result.reason = reason;
      break;
    }
  }
  return result;
}

}  // namespace graven::redis
