// SPDX-License-Identifier: MIT
//
// A split keeps the left page full if the list grows at its end; otherwise it makes equal halves.
// A leaf less than a quarter full is merged with a neighbour that is sparse too. See list_tree.hpp.
#include "graph/node/list_tree.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace graven::graph::list_tree {
namespace {

using jsonb::Element;
using jsonb::Type;
using port::Key;
using port::Record;
using port::Space;
using port::View;
using store::Work;

constexpr std::size_t kInnerChildren = 96;

Key page_key(NodeId page) { return {.space = Space::kPage, .a = page}; }

std::string load_page(View& view, NodeId page) {
  std::optional<Record> record = view.load(page_key(page));
  if (!record) {
    throw CorruptionError(
        fmt::format("page {} of a list is missing from the store; run check()", page));
  }
  return std::move(record->body);
}

void save_page(Work& work, NodeId node, NodeId page, std::string body) {
  Record record;
  record.integers[0] = node;
  record.body = std::move(body);
  work.put(page_key(page), std::move(record));
}

std::size_t total(const Children& children) {
  std::size_t sum = 0;
  for (const Child& child : children) sum += child.count;
  return sum;
}

std::size_t bytes_of(std::span<const std::string> elements) {
  std::size_t sum = 0;
  for (const std::string& element : elements) sum += element.size();
  return sum;
}

/// Divides items into leaves: full ones from the left if `lean` (the list grows at its end), else
/// two halves if two leaves are enough.
std::vector<std::span<const std::string>> cut_leaves(std::span<const std::string> items,
                                                     bool lean) {
  std::vector<std::span<const std::string>> leaves;
  const std::size_t all = bytes_of(items);
  const bool halves = !lean && items.size() <= 2 * kLeafItems && all <= 2 * kLeafBytes;
  const std::size_t most_bytes = halves ? all / 2 + 1 : kLeafBytes;
  const std::size_t most_items = halves ? items.size() / 2 + 1 : kLeafItems;
  std::size_t start = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > start && (bytes + items[i].size() > most_bytes || i - start >= most_items)) {
      leaves.push_back(items.subspan(start, i - start));
      start = i;
      bytes = 0;
    }
    bytes += items[i].size();
  }
  if (start < items.size()) leaves.push_back(items.subspan(start));
  return leaves;
}

std::vector<NodeId> pages_at(View& view, const std::vector<NodeId>& above) {
  std::vector<NodeId> pages;
  for (const NodeId page : above) {
    const std::string body = load_page(view, page);
    for (const Child& child : read_children(jsonb::parse(body))) pages.push_back(child.page);
  }
  // Otherwise pages that link each other could make the walk endless.
  std::vector<NodeId> sorted = pages;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) throw_damaged();
  return pages;
}

/// Writes an inner page, or several if it overflows; returns the parent's entries for them. With
/// `lean` (the list grows at its end) the left pages are full; otherwise all are equally full.
Children write_inner(Work& work, NodeId owner, NodeId page, const Children& children, bool lean) {
  Children entries;
  const std::size_t pieces = (children.size() + kInnerChildren - 1) / kInnerChildren;
  const std::size_t most = lean ? kInnerChildren : (children.size() + pieces - 1) / pieces;
  for (std::size_t start = 0; start < children.size();) {
    const std::size_t count = std::min(most, children.size() - start);
    const auto from = children.begin() + static_cast<std::ptrdiff_t>(start);
    const Children piece(from, from + static_cast<std::ptrdiff_t>(count));
    const NodeId id = start == 0 && page != 0 ? page : work.next_id(Space::kPage);
    std::string body;
    put_children(body, piece);
    save_page(work, owner, id, std::move(body));
    entries.push_back({id, total(piece)});
    start += count;
  }
  return entries;
}

Children write_leaves(Work& work, NodeId owner, NodeId first_page,
                      std::span<const std::string> items, bool lean) {
  Children children;
  for (const auto& leaf : cut_leaves(items, lean)) {
    const NodeId page =
        children.empty() && first_page != 0 ? first_page : work.next_id(Space::kPage);
    save_page(work, owner, page, join(leaf));
    children.push_back({page, leaf.size()});
  }
  return children;
}

/// Makes `children` the root. Adds levels while there are too many children, and removes levels
/// that are not needed.
void put_root(Work& work, Tree& tree, Children children, bool lean) {
  tree.root = std::move(children);
  while (tree.root.size() > kInnerChildren) {
    tree.root = write_inner(work, tree.owner, 0, tree.root, lean);
    ++tree.level;
  }
  while (tree.level > 1 && tree.root.size() == 1) {
    const NodeId only = tree.root.front().page;
    const std::string body = load_page(work, only);
    tree.root = read_children(jsonb::parse(body));
    if (tree.root.empty()) throw_damaged();
    work.erase(page_key(only));
    --tree.level;
  }
  if (tree.root.empty()) tree.level = 1;
  tree.size = total(tree.root);
}

/// One step of a path down: the children of an inner page (or of the root), and which was taken.
struct Step {
  NodeId page;  // 0: the root
  Children children;
  std::size_t at;
};

