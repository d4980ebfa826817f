// SPDX-License-Identifier: MIT
//
// Small lists edited in place in their JSONB; large ones as a counted tree of pages. Splits
// keep the left page full when a list grows at its end, even halves otherwise; a leaf that
// falls below a quarter is merged with a neighbour that is sparse too. See list_content.hpp.
#include "graph/list_content.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "graph/layout.hpp"

namespace graven::graph::list_content {
namespace {

using jsonb::Element;
using jsonb::Type;
using store::Key;
using store::Record;
using store::Space;
using store::View;
using store::Work;

constexpr std::size_t kLeafBytes = 1024;
constexpr std::size_t kLeafItems = 128;
constexpr std::size_t kInnerChildren = 96;

struct Child {
  NodeId page;
  std::size_t count;
};
using Children = std::vector<Child>;
using Elements = std::vector<std::string>;

struct Tree {
  std::int64_t level = 1;  // 1: the root's children are leaves
  Children root;
};

std::size_t total(const Children& children) {
  std::size_t sum = 0;
  for (const Child& child : children) sum += child.count;
  return sum;
}

Children read_children(Element array) {
  Children children;
  for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
    const NodeId page = jsonb::integer(cursor.next()).value_or(0);
    const auto count = jsonb::integer(cursor.next()).value_or(0);
    children.push_back({page, static_cast<std::size_t>(count)});
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

Tree read_tree(const NodeRecord& node) {
  jsonb::Cursor cursor(jsonb::parse(node.body).payload);
  Tree tree;
  tree.level = jsonb::integer(cursor.next()).value_or(1);
  tree.root = read_children(cursor.next());
  return tree;
}

void put_tree(NodeRecord& node, const Tree& tree) {
  node.layout = Layout::kLargeList;
  node.body.clear();
  const std::size_t mark = jsonb::open(node.body);
  jsonb::put_int(node.body, tree.level);
  put_children(node.body, tree.root);
  jsonb::close(node.body, Type::kArray, mark);
}

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

Elements split(std::string_view array) {
  Elements elements;
  for (jsonb::Cursor cursor(jsonb::parse(array).payload); !cursor.done();) {
    elements.emplace_back(cursor.next().whole);
  }
  return elements;
}

std::string join(std::span<const std::string> elements) {
  std::string out;
  const std::size_t mark = jsonb::open(out);
  for (const std::string& element : elements) out.append(element);
  jsonb::close(out, Type::kArray, mark);
  return out;
}

std::size_t bytes_of(std::span<const std::string> elements) {
  std::size_t sum = 0;
  for (const std::string& element : elements) sum += element.size();
  return sum;
}

/// Cuts items into leaves: full ones from the left when `lean` (the list grows at its end),
/// else two halves when two will do.
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

bool sparse(std::span<const std::string> leaf) {
  return leaf.size() < kLeafItems / 4 && bytes_of(leaf) < kLeafBytes / 4;
}

/// One step of a way down: the children of an inner page (or the root) and which was taken.
struct Step {
  NodeId page;  // 0: the root, in the node's body
  Children children;
  std::size_t at;
};

/// A way from the root to a leaf, and how to write changes back up it.
class Way {
 public:
  /// Down to the leaf that holds item `index`; `index` becomes the place in it. An index at
  /// the end of the list leads to the end of the last leaf.
  Way(View& view, const NodeRecord& node, std::size_t& index) : tree_(read_tree(node)) {
    Children children = tree_.root;
    NodeId page = 0;
    for (std::int64_t level = tree_.level;; --level) {
      std::size_t at = 0;
      while (at + 1 < children.size() && index >= children[at].count) index -= children[at++].count;
      const NodeId next = children.at(at).page;
      steps_.push_back({page, std::move(children), at});
      page = next;
      if (level <= 1) break;
      const std::string body = load_page(view, page);
      children = read_children(jsonb::parse(body));
    }
    leaf_ = page;
    last_ = std::all_of(steps_.begin(), steps_.end(),
                        [](const Step& step) { return step.at + 1 == step.children.size(); });
  }

  [[nodiscard]] NodeId leaf() const noexcept { return leaf_; }
  [[nodiscard]] bool last() const noexcept { return last_; }
  [[nodiscard]] const Step& bottom() const noexcept { return steps_.back(); }

  /// The leaf beside it under the same parent, or nullptr.
  [[nodiscard]] const Child* neighbour(bool right) const noexcept {
    const Step& step = steps_.back();
    if (right) return step.at + 1 < step.children.size() ? &step.children[step.at + 1] : nullptr;
    return step.at > 0 ? &step.children[step.at - 1] : nullptr;
  }
  /// replace() is to begin with the leaf to the left.
  void step_left() noexcept { --steps_.back().at; }

  /// Puts `replacement` in place of `span` children of the bottom step, from the one taken on,
  /// and carries counts, splits and removals up to the root; saves the node.
  void replace(Work& work, NodeRecord& node, std::size_t span, Children replacement) {
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
        replacement = write_inner(work, node.id, step.page, step.children);
      }
    }
    grow_or_shrink(work, node);
  }

