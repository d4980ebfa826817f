// SPDX-License-Identifier: MIT
//
// See reads.hpp. One thread at a time.
#include "backends/postgres/reads.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "backends/postgres/table_sql.hpp"

namespace graven::postgres {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::ReadOp;
using port::Record;
using port::Row;
using port::Schema;
using port::Space;
using port::StateVersion;

/// The conditions of functions name the partition p_part.
std::string with_parameters(std::string sql) {
  constexpr std::string_view kPart = "p_part";
  for (auto at = sql.find(kPart); at != sql.npos; at = sql.find(kPart)) {
    sql.replace(at, kPart.size(), "$1");
  }
  return sql;
}

std::int64_t clamped(std::uint64_t number) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min<std::uint64_t>(number, kMost));
}

/// Puts the statement together, piece by piece.
class Pieces {
 public:
  Pieces(const std::string& schema, std::string& text, Parameters& parameters)
      : schema_(schema), text_(text), parameters_(parameters) {}

  void add_keys(Space space, std::span<const ReadOp> ops, const std::vector<std::size_t>& which) {
    const KeyShape shape = port::schema(space).shape;
    std::vector<std::int32_t> places;
    std::vector<std::int64_t> a;
    std::vector<std::int64_t> b;
    std::vector<std::string_view> names;
    for (const std::size_t i : which) {
      places.push_back(static_cast<std::int32_t>(i));
      a.push_back(ops[i].key->a);
      if (shape == KeyShape::kPair) b.push_back(ops[i].key->b);
      if (shape == KeyShape::kName) names.push_back(ops[i].key->name);
    }
    std::string arrays = array(std::span<const std::int32_t>(places), "int[]") + ", " +
                         array(std::span<const std::int64_t>(a), "bigint[]");
    std::string columns = "op, a";
    if (shape == KeyShape::kPair) {
      arrays += ", " + array(std::span<const std::int64_t>(b), "bigint[]");
      columns += ", b";
    } else if (shape == KeyShape::kName) {
      arrays += ", " + array(std::span<const std::string_view>(names), "bytea[]");
      columns += ", name";
    }
    text_ += fmt::format(
        " UNION ALL SELECT k.op, r.* FROM unnest({}) k({}) CROSS JOIN LATERAL (SELECT {} "
        "FROM {} t WHERE {} OFFSET 0) r",
        arrays, columns, row_columns(space), table(space), with_parameters(is_key(space)));
  }

  void add_ranges(Space space, Form form, bool count, std::span<const ReadOp> ops,
                  const std::vector<std::size_t>& which) {
    std::vector<std::int32_t> places;
    std::vector<std::int64_t> a;
    std::vector<std::int64_t> a_to;
    std::vector<std::int64_t> lo;
    std::vector<std::int64_t> hi;
    std::vector<std::string> firsts;
    std::vector<std::int64_t> limits;
    for (const std::size_t i : which) {
      const Range& range = ops[i].range;
      places.push_back(static_cast<std::int32_t>(i));
      a.push_back(range.a);
      a_to.push_back(range.a_to);
      lo.push_back(range.from);
      hi.push_back(highest(range));
      firsts.push_back(end_name(range));
      limits.push_back(clamped(ops[i].limit));
    }
    const std::vector<std::string_view> names(firsts.begin(), firsts.end());
    const auto numbers = [this](const std::vector<std::int64_t>& all) {
      return array(std::span<const std::int64_t>(all), "bigint[]") + ", ";
    };
    std::string arrays = array(std::span<const std::int32_t>(places), "int[]") + ", ";
    arrays += numbers(a) + numbers(a_to) + numbers(lo) + numbers(hi) + numbers(limits);
    arrays += array(std::span<const std::string_view>(names), "bytea[]");
    const std::string from =
        fmt::format(" FROM unnest({}) k(op, a, a_to, lo, hi, lim, name)", arrays);
    const std::string where = with_parameters(in_range(space, form));
    if (count) {
      text_ += fmt::format(
          " UNION ALL SELECT k.op, (SELECT count(*) FROM {} t WHERE {}), NULL, NULL, NULL, NULL, "
          "NULL, NULL, NULL, NULL{}",
          table(space), where, from);
    } else {
      text_ += fmt::format(
          " UNION ALL SELECT k.op, r.*{} CROSS JOIN LATERAL (SELECT {} FROM {} t WHERE {} "
          "ORDER BY {} LIMIT k.lim) r",
          from, row_columns(space), table(space), where, range_order(space, form));
    }
  }

 private:
  template <class Values>
  std::string array(const Values& values, const char* type) {
    parameters_.add(values);
    return fmt::format("${}::{}", ++count_, type);
  }
  [[nodiscard]] std::string table(Space space) const {
    return schema_ + "." + quoted(port::schema(space).table);
  }

