// SPDX-License-Identifier: MIT
//
// Query and QueryCursor of <graven/query.hpp>: plans, and their results as values. Any thread.
#include <graven/query.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "graph/handles.hpp"
#include "graph/node/materialize.hpp"
#include "query/group.hpp"
#include "query/parse.hpp"
#include "query/run.hpp"

namespace graven {

using graph::NodeRecord;
using port::View;
using query::Datum;
using query::Matches;
using query::Needs;
using query::Plan;
using query::Reader;
using query::Row;
using query::Run;

namespace {

Query query_of(std::shared_ptr<const graph::Pin> pin, const Condition& condition) {
  return Query(std::make_shared<const Plan>(
      Plan{.pin = std::move(pin), .condition = condition.expression()}));
}

template <class Change>
Query changed(const std::shared_ptr<const Plan>& plan, Change&& change) {
  Plan copy = *plan;
  change(copy);
  return Query(std::make_shared<const Plan>(std::move(copy)));
}

std::vector<Field> parsed(const std::vector<std::string>& fields) {
  std::vector<Field> result;
  for (const std::string& field : fields) result.push_back(parse_field(field));
  return result;
}

/// Different names for the columns of a result.
void require_different(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw UsageError(fmt::format("'{}' is asked for twice", *twice));
}

/// A datum of a row as plain data.
Data::Item plain_item(Data& into, View& view, const Datum& datum) {
  if (!datum.is_node()) return query::item_of(datum);
  return into.adopt(graph::materialize(
      view, datum.integer, datum.kind == query::Kind::kDict ? NodeKind::kDict : NodeKind::kList));
}

}  // namespace

Query Dict::where(const Condition& condition) const { return query_of(pin_, condition); }
Query List::where(const Condition& condition) const { return query_of(pin_, condition); }
Query Ref::where(const Condition& condition) const {
  const Value there = value();
  return there.is<List>() ? there.as_list().where(condition) : get<Dict>().where(condition);
}

// --- QueryCursor

QueryCursor::QueryCursor(const std::shared_ptr<const Plan>& plan)
    : run_(std::make_unique<Run>(plan)) {}
QueryCursor::~QueryCursor() = default;
QueryCursor::QueryCursor(QueryCursor&&) noexcept = default;
QueryCursor& QueryCursor::operator=(QueryCursor&&) noexcept = default;

std::vector<QueryRow> QueryCursor::next() { return next_rows(nullptr); }

std::vector<QueryRow> QueryCursor::next(Data& plain) {
  plain = Data::list();
  return next_rows(&plain);
}

std::vector<QueryRow> QueryCursor::next_rows(Data* plain) {
  std::vector<QueryRow> rows;
  const graph::Pin& pin = *run_->plan().pin;
  // As in an iteration: others may have collected what is still in the view; such handles throw.
  graph::Decoder decoder(pin);
  run_->next(
      [&](Reader& reader, const Row& row, const Datum& datum) {
        if (plain != nullptr) {
          Data::Item item = plain_item(*plain, reader.view(), datum);
          plain->container(std::get<Data::Index>(plain->root())).items.push_back(std::move(item));
        }
        if (pin.kind() == NodeKind::kDict) {
          decoder.at(row.key);
        } else {
          decoder.at(row.position);
        }
        rows.push_back({.key = std::string(row.key),
                        .index = row.position,
                        .value = decoder.value(row.element, reader.view())});
      },
      {});
  return rows;
}

Data QueryCursor::next(const std::vector<Field>& fields) {
  Data rows = Data::list();
  const auto top = std::get<Data::Index>(rows.root());
  Needs needs;
  std::vector<std::string> names;
  for (const Field& field : fields) {
    query::add(needs, *field.path());
    names.push_back(field.text());
  }
  require_different(names);
  run_->next(
      [&](Reader& reader, const Row&, const Datum& datum) {
        std::vector<Data::Item> items;
        items.reserve(fields.size());
        for (const Field& field : fields) {
          items.push_back(plain_item(rows, reader.view(), reader.field(datum, *field.path())));
        }
        const Data::Index at = rows.add(NodeKind::kDict);
        rows.container(at).keys = names;
        rows.container(at).items = std::move(items);
        rows.container(top).items.emplace_back(at);
      },
      needs);
  return rows;
}

Data QueryCursor::next_plain() {
  Data rows = Data::list();
  const auto top = std::get<Data::Index>(rows.root());
  run_->next(
      [&](Reader& reader, const Row&, const Datum& datum) {
        Data::Item item = plain_item(rows, reader.view(), datum);
        rows.container(top).items.push_back(std::move(item));
      },
      {});
  return rows;
}

// --- Query

Query Query::where(const Condition& condition) const {
  if (!condition.expression()) return *this;
  return changed(plan_, [&](Plan& plan) {
    plan.condition = plan.condition
                         ? query::join(query::Op::kAnd, {plan.condition, condition.expression()})
                         : condition.expression();
  });
}

Query Query::order_by(const std::vector<std::string>& fields) const {
  return changed(plan_, [&](Plan& plan) {
    plan.order.clear();
    for (const std::string& field : fields) {
      const bool descending = field.starts_with('-');
      plan.order.push_back(
          {query::parse_path(std::string_view(field).substr(descending ? 1 : 0)), descending});
    }
  });
}

Query Query::order_by(const Field& field, bool descending) const {
  return changed(plan_, [&](Plan& plan) { plan.order = {{*field.path(), descending}}; });
}

Query Query::limit(Count count) const {
  return changed(plan_, [&](Plan& plan) { plan.limit = count; });
}
Query Query::offset(Count count) const {
  return changed(plan_, [&](Plan& plan) { plan.offset = count; });
}

std::uint64_t Query::count() const {
  std::uint64_t count = 0;
  Run(plan_).whole([&](View& view, const NodeRecord& node) {
    Matches matches(*plan_);
    matches.all(
        view, node, [](Reader&, const Row&, const Datum&) {}, true);
    count = matches.tally().matches;
  });
  count -= std::min(count, plan_->offset);
  return std::min(count, plan_->limit);
}

std::optional<Value> Query::first() const {
  if (plan_->limit == 0) return std::nullopt;
  QueryCursor one = limit(1).cursor();
  std::vector<QueryRow> rows = one.next();
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front().value);
}

