// SPDX-License-Identifier: MIT
//
// A scan that is longer than one answer of a view, a batch at a time. It always ends: each batch
// begins behind the last key of the one before, and what is behind the last key there can be is
// nothing.
//
// Any thread, with a view of its own.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "port/backend.hpp"

namespace graven::store {

/// Calls `each(Row&)` for every row of a range, in order; it may erase rows.
template <class Each>
void each_row(View& view, Range range, std::size_t batch, Each&& each) {
  for (std::optional<Range> next = std::move(range); next;) {
    std::vector<Row> rows = view.scan(*next, batch);
    if (rows.empty()) return;
    const bool more = rows.size() >= batch;
    next = more ? behind(*next, rows.back().key) : std::nullopt;
    for (Row& row : rows) each(row);
  }
}

}  // namespace graven::store
