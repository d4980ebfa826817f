// SPDX-License-Identifier: MIT
//
// The pages of a large list: a counted tree whose leaves hold the items. To find, set, insert or
// remove the i-th item touches one page per level. The root is kept in the node's body
// (list_content.cpp); inner pages hold [page, count, page, count …], leaves hold the items.
//
// Always holds: counts are exact at every level; no page is empty; every leaf is at the same
// depth; an empty tree has level 1. A tree that was changed must be saved with its node.
//
// Functions on the View or Work they are given; one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/jsonb.hpp"
#include "graph/node/node.hpp"

namespace graven::graph::list_tree {

/// JSONB elements, as stored.hpp writes them.
using Elements = std::vector<std::string>;

struct Child {
  NodeId page;
  std::size_t count;  // items below it
};
using Children = std::vector<Child>;

struct Tree {
  NodeId owner = 0;
  std::int64_t level = 1;  // 1: the root's children are leaves
  std::size_t size = 0;    // items in all
  Children root{};
};

inline constexpr std::size_t kLeafBytes = 960;  // so that two rows fit into a page of SQLite
inline constexpr std::size_t kLeafItems = 128;

/// The most levels that a tree may have: a deeper one would need more pages than there are ids.
inline constexpr std::int64_t kMostLevels = 12;
[[noreturn]] void throw_damaged();

// Children of the root or of an inner page, as the node's body and inner pages store them.
Children read_children(jsonb::Element array);
void put_children(std::string& out, const Children& children);

// Split arrays of items, and join items to arrays.
Elements split(jsonb::Element array);
std::string concatenate(std::span<const std::string> elements);
std::string join(std::span<const std::string> elements);
/// The offset in the payload at which item `index` begins (the end, if `index` is the item count).
std::size_t offset_of(jsonb::Element array, std::size_t index);
/// The array without `count` items from `start` on; those are appended to `taken`.
std::string cut(jsonb::Element array, std::size_t start, std::size_t count, Elements& taken);

/// How many of the items, counted from the first, fill whole leaves: all except those of the last
/// leaf.
std::size_t in_full_leaves(std::span<const std::string> items);

/// Appends items [start, end) of the tree, which must exist, to `out`.
void read(port::View& view, const Tree& tree, std::size_t start, std::size_t end, Elements& out);

/// Sets an existing item; returns the old one. `changed` says whether the tree itself changed.
std::string set(store::Work& work, Tree& tree, std::size_t index, std::string_view element,
                bool& changed);

/// Inserts before an existing item.
void insert(store::Work& work, Tree& tree, std::size_t index, const Elements& elements);

/// Appends items after the last one.
void append(store::Work& work, Tree& tree, std::span<const std::string> items);

/// Removes items [start, start + count), which must exist; appends them to `erased`.
void erase(store::Work& work, Tree& tree, std::size_t start, std::size_t count, Elements& erased);

/// Removes the last leaf of a non-empty tree; returns its array.
std::string take_last_leaf(store::Work& work, Tree& tree);

/// Removes every page.
void clear(store::Work& work, Tree& tree);

}  // namespace graven::graph::list_tree
