// SPDX-License-Identifier: MIT
//
// A recursive descent over the text itself. See parse.hpp.
#include "query/parse.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "base/integer.hpp"
#include "base/text.hpp"

namespace graven::query {
namespace {

constexpr std::size_t kMostDigits = 10'000;  // reading them takes quadratic time

bool letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
         static_cast<unsigned char>(byte) >= 0x80;
}
bool digit(char byte) { return byte >= '0' && byte <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  ExpressionPtr condition() {
    ExpressionPtr all = either();
    end();
    return all;
  }
  Path field() {
    Path all = path();
    end();
    return all;
  }

 private:
  // --- Conditions

  ExpressionPtr either() {
    std::vector<ExpressionPtr> sides{both()};
    while (word("or")) sides.push_back(both());
    return join(Op::kOr, sides);
  }
  ExpressionPtr both() {
    std::vector<ExpressionPtr> sides{one()};
    while (word("and")) sides.push_back(one());
    return join(Op::kAnd, sides);
  }
  ExpressionPtr one() {
    if (++depth_ > kMostDeep) fail("the condition nests too deeply");
    ExpressionPtr result = one_level();
    --depth_;
    return result;
  }
  ExpressionPtr one_level() {
    if (word("not")) return negate(one());
    if (sign("(")) {
      ExpressionPtr inner = either();
      need(")");
      return inner;
    }
    if (word("true")) return nullptr;
    return test();
  }

  ExpressionPtr test() {
    Expression node;
    const std::size_t start = at_;
    if (!begins_path()) fail("a field is missing here; a condition is like: age >= 18");
    if (constant(true)) {
      at_ = start;
      fail("a comparison begins with a field: age >= 18");
    }
    node.field = path();
    for (const Op op :
         {Op::kEqual, Op::kUnequal, Op::kLessEqual, Op::kGreaterEqual, Op::kLess, Op::kGreater}) {
      if (!sign(sign_of(op))) continue;
      node.op = op;
      node.right = right();
      return finished(std::move(node));
    }
    for (const Op op : {Op::kStartsWith, Op::kEndsWith, Op::kContains}) {
      if (!word(sign_of(op))) continue;
      node.op = op;
      node.right = right();
      return finished(std::move(node));
    }
    if (here("=")) fail("equality is written ==");
    if (word("in")) return in(std::move(node));
    if (word("is")) {
      const bool inverted = word("not");
      if (!word("none") && !word("null")) fail("'is' stands before none only; use ==");
      node.op = Op::kIsNone;
      ExpressionPtr result = finished(std::move(node));
      return inverted ? negate(result) : result;
    }
    if (word("exists")) {
      node.op = Op::kExists;
      return finished(std::move(node));
    }
    if (word("any")) {
      need("(");
      const ExpressionPtr part = either();
      need(")");
      return any_of(std::move(node.field), part);
    }
    if (word("not")) {
      if (!word("in")) fail("'in' is missing here");
      return negate(in(std::move(node)));
    }
    return finished(std::move(node));
  }

  ExpressionPtr in(Expression node) {
    node.op = Op::kIn;
    const bool round = sign("(");
    if (!round) need("[");
    const std::string_view closing = round ? ")" : "]";
    while (!sign(closing)) {
      std::optional<Scalar> value = constant(false);
      if (!value) fail("a constant is missing here; texts are written in quotes");
      node.values.push_back(*std::move(value));
      if (!sign(",") && !here(closing)) fail(fmt::format("',' or '{}' is missing here", closing));
    }
    return finished(std::move(node));
  }

  std::variant<Scalar, Path> right() {
    skip();
    const std::size_t start = at_;
    if (std::optional<Scalar> value = constant(false)) return *std::move(value);
    if (word("F")) {
      at_ = start;
      return path();
    }
    if (at_ < text_.size() && (letter(text_[at_]) || text_[at_] == '[')) {
      fail("a text is written in quotes, and a field on the right side behind F: F.name");
    }
    fail("a constant is missing here");
  }

  static ExpressionPtr finished(Expression node) {
    return std::make_shared<const Expression>(std::move(node));
  }

  // --- Fields

  bool begins_path() {
    skip();
    return at_ < text_.size() && text_[at_] != ')';
  }

  Path path() {
    Path result;
    skip();
    bool dot = false;  // whether a name must follow a dot
    if (word("F")) {
      dot = true;
    } else if (at_ < text_.size() && letter(text_[at_])) {
      result.steps.push_back({.key = name()});
      dot = true;
    } else if (!here("[")) {
      fail("a field is missing here");
    }
    while (at_ < text_.size()) {
      if (dot && text_[at_] == '.') {
        ++at_;
        if (at_ == text_.size() || !letter(text_[at_])) fail("a name is missing behind the dot");
        result.steps.push_back({.key = name()});
      } else if (text_[at_] == '[') {
        ++at_;
        result.steps.push_back(bracketed());
      } else {
        break;
      }
      if (result.steps.size() > kMostDeep) fail("the field has too many steps");
      dot = true;
    }
    return result;
  }

  Step bracketed() {
    skip();
    if (here("\"") || here("'")) {
      Step step{.key = quoted(false)};
      need("]");
      return step;
    }
    Step step{.by_key = false};
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), step.index);
    if (error != std::errc()) fail("a key in quotes or an index is missing here");
    at_ += static_cast<std::size_t>(end - begin);
    need("]");
    return step;
  }

  std::string name() {
    const std::size_t start = at_;
    while (at_ < text_.size() && (letter(text_[at_]) || digit(text_[at_]))) ++at_;
    std::string result(text_.substr(start, at_ - start));
    if (base::invalid_utf8(result)) fail("this is no valid UTF-8");
    return result;
  }

  // --- Constants

  /// `probe`: where a field belongs; there nan and inf are names of fields.
  std::optional<Scalar> constant(bool probe) {
    skip();
    if (here("\"") || here("'")) return Scalar(quoted(false));
    if (here("b\"") || here("b'")) {
      ++at_;
      return Scalar(Bytes{quoted(true)});
    }
    if (word("none") || word("null") || word("None")) return Scalar(nullptr);
    if (word("true") || word("True")) return Scalar(true);
    if (word("false") || word("False")) return Scalar(false);
    if (!probe) {
      if (word("nan")) return Scalar(std::numeric_limits<double>::quiet_NaN());
      if (word("inf")) return Scalar(std::numeric_limits<double>::infinity());
    }
    return number();
  }

  std::optional<Scalar> number() {
    std::size_t end = at_;
    if (end < text_.size() && (text_[end] == '-' || text_[end] == '+')) ++end;
    if (text_.substr(end).starts_with("inf") && end != at_) {
      const bool negative = text_[at_] == '-';
      at_ = end;
      if (!word("inf")) fail("a number is missing here");
      const double infinite = std::numeric_limits<double>::infinity();
      return Scalar(negative ? -infinite : infinite);
    }
    const std::size_t digits = end;
    bool real = false;
    while (end < text_.size()) {
      const char byte = text_[end];
      const bool exponent = byte == 'e' || byte == 'E';
      if (!digit(byte) && byte != '.' && !exponent) break;
      real = real || !digit(byte);
      ++end;
      if (exponent && end < text_.size() && (text_[end] == '-' || text_[end] == '+')) ++end;
    }
    if (end == digits) return std::nullopt;
    std::string_view written = text_.substr(at_, end - at_);
    if (end < text_.size() && letter(text_[end])) fail("this is no number");
    if (written.starts_with('+')) written.remove_prefix(1);
    Scalar result;
    if (real) {
      double value = 0;
      const auto [stop, error] =
          std::from_chars(written.data(), written.data() + written.size(), value);
      if (stop != written.data() + written.size()) fail("this is no number");
      if (error == std::errc::result_out_of_range)
        fail("this number is beyond the range of a float");
      result = value;
    } else {
      if (written.size() > kMostDigits) fail("this number has too many digits");
      const base::Integer exact = base::Integer::from_decimal(written);
      if (const auto small = exact.to_int64()) {
        result = *small;
      } else {
        result = BigInt{exact.to_hex()};
      }
    }
    at_ = end;
    return result;
  }

  std::string quoted(bool bytes) {
    const std::size_t start = at_;
    const char quote = text_[at_++];
    std::string result;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        result.push_back(text_[at_++]);
        continue;
      }
      const std::size_t escape = at_++;
      const char kind = at_ < text_.size() ? text_[at_++] : '\0';
      switch (kind) {
        case 'n':
          result.push_back('\n');
          break;
        case 't':
          result.push_back('\t');
          break;
        case 'r':
          result.push_back('\r');
          break;
        case '\\':
        case '\'':
        case '"':
          result.push_back(kind);
          break;
        case 'x': {
          unsigned code = 0;
          const std::string_view digits = text_.substr(at_, 2);
          const auto [end, error] =
              std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
          if (digits.size() != 2 || end != digits.data() + 2) {
            at_ = escape;
            fail("two hexadecimal digits are missing behind \\x");
          }
          result.push_back(static_cast<char>(code));
          at_ += 2;
          break;
        }
        default:
          at_ = escape;
          fail("this escape is unknown; there are \\n \\t \\r \\\\ \\' \\\" and \\xHH");
      }
    }
    if (at_ == text_.size()) {
      at_ = start;
      fail("this quote is not closed");
    }
    ++at_;
    if (!bytes && base::invalid_utf8(result)) {
      at_ = start;
      fail("this is no valid UTF-8; bytes are written b\"...\"");
    }
    return result;
  }

  // --- Words and signs

  void skip() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) {
      ++at_;
    }
  }
  bool here(std::string_view what) {
    skip();
    return text_.substr(at_).starts_with(what);
  }
  bool sign(std::string_view what) {
    if (!here(what)) return false;
    at_ += what.size();
    return true;
  }
  bool word(std::string_view what) {
    if (!here(what)) return false;
    const std::size_t end = at_ + what.size();
    if (end < text_.size() && (letter(text_[end]) || digit(text_[end]))) return false;
    at_ = end;
    return true;
  }
  void need(std::string_view what) {
    if (!sign(what)) fail(fmt::format("'{}' is missing here", what));
  }
  void end() {
    skip();
    if (at_ != text_.size()) fail("the condition should end here, or go on with 'and' or 'or'");
  }

  [[noreturn]] void fail(std::string_view why) {
    // One line, and the place under it, counted in characters.
    std::string line(text_);
    std::replace_if(
        line.begin(), line.end(),
        [](char byte) { return std::iscntrl(static_cast<unsigned char>(byte)) != 0; }, ' ');
    std::size_t column = 0;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      if ((static_cast<unsigned char>(text_[i]) & 0xc0U) != 0x80) ++column;
    }
    throw UsageError(fmt::format("{}\n  {}\n  {}^", why, line, std::string(column, ' ')));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

ExpressionPtr parse_expression(std::string_view text) { return Parser(text).condition(); }

Path parse_path(std::string_view text) { return Parser(text).field(); }

}  // namespace graven::query
