// SPDX-License-Identifier: MIT
//
// What is in a list, small or large. A small list is its node's body, a JSONB array. A large
// one is a counted tree of pages: its header [level, [page, count, page, count …]] is the
// tree's root, inner pages hold the same flat pairs, leaf pages the items; so the i-th item
// is found, set, inserted or removed by touching one page a level.
//
// Always holds: counts are exact at every level; no page but the root is empty; every leaf is
// at the same depth.
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
#include "graph/node.hpp"

namespace graven::graph::list_content {

std::size_t size(const NodeRecord& node);

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

/// Fills a list that has no pages yet with the items of a JSONB array, and saves the node.
void fill(store::Work& work, NodeRecord& node, std::string array);

/// Empties it of up to `limit` items, calling `each` with every element; saves the node. False when
/// items are left.
bool drain(store::Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view element)> each);

}  // namespace graven::graph::list_content