 private:
  /// Writes an inner page, as several when it overflows; the entries its parent has for it.
  Children write_inner(Work& work, NodeId node, NodeId page, const Children& children) const {
    Children entries;
    std::size_t start = 0;
    const std::size_t pieces = (children.size() + kInnerChildren - 1) / kInnerChildren;
    // A list that grows at its end leaves full pages behind; elsewhere pieces are even.
    const std::size_t most = last_ ? kInnerChildren : (children.size() + pieces - 1) / pieces;
    while (start < children.size()) {
      const std::size_t count = std::min(most, children.size() - start);
      const auto from = children.begin() + static_cast<std::ptrdiff_t>(start);
      const Children piece(from, from + static_cast<std::ptrdiff_t>(count));
      const NodeId id = start == 0 && page != 0 ? page : work.next_id(Space::kPage);
      std::string body;
      put_children(body, piece);
      save_page(work, node, id, std::move(body));
      entries.push_back({id, total(piece)});
      start += count;
    }
    return entries;
  }

  void grow_or_shrink(Work& work, NodeRecord& node) {
    tree_.root = std::move(steps_.front().children);
    while (tree_.root.size() > kInnerChildren) {
      tree_.root = write_inner(work, node.id, 0, tree_.root);
      ++tree_.level;
    }
    while (tree_.level > 1 && tree_.root.size() == 1) {
      const NodeId only = tree_.root.front().page;
      const std::string body = load_page(work, only);
      tree_.root = read_children(jsonb::parse(body));
      work.erase(page_key(only));
      --tree_.level;
    }
    if (tree_.root.empty()) {
      node.layout = Layout::kList;
      node.body.clear();
      jsonb::put_header(node.body, Type::kArray, 0);
    } else {
      put_tree(node, tree_);
    }
    save(work, node);
  }

