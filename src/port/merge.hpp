// SPDX-License-Identifier: MIT
//
// Reads layered data: the rows of a store, and over them ordered maps of changes that the store
// does not have yet. Where several layers have a key, the uppermost counts.
//
// Any thread; the caller makes sure that the maps do not change meanwhile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "port/range.hpp"

namespace graven::port {

/// Changes by key: a record, or nothing where it is erased.
using Overlay = std::map<Key, std::optional<Record>>;

/// Adds to `rows`, up to the limit, the rows of a range up to and including `until` (nullptr: to
/// its end), merged from `upper` over `lower` over a page of rows of the store. `seen` gives the
/// visible state of an entry of `lower`, a record or none; nullptr: the row of the store counts.
template <class Lower, class Seen>
void merge(const Range& range, const Key* until, const Overlay& upper, const Lower& lower,
           const Seen& seen, std::span<Row> page, std::size_t limit, std::vector<Row>& rows) {
  const auto run = [&](auto change, auto changes, auto entry, auto entries, auto before) {
    const auto key_at = [&](const auto& at, const auto& end) -> const Key* {
      if (at == end || !in_range(range, at->first)) return nullptr;
      return until != nullptr && before(*until, at->first) ? nullptr : &at->first;
    };
    for (auto row = page.begin(); rows.size() < limit;) {
      const Key* const of_change = key_at(change, changes);
      const Key* const of_entry = key_at(entry, entries);
      const Key* least = row != page.end() ? &row->key : nullptr;
      for (const Key* key : {of_entry, of_change}) {
        if (key != nullptr && (least == nullptr || before(*key, *least))) least = key;
      }
      if (least == nullptr) return;
      const bool in_page = row != page.end() && row->key == *least;
      const bool in_lower = of_entry != nullptr && *of_entry == *least;
      const bool in_upper = of_change != nullptr && *of_change == *least;
      const std::optional<Record>* on_top = in_lower ? seen(entry->second) : nullptr;
      if (in_upper) on_top = &change->second;
      if (on_top == nullptr) {
        if (in_page) rows.push_back(std::move(*row));
      } else if (*on_top) {
        rows.push_back({*least, **on_top});
      }
      if (in_page) ++row;
      if (in_lower) ++entry;
      if (in_upper) ++change;
    }
  };
  if (backwards(range)) {
    // The last key of a range of names is behind the range.
    const auto begin = [&range, last = last_key(range)](const auto& map) {
      return std::make_reverse_iterator(in_range(range, last) ? map.upper_bound(last)
                                                              : map.lower_bound(last));
    };
    run(begin(upper), upper.rend(), begin(lower), lower.rend(), std::greater<>());
  } else {
    // A name range begins after `after`, unless the empty name is wanted.
    const auto begin = [&range, first = first_key(range)](const auto& map) {
      return in_range(range, first) ? map.lower_bound(first) : map.upper_bound(first);
    };
    run(begin(upper), upper.end(), begin(lower), lower.end(), std::less<>());
  }
}

/// Up to `limit` rows of a range. Reads pages with `below(range, count)`, after the first none of
/// fewer than `fewest` rows; `over(range, until, page, rows)` merges each page with the layers
/// above and appends the result.
template <class Below, class Over>
std::vector<Row> scan_layers(Range range, std::size_t limit, std::size_t fewest, const Below& below,
                             const Over& over) {
  std::vector<Row> rows;
  for (std::size_t count = limit; rows.size() < limit;) {
    std::vector<Row> page = below(range, count);
    const bool last = page.size() < count;
    const std::optional<Key> until = last ? std::nullopt : std::optional(page.back().key);
    over(range, until ? &*until : nullptr, page, rows);
    std::optional<Range> rest = last ? std::nullopt : behind(std::move(range), *until);
    if (!rest) break;
    range = *std::move(rest);
    count = std::max(limit - rows.size(), fewest);
  }
  return rows;
}

/// What is known of a key: a record, or that there is none; or nothing is known.
using Known = std::optional<std::optional<Record>>;

/// Like View::load_many(): keys that `known(key)` knows nothing of are loaded by `below(keys,
/// each)`.
template <class Find, class Below>
void load_layers(std::span<const Key> keys, const std::function<void(std::size_t, Record*)>& each,
                 const Find& known, const Below& below) {
  std::vector<Key> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (Known found = known(keys[i])) {
      each(i, *found ? &**found : nullptr);
    } else {
      missing.push_back(keys[i]);
      places.push_back(i);
    }
  }
  if (missing.empty()) return;
  below(std::span<const Key>(missing),
        [&](std::size_t i, Record* record) { each(places[i], record); });
}

}  // namespace graven::port
