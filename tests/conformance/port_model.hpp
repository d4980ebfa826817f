// SPDX-License-Identifier: MIT
//
// A model of one partition, to check after the fact what a store has answered: what predicates and
// operations mean, once more and in the most direct way.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "port/batch.hpp"

namespace graven::test {

class PortModel {
 public:
  using Records = std::map<port::Key, port::Record>;

  port::StateVersion state{};  // as the store has told it

  [[nodiscard]] const Records& records() const noexcept { return records_; }
  [[nodiscard]] std::optional<port::Record> find(const port::Key& key) const;
  [[nodiscard]] std::vector<port::Key> keys_in(const port::Range& range) const;
  [[nodiscard]] bool holds(const port::Predicate& predicate) const;
  /// Whether a conflict is the right answer: a predicate does not hold, or links cannot be added.
  [[nodiscard]] bool conflicts(const port::Batch& batch) const;
  /// Does a batch that the store has done; returns what its operations give.
  std::vector<std::int64_t> apply(const port::Batch& batch);

 private:
  /// Nothing if it cannot be done.
  std::optional<std::int64_t> operate(const port::Operation& operation);

  Records records_;
};

}  // namespace graven::test
