// SPDX-License-Identifier: MIT
//
// Reads and writes the spaces as SQLite tables, with prepared statements of one connection. A space
// keyed by an id is a rowid table; the others are WITHOUT ROWID. Values of items that are too large
// for that are in an overflow table ("beside"). docs/format/sqlite.md shows the tables.
//
// Always holds: every statement is reset before a call returns, so outside a transaction no call
// leaves a read lock behind. A row of the overflow table belongs to a row whose value is NULL.
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

#include "backends/sqlite/pool/statement.hpp"
#include "port/new_rows.hpp"
#include "port/range.hpp"
#include "port/record.hpp"

namespace graven::sqlite {

/// Whether an item of this port::ValueKind may be stored in this SQLite storage class.
bool holds_value(int kind, int type) noexcept;

class Tables {
 public:
  explicit Tables(Connection& connection) noexcept : connection_(connection) {}
  /// The store has format 1 and is only read.
  void expect_old_format() noexcept { old_format_ = true; }
  [[nodiscard]] bool old_format() const noexcept { return old_format_; }

  std::optional<port::Record> load(const port::Key& key);
  /// Nothing if there is no such node; `reclaiming` is only set if there is one.
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming);
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each);
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit);
  bool reclaiming();
  /// Orphans of any lease owner.
  bool any_orphans();
  std::uint64_t count_items(std::int64_t map);

  void put(const port::Key& key, const port::Record& record);
  /// Puts the first kRowsTogether changes with one statement, which costs less. Returns false and
  /// does nothing if they are not small items of one map. `changes` must not be empty.
  bool put_rows(std::span<const port::Change> changes);
  /// Inserts rows that are probably new; replaces a row that exists.
  void insert(const port::NewRows& rows);
  static constexpr std::size_t kRowsTogether = 32;  // rows per statement
  void erase(const port::Key& key);
  std::size_t erase_first(port::Space space, std::int64_t a, std::size_t limit);

  /// Call after a commit of this connection. `begun_in`: its data version when the transaction
  /// began.
  void committed(unsigned begun_in) noexcept;
  /// Call after a rollback, also to a savepoint.
  void rolled_back() noexcept { beside_.reset(); }

  /// Finalizes every statement.
  void clear() noexcept;

 private:
  struct Statements {
    Statement load;
    Statement put;
    Statement erase;
    Statement erase_first;
    Statement scan;
    Statement scan_reverse;
    Statement scan_named;  // includes the empty name
    Statement scan_all;    // over many `a`
    Statement scan_all_named;
    Statement run;  // load_many: consecutive keys in order
    Statement put_rows;
    Statement insert_rows;
    Statement put_unless_beside;
    Statement erase_telling;
    Statement put_beside;
    Statement erase_beside;
    Statement any_beside;
  };

  Statement& statement(port::Space space, Statement Statements::*which,
                       std::string (*sql)(port::Space));
  std::vector<port::Row> scan_old_expiry(const port::Range& range, std::size_t limit);
  static bool in_row(const port::Schema& schema, const port::Key& key, const port::Record& record);
  bool any_beside(port::Space space);
  static void bind_row(Statement& put, const port::Key& key, const port::Record& record,
                       bool beside);
  bool put_unless_beside(const port::Key& key, const port::Record& record);
  void put_beside(const port::Key& key, const port::Record& record);
  void erase_beside(const port::Key& key);
  Statements& of(port::Space space) noexcept {
    return statements_[static_cast<std::size_t>(space)];
  }

  Connection& connection_;
  bool old_format_ = false;
  std::array<Statements, port::kSpaceCount> statements_;
  Statement load_node_;
  Statement reclaiming_;
  Statement any_orphans_;
  Statement count_items_;
  /// Whether the overflow table may have rows, for one data version of the connection. The
  /// connection's own puts, commits and rollbacks keep it up to date.
  struct Beside {
    unsigned state;
    bool any;
  };
  std::optional<Beside> beside_;
};

}  // namespace graven::sqlite
