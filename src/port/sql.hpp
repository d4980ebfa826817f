// SPDX-License-Identifier: MIT
//
// SQL statements of the program's own, where the store has SQL: for the program's own tables beside
// graven's. A statement sees the same state as the View or WriteTransaction that runs it.
//
// Plain values; but SqlRows belongs to the thread of the view it came from and must not outlive
// that view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <graven/value.hpp>

namespace graven::port {

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string, Bytes>;
using SqlRow = std::vector<SqlValue>;

struct SqlParameters {
  std::vector<SqlValue> positional{};                     ///< for ?, ?1 …
  std::vector<std::pair<std::string, SqlValue>> named{};  ///< for :name, @name, $name
};

/// The rows of one running statement.
class SqlRows {
 public:
  virtual ~SqlRows() = default;
  [[nodiscard]] virtual const std::vector<std::string>& columns() const = 0;
  /// Appends up to `most` further rows; false when there are no more.
  virtual bool fetch(std::vector<SqlRow>& rows, std::size_t most) = 0;
  /// After an INSERT, UPDATE or DELETE: how many rows it changed, and the last rowid inserted.
  [[nodiscard]] virtual std::int64_t changes() const = 0;
  [[nodiscard]] virtual std::int64_t last_rowid() const = 0;
  /// Whether it may have written.
  [[nodiscard]] virtual bool writes() const = 0;
};

}  // namespace graven::port
