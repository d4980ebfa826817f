// SPDX-License-Identifier: MIT
//
// Scans a range in batches, for results longer than one answer of a view. It always ends: each
// batch begins after the last key of the previous one, and nothing comes after the greatest
// possible key.
//
// Any thread, with a view of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "port/view.hpp"

namespace graven::port {

/// The batches of a range; each may be read from another view.
class Batches {
 public:
  explicit Batches(Range range) : rest_(std::move(range)) {}

  [[nodiscard]] bool ended() const noexcept { return !rest_; }
  void end() noexcept { rest_.reset(); }
  /// The next `count` rows (more than 0), or the last ones.
  std::vector<Row> next(View& view, std::size_t count) {
    std::vector<Row> rows;
    if (!rest_) return rows;
    rows = view.scan(*rest_, count);
    rest_ = rows.size() < count ? std::nullopt : behind(*std::move(rest_), rows.back().key);
    return rows;
  }

 private:
  std::optional<Range> rest_;
};

/// Calls `each(Row&)` for every row of a range, in order. If `each` returns bool, false ends the
/// scan. `each` may erase rows.
template <class Each>
void each_row(View& view, Range range, std::size_t batch, Each&& each) {
  for (Batches batches(std::move(range)); !batches.ended();) {
    std::vector<Row> rows = batches.next(view, batch);
    for (Row& row : rows) {
      if constexpr (std::is_void_v<decltype(each(row))>) {
        each(row);
      } else if (!each(row)) {
        return;
      }
    }
  }
}

/// How many records the range has, but no more than `most`.
inline std::uint64_t count_rows(View& view, const Range& range, std::uint64_t most = UINT64_MAX) {
  constexpr std::uint64_t kStep = 1'024;
  std::uint64_t count = 0;
  for (Batches batches(range); count < most && !batches.ended();) {
    count += batches.next(view, static_cast<std::size_t>(std::min(most - count, kStep))).size();
  }
  return count;
}

}  // namespace graven::port
