// SPDX-License-Identifier: MIT
//
// The calls of a Client.
#include <random>

#include "conformance/port_under_test.hpp"

namespace graven::test {
namespace {

std::uint64_t new_session() {
  std::random_device device;
  return std::uint64_t{device()} << 31U | device() | 1U;
}

}  // namespace

Client::Client(port::Backend& store, port::Partition partition)
    : store_(store), partition_(partition), session_(new_session()) {}

port::CommitResult Client::commit(const port::CommitId& id, port::Batch batch, bool resent) {
  batch.partition = partition_;
  return store_.commit(id, {&batch, 1}, {.resent = resent}, patiently());
}

bool Client::holds(port::Predicate predicate) {
  const port::CommitResult result = commit({.predicates = {std::move(predicate)}});
  EXPECT_TRUE(result.outcome == port::Outcome::kDone || result.outcome == port::Outcome::kConflict);
  return result.outcome == port::Outcome::kDone;
}

port::CommitResult Client::resolve(const port::CommitId& id) {
  return store_.resolve(id, {&partition_, 1}, patiently());
}

std::optional<port::Record> Client::load(const port::Key& key) {
  port::StateVersion state;
  return store_.find(partition_, key, state, patiently());
}

std::vector<port::Row> Client::scan(const port::Range& range, std::size_t limit) {
  const port::ReadOp op{.range = range, .limit = limit};
  std::vector<port::Row> found;
  store_.read(
      partition_, {&op, 1},
      [&](std::size_t, std::span<port::Row> rows, std::uint64_t) {
        found.assign(rows.begin(), rows.end());
      },
      patiently());
  return found;
}

std::int64_t Client::number(const port::Key& key) {
  const std::optional<port::Record> record = load(key);
  return record ? record->integers[0] : -1;
}

port::StateVersion Client::state() {
  port::StateVersion state;
  store_.find(partition_, at_node(1), state, patiently());
  return state;
}

}  // namespace graven::test
