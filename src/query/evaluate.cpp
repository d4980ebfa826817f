// SPDX-License-Identifier: MIT
//
// Walks the tree of a condition. See evaluate.hpp.
#include "query/evaluate.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace graven::query {
namespace {

using graph::NodeId;

Verdict verdict(bool value) noexcept { return value ? Verdict::kTrue : Verdict::kFalse; }

bool truth(Reader& reader, const Datum& datum) {
  switch (datum.kind) {
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return datum.integer != 0;
    case Kind::kBig:
      return true;
    case Kind::kReal:
      return datum.real != 0;  // NaN is true
    case Kind::kText:
    case Kind::kBytes:
      return !datum.text.empty();
    default:
      return !reader.empty(datum);
  }
}

Verdict ordered(Op op, const Datum& left, const Datum& right) {
  const auto order = compare(left, right);
  if (!order) return Verdict::kError;
  switch (op) {
    case Op::kLess:
      return verdict(*order < 0);
    case Op::kLessEqual:
      return verdict(*order <= 0);
    case Op::kGreater:
      return verdict(*order > 0);
    default:
      return verdict(*order >= 0);
  }
}

/// kStartsWith, kEndsWith.
Verdict affix(Op op, const Datum& whole, const Datum& part) {
  const bool same = whole.kind == part.kind;
  if (!same || (whole.kind != Kind::kText && whole.kind != Kind::kBytes)) return Verdict::kError;
  return verdict(op == Op::kStartsWith ? whole.text.starts_with(part.text)
                                       : whole.text.ends_with(part.text));
}

Verdict contains(Reader& reader, const Datum& whole, const Datum& part) {
  switch (whole.kind) {
    case Kind::kText:
    case Kind::kBytes:
      if (whole.kind == Kind::kBytes && (part.kind == Kind::kInt || part.kind == Kind::kBool)) {
        if (part.integer < 0 || part.integer > 255) return Verdict::kError;
        return verdict(whole.text.find(static_cast<char>(part.integer)) != std::string_view::npos);
      }
      if (whole.kind != part.kind) return Verdict::kError;
      return verdict(whole.text.find(part.text) != std::string_view::npos);
    case Kind::kDict:
      return verdict(part.kind == Kind::kText && reader.has_key(whole, part.text));
    case Kind::kList: {
      bool found = false;
      reader.items(whole, [&](std::span<const jsonb::Element> some) {
        Reader apart(reader.view());
        found = std::any_of(some.begin(), some.end(), [&](const jsonb::Element& element) {
          return equal(apart.read(element), part);
        });
        reader.add_records(apart.records());
        return !found;
      });
      return verdict(found);
    }
    default:
      return Verdict::kError;
  }
}

Verdict any(Reader& reader, const Datum& list, const Expression* condition) {
  if (list.kind != Kind::kList) return Verdict::kError;
  const bool large = reader.node(list).large();
  Verdict result = Verdict::kFalse;
  Needs needs;
  if (large) add(needs, condition);
  reader.items(list, [&](std::span<const jsonb::Element> some) {
    // The items of a long list are read beside what is kept of the rows.
    Reader apart(reader.view());
    Reader& use = large ? apart : reader;
    std::vector<Datum> items;
    items.reserve(some.size());
    for (const jsonb::Element& element : some) items.push_back(use.read(element));
    if (large) fetch(use, items, needs);
    for (const Datum& item : items) {
      result = evaluate(use, item, condition);
      if (result != Verdict::kFalse) break;
    }
    reader.add_records(apart.records());
    return result == Verdict::kFalse;
  });
  return result;
}

}  // namespace

