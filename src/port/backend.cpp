// SPDX-License-Identifier: MIT
//
// Defaults for what a backend need not implement itself. Threads as in backend.hpp.
#include "port/backend.hpp"

#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "port/scan.hpp"
#include "port/view.hpp"

namespace graven::port {

std::unique_ptr<SqlRows> View::sql(std::string_view, const SqlParameters&) {
  throw UsageError(
      "SQL is for stores in a SQLite file that are not open with persist=lazy or memory");
}

void View::load_many(std::span<const Key> keys,
                     const std::function<void(std::size_t, Record*)>& each) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::optional<Record> record = load(keys[i]);
    each(i, record ? &*record : nullptr);
  }
}

void View::read(std::span<const ReadOp> ops,
                base::FunctionRef<void(std::size_t, std::span<Row>)> each) {
  for (std::size_t i = 0; i < ops.size(); ++i) {
    std::vector<Row> rows;
    if (!ops[i].key) {
      rows = scan(ops[i].range, ops[i].limit);
    } else if (std::optional<Record> record = load(*ops[i].key)) {
      rows.push_back({*ops[i].key, std::move(*record)});
    }
    each(i, rows);
  }
}

bool View::any_orphans() {
  return !scan({.space = Space::kOrphan, .a = 0, .a_to = INT64_MAX}, 1).empty();
}

std::uint64_t View::count_items(std::int64_t map) {
  return count_rows(*this, {.space = Space::kItem, .a = map, .include_empty_name = true});
}

std::size_t WriteTransaction::erase_first(Space space, std::int64_t a, std::size_t limit) {
  std::vector<Change> changes;
  for (Row& row : scan({.space = space, .a = a}, limit)) {
    changes.push_back({std::move(row.key), std::nullopt});
  }
  apply(changes);
  return changes.size();
}

void WriteTransaction::insert(const NewRows& rows) { apply(rows.changes()); }

void read_with(View& view, std::span<const ReadOp> ops, ReadSink each) {
  std::vector<ReadOp> of_rows;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!ops[i].key && ops[i].count) {
      each(i, {}, count_rows(view, ops[i].range));
    } else {
      of_rows.push_back(ops[i]);
      places.push_back(i);
    }
  }
  view.read(of_rows,
            [&](std::size_t i, std::span<Row> rows) { each(places[i], rows, rows.size()); });
}

std::optional<Record> Backend::find(const Partition& partition, const Key& key, StateVersion& state,
                                    Deadline deadline) {
  const ReadOp op{.key = key};
  std::optional<Record> record;
  state = read(
      partition, {&op, 1},
      [&](std::size_t, std::span<Row> rows, std::uint64_t) {
        if (!rows.empty()) record = std::move(rows.front().record);
      },
      deadline);
  return record;
}

BackendStats Backend::stats() {
  BackendStats stats;
  stats.file.name = facts().name;
  stats.file.read_only = facts().read_only;
  if (Files* files = facet<Files>(*this)) stats.file.size_bytes = files->size_on_disk();
  return stats;
}

}  // namespace graven::port
