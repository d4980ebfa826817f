// SPDX-License-Identifier: MIT
//
// What is in a list, small or large. A small list is its node's body, a JSONB array. A large
// one keeps its last items there, the *tail*, and those before in a tree of pages (list_tree.hpp):
// its body is [level, items in pages, root of the tree, tail]. So the i-th item is found, set,
// inserted or removed by touching one page a level, and appending touches the node alone.
//
// Always holds: a large list has pages; its tail may be empty.
//
// Elements are JSONB bytes as stored.hpp writes them. Links and blobs that come or go are the
// caller's to account for.
// Functions on the View or Work they are given; one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/node/list_tree.hpp"
#include "graph/node/node.hpp"

namespace graven::graph::list_content {

std::size_t size(const NodeRecord& node);

/// The place an index names in a list of `size` items: a negative one counts from the end.
inline std::optional<std::size_t> place_of(std::int64_t index, std::size_t size) noexcept {
  const auto length = static_cast<std::int64_t>(size);
  const std::int64_t place = index < 0 ? index + length : index;
  if (place < 0 || place >= length) return std::nullopt;
  return static_cast<std::size_t>(place);
}

/// What a list consists of: the pages' tree, empty where it is small, and behind that the items of
/// an array, which is a part of the node's body.
struct Parts {
  list_tree::Tree tree;
  jsonb::Element tail;
};
Parts parts(const NodeRecord& node);

/// Items [start, start + count), cut at the end.
std::vector<std::string> items(store::View& view, const NodeRecord& node, std::size_t start,
                               std::size_t count);

/// Sets the item at an index that is there; gives back what was.
std::string set(store::Work& work, NodeRecord& node, std::size_t index, std::string_view element);

/// Inserts before `index` (at most size()).
void insert(store::Work& work, NodeRecord& node, std::size_t index,
            std::vector<std::string> elements);

/// Removes items [start, start + count), which are there; gives them back.
std::vector<std::string> erase(store::Work& work, NodeRecord& node, std::size_t start,
                               std::size_t count);

/// Makes the list anew of these elements.
void assign(store::Work& work, NodeRecord& node, const std::vector<std::string>& elements);

/// Whether a list with a body of so many bytes and items is a small one.
bool small(std::size_t bytes, std::size_t count) noexcept;

/// Fills a list that has no pages yet with the items of a JSONB array, and saves the node.
void fill(store::Work& work, NodeRecord& node, std::string array);

/// Empties it of up to `limit` items, calling `each` with every element; saves the node. False when
/// items are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

}  // namespace graven::graph::list_content
