// SPDX-License-Identifier: MIT
//
// See commit_request.hpp. One thread at a time.
#include "backends/postgres/commit_request.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/postgres/reads.hpp"
#include "port/predicates.hpp"

namespace graven::postgres {
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
using port::Record;
using port::Space;

using Numbers = std::vector<std::int64_t>;

void add(Parameters& parameters, const Numbers& numbers) {
  parameters.add(std::span<const std::int64_t>(numbers));
}
void add(Parameters& parameters, const std::vector<std::int32_t>& numbers) {
  parameters.add(std::span<const std::int32_t>(numbers));
}
void add(Parameters& parameters, const std::vector<std::string_view>& values) {
  parameters.add(std::span<const std::string_view>(values));
}

/// Keys as arrays. Fields that none of them uses are not sent.
struct Keys {
  int spaces = 0;
  std::vector<std::int32_t> space{};
  Numbers a{};
  Numbers b{};
  std::vector<std::string_view> names{};
  bool pairs = false;
  bool named = false;

  void push(const Key& key) {
    const port::KeyShape shape = port::schema(key.space).shape;
    spaces |= 1 << static_cast<int>(key.space);
    space.push_back(static_cast<std::int32_t>(key.space));
    a.push_back(key.a);
    b.push_back(key.b);
    names.emplace_back(key.name);
    pairs = pairs || shape == port::KeyShape::kPair;
    named = named || shape == port::KeyShape::kName;
  }
  void send_fields(Parameters& parameters) const {
    add(parameters, space);
    add(parameters, a);
    add(parameters, pairs ? b : Numbers());
    add(parameters, named ? names : std::vector<std::string_view>());
  }
};

/// Integers and bodies of records.
struct Values {
  std::array<Numbers, port::kMaxIntegers> integers{};
  std::vector<std::string_view> bodies{};

  void push(const Record& record) {
    for (std::size_t i = 0; i < integers.size(); ++i) integers[i].push_back(record.integers[i]);
    bodies.emplace_back(record.body);
  }
  void send(Parameters& parameters) const {
    for (const Numbers& numbers : integers) add(parameters, numbers);
    add(parameters, bodies);
  }
};

/// Ranges as arrays.
struct Ranges {
  int spaces = 0;
  std::vector<std::int32_t> form{};
  Numbers a{};
  Numbers a_to{};
  Numbers lo{};
  Numbers hi{};
  std::vector<std::string> firsts{};

  void push(const Range& range) {
    spaces |= 1 << static_cast<int>(range.space);
    form.push_back(static_cast<std::int32_t>(form_of(range)));
    a.push_back(range.a);
    a_to.push_back(range.a_to);
    lo.push_back(range.from);
    hi.push_back(highest(range));
    firsts.push_back(end_name(range));
  }
};

std::int64_t clamped(std::uint64_t number) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() - 1;
  return static_cast<std::int64_t>(std::min(number, kMost));
}

bool is_full(const Batch& batch) {
  return !batch.operations.empty() ||
         std::any_of(batch.predicates.begin(), batch.predicates.end(),
                     [](const Predicate& one) { return !port::on_key(one); });
}

bool fits(const Key& key) { return key.name.size() <= kLongestName; }

int bits_of(const Batch& batch) {
  int bits = writes(batch) ? kWrites : 0;
  for (const Change& change : batch.changes) {
    if (change.key.space != Space::kOrphan || change.key.a != 0) continue;
    bits |= change.record ? kLists : kUnlists;
  }
  for (const Operation& does : batch.operations) {
    if (does.kind == Operation::Kind::kErase || does.kind == Operation::Kind::kEraseRange) {
      bits |= kUnlists;
    }
  }
  return bits;
}

}  // namespace

void require_allowed(std::span<const Batch> batches) {
  for (const Batch& batch : batches) {
    for (const Operation& does : batch.operations) {
      const bool wrong =
          (does.kind == Operation::Kind::kAdd && does.key.space != Space::kCounter) ||
          (does.kind == Operation::Kind::kLinks && does.key.space != Space::kEdge);
      if (wrong) throw UsageError("add is for counters and links for edges only: put the record");
    }
  }
}

