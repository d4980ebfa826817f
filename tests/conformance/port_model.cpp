// SPDX-License-Identifier: MIT
//
// See port_model.hpp.
#include "conformance/port_model.hpp"

#include <algorithm>

namespace graven::test {

using port::Key;
using port::Operation;
using port::Predicate;
using port::Record;

std::optional<Record> PortModel::find(const Key& key) const {
  const auto at = records_.find(key);
  return at == records_.end() ? std::nullopt : std::optional(at->second);
}

std::vector<Key> PortModel::keys_in(const port::Range& range) const {
  std::vector<Key> keys;
  for (const auto& [key, record] : records_) {
    if (port::in_range(range, key)) keys.push_back(key);
  }
  if (range.reverse) std::reverse(keys.begin(), keys.end());
  return keys;
}

bool PortModel::holds(const Predicate& predicate) const {
  const std::optional<Record> record = find(predicate.key);
  const std::int64_t anchor = record ? record->integers[2] : 0;
  const auto number = predicate.number;
  switch (predicate.kind) {
    case Predicate::Kind::kVersion:
      return record && record->version == number;
    case Predicate::Kind::kAbsent:
      return !record;
    case Predicate::Kind::kSame:
      return record && *record == predicate.record;
    case Predicate::Kind::kAnchor:
      return record && anchor == static_cast<std::int64_t>(number);
    case Predicate::Kind::kAnchored:
      return record && anchor > 0;
    case Predicate::Kind::kCount:
      return keys_in(predicate.range).size() == number;
    case Predicate::Kind::kNth: {
      const std::vector<Key> keys = keys_in(predicate.range);
      return number >= 1 && number <= keys.size() && keys[number - 1] == predicate.key;
    }
    case Predicate::Kind::kPending:
      return state.pending == number;
    case Predicate::Kind::kUnmoved:
      return state == predicate.state;
  }
  return false;
}

bool PortModel::conflicts(const port::Batch& batch) const {
  if (!std::all_of(batch.predicates.begin(), batch.predicates.end(),
                   [&](const Predicate& one) { return holds(one); })) {
    return true;
  }
  PortModel tried = *this;
  return !std::all_of(batch.operations.begin(), batch.operations.end(),
                      [&](const Operation& one) { return tried.operate(one).has_value(); });
}

std::optional<std::int64_t> PortModel::operate(const Operation& operation) {
  const Key& key = operation.key;
  const std::int64_t before = records_.contains(key) ? records_[key].integers[0] : 0;
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      records_[key].integers[0] = before + operation.number;
      return before + operation.number;
    case Operation::Kind::kLinks: {
      const Key child{.space = port::Space::kNode, .a = key.a};
      const bool anchor =
          key.a != key.b && records_.contains(child) && records_[child].integers[2] == key.b;
      const std::int64_t links = before + operation.number;
      if (anchor || links < 0) return std::nullopt;
      records_[key].integers[0] = links;
      if (links == 0) records_.erase(key);
      return links;
    }
    case Operation::Kind::kErase:
      return static_cast<std::int64_t>(records_.erase(key));
    case Operation::Kind::kEraseRange:
      break;
  }
  std::vector<Key> keys = keys_in(operation.range);
  keys.resize(std::min(keys.size(), static_cast<std::size_t>(operation.number)));
  for (const Key& one : keys) records_.erase(one);
  return static_cast<std::int64_t>(keys.size());
}

std::vector<std::int64_t> PortModel::apply(const port::Batch& batch) {
  std::vector<std::int64_t> given;
  for (const Operation& one : batch.operations) given.push_back(operate(one).value_or(INT64_MIN));
  for (const port::Change& change : batch.changes) {
    records_.erase(change.key);
    if (change.record) records_[change.key] = *change.record;
  }
  return given;
}

}  // namespace graven::test
