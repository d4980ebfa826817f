// SPDX-License-Identifier: MIT
//
// The entries of a dict, small or large. A small dict is one JSONB object in its node's body. In a
// large dict each entry is a record (node, position) with [key, value]; positions grow in insertion
// order. A slot record (node, hash of key) gives the position of a key. The header
// [count, next position] is the record at kHeaderPosition, after the last entry. Adding a key does
// not change the node's own record, so it does not conflict with readers of that record.
//
// Always holds: keys are distinct; entries come in insertion order; changing, adding or
// removing one entry of a large dict touches a few small records, whatever its size.
//
// Elements are JSONB bytes as stored.hpp writes them. The caller counts links and blobs that are
// added or removed; the functions return the old element for that.
// Functions on the View or Work they are given; one thread at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.hpp"
#include "cache/cache.hpp"
#include "graph/node/build.hpp"
#include "graph/node/node.hpp"

namespace graven::graph::dict_content {

struct Entry {
  std::int64_t position;  // of a small dict: 0, 1, 2 …
  std::string key;
  std::string element;
};

inline constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

inline constexpr std::int64_t kHeaderPosition = kLast;

std::size_t size(port::View& view, const NodeRecord& node);

/// The element under a key, or nothing.
std::optional<std::string> find(port::View& view, const NodeRecord& node, std::string_view key);

/// Calls `shown` with the element under a key of a large dict, in place, if it is in memory.
void look(cache::Glance& glance, NodeId node, std::string_view key,
          base::FunctionRef<void(const jsonb::Element&)> shown);

/// Up to `limit` entries from a position on, oldest first. With `reverse`, from that position
/// down, newest first.
std::vector<Entry> entries(port::View& view, const NodeRecord& node, std::int64_t from,
                           std::size_t limit, bool reverse = false);

/// Calls `each(Entry&)` for all entries from a position on, oldest first, until it returns false.
/// Reads them in batches.
template <class Each>
void each_entry(port::View& view, const NodeRecord& node, std::size_t batch, Each&& each,
                std::int64_t from = kFirst) {
  for (;;) {
    std::vector<Entry> some = entries(view, node, from, batch);
    for (Entry& entry : some) {
      if (!each(entry)) return;
    }
    if (some.size() < batch) return;
    from = some.back().position + 1;
  }
}

/// Sets a key; saves the node if that is needed. Returns the old element, if any.
std::optional<std::string> put(store::Work& work, NodeRecord& node, std::string_view key,
                               std::string_view element);

/// Sets many keys, all different, in order; returns the old elements. Saves the node.
std::vector<std::string> put_many(store::Work& work, NodeRecord& node,
                                  const std::vector<std::string>& keys, const Elements& elements);

/// Removes a key; returns the old element, if any.
std::optional<std::string> erase(store::Work& work, NodeRecord& node, std::string_view key);

/// Whether a dict whose body has so many bytes and entries is a small one.
bool small(std::size_t bytes, std::size_t count) noexcept;

/// Fills a dict that has no records of its own yet with the entries of a JSONB object, and saves
/// the node. The dict becomes small or large as the entries require.
void fill(store::Work& work, NodeRecord& node, std::string object);

/// Removes up to `limit` entries, oldest first, and calls `each` with every element. Saves the node
/// (an empty dict is a small one). False if entries are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

/// The slot number of a key: part of the file format.
std::int64_t slot_of(NodeId node, std::string_view key) noexcept;

}  // namespace graven::graph::dict_content
