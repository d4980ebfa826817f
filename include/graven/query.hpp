// SPDX-License-Identifier: MIT
//
// Queries: the children of a dict or list that satisfy a condition.
//
//     using graven::F;
//     for (const graven::Value& user : db["users"].where(F("age") >= 18 &&
//     F("name").startswith("A"))) db["users"].where(F("tags").any(F() == "x")).order_by({"-age",
//     "name"}).limit(20).select({"name"})
//
// A condition is evaluated on the stored records. Handles are made only for rows that match and are
// returned. The answer is that of one state of the store.
//
// What a condition means: as in Python. A missing field, and a field of what is no dict, reads as
// null. Numbers are compared exactly, 1 == true == 1.0. == and != of unlike types are false and
// true; dicts and lists are equal if they are the same node. An order of unlike types (also of
// null, of dicts and of lists) is an error, and so is startswith() of what is no text. An error is
// no match, also behind `!`. && and || look at the right side only if the left side does not
// decide.
//
// All are small values that can be copied freely; any thread. Cursors: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <graven/data.hpp>
#include <graven/value.hpp>

namespace graven {

namespace query {
struct Expression;
struct Path;
struct Plan;
class Run;
}  // namespace query

class Field;

/// A test of a row. The default is true for every row. LimitError for one that nests too deeply.
class Condition {
 public:
  Condition() = default;
  /// Whether the field's value is true as in Python: not null, false, 0, or empty.
  Condition(const Field& field);

  friend Condition operator&&(const Condition& left, const Condition& right);
  friend Condition operator||(const Condition& left, const Condition& right);
  friend Condition operator!(const Condition& condition);

  /// As parse_condition() takes it.
  [[nodiscard]] std::string text() const;

  explicit Condition(std::shared_ptr<const query::Expression> expression)
      : expression_(std::move(expression)) {}
  [[nodiscard]] const std::shared_ptr<const query::Expression>& expression() const noexcept {
    return expression_;
  }

 private:
  std::shared_ptr<const query::Expression> expression_;
};

Condition operator&&(const Condition& left, const Condition& right);
Condition operator||(const Condition& left, const Condition& right);
Condition operator!(const Condition& condition);

/// A field of the rows, as F() makes it. What it is compared with must be a scalar
/// (WrongTypeError).
class Field {
 public:
  /// The row itself, for containers of scalars; inside any(), the item.
  Field();
  explicit Field(std::shared_ptr<const query::Path> path) : path_(std::move(path)) {}

  /// A field of the dict in this field. Links are followed.
  [[nodiscard]] Field operator[](Text key) const;
  /// An item of the list in this field; a negative index counts from the end.
  template <detail::Integer T>
  [[nodiscard]] Field operator[](T index) const {
    return item(index);
  }

  friend Condition operator==(const Field& left, const Value& right);
  friend Condition operator!=(const Field& left, const Value& right);
  friend Condition operator<(const Field& left, const Value& right);
  friend Condition operator<=(const Field& left, const Value& right);
  friend Condition operator>(const Field& left, const Value& right);
  friend Condition operator>=(const Field& left, const Value& right);
  friend Condition operator==(const Field& left, const Field& right);
  friend Condition operator!=(const Field& left, const Field& right);
  friend Condition operator<(const Field& left, const Field& right);
  friend Condition operator<=(const Field& left, const Field& right);
  friend Condition operator>(const Field& left, const Field& right);
  friend Condition operator>=(const Field& left, const Field& right);

  /// Whether it equals one of the values.
  [[nodiscard]] Condition in(const std::vector<Value>& values) const;
  /// Of text with text, of bytes with bytes.
  [[nodiscard]] Condition startswith(const Value& start) const;
  [[nodiscard]] Condition endswith(const Value& end) const;
  /// Whether it is a text with this part, a list with such an item, or a dict with such a key.
  [[nodiscard]] Condition contains(const Value& part) const;
  /// Whether there is such a field, even if its value is null.
  [[nodiscard]] Condition exists() const;
  /// Whether it is null or missing.
  [[nodiscard]] Condition is_none() const;
  /// Whether it is a list with an item for which the condition is true.
  [[nodiscard]] Condition any(const Condition& condition) const;

  /// As parse_field() takes it.
  [[nodiscard]] std::string text() const;
  /// Its keys and indexes, from the row down.
  [[nodiscard]] std::vector<std::variant<std::string, std::int64_t>> steps() const;
  [[nodiscard]] const std::shared_ptr<const query::Path>& path() const noexcept { return path_; }

 private:
  [[nodiscard]] Field item(ListIndex index) const;

  std::shared_ptr<const query::Path> path_;
};

/// The row itself, or its field under a key.
inline Field F() { return {}; }
inline Field F(Text key) { return Field()[key]; }

/// Reads a condition: `age >= 18 and name startswith "A"`. A field is `name`, `address.city`,
/// `tags[0]`, `["odd key"]`, or behind `F` for the row itself: `F > 3`, `F.age`, `F["odd key"]`.
/// Constants: numbers, texts in quotes, b"bytes", true, false, none. Operators: == != < <= > >=,
/// `in (1, 2)`, `not in`, startswith, endswith, contains, `is none`, `is not none`, exists,
/// `any(F == "x")`; and, or, not, parentheses. A field on the right of an operator begins with `F`.
/// UsageError, which points at the place.
Condition parse_condition(Text text);
/// Reads a field: `address.city`, `["odd key"]`.
Field parse_field(Text text);

/// What group_by() computes of the rows of a group.
class Aggregate {
 public:
  enum class Kind : std::uint8_t { kCount, kSum, kMin, kMax, kAvg };
  Aggregate(Kind kind, std::optional<Field> field) : kind_(kind), field_(std::move(field)) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::optional<Field>& field() const noexcept { return field_; }

