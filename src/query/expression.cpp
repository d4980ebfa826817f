// SPDX-License-Identifier: MIT
//
// Builds trees and writes them as text. See expression.hpp; parse.cpp reads the text.
#include "query/expression.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "base/integer.hpp"

namespace graven::query {
namespace {

constexpr std::array<std::string_view, 24> kWords = {
    "F",        "and", "or",  "not",    "in",   "startswith", "endswith",
    "contains", "is",  "any", "exists", "none", "null",       "true",
    "false",    "nan", "inf", "None",   "True", "False"};

bool plain_name(std::string_view name, bool first) {
  const auto letter = [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           static_cast<unsigned char>(byte) >= 0x80;
  };
  if (name.empty() || !letter(name[0])) return false;
  for (const char byte : name) {
    if (!letter(byte) && (byte < '0' || byte > '9')) return false;
  }
  return !first || std::find(kWords.begin(), kWords.end(), name) == kWords.end();
}

void put_quoted(std::string& out, std::string_view text, bool bytes) {
  out.push_back('"');
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(byte);
    } else if (code < 0x20 || code == 0x7f || (bytes && code >= 0x80)) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out.push_back(byte);
    }
  }
  out.push_back('"');
}

void put(std::string& out, const Path& path) {
  for (std::size_t i = 0; i < path.steps.size(); ++i) {
    const Step& step = path.steps[i];
    if (!step.by_key) {
      if (i == 0) out.push_back('F');
      out += fmt::format("[{}]", step.index);
    } else if (plain_name(step.key, i == 0)) {
      if (i != 0) out.push_back('.');
      out += step.key;
    } else {
      out.push_back('[');
      put_quoted(out, step.key, false);
      out.push_back(']');
    }
  }
  if (path.steps.empty()) out.push_back('F');
}

void put(std::string& out, const Scalar& scalar) {
  const Datum datum = datum_of(scalar);
  switch (datum.kind) {
    case Kind::kBool:
      out += datum.integer != 0 ? "true" : "false";
      return;
    case Kind::kInt:
      out += std::to_string(datum.integer);
      return;
    case Kind::kBig:
      out += base::Integer(datum.text).to_decimal();
      return;
    case Kind::kReal: {
      const std::string digits = fmt::format("{}", datum.real);
      out += digits;
      if (std::isfinite(datum.real) && digits.find_first_of(".e") == std::string::npos) out += ".0";
      return;
    }
    case Kind::kText:
      return put_quoted(out, datum.text, false);
    case Kind::kBytes:
      out.push_back('b');
      return put_quoted(out, datum.text, true);
    default:
      out += "none";
  }
}

void put(std::string& out, const Expression& node, bool inside);

void put_part(std::string& out, const ExpressionPtr& part, bool inside) {
  if (part) {
    put(out, *part, inside);
  } else {
    out += "true";
  }
}

void put(std::string& out, const Expression& node, bool inside) {
  switch (node.op) {
    case Op::kAnd:
    case Op::kOr:
      if (inside) out.push_back('(');
      for (std::size_t i = 0; i < node.parts.size(); ++i) {
        if (i != 0) out += node.op == Op::kAnd ? " and " : " or ";
        put_part(out, node.parts[i], true);
      }
      if (inside) out.push_back(')');
      return;
    case Op::kNot:
      out += "not ";
      return put_part(out, node.parts[0], true);
    default:
      break;
  }
  put(out, node.field);
  switch (node.op) {
    case Op::kTruth:
      return;
    case Op::kExists:
      out += " exists";
      return;
    case Op::kIsNone:
      out += " is none";
      return;
    case Op::kAny:
      out += " any (";
      put_part(out, node.parts[0], false);
      out.push_back(')');
      return;
    case Op::kIn:
      out += " in (";
      for (std::size_t i = 0; i < node.values.size(); ++i) {
        if (i != 0) out += ", ";
        put(out, node.values[i]);
      }
      out.push_back(')');
      return;
    default:
      break;
  }
  out.push_back(' ');
  out += sign_of(node.op);
  out.push_back(' ');
  if (const auto* path = std::get_if<Path>(&node.right)) {
    const bool begins = !path->steps.empty() && path->steps[0].by_key;
    std::string text = text_of(*path);
    if (begins) out += text.starts_with('[') ? "F" : "F.";
    out += text;
  } else {
    put(out, std::get<Scalar>(node.right));
  }
}

ExpressionPtr limited(Expression node) {
  for (const ExpressionPtr& part : node.parts) {
    if (part) node.depth = std::max(node.depth, part->depth + 1);
  }
  node.depth += node.field.steps.size();
  if (node.depth > kMostDeep) {
    throw LimitError(fmt::format("a condition may be {} levels deep", kMostDeep));
  }
  return std::make_shared<const Expression>(std::move(node));
}

}  // namespace

ExpressionPtr join(Op op, const std::vector<ExpressionPtr>& sides) {
  if (sides.size() == 1) return sides.front();
  Expression node{.op = op};
  for (const ExpressionPtr& side : sides) {
    if (side && side->op == op) {
      node.parts.insert(node.parts.end(), side->parts.begin(), side->parts.end());
    } else {
      node.parts.push_back(side);
    }
  }
  return limited(std::move(node));
}

ExpressionPtr negate(const ExpressionPtr& part) {
  return limited({.op = Op::kNot, .parts = {part}});
}

ExpressionPtr any_of(Path field, const ExpressionPtr& part) {
  return limited({.op = Op::kAny, .field = std::move(field), .parts = {part}});
}

Path longer(const Path& path, Step step) {
  if (path.steps.size() == kMostDeep) {
    throw LimitError(fmt::format("a field may be {} steps below its row", kMostDeep));
  }
  Path result = path;
  result.steps.push_back(std::move(step));
  return result;
}

std::string_view sign_of(Op op) noexcept {
  switch (op) {
    case Op::kEqual:
      return "==";
    case Op::kUnequal:
      return "!=";
    case Op::kLess:
      return "<";
    case Op::kLessEqual:
      return "<=";
    case Op::kGreater:
      return ">";
    case Op::kGreaterEqual:
      return ">=";
    case Op::kStartsWith:
      return "startswith";
    case Op::kEndsWith:
      return "endswith";
    case Op::kContains:
      return "contains";
    default:
      return "";
  }
}

std::string text_of(const Path& path) {
  std::string out;
  put(out, path);
  return out;
}

std::string text_of(const ExpressionPtr& expression) {
  std::string out;
  put_part(out, expression, false);
  return out;
}

}  // namespace graven::query