bool names_fit(const Batch& batch) {
  return std::all_of(batch.predicates.begin(), batch.predicates.end(),
                     [](const auto& one) { return fits(one.key); }) &&
         std::all_of(batch.operations.begin(), batch.operations.end(),
                     [](const auto& one) { return fits(one.key); }) &&
         std::all_of(batch.changes.begin(), batch.changes.end(),
                     [](const auto& one) { return fits(one.key); });
}

CommitRequest::CommitRequest(const Store& store, const port::CommitId& id, const Batch& batch,
                             int bits, ServerTime latest) {
  const bool full = is_full(batch);
  const std::string_view hashes(reinterpret_cast<const char*>(batch.told.hashes.data()),
                                batch.told.hashes.size() * sizeof(std::uint64_t));
  parameters_.add(batch.partition.number);
  parameters_.add(store.lock_of(batch.partition));
  parameters_.add(id.session);
  parameters_.add(id.sequence);
  parameters_.add(latest);
  parameters_.add(std::int32_t{bits | bits_of(batch)});
  parameters_.add(batch.fence);
  parameters_.add(hashes);
  parameters_.add(batch.told.flags());
  add_predicates(batch);
  add_changes(batch);
  if (full) {
    add_ranges(batch);
    add_operations(batch);
  }
  text_ = full ? &store.functions.commit_full : &store.functions.commit;
}

void CommitRequest::add_predicates(const Batch& batch) {
  Keys keys;
  std::vector<std::int32_t> kinds;
  Numbers numbers;
  Values values;
  bool same = false;
  for (const Predicate& says : batch.predicates) {
    if (!port::on_key(says)) continue;
    on_keys_.push_back(&says);
    keys.push(says.key);
    kinds.push_back(static_cast<std::int32_t>(says.kind));
    numbers.push_back(static_cast<std::int64_t>(says.number));
    values.push(says.record);
    same = same || says.kind == Predicate::Kind::kSame;
  }
  parameters_.add(std::int32_t{keys.spaces});
  add(parameters_, kinds);
  keys.send_fields(parameters_);
  add(parameters_, numbers);
  (same ? values : Values()).send(parameters_);
}

void CommitRequest::add_changes(const Batch& batch) {
  Keys put;
  Keys erased;
  Numbers versions;
  Values values;
  for (const Change& change : batch.changes) {
    if (!change.record) {
      erased.push(change.key);
      continue;
    }
    put.push(change.key);
    versions.push_back(static_cast<std::int64_t>(change.record->version));
    values.push(*change.record);
  }
  parameters_.add(std::int32_t{put.spaces});
  put.send_fields(parameters_);
  add(parameters_, versions);
  values.send(parameters_);
  parameters_.add(std::int32_t{erased.spaces});
  erased.send_fields(parameters_);
}

void CommitRequest::add_ranges(const Batch& batch) {
  Numbers pending;
  Numbers clocks;
  Numbers histories;
  std::vector<std::int32_t> kinds;
  Ranges ranges;
  std::vector<std::int32_t> spaces;
  Numbers numbers;
  Keys keys;
  for (const Predicate& says : batch.predicates) {
    if (port::on_key(says)) continue;
    if (says.kind == Predicate::Kind::kPending) {
      pending.push_back(static_cast<std::int64_t>(says.number));
    } else if (says.kind == Predicate::Kind::kUnmoved) {
      clocks.push_back(static_cast<std::int64_t>(says.state.clock));
      histories.push_back(static_cast<std::int64_t>(says.state.history));
    } else {
      kinds.push_back(static_cast<std::int32_t>(says.kind));
      ranges.push(says.range);
      spaces.push_back(static_cast<std::int32_t>(says.range.space));
      numbers.push_back(clamped(says.number));
      keys.push(says.key);
    }
  }
  const std::vector<std::string_view> firsts(ranges.firsts.begin(), ranges.firsts.end());
  add(parameters_, pending);
  add(parameters_, clocks);
  add(parameters_, histories);
  parameters_.add(std::int32_t{ranges.spaces});
  add(parameters_, kinds);
  add(parameters_, ranges.form);
  add(parameters_, spaces);
  add(parameters_, ranges.a);
  add(parameters_, ranges.a_to);
  add(parameters_, ranges.lo);
  add(parameters_, ranges.hi);
  add(parameters_, firsts);
  add(parameters_, numbers);
  add(parameters_, keys.a);
  add(parameters_, keys.b);
  add(parameters_, keys.names);
}