 private:
  Kind kind_;
  std::optional<Field> field_;
};

/// The number of rows; with a field, of rows in which it is not null.
inline Aggregate count() { return {Aggregate::Kind::kCount, std::nullopt}; }
inline Aggregate count(const Field& field) { return {Aggregate::Kind::kCount, field}; }
/// The sum of the numbers, exact for integers; nulls do not count. 0 if there are none.
inline Aggregate sum(const Field& field) { return {Aggregate::Kind::kSum, field}; }
/// The first and the last value in the order of order_by(), without nulls; null if there are none.
inline Aggregate min(const Field& field) { return {Aggregate::Kind::kMin, field}; }
inline Aggregate max(const Field& field) { return {Aggregate::Kind::kMax, field}; }
/// The mean of the numbers, a float; null if there are none.
inline Aggregate avg(const Field& field) { return {Aggregate::Kind::kAvg, field}; }

/// A row of a query.
struct QueryRow {
  std::string key{};       ///< its key, if the container is a dict
  std::int64_t index = 0;  ///< its index, if the container is a list
  Value value{};           ///< a scalar, or a handle
};

/// How a query was carried out.
struct Explanation {
  std::string plan{};         ///< "scan": every child was looked at
  std::string condition{};    ///< as parse_condition() takes it; empty if there is none
  std::uint64_t rows = 0;     ///< children that were looked at
  std::uint64_t records = 0;  ///< entries of a large dict, nodes and large values that were read
  std::uint64_t matches = 0;  ///< rows for which the condition was true
  /// One line.
  [[nodiscard]] std::string text() const;
};

/// The results of a query one after the other, from one state.
class QueryCursor {
 public:
  explicit QueryCursor(const std::shared_ptr<const query::Plan>& plan);
  ~QueryCursor();
  QueryCursor(QueryCursor&&) noexcept;
  QueryCursor& operator=(QueryCursor&&) noexcept;

  /// The next rows, some hundred at a time, or, inside a transaction or transactor, all at once;
  /// none at the end.
  [[nodiscard]] std::vector<QueryRow> next();
  /// The same, and `plain`: a list of the same rows as plain data of the state they were found in.
  [[nodiscard]] std::vector<QueryRow> next(Data& plain);
  /// The same as a list of plain dicts with these fields; see Query::select().
  [[nodiscard]] Data next(const std::vector<Field>& fields);
  /// The same as plain data, with everything below: a list.
  [[nodiscard]] Data next_plain();

 private:
  std::vector<QueryRow> next_rows(Data* plain);
  std::unique_ptr<query::Run> run_;
};

/// A query over the children of a dict or list; made by where(). Nothing is read until results are
/// asked for, and each time anew. Rows come in the container's order.
///
/// The handles among the results are live: a row may have changed when it is used. CollectedError
/// if it was collected meanwhile.
class Query {
 public:
  explicit Query(std::shared_ptr<const query::Plan> plan) : plan_(std::move(plan)) {}

  /// The rows that satisfy this condition too.
  [[nodiscard]] Query where(const Condition& condition) const;
  /// Orders the rows by fields, as parse_field() reads them; a '-' before one orders it
  /// backwards. null < numbers (NaN last) < text < bytes < dicts and lists; ties keep the
  /// container's order. Without a limit, the sorting keys of all matches are kept in memory.
  [[nodiscard]] Query order_by(const std::vector<std::string>& fields) const;
  [[nodiscard]] Query order_by(const Field& field, bool descending = false) const;
  [[nodiscard]] Query limit(Count count) const;
  /// Leaves out the first rows.
  [[nodiscard]] Query offset(Count count) const;

  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::optional<Value> first() const;
  [[nodiscard]] bool exists() const;
  [[nodiscard]] QueryCursor cursor() const { return QueryCursor(plan_); }
  class Iterator;
  /// Iterates over the rows' values.
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  /// A list of plain dicts, one a row, with these fields under the names given; a missing one is
  /// null. Dicts and lists in them are plain copies. All at once: for many rows use cursor().
  [[nodiscard]] Data select(const std::vector<std::string>& fields) const;

  /// A list of plain dicts, one a group of rows whose fields are equal, in the order of their first
  /// rows: the fields, and the aggregates under their names. WrongTypeError if a field is a dict or
  /// list, or a sum or mean has something else than numbers; LimitError for over a million groups.
  [[nodiscard]] Data group_by(
      const std::vector<std::string>& fields,
      const std::vector<std::pair<std::string, Aggregate>>& aggregates) const;

  /// Sets these fields in every row that matches, in one commit: the rows are found in the writer's
  /// turn. Returns the number of rows. WrongTypeError if a row is no dict.
  std::uint64_t update(const Data& fields) const;
  /// Removes every row that matches from the container, in the same way.
  std::uint64_t erase() const;

  /// Runs the query and says how.
  [[nodiscard]] Explanation explain() const;

  /// Whether the container is a dict.
  [[nodiscard]] bool over_dict() const noexcept;
  [[nodiscard]] const std::shared_ptr<const query::Plan>& plan() const noexcept { return plan_; }

 private:
  std::shared_ptr<const query::Plan> plan_;
};

class Query::Iterator {
 public:
  using value_type = Value;
  using difference_type = std::ptrdiff_t;
  explicit Iterator(QueryCursor cursor);
  const Value& operator*() const& noexcept { return rows_[at_].value; }
  const Value* operator->() const noexcept { return &rows_[at_].value; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
    return it.rows_.empty();
  }

 private:
  QueryCursor cursor_;
  std::vector<QueryRow> rows_;
  std::size_t at_ = 0;
};

}  // namespace graven
