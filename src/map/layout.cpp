// SPDX-License-Identifier: MIT
//
// Keys and records of maps, items and expiries. See layout.hpp.
#include "map/layout.hpp"

#include <unistd.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <graven/error.hpp>

#include "base/text.hpp"
#include "port/scan.hpp"
#include "store/incomplete.hpp"

namespace graven::map {

using port::Key;
using port::Record;
using port::Row;
using port::Space;

Key map_key(std::string_view name) { return {.space = Space::kMap, .name = std::string(name)}; }

Key item_key(std::int64_t map, std::string_view key) {
  return {.space = Space::kItem, .a = map, .name = std::string(key)};
}

Record to_record(const Item& item) {
  Record record;
  record.integers[0] = static_cast<std::int64_t>(item.kind);
  record.integers[1] = item.expires;
  record.body = item.bytes;
  return record;
}

Item to_item(Record record) {
  if (record.integers[0] < 0 || record.integers[0] > static_cast<std::int64_t>(ValueKind::kJson)) {
    throw CorruptionError(
        fmt::format("an item of a map has the unknown kind {}; run check()", record.integers[0]));
  }
  const auto kind = static_cast<ValueKind>(record.integers[0]);
  require_readable(kind, record.body);
  return {kind, record.integers[1], std::move(record.body)};
}

namespace {

// The name of a kExpiry record: the time, with so many digits that names sort by time; a colon; and
// the item's key.
constexpr std::size_t kTimeDigits = 16;
constexpr std::size_t kDueAtATime = 64;

/// Decodes the key of a kExpiry record; a malformed one counts as expired long ago.
Due due_of(Key record) {
  const std::string_view name = record.name;
  Due due{.time = 0, .key = std::string(name.substr(std::min(name.size(), kTimeDigits + 1)))};
  const char* const end = name.data() + std::min(name.size(), kTimeDigits);
  if (std::from_chars(name.data(), end, due.time).ptr != end) due.time = 0;
  due.record = std::move(record);
  return due;
}

}  // namespace

Key expiry_key(std::int64_t map, Expiry time, std::string_view key) {
  return {
      .space = Space::kExpiry, .a = map, .name = fmt::format("{:0{}}:{}", time, kTimeDigits, key)};
}

void append_changes(std::int64_t map, std::string_view key, const std::optional<Item>& item,
                    std::vector<port::Change>& changes) {
  if (!item) {
    changes.push_back({item_key(map, key), std::nullopt});
    return;
  }
  changes.push_back({item_key(map, key), to_record(*item)});
  if (item->expires != 0) {
    changes.push_back({expiry_key(map, item->expires, key), Record{}});
  }
}

std::vector<Due> due(port::View& view, std::int64_t map, Expiry time, std::size_t limit) {
  std::vector<Due> found;
  port::each_row(view, {.space = Space::kExpiry, .a = map, .include_empty_name = true},
                 std::min(limit, kDueAtATime), [&](Row& row) {
                   Due one = due_of(std::move(row.key));
                   if (one.time > time) return false;
                   found.push_back(std::move(one));
                   return found.size() < limit;
                 });
  return found;
}

bool any_timed(port::View& view, std::int64_t map) { return !due(view, map, INT64_MAX, 1).empty(); }

void require_no_lazy_owner(store::Work& work, store::Store& store, const std::string& name,
                           std::int64_t self) {
  const std::optional<Record> record = work.load(map_key(name));
  if (!record) {
    throw UsageError(fmt::format("the map '{}' is no longer in {}; open it again", name,
                                 store.backend().facts().name));
  }
  const std::int64_t owner = record->integers[1];
  if (owner == 0 || owner == self || !store.backend().leases().alive(owner)) return;
  throw BusyError(fmt::format(
      "process {} has the map '{}' of {} open with persist=lazy and is its only writer until it "
      "closes it; open it read-only to read",
      record->integers[2], name, store.backend().facts().name));
}

void check_name(std::string_view name) {
  if (!base::is_name(name)) {
    throw BadValueError(
        fmt::format("'{}' cannot be the name of a map: it needs 1 to 200 bytes of UTF-8 without "
                    "control characters",
                    name));
  }
}

std::int64_t open_id(store::Store& store, const std::string& name, const store::Limits& limits) {
  check_name(name);
  const auto known = store.load(map_key(name));
  if (known || store.backend().facts().read_only) {
    store::refuse_incomplete(*store.view(), store.name());
    if (known) return known->integers[0];
    throw UsageError(fmt::format("{} has no map '{}', and a read-only store is never changed",
                                 store.backend().facts().name, name));
  }
  std::int64_t id = 0;
  store.write(
      [&](store::Work& work) {
        if (const auto record = store::find_in_whole(work, map_key(name), store.name())) {
          id = record->integers[0];
          return;
        }
        // A small number, because every item's row contains it.
        id = 1;
        port::each_row(work, {.space = Space::kMap}, 256, [&](const Row& row) {
          if (row.record.integers[0] > port::kMostMaps) {
            throw CorruptionError(
                fmt::format("the map '{}' of {} has the number {}, which graven did not give it; "
                            "`graven check` lists all problems",
                            row.key.name, store.backend().facts().name, row.record.integers[0]));
          }
          id = std::max(id, row.record.integers[0] + 1);
        });
        if (id > port::kMostMaps) {
          throw LimitError(
              fmt::format("{} has no number left for another map, because one has the number {}",
                          store.backend().facts().name, port::kMostMaps));
        }
        Record record;
        record.integers[0] = id;
        work.put(map_key(name), std::move(record));
      },
      limits);
  return id;
}

}  // namespace graven::map