/// A path from the root to a leaf; writes changes back along it.
class Way {
 public:
  /// Goes down to the leaf that holds item `index`; `index` becomes the position in the leaf. An
  /// index at the end of the tree leads to the end of the last leaf.
  Way(View& view, const Tree& tree, std::size_t& index) {
    Children children = tree.root;
    NodeId page = 0;
    std::size_t items = tree.size;
    for (std::int64_t level = tree.level;; --level) {
      if (children.empty() || total(children) != items) throw_damaged();
      std::size_t at = 0;
      while (at + 1 < children.size() && index >= children[at].count) index -= children[at++].count;
      const NodeId next = children[at].page;
      items = children[at].count;
      steps_.push_back({page, std::move(children), at});
      page = next;
      if (level <= 1) break;
      const std::string body = load_page(view, page);
      children = read_children(jsonb::parse(body));
    }
    last_ = std::all_of(steps_.begin(), steps_.end(),
                        [](const Step& step) { return step.at + 1 == step.children.size(); });
  }

  [[nodiscard]] const Child& leaf() const noexcept { return bottom().children[bottom().at]; }
  [[nodiscard]] const Step& bottom() const noexcept { return steps_.back(); }

  /// The next leaf to the right or left under the same parent, or nullptr.
  [[nodiscard]] const Child* neighbour(bool right) const noexcept {
    const Step& step = steps_.back();
    if (right) return step.at + 1 < step.children.size() ? &step.children[step.at + 1] : nullptr;
    return step.at > 0 ? &step.children[step.at - 1] : nullptr;
  }
  /// Moves one leaf to the left, so that replace() begins there.
  void step_left() noexcept { --steps_.back().at; }

  /// Replaces `span` children of the lowest step, beginning with the one taken, by `replacement`.
  /// Then updates counts, splits and removals up to the root.
  void replace(Work& work, Tree& tree, std::size_t span, Children replacement) {
    for (std::size_t depth = steps_.size(); depth-- > 0;) {
      Step& step = steps_[depth];
      const auto first = step.children.begin() + static_cast<std::ptrdiff_t>(step.at);
      const auto rest = step.children.erase(first, first + static_cast<std::ptrdiff_t>(span));
      step.children.insert(rest, replacement.begin(), replacement.end());
      span = 1;
      replacement.clear();
      if (depth == 0) break;
      if (step.children.empty()) {
        work.erase(page_key(step.page));
      } else {
        replacement = write_inner(work, tree.owner, step.page, step.children, last_);
      }
    }
    put_root(work, tree, std::move(steps_.front().children), last_);
  }

 private:
  std::vector<Step> steps_;
  bool last_ = false;
};

}  // namespace

void throw_damaged() {
  throw CorruptionError(
      "the pages of a list do not agree with each other; `graven check` shows which list, `graven "
      "repair` repairs it");
}

Children read_children(Element array) {
  if (array.type != Type::kArray) throw_damaged();
  Children children;
  for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
    const std::optional<std::int64_t> page = jsonb::integer(cursor.next());
    const std::optional<std::int64_t> count = jsonb::integer(cursor.next());
    constexpr std::int64_t kMost = std::int64_t{1} << 48U;
    if (!page || !count || *count < 1 || *count > kMost) throw_damaged();
    children.push_back({*page, static_cast<std::size_t>(*count)});
  }
  return children;
}

void put_children(std::string& out, const Children& children) {
  const std::size_t mark = jsonb::open(out);
  for (const Child& child : children) {
    jsonb::put_int(out, child.page);
    jsonb::put_int(out, static_cast<std::int64_t>(child.count));
  }
  jsonb::close(out, Type::kArray, mark);
}

Elements split(Element array) {
  Elements elements;
  for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
    elements.emplace_back(cursor.next().whole);
  }
  return elements;
}

std::string concatenate(std::span<const std::string> elements) {
  std::string all;
  for (const std::string& element : elements) all.append(element);
  return all;
}

std::string join(std::span<const std::string> elements) {
  std::string out;
  jsonb::put_container(out, Type::kArray, concatenate(elements));
  return out;
}

std::size_t offset_of(Element array, std::size_t index) {
  jsonb::Cursor cursor(array.payload);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < index; ++i) offset += cursor.next().whole.size();
  return offset;
}

std::string cut(Element array, std::size_t start, std::size_t count, Elements& taken) {
  const std::size_t offset = offset_of(array, start);
  std::size_t length = 0;
  jsonb::Cursor cursor(array.payload.substr(offset));
  for (std::size_t i = 0; i < count; ++i) {
    taken.emplace_back(cursor.next().whole);
    length += taken.back().size();
  }
  return jsonb::splice(array, offset, length, {});
}

std::size_t in_full_leaves(std::span<const std::string> items) {
  const auto leaves = cut_leaves(items, true);
  return leaves.empty() ? 0 : items.size() - leaves.back().size();
}

