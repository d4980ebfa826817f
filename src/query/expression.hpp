// SPDX-License-Identifier: MIT
//
// The tree of a condition, and its text.
//
// Always holds: a tree does not change; parts are shared between conditions. It is at most
// kMostDeep deep, counting the steps of fields above a part, and a path has at most kMostDeep
// steps: walking it, or what it reads, may recurse. parse_condition() of its text makes an equal
// tree.
//
// Immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "query/datum.hpp"

namespace graven::query {

/// One step of a path: a key of a dict or an index of a list.
struct Step {
  std::string key{};
  std::int64_t index = 0;
  bool by_key = true;
  friend bool operator==(const Step&, const Step&) = default;
};

/// From the row to a field; empty: the row itself.
struct Path {
  std::vector<Step> steps{};
};

enum class Op : std::uint8_t {
  kTruth,
  kExists,
  kIsNone,
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kStartsWith,
  kEndsWith,
  kContains,
  kAny,  // its part: the condition of the items
  kAnd,
  kOr,
  kNot,
};

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;

struct Expression {
  Op op = Op::kTruth;
  Path field{};                        // except of kAnd, kOr, kNot
  std::variant<Scalar, Path> right{};  // of comparisons; kStartsWith, kEndsWith, kContains
  std::vector<Scalar> values{};        // of kIn
  std::vector<ExpressionPtr> parts{};  // of kAny, kAnd, kOr, kNot; null is true
  std::size_t depth = 1;               // of what is read, too: kAny counts the steps to its list
};

inline constexpr std::size_t kMostDeep = 200;

/// Joins conditions; chains of the same operator become one node. There is at least one.
ExpressionPtr join(Op op, const std::vector<ExpressionPtr>& sides);
ExpressionPtr negate(const ExpressionPtr& part);
ExpressionPtr any_of(Path field, const ExpressionPtr& part);

/// The path and one step. LimitError.
Path longer(const Path& path, Step step);

std::string text_of(const Path& path);
/// "true" for null.
std::string text_of(const ExpressionPtr& expression);

/// The word or sign of an operator between a field and a constant; empty if it has none.
std::string_view sign_of(Op op) noexcept;

}  // namespace graven::query
