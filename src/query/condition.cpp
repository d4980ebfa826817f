// SPDX-License-Identifier: MIT
//
// Field and Condition of <graven/query.hpp>: they build trees. Any thread.
#include <utility>

#include <graven/query.hpp>

#include "query/expression.hpp"
#include "query/parse.hpp"

namespace graven {
namespace {

using query::Expression;
using query::Op;
using query::Path;

Condition test(Op op, const Field& field, std::variant<query::Scalar, Path> right = {}) {
  return Condition(std::make_shared<const Expression>(
      Expression{.op = op, .field = *field.path(), .right = std::move(right)}));
}

Condition made(Op op, const Field& left, const Field& right) {
  return test(op, left, *right.path());
}

Condition made(Op op, const Field& left, const Value& right) {
  return test(op, left, query::scalar_of(right));
}

Field below(const Path& path, query::Step step) {
  return Field(std::make_shared<const Path>(query::longer(path, std::move(step))));
}

}  // namespace

// --- Condition

Condition::Condition(const Field& field) : Condition(test(Op::kTruth, field)) {}

Condition operator&&(const Condition& left, const Condition& right) {
  return Condition(query::join(Op::kAnd, {left.expression(), right.expression()}));
}
Condition operator||(const Condition& left, const Condition& right) {
  return Condition(query::join(Op::kOr, {left.expression(), right.expression()}));
}
Condition operator!(const Condition& condition) {
  return Condition(query::negate(condition.expression()));
}

std::string Condition::text() const { return query::text_of(expression_); }

// --- Field

Field::Field() {
  static const auto row = std::make_shared<const Path>();
  path_ = row;
}

Field Field::operator[](Text key) const { return below(*path_, {.key = std::string(key)}); }
Field Field::item(ListIndex index) const {
  return below(*path_, {.index = index, .by_key = false});
}

Condition operator==(const Field& left, const Value& right) {
  return made(Op::kEqual, left, right);
}
Condition operator!=(const Field& left, const Value& right) {
  return made(Op::kUnequal, left, right);
}
Condition operator<(const Field& left, const Value& right) { return made(Op::kLess, left, right); }
Condition operator<=(const Field& left, const Value& right) {
  return made(Op::kLessEqual, left, right);
}
Condition operator>(const Field& left, const Value& right) {
  return made(Op::kGreater, left, right);
}
Condition operator>=(const Field& left, const Value& right) {
  return made(Op::kGreaterEqual, left, right);
}
Condition operator==(const Field& left, const Field& right) {
  return made(Op::kEqual, left, right);
}
Condition operator!=(const Field& left, const Field& right) {
  return made(Op::kUnequal, left, right);
}
Condition operator<(const Field& left, const Field& right) { return made(Op::kLess, left, right); }
Condition operator<=(const Field& left, const Field& right) {
  return made(Op::kLessEqual, left, right);
}
Condition operator>(const Field& left, const Field& right) {
  return made(Op::kGreater, left, right);
}
Condition operator>=(const Field& left, const Field& right) {
  return made(Op::kGreaterEqual, left, right);
}

Condition Field::in(const std::vector<Value>& values) const {
  Expression node{.op = Op::kIn, .field = *path_};
  for (const Value& value : values) node.values.push_back(query::scalar_of(value));
  return Condition(std::make_shared<const Expression>(std::move(node)));
}
Condition Field::startswith(const Value& start) const {
  return made(Op::kStartsWith, *this, start);
}
Condition Field::endswith(const Value& end) const { return made(Op::kEndsWith, *this, end); }
Condition Field::contains(const Value& part) const { return made(Op::kContains, *this, part); }
Condition Field::exists() const { return test(Op::kExists, *this); }
Condition Field::is_none() const { return test(Op::kIsNone, *this); }
Condition Field::any(const Condition& condition) const {
  return Condition(query::any_of(*path_, condition.expression()));
}

std::string Field::text() const { return query::text_of(*path_); }

std::vector<std::variant<std::string, std::int64_t>> Field::steps() const {
  std::vector<std::variant<std::string, std::int64_t>> all;
  for (const query::Step& step : path_->steps) {
    if (step.by_key) {
      all.emplace_back(step.key);
    } else {
      all.emplace_back(step.index);
    }
  }
  return all;
}

Condition parse_condition(Text text) { return Condition(query::parse_expression(text)); }
Field parse_field(Text text) {
  return Field(std::make_shared<const Path>(query::parse_path(text)));
}

}  // namespace graven