void read(View& view, const Tree& tree, std::size_t start, std::size_t end, Elements& out) {
  while (start < end) {
    std::size_t place = start;
    const Way way(view, tree, place);
    const Step& step = way.bottom();
    // Leaves under the same parent are read without going down again.
    for (std::size_t at = step.at; at < step.children.size() && start < end; ++at) {
      const std::string body = load_page(view, step.children[at].page);
      const Element leaf = jsonb::parse(body);
      const std::size_t offset = offset_of(leaf, place);
      jsonb::Cursor cursor(leaf.payload.substr(offset));
      const std::size_t before = out.size();
      for (; !cursor.done() && start < end; ++start) out.emplace_back(cursor.next().whole);
      const std::size_t here = step.children[at].count - std::exchange(place, 0);
      const std::size_t taken = out.size() - before;
      if (taken > here || (start < end && taken != here)) throw_damaged();
    }
  }
}

std::string set(Work& work, Tree& tree, std::size_t index, std::string_view element,
                bool& changed) {
  Way way(work, tree, index);
  const std::string body = load_page(work, way.leaf().page);
  const Element array = jsonb::parse(body);
  const Element old = jsonb::nth(array, index);
  std::string before(old.whole);
  std::string leaf = jsonb::splice(array, jsonb::offset_in(array, old), old.whole.size(), element);
  changed = leaf.size() > 2 * kLeafBytes;
  if (changed) {
    const Elements items = split(jsonb::parse(leaf));
    way.replace(work, tree, 1, write_leaves(work, tree.owner, way.leaf().page, items, false));
  } else {
    save_page(work, tree.owner, way.leaf().page, std::move(leaf));
  }
  return before;
}

void insert(Work& work, Tree& tree, std::size_t index, const Elements& elements) {
  Way way(work, tree, index);
  const Child leaf = way.leaf();
  const std::string body = load_page(work, leaf.page);
  const Element array = jsonb::parse(body);
  std::string more = jsonb::splice(array, offset_of(array, index), 0, concatenate(elements));
  const std::size_t count = leaf.count + elements.size();
  if (count <= kLeafItems && more.size() <= kLeafBytes) {
    save_page(work, tree.owner, leaf.page, std::move(more));
    way.replace(work, tree, 1, {{leaf.page, count}});
  } else {
    const Elements items = split(jsonb::parse(more));
    way.replace(work, tree, 1, write_leaves(work, tree.owner, leaf.page, items, false));
  }
}

void append(Work& work, Tree& tree, std::span<const std::string> items) {
  Children leaves = write_leaves(work, tree.owner, 0, items, true);
  if (tree.root.empty()) {
    put_root(work, tree, std::move(leaves), true);
    return;
  }
  std::size_t end = tree.size;
  Way way(work, tree, end);
  leaves.insert(leaves.begin(), way.leaf());
  way.replace(work, tree, 1, std::move(leaves));
}

void erase(Work& work, Tree& tree, std::size_t start, std::size_t count, Elements& erased) {
  while (count > 0) {
    std::size_t place = start;
    Way way(work, tree, place);
    const NodeId page = way.leaf().page;
    std::size_t left = way.leaf().count;
    const std::size_t here = std::min(count, left - place);
    std::string leaf = load_page(work, page);
    leaf = cut(jsonb::parse(leaf), place, here, erased);
    left -= here;
    count -= here;
    if (left == 0) {
      work.erase(page_key(page));
      way.replace(work, tree, 1, {});
      continue;
    }
    // Merge a sparse leaf with a sparse neighbour, if possible the right one.
    std::size_t span = 1;
    if (count == 0 && left < kLeafItems / 4 && leaf.size() < kLeafBytes / 4) {
      for (const bool right : {true, false}) {
        const Child* neighbour = way.neighbour(right);
        if (neighbour == nullptr || left + neighbour->count > kLeafItems / 2) continue;
        const std::string more = load_page(work, neighbour->page);
        if (leaf.size() + more.size() > kLeafBytes / 2) continue;
        const Element array = jsonb::parse(leaf);
        leaf =
            jsonb::splice(array, right ? array.payload.size() : 0, 0, jsonb::parse(more).payload);
        left += neighbour->count;
        work.erase(page_key(neighbour->page));
        if (!right) way.step_left();
        span = 2;
        break;
      }
    }
    save_page(work, tree.owner, page, std::move(leaf));
    way.replace(work, tree, span, {{page, left}});
  }
}

std::string take_last_leaf(Work& work, Tree& tree) {
  std::size_t end = tree.size;
  Way way(work, tree, end);
  const NodeId page = way.leaf().page;
  std::string leaf = load_page(work, page);
  work.erase(page_key(page));
  way.replace(work, tree, 1, {});
  return leaf;
}

void clear(Work& work, Tree& tree) {
  std::vector<NodeId> pages;
  for (const Child& child : tree.root) pages.push_back(child.page);
  for (std::int64_t level = tree.level; level >= 1 && !pages.empty(); --level) {
    std::vector<NodeId> below = level > 1 ? pages_at(work, pages) : std::vector<NodeId>();
    for (const NodeId page : pages) work.erase(page_key(page));
    pages = std::move(below);
  }
  tree = {.owner = tree.owner};
}

}  // namespace graven::graph::list_tree
