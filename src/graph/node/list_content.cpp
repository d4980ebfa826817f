// SPDX-License-Identifier: MIT
//
// A list is the items in its pages, if it has any, and then its tail, an array in the node's body.
// Appending rewrites only the node until the tail is full. See list_content.hpp.
#include "graph/node/list_content.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "graph/node/layout.hpp"
#include "graph/node/list_tree.hpp"

namespace graven::graph::list_content {
namespace {

using jsonb::Element;
using jsonb::Type;
using list_tree::Elements;
using list_tree::Tree;
using port::View;
using store::Work;

/// The fields of a list's body, as views into it.
struct Header {
  std::int64_t level = 1;
  std::size_t in_pages = 0;  // number of items in pages
  Element root{};            // the tree's root, as list_tree::put_children() wrote it
  Element tail{};
};

Header read_header(const NodeRecord& node) {
  const Element body = jsonb::parse(node.body);
  if (node.layout == Layout::kList) return {.tail = body};
  jsonb::Cursor cursor(body.payload);
  Header header;
  header.level = jsonb::integer(cursor.next()).value_or(0);
  const std::int64_t in_pages = jsonb::integer(cursor.next()).value_or(0);
  header.in_pages = static_cast<std::size_t>(in_pages);
  header.root = cursor.next();
  header.tail = cursor.next();
  if (header.level < 1 || header.level > list_tree::kMostLevels || in_pages < 1 ||
      header.tail.type != Type::kArray) {
    list_tree::throw_damaged();
  }
  return header;
}

Tree tree_of(const NodeRecord& node, const Header& header) {
  return {
      .owner = node.id,
      .level = header.level,
      .size = header.in_pages,
      .root = header.in_pages == 0 ? list_tree::Children{} : list_tree::read_children(header.root)};
}

void put_large(NodeRecord& node, std::int64_t level, std::size_t in_pages, std::string_view root,
               std::string_view tail) {
  std::string body;
  const std::size_t mark = jsonb::open(body);
  jsonb::put_int(body, level);
  jsonb::put_int(body, static_cast<std::int64_t>(in_pages));
  body.append(root);
  body.append(tail);
  jsonb::close(body, Type::kArray, mark);
  node.layout = Layout::kLargeList;
  node.body = std::move(body);
}

void save_with(Work& work, NodeRecord& node, const Tree& tree, std::string tail) {
  if (tree.root.empty()) {
    node.layout = Layout::kList;
    node.body = std::move(tail);
  } else {
    std::string root;
    list_tree::put_children(root, tree.root);
    put_large(node, tree.level, tree.size, root, tail);
  }
  save(work, node);
}

void compact(Work& work, NodeId node, Elements& elements) {
  for (std::string& element : elements) {
    if (element.size() >= kLargeInEntry) {
      element = compact_for_entry(work, node, jsonb::parse(element));
    }
  }
}

/// Moves the items of a tail that is too large for the body to the tree, except those of the last
/// leaf; returns these as the new tail.
std::string move_to_pages(Work& work, Tree& tree, Elements elements) {
  compact(work, tree.owner, elements);
  const auto count = list_tree::in_full_leaves(elements);
  const std::span<const std::string> items(elements);
  if (count > 0) list_tree::append(work, tree, items.first(count));
  return list_tree::join(items.subspan(count));
}

/// Saves the node with a new tail.
void save_tail(Work& work, NodeRecord& node, const Header& header, std::string tail) {
  const Element array = jsonb::parse(tail);
  if (outgrown(tail.size(), jsonb::count(array), list_tree::kLeafItems)) {
    Tree tree = tree_of(node, header);
    std::string rest = move_to_pages(work, tree, list_tree::split(array));
    save_with(work, node, tree, std::move(rest));
    return;
  }
  if (node.layout == Layout::kList) {
    node.body = std::move(tail);
  } else {
    put_large(node, header.level, header.in_pages, header.root.whole, tail);
  }
  save(work, node);
}

}  // namespace

std::size_t size(const NodeRecord& node) {
  const Header header = read_header(node);
  return header.in_pages + jsonb::count(header.tail);
}

Parts parts(const NodeRecord& node) {
  const Header header = read_header(node);
  if (!node.large()) return {{}, header.tail};
  return {tree_of(node, header), header.tail};
}

std::vector<std::string> items(View& view, const NodeRecord& node, std::size_t start,
                               std::size_t count) {
  const Header header = read_header(node);
  const std::size_t end = count < SIZE_MAX - start ? start + count : SIZE_MAX;
  Elements result;
  if (start < header.in_pages) {
    list_tree::read(view, tree_of(node, header), start, std::min(end, header.in_pages), result);
  }
  std::size_t index = header.in_pages;
  for (jsonb::Cursor cursor(header.tail.payload); !cursor.done() && index < end; ++index) {
    const Element element = cursor.next();
    if (index >= start) result.emplace_back(element.whole);
  }
  return result;
}

std::string set(Work& work, NodeRecord& node, std::size_t index, std::string_view element) {
  const Header header = read_header(node);
  if (index < header.in_pages) {
    Tree tree = tree_of(node, header);
    bool changed = false;
    std::string before = list_tree::set(work, tree, index, element, changed);
    if (changed) save_with(work, node, tree, std::string(header.tail.whole));
    return before;
  }
  const Element old = jsonb::nth(header.tail, index - header.in_pages);
  std::string before(old.whole);
  save_tail(work, node, header,
            jsonb::splice(header.tail, jsonb::offset_in(header.tail, old), before.size(), element));
  return before;
}

void insert(Work& work, NodeRecord& node, std::size_t index, std::vector<std::string> elements) {
  if (elements.empty()) return;
  const Header header = read_header(node);
  if (node.large()) compact(work, node.id, elements);
  if (index < header.in_pages) {
    Tree tree = tree_of(node, header);
    list_tree::insert(work, tree, index, elements);
    save_with(work, node, tree, std::string(header.tail.whole));
    return;
  }
  const std::size_t offset = list_tree::offset_of(header.tail, index - header.in_pages);
  save_tail(work, node, header,
            jsonb::splice(header.tail, offset, 0, list_tree::concatenate(elements)));
}

std::vector<std::string> erase(Work& work, NodeRecord& node, std::size_t start, std::size_t count) {
  Elements erased;
  if (count == 0) return erased;
  const Header header = read_header(node);
  const std::size_t from_pages =
      start < header.in_pages ? std::min(count, header.in_pages - start) : 0;
  const auto cut_tail = [&] {
    return list_tree::cut(header.tail, start + from_pages - header.in_pages, count - from_pages,
                          erased);
  };
  if (from_pages == 0) {
    save_tail(work, node, header, cut_tail());
    return erased;
  }
  Tree tree = tree_of(node, header);
  list_tree::erase(work, tree, start, from_pages, erased);
  std::string tail = count > from_pages ? cut_tail() : std::string(header.tail.whole);
  // A program that removes items from the end will probably continue: move the last leaf to the
  // tail now.
  if (jsonb::parse(tail).payload.empty() && !tree.root.empty()) {
    tail = list_tree::take_last_leaf(work, tree);
  }
  save_with(work, node, tree, std::move(tail));
  return erased;
}

void assign(Work& work, NodeRecord& node, const std::vector<std::string>& elements) {
  Tree tree = tree_of(node, read_header(node));
  list_tree::clear(work, tree);
  std::string tail = list_tree::join(elements);
  if (outgrown(tail.size(), elements.size(), list_tree::kLeafItems))
    tail = move_to_pages(work, tree, elements);
  save_with(work, node, tree, std::move(tail));
}

bool small(std::size_t bytes, std::size_t count) noexcept {
  return !outgrown(bytes, count, list_tree::kLeafItems);
}

void fill(Work& work, NodeRecord& node, std::string array) {
  save_tail(work, node, {}, std::move(array));
}

bool drain(Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view)> each) {
  std::size_t done = 0;
  while (node.layout == Layout::kLargeList) {
    const std::size_t count = std::min<std::size_t>(256, size(node));
    for (const std::string& element : erase(work, node, 0, count)) each(element);
    done += count;
    if (done >= limit && node.layout == Layout::kLargeList) return false;
  }
  for (jsonb::Cursor cursor(jsonb::parse(node.body).payload); !cursor.done();) {
    each(cursor.next().whole);
  }
  node.body.clear();
  jsonb::put_header(node.body, Type::kArray, 0);
  save(work, node);
  return true;
}

}  // namespace graven::graph::list_content
