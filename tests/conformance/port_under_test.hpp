// SPDX-License-Identifier: MIT
//
// The stores that the suite of the port runs on, and short ways to use the port in it. A store is
// added by one line in port_under_test.cpp's table, which also tells what it lacks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "port/backend.hpp"

namespace graven::test {

struct PortKind {
  const char* name;
  /// Makes a store. Each call of what it returns opens the store, as one more process would.
  std::function<std::unique_ptr<port::Backend>()> (*create)();
  bool log;         // log() tells of at least the last 500 commits
  bool push;        // subscribe() does
  bool partitions;  // a partition has records and a state of its own
  bool several;     // a commit may be of several partitions
  bool leases;
};

inline std::ostream& operator<<(std::ostream& out, const PortKind& kind) {
  return out << kind.name;
}

/// Every store, for INSTANTIATE_TEST_SUITE_P.
std::vector<PortKind> every_port();

inline std::string port_name(const ::testing::TestParamInfo<PortKind>& info) {
  return info.param.name;
}

inline port::Deadline after(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline port::Deadline patiently() { return after(std::chrono::seconds(20)); }

inline port::Key at_node(std::int64_t id) { return {.space = port::Space::kNode, .a = id}; }
inline port::Key at_edge(std::int64_t child, std::int64_t parent) {
  return {.space = port::Space::kEdge, .a = child, .b = parent};
}
inline port::Key at_orphan(std::int64_t owner, std::int64_t node) {
  return {.space = port::Space::kOrphan, .a = owner, .b = node};
}
inline port::Key at_counter(std::string name) {
  return {.space = port::Space::kCounter, .a = 1, .name = std::move(name)};
}
inline port::Range edges_of(std::int64_t child) {
  return {.space = port::Space::kEdge, .a = child};
}

inline port::Record a_node(std::uint64_t version, std::int64_t anchor, std::string body = {}) {
  return {.version = version, .integers = {1, 0, anchor, 1}, .body = std::move(body)};
}
inline port::Record a_number(std::int64_t number) { return {.integers = {number}}; }

using Is = port::Predicate::Kind;
using Do = port::Operation::Kind;

/// A process, or a thread with a session of its own: gives ids to its commits.
class Client {
 public:
  explicit Client(port::Backend& store, port::Partition partition = {});

  port::CommitId next() { return {session_, ++sequence_}; }
  port::CommitResult commit(const port::CommitId& id, port::Batch batch, bool resent = false);
  port::CommitResult commit(port::Batch batch) { return commit(next(), std::move(batch)); }
  port::CommitResult put(const port::Key& key, std::optional<port::Record> record) {
    return commit({.changes = {{key, std::move(record)}}});
  }
  port::CommitResult operate(port::Operation operation) {
    return commit({.operations = {std::move(operation)}});
  }
  /// Whether a commit of this predicate alone is done.
  bool holds(port::Predicate predicate);
  port::CommitResult resolve(const port::CommitId& id);

  std::optional<port::Record> load(const port::Key& key);
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit = SIZE_MAX);
  std::int64_t number(const port::Key& key);  // -1: there is none
  port::StateVersion state();

  [[nodiscard]] port::Backend& store() const { return store_; }
  [[nodiscard]] const port::Partition& partition() const { return partition_; }

 private:
  port::Backend& store_;
  const port::Partition partition_;
  const std::uint64_t session_;
  std::uint64_t sequence_ = 0;
};

class PortConformance : public ::testing::TestWithParam<PortKind> {
 protected:
  std::function<std::unique_ptr<port::Backend>()> open_ = GetParam().create();
  std::unique_ptr<port::Backend> store_ = open_();
  Client client_{*store_};
};

}  // namespace graven::test
