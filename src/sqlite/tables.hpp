// SPDX-License-Identifier: MIT
//
// The spaces as SQLite tables: their SQL, written from store::schema(), and the reads and
// writes of one connection's prepared statements. A space keyed by an id is a rowid table; items of
// maps are one with an index on their key, their values being of any size; the others are WITHOUT
// ROWID. docs/format/sqlite.md shows the result.
//
// Always holds: every statement is reset before a call returns, so outside a transaction no
// call leaves a read lock behind.
//
// Belongs to its connection; one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sqlite/statement.hpp"
#include "store/record.hpp"

namespace graven::sqlite {

/// The CREATE statements of a space.
std::string create_table(store::Space space);

class Tables {
 public:
  explicit Tables(Connection& connection) noexcept : connection_(connection) {}

  std::optional<store::Record> load(const store::Key& key);
  /// Nothing where there is no such node; `reclaiming` is set only where there is one.
  std::optional<store::Record> load_node(std::int64_t id, bool& reclaiming);
  void load_many(std::span<const store::Key> keys,
                 const std::function<void(std::size_t, store::Record*)>& each);
  std::vector<store::Row> scan(const store::Range& range, std::size_t limit);
  bool reclaiming();
  std::uint64_t count_items(std::int64_t map);

  void put(const store::Key& key, const store::Record& record);
  void erase(const store::Key& key);

  /// Finalizes every statement.
  void clear() noexcept;

 private:
  struct Statements {
    Statement load;
    Statement put;
    Statement erase;
    Statement scan;
    Statement scan_reverse;
    Statement scan_named;  // with the empty name
    Statement scan_all;    // of many `a`
    Statement scan_all_named;
    Statement run;  // load_many: a stretch of keys in order
  };

  Statement& statement(store::Space space, Statement Statements::*which,
                       std::string (*sql)(store::Space));
  Statements& of(store::Space space) noexcept {
    return statements_[static_cast<std::size_t>(space)];
  }

  Connection& connection_;
  std::array<Statements, store::kSpaceCount> statements_;
  Statement load_node_;
  Statement reclaiming_;
  Statement count_items_;
};

}  // namespace graven::sqlite
