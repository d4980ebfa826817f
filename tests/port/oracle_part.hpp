// SPDX-License-Identifier: MIT
//
// A partition of the oracle: its records, and what predicates and operations mean for them.
//
// Under the mutex of its OracleStore.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "port/batch.hpp"
#include "port/log.hpp"

namespace graven::oracle {

using Records = std::map<port::Key, port::Record>;

std::vector<port::Row> rows_of(const Records& records, const port::Range& range, std::size_t limit);

struct Part {
  struct Last {
    std::uint64_t sequence;
    port::CommitResult result;
  };

  std::shared_ptr<Records> records = std::make_shared<Records>();  // views may share it
  port::StateVersion state;
  std::deque<port::LogEntry> log;
  std::map<std::uint64_t, Last> outcomes;  // by session

  [[nodiscard]] std::optional<port::Record> find(const port::Key& key) const;
  /// Puts or erases a record; whether there was one.
  bool set(const port::Key& key, std::optional<port::Record> record);
  /// What was decided of this commit, or of a later one of the session.
  [[nodiscard]] const Last* decided(const port::CommitId& id) const;
  [[nodiscard]] bool holds(const port::Predicate& says) const;
  /// Does an operation and returns what it gives; if it fails, sets the outcome.
  std::int64_t operate(const port::Operation& does, port::CommitResult& result);
};

/// Whether it is a predicate of one record.
bool of_key(port::Predicate::Kind kind);

/// UsageError unless each partition is in the commit once, and in it each key.
void require_allowed(std::span<const port::Batch> batches);

}  // namespace graven::oracle
