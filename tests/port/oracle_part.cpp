// SPDX-License-Identifier: MIT
//
// See oracle_part.hpp.
#include "port/oracle_part.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <graven/error.hpp>

namespace graven::oracle {

using namespace port;

namespace {

using State = std::optional<Record>;

}  // namespace

std::vector<Row> rows_of(const Records& records, const Range& range, std::size_t limit) {
  const bool ids = schema(range.space).shape == KeyShape::kId;
  const Key first{.space = range.space, .a = ids ? range.from : range.a, .b = INT64_MIN};
  const std::int64_t last = ids ? range.to : std::max(range.a, range.a_to);
  std::vector<Row> rows;
  for (auto at = records.lower_bound(first); at != records.end(); ++at) {
    if (at->first.space != range.space || at->first.a > last) break;
    if (rows.size() >= limit && !backwards(range)) break;
    if (in_range(range, at->first)) rows.push_back({at->first, at->second});
  }
  if (backwards(range)) std::reverse(rows.begin(), rows.end());
  if (rows.size() > limit) rows.resize(limit);
  return rows;
}

std::optional<Record> Part::find(const Key& key) const {
  const auto at = records->find(key);
  return at == records->end() ? std::nullopt : State(at->second);
}

bool Part::set(const Key& key, std::optional<Record> record) {
  if (records.use_count() > 1) records = std::make_shared<Records>(*records);
  const bool existed = records->erase(key) != 0;
  if (record && !schema(key.space).has_version) record->version = 0;
  if (record) records->emplace(key, *std::move(record));
  return existed;
}

const Part::Last* Part::decided(const CommitId& id) const {
  const auto at = outcomes.find(id.session);
  return at == outcomes.end() || at->second.sequence < id.sequence ? nullptr : &at->second;
}

bool of_key(Predicate::Kind kind) { return kind <= Predicate::Kind::kAnchored; }

bool Part::holds(const Predicate& says) const {
  using Kind = Predicate::Kind;
  if (says.kind == Kind::kPending) return state.pending == says.number;
  if (says.kind == Kind::kUnmoved) return state == says.state;
  if (!of_key(says.kind)) {
    const std::vector<Row> rows = rows_of(*records, says.range, SIZE_MAX);
    if (says.kind == Kind::kCount) return rows.size() == says.number;
    return 0 < says.number && says.number <= rows.size() && rows[says.number - 1].key == says.key;
  }
  const State found = find(says.key);
  if (says.kind == Kind::kAbsent || !found) return says.kind == Kind::kAbsent && !found;
  if (says.kind == Kind::kVersion) return found->version == says.number;
  if (says.kind == Kind::kSame) {
    return found->integers == says.record.integers && found->body == says.record.body;
  }
  const std::int64_t anchor = found->integers[kNodeAnchor];
  return says.kind == Kind::kAnchored ? anchor > 0
                                      : static_cast<std::uint64_t>(anchor) == says.number;
}

std::int64_t Part::operate(const Operation& does, CommitResult& result) {
  using Kind = Operation::Kind;
  if (does.kind == Kind::kErase) return set(does.key, std::nullopt) ? 1 : 0;
  if (does.kind == Kind::kEraseRange) {
    const std::vector<Row> rows =
        rows_of(*records, does.range, static_cast<std::size_t>(does.number));
    for (const Row& row : rows) set(row.key, std::nullopt);
    return static_cast<std::int64_t>(rows.size());
  }
  Record record = find(does.key).value_or(Record{});
  std::int64_t& number = record.integers[does.kind == Kind::kAdd ? kCounterValue : kEdgeLinks];
  if (__builtin_add_overflow(number, does.number, &number)) {
    result = {.outcome = Outcome::kNotDone, .reason = Reason::kOverflow};
    return 0;
  }
  const std::int64_t given = number;
  if (does.kind == Kind::kLinks) {
    const auto [child, parent] = std::pair(does.key.a, does.key.b);
    const State node = find({.space = Space::kNode, .a = child});
    const bool anchored = node && child != parent && node->integers[kNodeAnchor] == parent;
    if (anchored || given < 0) result.outcome = Outcome::kConflict;
  }
  const bool gone = does.kind == Kind::kLinks && given == 0;
  set(does.key, gone ? std::nullopt : State(std::move(record)));
  return given;
}

void require_allowed(std::span<const Batch> batches) {
  std::set<Partition> partitions;
  for (const Batch& batch : batches) {
    std::set<Key> changed;
    bool once = partitions.insert(batch.partition).second;
    for (const Change& change : batch.changes) once = changed.insert(change.key).second && once;
    for (const Operation& does : batch.operations) {
      once = once && (does.kind == Operation::Kind::kEraseRange || !changed.contains(does.key));
    }
    if (!once) throw UsageError("oracle: a partition or key is twice in a commit: make it one");
  }
}

}  // namespace graven::oracle
