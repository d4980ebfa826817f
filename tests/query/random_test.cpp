// SPDX-License-Identifier: MIT
//
// Random conditions over random rows, against an evaluation of its own over plain values. Numbers
// are drawn from a table in which equal ones stand together, so that the comparison here shares
// nothing with the one tested.
#include <graven/graven.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {
namespace {

const double kInfinite = std::numeric_limits<double>::infinity();

/// In ascending order; the numbers of one line are equal.
const std::vector<std::vector<Value>>& numbers() {
  static const std::vector<std::vector<Value>> all = {
      {-kInfinite},
      {BigInt{"-8000000000000001"}},
      {std::numeric_limits<std::int64_t>::min(), -9223372036854775808.0},
      {-1, -1.0},
      {-0.5},
      {0, 0.0, -0.0, false},
      {0.5},
      {1, 1.0, true},
      {2, 2.0},
      {std::int64_t{1} << 53, 9007199254740992.0},
      {(std::int64_t{1} << 53) + 1},
      {std::numeric_limits<std::int64_t>::max()},
      {BigInt{"8000000000000000"}, 9223372036854775808.0},
      {BigInt{"8000000000000001"}},
      {BigInt{"10000000000000000"}, 18446744073709551616.0},
      {BigInt{"10000000000000001"}},
      {1e300},
      {kInfinite}};
  return all;
}

struct Plain {
  enum class Type { kMissing, kNone, kNumber, kNan, kText, kBytes, kDict, kList };
  Type type = Type::kMissing;
  std::size_t place = 0;  // of a number, in numbers()
  Value value{};
  std::string text{};
  std::vector<std::pair<std::string, Plain>> fields{};
  std::vector<Plain> items{};

  [[nodiscard]] bool none() const { return type == Type::kMissing || type == Type::kNone; }
  [[nodiscard]] Data data() const {
    if (type == Type::kDict) {
      Data all = Data::dict();
      for (const auto& [key, field] : fields) {
        const Data::Item item = all.adopt(field.data());
        auto& into = all.container(std::get<Data::Index>(all.root()));
        into.keys.push_back(key);
        into.items.push_back(item);
      }
      return all;
    }
    if (type == Type::kList) {
      Data all = Data::list();
      for (const Plain& each : items) {
        const Data::Item item = all.adopt(each.data());
        all.container(std::get<Data::Index>(all.root())).items.push_back(item);
      }
      return all;
    }
    return Data(value);
  }
};
using Type = Plain::Type;

const std::vector<std::string> kTexts = {"", "a", "b", "ab", "ba", "A", "é", "日本", "a\"\\\n"};
const std::vector<std::string> kKeys = {"a", "b", "c", "odd key", "in", "é"};

enum class Verdict { kFalse, kTrue, kError };
Verdict verdict(bool value) { return value ? Verdict::kTrue : Verdict::kFalse; }
using Test = std::function<Verdict(const Plain&)>;

class Maker {
 public:
  explicit Maker(Random& random) : random_(random) {}

  Plain scalar() {
    Plain plain;
    const std::size_t kind = random_.below(10);
    if (kind == 0) {
      plain.type = Type::kNone;
    } else if (kind == 1) {
      plain.type = Type::kNan;
      plain.value = std::nan("");
    } else if (kind < 7) {
      plain.type = Type::kNumber;
      plain.place = random_.below(numbers().size());
      const auto& equal = numbers()[plain.place];
      plain.value = equal[random_.below(equal.size())];
    } else {
      plain.type = kind == 9 ? Type::kBytes : Type::kText;
      plain.text = kTexts[random_.below(kTexts.size())];
      if (random_.one_in(20)) plain.text.append(1500, 'x');  // a record of its own
      plain.value = kind == 9 ? Value(Bytes{plain.text}) : Value(plain.text);
    }
    return plain;
  }

  Plain any(std::size_t depth) {
    if (depth == 0 || random_.below(10) < 6) return scalar();
    Plain plain;
    if (random_.one_in(2)) {
      plain.type = Type::kList;
      const std::size_t size = random_.one_in(30) ? 300 : random_.below(4);
      for (std::size_t i = 0; i < size; ++i) plain.items.push_back(any(depth - 1));
      return plain;
    }
    return dict(depth);
  }

  Plain dict(std::size_t depth) {
    Plain plain;
    plain.type = Type::kDict;
    for (const std::string& key : kKeys) {
      if (random_.one_in(2)) plain.fields.emplace_back(key, any(depth - 1));
    }
    if (random_.one_in(30)) {
      for (int i = 0; i < 100; ++i) plain.fields.emplace_back("more" + std::to_string(i), scalar());
    }
    return plain;
  }

  using Get = std::function<const Plain&(const Plain&)>;