  Tree tree_;
  std::vector<Step> steps_;
  NodeId leaf_ = 0;
  bool last_ = false;
};

Children write_leaves(Work& work, NodeId node, NodeId first_page,
                      std::span<const std::string> items, bool lean) {
  Children children;
  for (const auto& leaf : cut_leaves(items, lean)) {
    const NodeId page =
        children.empty() && first_page != 0 ? first_page : work.next_id(Space::kPage);
    save_page(work, node, page, join(leaf));
    children.push_back({page, leaf.size()});
  }
  return children;
}

void compact(Work& work, NodeId node, Elements& elements) {
  for (std::string& element : elements) {
    if (element.size() >= kLargeInEntry) {
      element = compact_for_entry(work, node, jsonb::parse(element));
    }
  }
}

/// Makes a list without pages large.
void plant(Work& work, NodeRecord& node, Elements elements) {
  compact(work, node.id, elements);
  Tree tree;
  tree.root = write_leaves(work, node.id, 0, elements, true);
  while (tree.root.size() > kInnerChildren) {
    Children upper;
    for (std::size_t start = 0; start < tree.root.size(); start += kInnerChildren) {
      const std::size_t count = std::min(kInnerChildren, tree.root.size() - start);
      const auto from = tree.root.begin() + static_cast<std::ptrdiff_t>(start);
      const Children piece(from, from + static_cast<std::ptrdiff_t>(count));
      const NodeId page = work.next_id(Space::kPage);
      std::string body;
      put_children(body, piece);
      save_page(work, node.id, page, std::move(body));
      upper.push_back({page, total(piece)});
    }
    tree.root = std::move(upper);
    ++tree.level;
  }
  put_tree(node, tree);
  save(work, node);
}

void set_small(Work& work, NodeRecord& node, std::string body) {
  const std::size_t count = jsonb::count(jsonb::parse(body));
  if (outgrown(body.size(), count)) {
    plant(work, node, split(body));
  } else {
    node.layout = Layout::kList;
    node.body = std::move(body);
    save(work, node);
  }
}

/// The payload offset of item `index` in a small list (its end for index == size).
std::size_t offset_of(Element array, std::size_t index) {
  jsonb::Cursor cursor(array.payload);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < index; ++i) offset += cursor.next().whole.size();
  return offset;
}

void erase_pages(Work& work, NodeId page, std::int64_t level) {
  std::vector<std::pair<NodeId, std::int64_t>> stack{{page, level}};
  while (!stack.empty()) {
    const auto [id, depth] = stack.back();
    stack.pop_back();
    if (depth > 0) {
      const std::string body = load_page(work, id);
      for (const Child& child : read_children(jsonb::parse(body))) {
        stack.emplace_back(child.page, depth - 1);
      }
    }
    work.erase(page_key(id));
  }
}

}  // namespace

std::size_t size(const NodeRecord& node) {
  if (node.layout == Layout::kLargeList) return total(read_tree(node).root);
  return jsonb::count(jsonb::parse(node.body));
}

std::vector<std::string> items(View& view, const NodeRecord& node, std::size_t start,
                               std::size_t count) {
  std::vector<std::string> result;
  if (node.layout == Layout::kList) {
    std::size_t index = 0;
    for (jsonb::Cursor cursor(jsonb::parse(node.body).payload); !cursor.done(); ++index) {
      const Element element = cursor.next();
      if (index < start) continue;
      if (result.size() == count) break;
      result.emplace_back(element.whole);
    }
    return result;
  }
  const std::size_t all = size(node);
  const std::size_t end = start + std::min(count, all - std::min(start, all));
  while (start < end) {
    std::size_t place = start;
    const Way way(view, node, place);
    const Step& step = way.bottom();
    // The leaves beside it under the same parent come along without another way down.
    for (std::size_t at = step.at; at < step.children.size() && start < end; ++at) {
      const std::string body = load_page(view, step.children[at].page);
      for (jsonb::Cursor cursor(jsonb::parse(body).payload); !cursor.done() && start < end;) {
        const Element element = cursor.next();
        if (place > 0) {
          --place;
          continue;
        }
        result.emplace_back(element.whole);
        ++start;
      }
    }
  }
  return result;
}

std::string set(Work& work, NodeRecord& node, std::size_t index, std::string_view element) {
  if (node.layout == Layout::kList) {
    const Element array = jsonb::parse(node.body);
    const Element old = jsonb::nth(array, index);
    std::string before(old.whole);
    set_small(work, node,
              jsonb::splice(array, jsonb::offset_in(array, old), old.whole.size(), element));
    return before;
  }
  std::size_t place = index;
  Way way(work, node, place);
  Elements leaf = split(load_page(work, way.leaf()));
  std::string old = std::exchange(leaf.at(place), std::string(element));
  if (bytes_of(leaf) <= 2 * kLeafBytes) {
    save_page(work, node.id, way.leaf(), join(leaf));
  } else {
    way.replace(work, node, 1, write_leaves(work, node.id, way.leaf(), leaf, false));
  }
  return old;
}

