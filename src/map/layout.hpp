// SPDX-License-Identifier: MIT
//
// How maps lie in a store: one record of kMap for each (its id, and who has it open lazily), one of
// kItem for each item, and one of kExpiry for each time an item was given a time to live. Of the
// latter some may be out of date: the item itself says when it expires.
//
// Functions on the Work or View they are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "map/core.hpp"
#include "store/work.hpp"

namespace graven::map {

store::Key map_key(std::string_view name);
store::Key item_key(std::int64_t map, std::string_view key);
/// All items of a map.
inline store::Range items_of(std::int64_t map) {
  return {.space = store::Space::kItem, .a = map, .include_empty_name = true};
}
store::Record to_record(const Item& item);
Item to_item(store::Record record);

store::Key expiry_key(std::int64_t map, Expiry time, std::string_view key);

/// Appends what stores the item, or its absence, under the key.
void append_changes(std::int64_t map, std::string_view key, const std::optional<Item>& item,
                    std::vector<store::Change>& changes);

/// An item of a map that was to expire at a time, and the record that says so.
struct Due {
  store::Key record{};
  Expiry time = 0;
  std::string key{};
};
/// Those of a map that were to expire by `time`, the earliest first, `limit` at most. Reads none of
/// other maps'.
std::vector<Due> due(store::View& view, std::int64_t map, Expiry time, std::size_t limit);
/// Whether any item of the map was ever to expire and has not been swept.
bool any_timed(store::View& view, std::int64_t map);

/// BusyError while a living process other than the owner `self` has the map open lazily. With the
/// write lock held.
void require_no_lazy_owner(store::Work& work, store::Store& store, const std::string& name,
                           std::int64_t self);

/// BadValueError for what no map can be called.
void check_name(std::string_view name);

/// The map's id; it is made when missing. UsageError on a read-only store that lacks it.
std::int64_t open_id(store::Store& store, const std::string& name, const store::Limits& limits);

}  // namespace graven::map
