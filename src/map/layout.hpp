// SPDX-License-Identifier: MIT
//
// How maps are stored: one kMap record for each map (its id, and the process that has it open
// lazily), one kItem record for each item, and one kExpiry record for each time that an item was
// given a time to live. Some kExpiry records may be out of date: the item says when it expires.
//
// Functions on the Work or View they are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "map/core.hpp"
#include "store/work.hpp"

namespace graven::map {

port::Key map_key(std::string_view name);
port::Key item_key(std::int64_t map, std::string_view key);
/// The range of all items of a map.
inline port::Range items_of(std::int64_t map) {
  return {.space = port::Space::kItem, .a = map, .include_empty_name = true};
}
port::Record to_record(const Item& item);
Item to_item(port::Record record);
inline std::optional<Item> to_item_if(std::optional<port::Record> record) {
  if (!record) return std::nullopt;
  return to_item(*std::move(record));
}

port::Key expiry_key(std::int64_t map, Expiry time, std::string_view key);

/// Appends the changes that store the item under the key, or erase it.
void append_changes(std::int64_t map, std::string_view key, const std::optional<Item>& item,
                    std::vector<port::Change>& changes);

/// A key of a map whose item was to expire at a time, and the record that says so.
struct Due {
  port::Key record{};
  Expiry time = 0;
  std::string key{};
};
/// The entries of a map that were to expire by `time`, the earliest first, at most `limit`. Reads
/// no records of other maps.
std::vector<Due> due(port::View& view, std::int64_t map, Expiry time, std::size_t limit);
/// Whether the map has any kExpiry record.
bool any_timed(port::View& view, std::int64_t map);

/// BusyError if a living process other than the owner `self` has the map open lazily. To be called
/// with the write lock held.
void require_no_lazy_owner(store::Work& work, store::Store& store, const std::string& name,
                           std::int64_t self);

/// BadValueError if the name is not allowed for a map.
void check_name(std::string_view name);

/// The map's id; creates the map if it is missing. UsageError if a read-only store lacks it.
std::int64_t open_id(store::Store& store, const std::string& name, const store::Limits& limits);

}  // namespace graven::map