  std::pair<Field, Get> field() {
    Field field;
    Get get = [](const Plain& row) -> const Plain& { return row; };
    const std::size_t steps = random_.one_in(8) ? 0 : 1 + random_.below(2);
    for (std::size_t i = 0; i < steps; ++i) {
      if (random_.one_in(6)) {
        const auto index = static_cast<std::int64_t>(random_.below(4)) - 2;
        field = field[index];
        get = [get, index](const Plain& row) -> const Plain& {
          const Plain& list = get(row);
          const auto size = static_cast<std::int64_t>(list.items.size());
          const std::int64_t at = index < 0 ? index + size : index;
          return at >= 0 && at < size ? list.items[static_cast<std::size_t>(at)] : missing();
        };
      } else {
        const std::string key = kKeys[random_.below(kKeys.size())];
        field = field[key];
        get = [get, key](const Plain& row) -> const Plain& {
          const Plain& dict = get(row);
          for (const auto& [name, value] : dict.fields) {
            if (name == key) return value;
          }
          return missing();
        };
      }
    }
    return {field, get};
  }

  std::pair<Condition, Test> condition(std::size_t depth) {
    const std::size_t kind = random_.below(depth == 0 ? 9 : 14);
    if (kind >= 10) return joined(kind, depth);
    const auto [field, get] = this->field();
    switch (kind) {
      case 0:
        return {field, [get = get](const Plain& row) { return verdict(truth(get(row))); }};
      case 1:
        return {field.exists(),
                [get = get](const Plain& row) { return verdict(get(row).type != Type::kMissing); }};
      case 2:
        return {field.is_none(),
                [get = get](const Plain& row) { return verdict(get(row).none()); }};
      case 3: {
        std::vector<Value> values;
        std::vector<Plain> plain;
        for (std::size_t i = random_.below(4); i > 0; --i) {
          plain.push_back(scalar());
          values.push_back(plain.back().value);
        }
        return {field.in(values), [get = get, plain](const Plain& row) {
                  return verdict(std::any_of(plain.begin(), plain.end(), [&](const Plain& one) {
                    return same(get(row), one);
                  }));
                }};
      }
      case 4:
      case 5:
        return text_test(field, get);
      case 9: {
        const auto [inner, test] = condition(depth - 1);
        return {field.any(inner), [get = get, test = test](const Plain& row) {
                  const Plain& list = get(row);
                  if (list.type != Type::kList) return Verdict::kError;
                  for (const Plain& item : list.items) {
                    const Verdict one = test(item);
                    if (one != Verdict::kFalse) return one;
                  }
                  return Verdict::kFalse;
                }};
      }
      default:
        return comparison(field, get);
    }
  }

 private:
  static const Plain& missing() {
    static const Plain none;
    return none;
  }

  static bool truth(const Plain& plain) {
    switch (plain.type) {
      case Type::kNumber:
        return plain.place != 5;  // the line of 0
      case Type::kNan:
        return true;
      case Type::kText:
      case Type::kBytes:
        return !plain.text.empty();
      case Type::kDict:
        return !plain.fields.empty();
      case Type::kList:
        return !plain.items.empty();
      default:
        return false;
    }
  }

  /// `right` is a scalar.
  static bool same(const Plain& left, const Plain& right) {
    if (left.none() || right.none()) return left.none() && right.none();
    if (left.type != right.type || left.type == Type::kNan) return false;
    if (left.type == Type::kNumber) return left.place == right.place;
    return left.text == right.text;
  }

  static std::optional<int> order(const Plain& left, const Plain& right) {
    if (left.type != right.type) return std::nullopt;
    if (left.type == Type::kNumber)
      return static_cast<int>(left.place) - static_cast<int>(right.place);
    if (left.type != Type::kText && left.type != Type::kBytes) return std::nullopt;
    return left.text.compare(right.text);
  }

  std::pair<Condition, Test> comparison(const Field& field, const Get& get) {
    const std::size_t sign = random_.below(6);
    if (random_.one_in(4)) {
      const auto [other, get_other] = this->field();
      const bool unlike = random_.one_in(2);
      return {unlike ? field < other : field >= other,
              [get, get_other = get_other, unlike](const Plain& row) {
                return ordered(get(row), get_other(row), unlike ? 2 : 5);
              }};
    }
    const Plain right = scalar();
    const Value& value = right.value;
    const Condition condition = sign == 0   ? field == value
                                : sign == 1 ? field != value
                                : sign == 2 ? field < value
                                : sign == 3 ? field <= value
                                : sign == 4 ? field > value
                                            : field >= value;
    return {condition,
            [get, right, sign](const Plain& row) { return ordered(get(row), right, sign); }};
  }