  const std::string& schema_;
  std::string& text_;
  Parameters& parameters_;
  int count_ = 1;
};

std::string newest_sql(const std::string& schema) {
  return fmt::format(
      "SELECT c.clock, c.history, c.pending FROM {}.commits c WHERE c.part = $1 AND c.kind = 0 "
      "ORDER BY c.clock DESC LIMIT 1",
      schema);
}

}  // namespace

ReadRequest::ReadRequest(const std::string& schema, const port::Partition& partition,
                         std::span<const ReadOp> ops)
    : ops_(ops) {
  parameters_.add(partition.number);
  text_ = fmt::format(
      "SELECT -1 AS op, n.clock AS a, n.history AS b, NULL::bytea AS name, NULL::bigint AS version,"
      " n.pending AS i0, NULL::bigint AS i1, NULL::bigint AS i2, NULL::bigint AS i3, NULL::bytea"
      " AS body FROM ({}) n",
      newest_sql(schema).replace(newest_sql(schema).find("$1"), 2, "$1::bigint"));
  Pieces pieces(schema, text_, parameters_);
  const auto those = [&](auto&& is) {
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (is(ops[i])) which.push_back(i);
    }
    return which;
  };
  for (const Space space : every_space()) {
    const auto keys = those([&](const ReadOp& op) { return op.key && op.key->space == space; });
    if (!keys.empty()) pieces.add_keys(space, ops, keys);
    for (const Form form : kForms) {
      for (const bool count : {false, true}) {
        const auto ranges = those([&](const ReadOp& op) {
          return !op.key && op.range.space == space && form_of(op.range) == form &&
                 op.count == count;
        });
        if (!ranges.empty()) pieces.add_ranges(space, form, count, ops, ranges);
      }
    }
  }
}

StateVersion ReadRequest::deliver(const Result& result, port::ReadSink each) const {
  StateVersion state;
  std::vector<std::vector<Row>> rows(ops_.size());
  std::vector<std::uint64_t> counts(ops_.size());
  for (int row = 0; row < result.rows(); ++row) {
    const std::int32_t op = result.int32(row, 0);
    if (op < 0) {
      state = {.clock = result.uint64(row, 1),
               .history = result.uint64(row, 2),
               .pending = result.uint64(row, 5)};
      continue;
    }
    const auto place = static_cast<std::size_t>(op);
    const ReadOp& of = ops_[place];
    if (!of.key && of.count) {
      counts[place] = result.uint64(row, 1);
      continue;
    }
    const Space space = of.key ? of.key->space : of.range.space;
    rows[place].push_back({key_at(result, row, 1, space), record_at(result, row, 4)});
  }
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    each(i, rows[i], !ops_[i].key && ops_[i].count ? counts[i] : rows[i].size());
  }
  return state;
}

std::string find_sql(const std::string& schema, Space space) {
  const Schema& of = port::schema(space);
  std::string is = "t.part = $1";
  int mark = 1;
  if (!of.a.empty()) is += fmt::format(" AND t.{} = ${}", quoted(of.a), ++mark);
  if (!of.b.empty()) is += fmt::format(" AND t.{} = ${}", quoted(of.b), ++mark);
  return fmt::format(
      "SELECT c.clock, c.history, c.pending, {} FROM (SELECT 1) o LEFT JOIN ({}) c ON true "
      "LEFT JOIN {}.{} t ON {}",
      row_columns(space), newest_sql(schema), schema, quoted(of.table), is);
}

Parameters find_parameters(const port::Partition& partition, const Key& key) {
  const Schema& schema = port::schema(key.space);
  Parameters parameters;
  parameters.add(partition.number);
  if (!schema.a.empty()) parameters.add(key.a);
  if (schema.shape == KeyShape::kPair) parameters.add(key.b);
  if (schema.shape == KeyShape::kName) parameters.add(std::string_view(key.name));
  return parameters;
}

std::optional<Record> found(const Result& result, StateVersion& state) {
  state = {
      .clock = result.uint64(0, 0), .history = result.uint64(0, 1), .pending = result.uint64(0, 2)};
  if (result.null(0, 6)) return std::nullopt;
  return record_at(result, 0, 6);
}

Record record_at(const Result& result, int row, int column) {
  Record record{.version = result.uint64(row, column)};
  for (std::size_t i = 0; i < port::kMaxIntegers; ++i) {
    record.integers[i] = result.int64(row, column + 1 + static_cast<int>(i));
  }
  record.body = result.bytes(row, column + 5);
  return record;
}

Key key_at(const Result& result, int row, int column, Space space) {
  Key key{.space = space, .a = result.int64(row, column), .b = result.int64(row, column + 1)};
  key.name = result.bytes(row, column + 2);
  return key;
}

}  // namespace graven::postgres
