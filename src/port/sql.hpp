// SPDX-License-Identifier: MIT
//
// Statements in the store's own language, where it has one: for tables of the program's own beside
// graven's. What a View or a WriteTransaction runs sees what that one sees.
//
// Plain values but for SqlRows, which is used by the thread of the view it came from and must not
// outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <graven/value.hpp>

namespace graven::store {

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string, Bytes>;
using SqlRow = std::vector<SqlValue>;

struct SqlParameters {
  std::vector<SqlValue> positional{};                     ///< of ?, ?1 …
  std::vector<std::pair<std::string, SqlValue>> named{};  ///< of :name, @name, $name
};

/// The rows of one statement that runs.
class SqlRows {
 public:
  virtual ~SqlRows() = default;
  [[nodiscard]] virtual const std::vector<std::string>& columns() const = 0;
  /// Appends up to `most` further rows; false when there are no more.
  virtual bool fetch(std::vector<SqlRow>& rows, std::size_t most) = 0;
  /// Of an INSERT, UPDATE or DELETE that has run: how many rows it changed, and the rowid of the
  /// last.
  [[nodiscard]] virtual std::int64_t changes() const = 0;
  [[nodiscard]] virtual std::int64_t last_rowid() const = 0;
  /// Whether it may have written.
  [[nodiscard]] virtual bool writes() const = 0;
};

}  // namespace graven::store
