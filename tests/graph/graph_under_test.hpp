// SPDX-License-Identifier: MIT
//
// A database in a test, on every backend, and what lies below it: its session, its store,
// its raw records, and ways to change those behind the graph's back.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"
#include "graph/collector/heap.hpp"
#include "graph/node/node.hpp"
#include "graph/scope.hpp"
#include "port/oracle.hpp"
#include "servers/stores.hpp"

namespace graven::test {

using graph::NodeId;
using graph::NodeRecord;
using port::Change;
using port::Key;
using port::Record;
using port::Space;

inline graph::Session& session_of(const Database& db) { return db.scope()->session(); }
inline graph::Heap& heap_of(const Database& db) { return session_of(db).heap(); }
inline store::Store& store_of(const Database& db) { return heap_of(db).store(); }
inline NodeId id_of(const Node& node) { return node.pin()->id(); }

using Records = std::map<Key, Record>;

/// Every record of one space, as the port gives it.
inline Records records_of(port::View& view, Space space) {
  Records records;
  for (port::Row& row : view.scan(port::whole(space), SIZE_MAX)) {
    records.emplace(row.key, std::move(row.record));
  }
  return records;
}

/// Every record there is.
inline Records all_records(const Database& db) {
  Records records;
  const auto view = store_of(db).view();
  for (std::size_t space = 0; space < port::kSpaceCount; ++space) {
    records.merge(records_of(*view, static_cast<Space>(space)));
  }
  return records;
}

/// How many records there are besides the clock, which not every store has.
inline std::size_t record_count(const Database& db) {
  Records records = all_records(db);
  return records.size() - records.erase(port::clock_key());
}

/// Changes records behind the graph's back.
inline void plant(const Database& db, const std::vector<Change>& changes) {
  const auto transaction = store_of(db).records().begin(soon());
  const auto clock = transaction->load(port::clock_key());
  for (const Change& change : changes) transaction->load(change.key);  // none of them is new
  transaction->apply(changes);
  transaction->commit(static_cast<std::uint64_t>(clock ? clock->integers[0] : 1));
}

inline NodeRecord stored_node(const Database& db, NodeId id) {
  return graph::load_node(*store_of(db).view(), id);
}
inline NodeRecord stored_node(const Database& db, const Node& node) {
  return stored_node(db, id_of(node));
}
inline Change saved(const NodeRecord& node) {
  return {graph::node_key(node.id), graph::to_record(node)};
}
inline Change erased(Key key) { return {std::move(key), std::nullopt}; }
inline Change edge(NodeId child, NodeId parent, std::int64_t links) {
  return {graph::edge_key(child, parent), Record{.integers = {links}}};
}

inline std::string problems_of(const CheckReport& report) {
  std::string text;
  for (const Problem& problem : report.problems) {
    text += (problem.node.empty() ? "store" : problem.node) + ": " + problem.what + "\n";
  }
  return text;
}

inline void expect_clean(const Database& db) {
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << problems_of(report);
}

/// A database on a store of its own.
inline Database over(std::unique_ptr<port::Backend> backend, const Options& options = {}) {
  return Database(graph::make_live_scope(std::make_shared<graph::Session>(
      std::make_shared<store::Store>(std::move(backend)), options)));
}

/// A database on the backend the parameter names. (The oracle and servers have no interactive
/// transactions.)
class OnEveryStore : public ::testing::TestWithParam<std::string> {
 protected:
  /// Whether what is written is there for whoever opens url() next.
  [[nodiscard]] bool persistent() const { return is("sqlite") || !server_url_.empty(); }
  /// Whether the store keeps its clock as a record.
  [[nodiscard]] bool has_clock() const { return in_file() || is("memory"); }
  [[nodiscard]] bool in_file() const { return is("sqlite") || is("lazy"); }
  [[nodiscard]] std::string url() const {
    return in_file() ? folder_ / "test.db" : server_url_.empty() ? "memory://" : server_url_;
  }
  /// A lazy store is flushed all the time.
  [[nodiscard]] Options options() const {
    Options options;
    if (is("lazy")) options.persist = Persist::kLazy;
    options.flush_interval = std::chrono::milliseconds(2);
    return options;
  }

  [[nodiscard]] bool is(const std::string& store) const { return GetParam() == store; }
  [[nodiscard]] Database open() const {
    if (is("oracle")) return over(oracle::Oracle::open(oracle::Oracle::create()));
    return Database(url(), options());
  }

  TemporaryFolder folder_;
  const std::string server_url_ = url_of_new_store(GetParam());
  Database db{open()};
};

inline std::vector<std::string> every_store() {
  std::vector<std::string> all{"memory", "sqlite", "lazy", "oracle"};
  for (const std::string& name : server_stores()) all.push_back(name);
  return all;
}

inline std::string store_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param;
}

#define GRAVEN_ON_EVERY_STORE(Suite)                                                          \
  INSTANTIATE_TEST_SUITE_P(Stores, Suite, ::testing::ValuesIn(::graven::test::every_store()), \
                           ::graven::test::store_name)

}  // namespace graven::test