Verdict evaluate(Reader& reader, const Datum& row, const Expression* expression) {
  if (expression == nullptr) return Verdict::kTrue;
  switch (expression->op) {
    case Op::kAnd:
    case Op::kOr: {
      const Verdict goes_on = verdict(expression->op == Op::kAnd);
      for (const ExpressionPtr& part : expression->parts) {
        const Verdict one = evaluate(reader, row, part.get());
        if (one != goes_on) return one;
      }
      return goes_on;
    }
    case Op::kNot: {
      const Verdict inner = evaluate(reader, row, expression->parts[0].get());
      return inner == Verdict::kError ? inner : verdict(inner == Verdict::kFalse);
    }
    default:
      break;
  }
  const Datum left = reader.field(row, expression->field);
  switch (expression->op) {
    case Op::kTruth:
      return verdict(truth(reader, left));
    case Op::kExists:
      return verdict(left.there);
    case Op::kIsNone:
      return verdict(left.kind == Kind::kNone);
    case Op::kIn:
      return verdict(std::any_of(expression->values.begin(), expression->values.end(),
                                 [&](const Scalar& one) { return equal(left, datum_of(one)); }));
    case Op::kAny:
      return any(reader, left, expression->parts[0].get());
    default:
      break;
  }
  const auto* other = std::get_if<Path>(&expression->right);
  const Datum right =
      other != nullptr ? reader.field(row, *other) : datum_of(std::get<Scalar>(expression->right));
  switch (expression->op) {
    case Op::kEqual:
      return verdict(equal(left, right));
    case Op::kUnequal:
      return verdict(!equal(left, right));
    case Op::kStartsWith:
    case Op::kEndsWith:
      return affix(expression->op, left, right);
    case Op::kContains:
      return contains(reader, left, right);
    default:
      return ordered(expression->op, left, right);
  }
}

namespace {

/// The place of a field, which is made if it is not there.
Needs& place_of(Needs& needs, const Path& path) {
  Needs* at = &needs;
  for (const Step& step : path.steps) {
    const auto it = std::find(at->steps.begin(), at->steps.end(), step);
    const auto index = static_cast<std::size_t>(it - at->steps.begin());
    if (it == at->steps.end()) {
      at->steps.push_back(step);
      at->below.emplace_back();
    }
    at = &at->below[index];
  }
  return *at;
}

}  // namespace

void add(Needs& needs, const Path& path, bool content) {
  Needs& place = place_of(needs, path);
  place.content = place.content || content;
}

void add(Needs& needs, const Expression* expression) {
  if (expression == nullptr) return;
  switch (expression->op) {
    case Op::kAnd:
    case Op::kOr:
    case Op::kNot:
      for (const ExpressionPtr& part : expression->parts) add(needs, part.get());
      return;
    case Op::kAny: {
      Needs& list = place_of(needs, expression->field);
      list.content = true;
      if (list.items.empty()) list.items.emplace_back();
      return add(list.items.front(), expression->parts[0].get());
    }
    case Op::kTruth:
    case Op::kContains:
      add(needs, expression->field, true);
      break;
    default:
      add(needs, expression->field);
  }
  if (const auto* other = std::get_if<Path>(&expression->right)) add(needs, *other);
}

void fetch(Reader& reader, std::span<const Datum> rows, const Needs& needs) {
  using Wanted = std::pair<Datum, const Needs*>;
  if (!needs.node()) return;
  std::vector<Wanted> level;
  for (const Datum& row : rows) {
    if (row.is_node()) level.emplace_back(row, &needs);
  }
  std::vector<Wanted> next;
  std::vector<NodeId> ids;
  while (!level.empty()) {
    ids.clear();
    for (const Wanted& wanted : level) ids.push_back(wanted.first.integer);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    reader.fetch(ids);
    next.clear();
    const auto want = [&](const Datum& datum, const Needs& of) {
      if (datum.is_node() && of.node()) next.emplace_back(datum, &of);
    };
    for (const Wanted& wanted : level) {
      const Datum& datum = wanted.first;
      const Needs* const of = wanted.second;
      if (of->steps.empty() && of->items.empty()) continue;
      if (reader.node(datum).large()) continue;  // what is in it is read one by one
      for (std::size_t i = 0; i < of->steps.size(); ++i) {
        if (of->below[i].node()) want(reader.step(datum, of->steps[i]), of->below[i]);
      }
      if (datum.kind != Kind::kList || of->items.empty() || !of->items.front().node()) continue;
      reader.items(datum, [&](std::span<const jsonb::Element> some) {
        for (const jsonb::Element& element : some) want(reader.read(element), of->items.front());
        return true;
      });
    }
    level.swap(next);
  }
}

}  // namespace graven::query
