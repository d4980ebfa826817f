// SPDX-License-Identifier: MIT
//
// The pages of a large list: a counted tree whose leaves hold the items, so that the i-th is
// found, set, inserted or removed by touching one page a level. The root is kept in the node's
// body (list_content.cpp); inner pages hold [page, count, page, count …], leaves the items.
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

inline constexpr std::size_t kLeafBytes = 960;  // two rows to a page of SQLite
inline constexpr std::size_t kLeafItems = 128;

/// The most levels that a tree may have: more pages than there can be ids.
inline constexpr std::int64_t kMostLevels = 12;
[[noreturn]] void throw_damaged();

// The root's children as they stand in the node's body and in inner pages.
Children read_children(jsonb::Element array);
void put_children(std::string& out, const Children& children);

// Arrays of items, cut up and put together.
Elements split(jsonb::Element array);
std::string concatenate(std::span<const std::string> elements);
std::string join(std::span<const std::string> elements);
/// Where in the payload the item at `index` begins (the end for the index behind the last).
std::size_t offset_of(jsonb::Element array, std::size_t index);
/// The array without `count` items from `start` on, which are added to `taken`.
std::string cut(jsonb::Element array, std::size_t start, std::size_t count, Elements& taken);

/// How many of the items, from the first on, fill leaves: all but those of the last leaf.
std::size_t in_full_leaves(std::span<const std::string> items);

/// Adds items [start, end) of the tree, which are there, to `out`.
void read(store::View& view, const Tree& tree, std::size_t start, std::size_t end, Elements& out);

/// Sets an item that is there; gives back what was, and whether the tree itself changed.
std::string set(store::Work& work, Tree& tree, std::size_t index, std::string_view element,
                bool& changed);

/// Inserts before an item that is there.
void insert(store::Work& work, Tree& tree, std::size_t index, const Elements& elements);

/// Adds items behind the last.
void append(store::Work& work, Tree& tree, std::span<const std::string> items);

/// Removes items [start, start + count), which are there; adds them to `erased`.
void erase(store::Work& work, Tree& tree, std::size_t start, std::size_t count, Elements& erased);

/// Removes the last leaf of a tree that has one; gives back its array.
std::string take_last_leaf(store::Work& work, Tree& tree);

/// Removes every page.
void clear(store::Work& work, Tree& tree);

}  // namespace graven::graph::list_tree