bool Query::exists() const {
  if (plan_->limit == 0) return false;
  const auto any = changed(plan_, [](Plan& plan) {
    plan.order.clear();
    plan.limit = 1;
  });
  Run run(any.plan());
  return run.next([](Reader&, const Row&, const Datum&) {}, {});
}

Data Query::select(const std::vector<std::string>& fields) const {
  const std::vector<Field> columns = parsed(fields);
  QueryCursor results = cursor();
  Data all = Data::list();
  const auto top = std::get<Data::Index>(all.root());
  for (;;) {
    Data page = results.next(columns);
    if (page.size() == 0) return all;
    const auto moved = std::get<Data::Index>(all.adopt(std::move(page)));
    std::vector<Data::Item> items = std::exchange(all.container(moved).items, {});
    auto& into = all.container(top).items;
    into.insert(into.end(), std::make_move_iterator(items.begin()),
                std::make_move_iterator(items.end()));
  }
}

Data Query::group_by(const std::vector<std::string>& fields,
                     const std::vector<std::pair<std::string, Aggregate>>& aggregates) const {
  const std::vector<Field> columns = parsed(fields);
  std::vector<std::string> names = fields;
  for (const auto& [name, aggregate] : aggregates) names.push_back(name);
  require_different(std::move(names));
  Needs needs;
  for (const Field& column : columns) query::add(needs, *column.path());
  for (const auto& [name, aggregate] : aggregates) {
    if (aggregate.field()) query::add(needs, *aggregate.field()->path());
  }
  query::Groups groups(fields, columns, aggregates);
  Run run(plan_);
  while (run.next([&](Reader& reader, const Row&, const Datum& row) { groups.take(reader, row); },
                  needs)) {
  }
  return groups.finish();
}

Explanation Query::explain() const {
  Explanation told{.plan = "scan"};
  if (plan_->condition) told.condition = query::text_of(plan_->condition);
  Run(plan_).whole([&](View& view, const NodeRecord& node) {
    Matches matches(*plan_);
    (void)matches.hits(view, node, true);
    told.rows = matches.tally().rows;
    told.records = matches.tally().records;
    told.matches = matches.tally().matches;
  });
  return told;
}

std::string Explanation::text() const {
  return fmt::format("{} of {} rows ({} records read), {} matched: {}", plan, rows, records,
                     matches, condition.empty() ? "all" : condition);
}

bool Query::over_dict() const noexcept { return plan_->pin->kind() == NodeKind::kDict; }

Query::Iterator Query::begin() const { return Iterator(cursor()); }

Query::Iterator::Iterator(QueryCursor cursor) : cursor_(std::move(cursor)), rows_(cursor_.next()) {}

Query::Iterator& Query::Iterator::operator++() {
  if (++at_ == rows_.size()) {
    rows_ = cursor_.next();
    at_ = 0;
  }
  return *this;
}

}  // namespace graven
