// SPDX-License-Identifier: MIT
//
// Sums, extremes and means. See group.hpp.
#include "query/group.hpp"

#include <cmath>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::query {

void Total::take(Aggregate::Kind kind, const Datum& datum, const std::string& name) {
  if (datum.kind == Kind::kNone) return;
  switch (kind) {
    case Aggregate::Kind::kCount:
      ++count_;
      return;
    case Aggregate::Kind::kSum:
    case Aggregate::Kind::kAvg:
      if (!datum.is_number()) {
        throw WrongTypeError(fmt::format(
            "'{}' adds numbers, but the field of a row is {}; leave such rows out with a condition",
            name,
            datum.kind == Kind::kText    ? "a text"
            : datum.kind == Kind::kBytes ? "bytes"
                                         : "a dict or list"));
      }
      ++count_;
      return add(datum);
    case Aggregate::Kind::kMin:
    case Aggregate::Kind::kMax: {
      if (datum.is_node()) {
        throw WrongTypeError(fmt::format("'{}': the field of a row is a dict or list", name));
      }
      const auto order = total_order(datum, datum_of(best_));
      const bool better = count_ == 0 || (kind == Aggregate::Kind::kMin ? order < 0 : order > 0);
      ++count_;
      if (better) best_ = copy_of(datum);
      return;
    }
  }
}

void Total::add(const Datum& datum) {
  if (datum.kind == Kind::kReal) {
    any_real_ = true;
    const double sum = real_ + datum.real;  // Neumaier's sum
    if (std::isfinite(sum)) {
      lost_ += std::fabs(real_) >= std::fabs(datum.real) ? (real_ - sum) + datum.real
                                                         : (datum.real - sum) + real_;
    }
    real_ = sum;
    return;
  }
  std::int64_t sum = 0;
  if (datum.kind != Kind::kBig && !__builtin_add_overflow(whole_, datum.integer, &sum)) {
    whole_ = sum;
    return;
  }
  const base::Integer one =
      datum.kind == Kind::kBig ? base::Integer(datum.text) : base::Integer(datum.integer);
  beyond_ = beyond_ ? *beyond_ + one : one;
}

double Total::sum() const {
  const double whole =
      beyond_ ? (*beyond_ + base::Integer(whole_)).to_double() : static_cast<double>(whole_);
  return std::isfinite(real_) ? whole + real_ + lost_ : real_;
}

Data::Item Total::result(Aggregate::Kind kind) const {
  switch (kind) {
    case Aggregate::Kind::kCount:
      return static_cast<std::int64_t>(count_);
    case Aggregate::Kind::kSum: {
      if (any_real_) return sum();
      if (!beyond_) return whole_;
      const base::Integer exact = *beyond_ + base::Integer(whole_);
      if (const auto small = exact.to_int64()) return *small;
      return BigInt{exact.to_hex()};
    }
    case Aggregate::Kind::kAvg:
      if (count_ == 0) return nullptr;
      return sum() / static_cast<double>(count_);
    default:
      return item_of(datum_of(best_));
  }
}

void Groups::take(Reader& reader, const Datum& row) {
  identity_.clear();
  key_.clear();
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const Datum& datum = key_.emplace_back(reader.field(row, *fields_[i].path()));
    if (datum.is_node()) {
      throw WrongTypeError(fmt::format(
          "rows are grouped by scalars, but '{}' of a row is a dict or list", names_[i]));
    }
    put_identity(identity_, datum);
  }
  const auto [place, fresh] = places_.try_emplace(identity_, groups_.size());
  if (fresh) {
    if (groups_.size() == kMost) {
      throw LimitError(fmt::format("there are more than {} groups", kMost));
    }
    Group& group = groups_.emplace_back();
    for (const Datum& datum : key_) group.key.push_back(item_of(datum));
    group.totals.resize(aggregates_.size());
  }
  Group& group = groups_[place->second];
  for (std::size_t i = 0; i < aggregates_.size(); ++i) {
    const Aggregate& aggregate = aggregates_[i].second;
    // Without a field, count() counts the row.
    const Datum datum = aggregate.field() ? reader.field(row, *aggregate.field()->path())
                                          : Datum{.kind = Kind::kBool, .there = true};
    group.totals[i].take(aggregate.kind(), datum, aggregates_[i].first);
  }
}

Data Groups::finish() const {
  Data all = Data::list();
  const auto top = std::get<Data::Index>(all.root());
  for (const Group& group : groups_) {
    const Data::Index at = all.add(NodeKind::kDict);
    Data::Container& row = all.container(at);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      row.keys.push_back(names_[i]);
      row.items.push_back(group.key[i]);
    }
    for (std::size_t i = 0; i < aggregates_.size(); ++i) {
      row.keys.push_back(aggregates_[i].first);
      row.items.push_back(group.totals[i].result(aggregates_[i].second.kind()));
    }
    all.container(top).items.emplace_back(at);
  }
  return all;
}

}  // namespace graven::query