  static Verdict ordered(const Plain& left, const Plain& right, std::size_t sign) {
    if (sign < 2) return verdict(same(left, right) == (sign == 0));
    const bool number = left.type == Type::kNumber || left.type == Type::kNan;
    const bool other = right.type == Type::kNumber || right.type == Type::kNan;
    if (number && other && (left.type == Type::kNan || right.type == Type::kNan)) {
      return Verdict::kFalse;
    }
    const std::optional<int> order = Maker::order(left, right);
    if (!order) return Verdict::kError;
    return verdict(sign == 2   ? *order < 0
                   : sign == 3 ? *order <= 0
                   : sign == 4 ? *order > 0
                               : *order >= 0);
  }

  std::pair<Condition, Test> text_test(const Field& field, const Get& get) {
    Plain part = scalar();
    while (part.type == Type::kNumber && part.place < 9) part = scalar();  // `1 in b"…"` has a test
    const std::size_t kind = random_.below(3);
    const Condition condition = kind == 0   ? field.startswith(part.value)
                                : kind == 1 ? field.endswith(part.value)
                                            : field.contains(part.value);
    return {
        condition, [get, part, kind](const Plain& row) {
          const Plain& whole = get(row);
          const bool text = whole.type == Type::kText || whole.type == Type::kBytes;
          if (kind == 2 && whole.type == Type::kDict) {
            return verdict(part.type == Type::kText &&
                           std::any_of(whole.fields.begin(), whole.fields.end(),
                                       [&](const auto& one) { return one.first == part.text; }));
          }
          if (kind == 2 && whole.type == Type::kList) {
            return verdict(std::any_of(whole.items.begin(), whole.items.end(),
                                       [&](const Plain& one) { return same(one, part); }));
          }
          if (!text || whole.type != part.type) return Verdict::kError;
          if (kind == 0) return verdict(whole.text.starts_with(part.text));
          if (kind == 1) return verdict(whole.text.ends_with(part.text));
          return verdict(whole.text.find(part.text) != std::string::npos);
        }};
  }

  std::pair<Condition, Test> joined(std::size_t kind, std::size_t depth) {
    const auto [left, test] = condition(depth - 1);
    if (kind == 10) {
      return {!left, [test = test](const Plain& row) {
                const Verdict inner = test(row);
                if (inner == Verdict::kError) return inner;
                return verdict(inner == Verdict::kFalse);
              }};
    }
    const auto [right, other] = condition(depth - 1);
    const bool both = kind == 11;
    return {both ? left && right : left || right,
            [test = test, other = other, both](const Plain& row) {
              const Verdict first = test(row);
              return first == verdict(both) ? other(row) : first;
            }};
  }

  Random& random_;
};

class RandomConditions : public OnEveryStore {};
GRAVEN_ON_EVERY_STORE(RandomConditions);

TEST_P(RandomConditions, MatchWhatPlainEvaluationMatches) {
  Random random;
  Maker maker(random);
  const int rounds = is("oracle") ? 2 : 4;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Plain> rows;
    Data list = Data::list();
    Data dict = Data::dict();
    const std::size_t size = random.one_in(2) ? random.below(20) : 50 + random.below(900);
    for (std::size_t i = 0; i < size; ++i) {
      rows.push_back(random.one_in(10) ? maker.any(2) : maker.dict(3));
      const Data row = rows.back().data();
      const Data::Item in_list = list.adopt(row);
      list.container(std::get<Data::Index>(list.root())).items.push_back(in_list);
      const Data::Item in_dict = dict.adopt(row);
      auto& entries = dict.container(std::get<Data::Index>(dict.root()));
      entries.keys.push_back(std::to_string(i));
      entries.items.push_back(in_dict);
    }
    db["list"] = list;
    db["dict"] = dict;
    for (int i = 0; i < 60; ++i) {
      const auto [condition, test] = maker.condition(3);
      const std::string text = condition.text();
      SCOPED_TRACE(text);
      EXPECT_EQ(parse_condition(text).text(), text);
      std::vector<std::int64_t> expected;
      for (std::size_t at = 0; at < rows.size(); ++at) {
        if (test(rows[at]) == Verdict::kTrue) expected.push_back(static_cast<std::int64_t>(at));
      }
      const Condition& use = i % 2 == 0 ? condition : parse_condition(text);
      std::vector<std::int64_t> found;
      QueryCursor items = db["list"].where(use).cursor();
      for (auto page = items.next(); !page.empty(); page = items.next()) {
        for (const QueryRow& row : page) found.push_back(row.index);
      }
      ASSERT_EQ(found, expected);
      found.clear();
      QueryCursor entries = db["dict"].where(use).cursor();
      for (auto page = entries.next(); !page.empty(); page = entries.next()) {
        for (const QueryRow& row : page) found.push_back(std::stoll(row.key));
      }
      ASSERT_EQ(found, expected);
      ASSERT_EQ(db["dict"].where(use).count(), expected.size());
    }
  }
}

}  // namespace
}  // namespace graven::test
