// SPDX-License-Identifier: MIT
//
// See table_sql.hpp. Pure functions; any thread.
#include "backends/postgres/table_sql.hpp"

#include <algorithm>

namespace graven::postgres {

using port::KeyShape;
using port::Schema;
using port::Space;

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    text += c;
    if (c == '"') text += c;
  }
  return text + '"';
}

std::string literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  return quoted + '\'';
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += between;
    text += part;
  }
  return text;
}

std::string filled(std::string text,
                   const std::vector<std::pair<std::string_view, std::string>>& values) {
  for (const auto& [name, value] : values) {
    const std::string place = "{" + std::string(name) + "}";
    for (auto at = text.find(place); at != text.npos; at = text.find(place, at + value.size())) {
      text.replace(at, place.size(), value);
    }
  }
  return text;
}

std::vector<Space> every_space() {
  std::vector<Space> spaces;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) spaces.push_back(static_cast<Space>(i));
  return spaces;
}

std::vector<std::string> key_columns(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns;
  if (!schema.a.empty()) columns.push_back(quoted(schema.a));
  if (!schema.b.empty()) columns.push_back(quoted(schema.b));
  return columns;
}

std::vector<std::string> value_columns(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns;
  if (schema.has_version) columns.emplace_back("version");
  for (const auto name : schema.integers) columns.push_back(quoted(name));
  if (schema.has_body) columns.emplace_back(schema.has_value ? "value" : "body");
  return columns;
}

std::string create_table(const std::string& schema, Space space) {
  const Schema& of = port::schema(space);
  std::string sql = "CREATE TABLE " + schema + "." + quoted(of.table) + " (part bigint NOT NULL";
  for (const std::string& key : key_columns(space)) {
    const bool name = of.shape == KeyShape::kName && key == quoted(of.b);
    sql += ", " + key + (name ? " bytea NOT NULL" : " bigint NOT NULL");
  }
  for (const std::string& column : value_columns(space)) {
    const bool bytes = column == "body" || column == "value";
    sql += ", " + column + (bytes ? " bytea NOT NULL" : " bigint NOT NULL");
  }
  return sql + ", PRIMARY KEY (part, " + join(key_columns(space), ", ") + "));\n";
}

Form form_of(const port::Range& range) noexcept {
  if (port::spans(range)) return Form::kSpan;
  return port::backwards(range) ? Form::kDown : Form::kUp;
}

bool has_form(Space space, Form form) noexcept {
  const Schema& schema = port::schema(space);
  return form != Form::kSpan || (schema.shape != KeyShape::kId && !schema.a.empty());
}

std::string end_name(const port::Range& range) {
  if (port::backwards(range)) return range.after.empty() ? "\xff" : range.after;  // not in UTF-8
  // What is greater than a name begins with the name and a zero byte.
  return port::with_empty_name(range) ? std::string() : range.after + '\0';
}

std::int64_t highest(const port::Range& range) {
  const bool names = port::schema(range.space).shape == KeyShape::kName;
  return !names ? range.to : port::with_empty_name(range) ? 1 : 0;
}

std::string is_key(Space space) {
  const Schema& schema = port::schema(space);
  std::string sql = "t.part = p_part";
  if (!schema.a.empty()) sql += " AND t." + quoted(schema.a) + " = k.a";
  if (schema.shape == KeyShape::kPair) sql += " AND t." + quoted(schema.b) + " = k.b";
  if (schema.shape == KeyShape::kName) sql += " AND t." + quoted(schema.b) + " = k.name";
  return sql;
}

std::string in_range(Space space, Form form) {
  const Schema& schema = port::schema(space);
  const std::string a = "t." + quoted(schema.a);
  const std::string b = "t." + quoted(schema.b);
  std::string sql = "t.part = p_part AND ";
  if (schema.shape == KeyShape::kId) return sql + a + " >= k.lo AND " + a + " <= k.hi";
  const bool names = schema.shape == KeyShape::kName;
  if (form == Form::kSpan) {
    return sql + "(" + a + ", " + b + ") >= (k.a, " + (names ? "k.name" : "k.lo") + ") AND " + a +
           " <= k.a_to";
  }
  if (!schema.a.empty()) sql += a + " = k.a AND ";
  if (!names) return sql + b + " >= k.lo AND " + b + " <= k.hi";
  if (form == Form::kUp) return sql + b + " >= k.name";
  return sql + b + " < k.name AND (k.hi = 1 OR " + b + " <> ''::bytea)";
}

std::string range_order(Space space, Form form) {
  const std::string after = form == Form::kDown ? " DESC" : "";
  std::vector<std::string> columns = key_columns(space);
  if (form != Form::kSpan) columns.erase(columns.begin(), columns.end() - 1);
  for (std::string& column : columns) column = "t." + column + after;
  return join(columns, ", ");
}

std::string row_columns(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns;
  const auto column = [](std::string_view name) { return "t." + quoted(name); };
  columns.push_back(schema.a.empty() ? "NULL::bigint" : column(schema.a));
  columns.push_back(schema.shape == KeyShape::kPair ? column(schema.b) : "NULL::bigint");
  columns.push_back(schema.shape == KeyShape::kName ? column(schema.b) : "NULL::bytea");
  columns.push_back(schema.has_version ? "t.version"
                                       : "CASE WHEN t.part IS NOT NULL THEN 0::bigint END");
  for (std::size_t i = 0; i < port::kMaxIntegers; ++i) {
    columns.push_back(i < schema.integers.size() ? column(schema.integers[i]) : "NULL::bigint");
  }
  columns.push_back(!schema.has_body ? "NULL::bytea" : schema.has_value ? "t.value" : "t.body");
  return join(columns, ", ");
}

}  // namespace graven::postgres
