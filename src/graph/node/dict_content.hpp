// SPDX-License-Identifier: MIT
//
// What is in a dict, small or large. A small dict is its node's body, a JSONB object. Of a large
// one each entry is a record (node, position) holding [key, value], positions growing in the
// order of insertion, and a slot record (node, hash of key) finds the position of a key. Behind
// the last entry, at kHeaderPosition, stands the header [count, next position]; the node's
// own record is left alone, so adding a key disturbs nobody who came through it.
//
// Always holds: keys are distinct; entries come in insertion order; changing, adding or
// removing one entry of a large dict touches a few small records whatever its size.
//
// Elements are JSONB bytes as stored.hpp writes them. Links and blobs that come or go are the
// caller's to account for: the old element is given back for that.
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

std::size_t size(store::View& view, const NodeRecord& node);

/// The element under a key, or nothing.
std::optional<std::string> find(store::View& view, const NodeRecord& node, std::string_view key);

/// Shows the element under a key of a large dict in place, if it is in memory.
void look(store::Glance& glance, NodeId node, std::string_view key,
          base::FunctionRef<void(const jsonb::Element&)> shown);

/// Up to `limit` entries from a position on, oldest first (or newest first, from there down).
std::vector<Entry> entries(store::View& view, const NodeRecord& node, std::int64_t from,
                           std::size_t limit, bool reverse = false);

/// Calls `each(Entry&)` for all entries from a position on, oldest first, a batch at a time, until
/// it returns false.
template <class Each>
void each_entry(store::View& view, const NodeRecord& node, std::size_t batch, Each&& each,
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

/// Sets a key; saves the node where that is needed. Gives back what was there.
std::optional<std::string> put(store::Work& work, NodeRecord& node, std::string_view key,
                               std::string_view element);

/// Sets many keys, all different, in order; gives back what was there. Saves the node.
std::vector<std::string> put_many(store::Work& work, NodeRecord& node,
                                  const std::vector<std::string>& keys, const Elements& elements);

/// Removes a key; gives back what was there.
std::optional<std::string> erase(store::Work& work, NodeRecord& node, std::string_view key);

/// Whether a dict with a body of so many bytes and entries is a small one.
bool small(std::size_t bytes, std::size_t count) noexcept;

/// Fills a dict that has no records of its own yet with the entries of a JSONB object, as
/// large or small as they are, and saves the node.
void fill(store::Work& work, NodeRecord& node, std::string object);

/// Empties it of up to `limit` entries, oldest first, calling `each` with every element; saves the
/// node (also when now empty: it is small then). False when entries are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

/// The slot a key hashes to: part of the file format.
std::int64_t slot_of(NodeId node, std::string_view key) noexcept;

}  // namespace graven::graph::dict_content