void insert(Work& work, NodeRecord& node, std::size_t index, std::vector<std::string> elements) {
  if (elements.empty()) return;
  if (node.layout == Layout::kList) {
    const Element array = jsonb::parse(node.body);
    const std::string addition = [&] {
      std::string all;
      for (const std::string& element : elements) all.append(element);
      return all;
    }();
    set_small(work, node, jsonb::splice(array, offset_of(array, index), 0, addition));
    return;
  }
  compact(work, node.id, elements);
  std::size_t place = index;
  Way way(work, node, place);
  Elements leaf = split(load_page(work, way.leaf()));
  const bool at_end = way.last() && place == leaf.size();
  leaf.insert(leaf.begin() + static_cast<std::ptrdiff_t>(place),
              std::make_move_iterator(elements.begin()), std::make_move_iterator(elements.end()));
  Children children;
  if (leaf.size() <= kLeafItems && bytes_of(leaf) <= kLeafBytes) {
    save_page(work, node.id, way.leaf(), join(leaf));
    children.push_back({way.leaf(), leaf.size()});
  } else {
    children = write_leaves(work, node.id, way.leaf(), leaf, at_end);
  }
  way.replace(work, node, 1, std::move(children));
}

std::vector<std::string> erase(Work& work, NodeRecord& node, std::size_t start, std::size_t count) {
  Elements erased;
  if (node.layout == Layout::kList) {
    erased = items(work, node, start, count);
    const Element array = jsonb::parse(node.body);
    set_small(work, node, jsonb::splice(array, offset_of(array, start), bytes_of(erased), {}));
    return erased;
  }
  while (count > 0) {
    std::size_t place = start;
    Way way(work, node, place);
    Elements leaf = split(load_page(work, way.leaf()));
    const std::size_t here = std::min(count, leaf.size() - place);
    const auto first = leaf.begin() + static_cast<std::ptrdiff_t>(place);
    const auto last = first + static_cast<std::ptrdiff_t>(here);
    erased.insert(erased.end(), std::make_move_iterator(first), std::make_move_iterator(last));
    leaf.erase(first, last);
    count -= here;
    if (leaf.empty()) {
      work.erase(page_key(way.leaf()));
      way.replace(work, node, 1, {});
      continue;
    }
    // A sparse leaf takes in a sparse neighbour, the right one rather than the left.
    std::size_t span = 1;
    if (count == 0 && sparse(leaf)) {
      for (const bool right : {true, false}) {
        const Child* neighbour = way.neighbour(right);
        if (neighbour == nullptr || leaf.size() + neighbour->count > kLeafItems / 2) continue;
        Elements more = split(load_page(work, neighbour->page));
        if (bytes_of(leaf) + bytes_of(more) > kLeafBytes / 2) continue;
        leaf.insert(right ? leaf.end() : leaf.begin(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
        work.erase(page_key(neighbour->page));
        if (!right) way.step_left();
        span = 2;
        break;
      }
    }
    save_page(work, node.id, way.leaf(), join(leaf));
    way.replace(work, node, span, {{way.leaf(), leaf.size()}});
  }
  return erased;
}

void assign(Work& work, NodeRecord& node, const std::vector<std::string>& elements) {
  if (node.layout == Layout::kLargeList) {
    const Tree tree = read_tree(node);
    for (const Child& child : tree.root) erase_pages(work, child.page, tree.level - 1);
  }
  if (outgrown(bytes_of(elements), elements.size())) {
    plant(work, node, elements);
  } else {
    node.layout = Layout::kList;
    node.body = join(elements);
    save(work, node);
  }
}

void fill(Work& work, NodeRecord& node, std::string array) {
  set_small(work, node, std::move(array));
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
