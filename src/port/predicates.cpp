// SPDX-License-Identifier: MIT
//
// Each kind of predicate and of operation, over a View. See predicates.hpp.
#include "port/predicates.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "port/scan.hpp"

namespace graven::port {
namespace {

constexpr std::size_t kStep = 1'024;  // rows of one scan

using State = std::optional<Record>;

Key node_key(std::int64_t id) { return {.space = Space::kNode, .a = id}; }

/// The row at a place of the range, from 1.
std::optional<Row> nth_row(View& view, const Range& range, std::uint64_t place) {
  Batches batches(range);
  while (place != 0 && !batches.ended()) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(place, kStep));
    std::vector<Row> rows = batches.next(view, count);
    if (rows.size() < count) return std::nullopt;
    place -= count;
    if (place == 0) return std::move(rows.back());
  }
  return std::nullopt;
}

/// The state of a key once the changes are made.
State state_of(View& view, const Overlay& changes, const Key& key) {
  const auto changed = changes.find(key);
  return changed != changes.end() ? changed->second : view.load(key);
}

/// The first rows of a range once the changes are made.
std::vector<Row> first_rows(View& view, const Overlay& changes, const Range& range,
                            std::size_t limit) {
  const Overlay none;
  const auto itself = [](const State& state) { return &state; };
  return scan_layers(
      range, limit, 1, [&](const Range& rest, std::size_t count) { return view.scan(rest, count); },
      [&](const Range& rest, const Key* until, std::vector<Row>& page, std::vector<Row>& rows) {
        merge(rest, until, changes, none, itself, page, limit, rows);
      });
}

struct Performed {
  std::int64_t given = 0;
  Outcome outcome = Outcome::kDone;
  Reason reason = Reason::kNone;
};
constexpr Performed kOverflow{0, Outcome::kNotDone, Reason::kOverflow};
constexpr Performed kConflict{0, Outcome::kConflict, Reason::kNone};

Performed add(const Operation& operation, View& view, Overlay& changes) {
  Record counter = state_of(view, changes, operation.key).value_or(Record{});
  std::int64_t& value = counter.integers[kCounterValue];
  if (__builtin_add_overflow(value, operation.number, &value)) return kOverflow;
  const Performed performed{value};
  changes[operation.key] = std::move(counter);
  return performed;
}

Performed add_links(const Operation& operation, View& view, Overlay& changes) {
  const auto [child, parent] = std::pair(operation.key.a, operation.key.b);
  const State node = state_of(view, changes, node_key(child));
  if (node && node->integers[kNodeAnchor] == parent && parent != child) return kConflict;
  Record edge = state_of(view, changes, operation.key).value_or(Record{});
  std::int64_t& links = edge.integers[kEdgeLinks];
  if (__builtin_add_overflow(links, operation.number, &links)) return kOverflow;
  if (links < 0) return kConflict;
  const Performed performed{links};
  changes[operation.key] = links != 0 ? State(std::move(edge)) : std::nullopt;
  return performed;
}

Performed perform(const Operation& operation, View& view, Overlay& changes) {
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      return add(operation, view, changes);
    case Operation::Kind::kLinks:
      return add_links(operation, view, changes);
    case Operation::Kind::kErase: {
      const bool existed = state_of(view, changes, operation.key).has_value();
      changes[operation.key] = std::nullopt;
      return {existed ? 1 : 0};
    }
    case Operation::Kind::kEraseRange:
      break;
  }
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(operation.number, 0));
  const std::vector<Row> rows = first_rows(view, changes, operation.range, most);
  for (const Row& row : rows) changes[row.key] = std::nullopt;
  return {static_cast<std::int64_t>(rows.size())};
}

}  // namespace

bool any_pending(View& view) { return !view.scan({.space = Space::kOrphan, .a = 0}, 1).empty(); }

bool on_key(const Predicate& predicate) noexcept {
  return predicate.kind <= Predicate::Kind::kAnchored;
}

bool holds(const Predicate& predicate, View& view, const StateVersion& state) {
  const auto anchor_of = [](const Record& node) { return node.integers[kNodeAnchor]; };
  switch (predicate.kind) {
    case Predicate::Kind::kVersion: {
      const State record = view.load(predicate.key);
      return record && record->version == predicate.number;
    }
    case Predicate::Kind::kAbsent:
      return !view.load(predicate.key);
    case Predicate::Kind::kSame: {
      const State record = view.load(predicate.key);
      return record && record->integers == predicate.record.integers &&
             record->body == predicate.record.body;
    }
    case Predicate::Kind::kAnchor: {
      const State node = view.load(predicate.key);
      return node && anchor_of(*node) == static_cast<std::int64_t>(predicate.number);
    }
    case Predicate::Kind::kAnchored: {
      const State node = view.load(predicate.key);
      return node && anchor_of(*node) > 0;
    }
    case Predicate::Kind::kCount: {
      const std::uint64_t most = predicate.number + (predicate.number != UINT64_MAX ? 1 : 0);
      return count_rows(view, predicate.range, most) == predicate.number;
    }
    case Predicate::Kind::kNth: {
      const std::optional<Row> row = nth_row(view, predicate.range, predicate.number);
      return row && row->key == predicate.key;
    }
    case Predicate::Kind::kPending:
      return state.pending == predicate.number;
    case Predicate::Kind::kUnmoved:
      return state == predicate.state;
  }
  return false;
}

Plan plan(std::span<const Batch> batches, View& view, const StateVersion& state) {
  Plan plan;
  CommitResult& result = plan.result;
  for (const Batch& batch : batches) {
    for (const Predicate& predicate : batch.predicates) {
      if (holds(predicate, view, state)) continue;
      result.outcome = Outcome::kConflict;
      if (on_key(predicate)) result.fresh.push_back({predicate.key, view.load(predicate.key)});
    }
  }
  if (result.outcome != Outcome::kDone) return plan;
  for (const Batch& batch : batches) {
    for (const Operation& operation : batch.operations) {
      const Performed performed = perform(operation, view, plan.changes);
      if (performed.outcome != Outcome::kDone) {
        return {.result = {.outcome = performed.outcome, .reason = performed.reason}};
      }
      result.given.push_back(performed.given);
    }
    for (const auto& [key, record] : batch.changes) {
      State& changed = plan.changes[key] = record;
      if (changed && !schema(key.space).has_version) changed->version = 0;
    }
  }
  return plan;
}

StateVersion state_after(const StateVersion& before, const CommitId& id, const Overlay& changes,
                         View& after) {
  StateVersion state{.clock = before.clock + 1,
                     .history = history_after(before.history, id),
                     .pending = before.pending};
  const Key least{.space = Space::kOrphan, .a = 0, .b = std::numeric_limits<std::int64_t>::min()};
  for (auto at = changes.lower_bound(least);
       at != changes.end() && at->first.space == Space::kOrphan && at->first.a == 0; ++at) {
    if (at->second) state.pending = state.clock;
  }
  if (state.pending != 0 && !any_pending(after)) state.pending = 0;
  return state;
}

}  // namespace graven::port