void CommitRequest::add_operations(const Batch& batch) {
  std::vector<std::int32_t> kinds;
  std::vector<std::int32_t> spaces;
  Ranges ranges;
  Numbers a;
  Numbers b;
  Numbers numbers;
  for (const Operation& does : batch.operations) {
    const bool range = does.kind == Operation::Kind::kEraseRange;
    kinds.push_back(static_cast<std::int32_t>(does.kind));
    spaces.push_back(static_cast<std::int32_t>(range ? does.range.space : does.key.space));
    ranges.push(does.range);
    if (!range) ranges.firsts.back() = does.key.name;
    a.push_back(range ? does.range.a : does.key.a);
    b.push_back(does.key.b);
    numbers.push_back(range ? std::max<std::int64_t>(does.number, 0) : does.number);
  }
  const std::vector<std::string_view> names(ranges.firsts.begin(), ranges.firsts.end());
  add(parameters_, kinds);
  add(parameters_, ranges.form);
  add(parameters_, spaces);
  add(parameters_, a);
  add(parameters_, b);
  add(parameters_, ranges.a_to);
  add(parameters_, ranges.lo);
  add(parameters_, ranges.hi);
  add(parameters_, names);
  add(parameters_, numbers);
}

CommitResult CommitRequest::result(const Result& answer, Connection& connection) const {
  return result_of(answer, on_keys_, connection);
}

Parameters resolve_parameters(const Store& store, const port::CommitId& id,
                              const port::Partition& partition, ServerTime latest) {
  Parameters parameters;
  parameters.add(partition.number);
  parameters.add(store.lock_of(partition));
  parameters.add(id.session);
  parameters.add(id.sequence);
  parameters.add(latest);
  return parameters;
}

CommitResult result_of(const Result& answer, std::span<const Predicate* const> on_keys,
                       Connection& connection) {
  constexpr int kVersion = 4;
  CommitResult result{.outcome = Outcome::kUnknown};
  std::vector<std::pair<std::int32_t, Change>> fresh;
  for (int row = 0; row < answer.rows(); ++row) {
    const std::int32_t op = answer.int32(row, 0);
    if (op >= 0) {
      const Predicate& says = *on_keys[static_cast<std::size_t>(op)];
      Change& change = fresh.emplace_back(op, Change{says.key, std::nullopt}).second;
      if (!answer.null(row, kVersion)) change.record = record_at(answer, row, kVersion);
      continue;
    }
    if (op == -2) {
      result.given.push_back(answer.int64(row, 1));
      continue;
    }
    const std::int64_t kind = answer.int64(row, kVersion);
    if (!answer.null(row, 10)) connection.learn_time(answer.int64(row, 10));
    if (kind == kKindDone || kind == kKindConfirmed) result.outcome = Outcome::kDone;
    if (kind == kKindConflict) result.outcome = Outcome::kConflict;
    if (kind >= kKindRefused) {
      result.outcome = Outcome::kNotDone;
      result.reason = static_cast<Reason>(kind - kKindRefused);
      result.wait = std::chrono::milliseconds(answer.int64(row, 6));
    } else if (kind >= 0) {
      result.states.push_back({.clock = answer.uint64(row, 1),
                               .history = answer.uint64(row, 2),
                               .pending = answer.uint64(row, 5)});
    } else {
      result.detail = "the session has committed since; ask before the next commit";
    }
  }
  std::stable_sort(fresh.begin(), fresh.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  if (result.outcome == Outcome::kConflict) {
    for (auto& [op, change] : fresh) result.fresh.push_back(std::move(change));
  }
  return result;
}

}  // namespace graven::postgres
