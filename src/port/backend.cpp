// SPDX-License-Identifier: MIT
//
// Defaults for what a backend need not implement itself. Threads as in backend.hpp.
#include "port/backend.hpp"

#include <utility>

#include <graven/error.hpp>

#include "port/scan.hpp"

namespace graven::port {

std::unique_ptr<SqlRows> View::sql(std::string_view, const SqlParameters&) {
  throw UsageError(
      "SQL is for stores in a SQLite file that are not open with persist=lazy or memory");
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
  constexpr std::size_t kStep = 1024;
  Batches batches({.space = Space::kItem, .a = map, .include_empty_name = true});
  std::uint64_t count = 0;
  while (!batches.ended()) count += batches.next(*this, kStep).size();
  return count;
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

void Backend::copy_to(const std::string& path, const Copying& how) {
  static_cast<void>(path);
  static_cast<void>(how);
  throw UsageError(name() + " is a store in memory, which has no backup; " +
                   "`graven dump` writes it as JSON");
}

}  // namespace graven::port
