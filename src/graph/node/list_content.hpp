// SPDX-License-Identifier: MIT
//
// The items of a list, small or large. A small list is one JSONB array in its node's body. A large
// list keeps its last items in the body (the *tail*) and the items before them in a tree of pages
// (list_tree.hpp). Its body is [level, items in pages, root of the tree, tail]. To find, set,
// insert or remove the i-th item touches one page per level; appending touches the node only.
//
// Always holds: a large list has pages; its tail may be empty.
//
// Elements are JSONB bytes as stored.hpp writes them. The caller counts links and blobs that are
// added or removed.
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

/// The position of an index in a list of `size` items: a negative index counts from the end.
inline std::optional<std::size_t> place_of(std::int64_t index, std::size_t size) noexcept {
  const auto length = static_cast<std::int64_t>(size);
  const std::int64_t place = index < 0 ? index + length : index;
  if (place < 0 || place >= length) return std::nullopt;
  return static_cast<std::size_t>(place);
}

/// The parts of a list: the tree of pages, empty if the list is small, and then the items of the
/// tail, an array inside the node's body.
struct Parts {
  list_tree::Tree tree;
  jsonb::Element tail;
};
Parts parts(const NodeRecord& node);

/// Items [start, start + count), fewer if the list ends before.
std::vector<std::string> items(port::View& view, const NodeRecord& node, std::size_t start,
                               std::size_t count);

/// Sets the item at an existing index; returns the old one.
std::string set(store::Work& work, NodeRecord& node, std::size_t index, std::string_view element);

/// Inserts before `index` (at most size()).
void insert(store::Work& work, NodeRecord& node, std::size_t index,
            std::vector<std::string> elements);

/// Removes items [start, start + count), which must exist; returns them.
std::vector<std::string> erase(store::Work& work, NodeRecord& node, std::size_t start,
                               std::size_t count);

/// Replaces the content of the list by these elements.
void assign(store::Work& work, NodeRecord& node, const std::vector<std::string>& elements);

/// Whether a list whose body has so many bytes and items is a small one.
bool small(std::size_t bytes, std::size_t count) noexcept;

/// Fills a list that has no pages yet with the items of a JSONB array, and saves the node.
void fill(store::Work& work, NodeRecord& node, std::string array);

/// Removes up to `limit` items and calls `each` with every element. Saves the node. False if items
/// are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

}  // namespace graven::graph::list_content
