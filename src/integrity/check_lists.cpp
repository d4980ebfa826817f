// SPDX-License-Identifier: MIT
//
// The passes of check() over pages and large values. They check that each large list is a tree of
// pages with equal depth and correct counts, and that each page and each large value is used
// exactly once, by the node that its record names.
//
// A tree is read level by level, and the pages of a level in the order of their ids. So the walk
// ends even if damaged pages link each other. One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/text.hpp"
#include "graph/node/list_tree.hpp"
#include "integrity/check_state.hpp"

namespace graven::integrity::checking {
namespace {

using graph::NodeRecord;
using jsonb::Element;
using jsonb::Type;
using port::Key;
using port::Record;
using port::Row;
using port::Space;

/// A page and its item count, as the level above states them.
struct PageUse {
  NodeId page;
  std::int64_t count;
  friend bool operator<(const PageUse& left, const PageUse& right) {
    return std::tie(left.page, left.count) < std::tie(right.page, right.count);
  }
};

class LargeLists {
 public:
  explicit LargeLists(Inspection& all) : all_(all) {}

  void inspect() {
    for (std::uint32_t node = 0; node < all_.nodes.size(); ++node) {
      if (all_.nodes[node].layout == Layout::kLargeList) inspect_list(node);
    }
    std::sort(used_.begin(), used_.end());
    find_strays();
  }

 private:
  void inspect_list(std::uint32_t node) {
    std::vector<PageUse> level;
    std::int64_t depth = 0;
    try {
      const std::optional<NodeRecord> record = graph::find_raw_node(all_.view, all_.nodes[node].id);
      if (!record) return;
      const Element header = jsonb::parse(record->body);
      if (header.type != Type::kArray) throw CorruptionError("it is not an array");
      jsonb::Cursor cursor(header.payload);
      depth = number(cursor.next());
      const std::int64_t in_pages = number(cursor.next());
      level = children(cursor.next());
      if (depth < 1 || depth > graph::list_tree::kMostLevels) {
        throw CorruptionError(fmt::format("it claims {} levels of pages", depth));
      }
      std::int64_t counted = 0;
      for (const PageUse& child : level) counted += child.count;
      if (counted != in_pages) {
        throw CorruptionError(
            fmt::format("it counts {} items in pages, its pages {}", in_pages, counted));
      }
      const Element tail = cursor.next();
      if (tail.type != Type::kArray || !cursor.done()) {
        throw CorruptionError("it does not end with an array of items");
      }
      std::size_t place = 0;
      for (jsonb::Cursor items(tail.payload); !items.done(); ++place) {
        inspect_element(all_, node, items.next(), [&] {
          return fmt::format("item {}", static_cast<std::size_t>(in_pages) + place);
        });
      }
    } catch (const CorruptionError& error) {
      all_.problem(node, fmt::format("its header is damaged: {}", graph::cause_of(error)));
      return;
    }
    if (level.empty()) all_.problem(node, "its header names no page");
    while (!level.empty()) level = inspect_level(node, std::move(level), --depth);
  }

  /// Checks the pages of one level; returns the pages of the next.
  std::vector<PageUse> inspect_level(std::uint32_t node, std::vector<PageUse> level,
                                     std::int64_t depth) {
    std::sort(level.begin(), level.end());
    const auto twice = [](const PageUse& left, const PageUse& right) {
      return left.page == right.page;
    };
    for (auto at = level.begin(); (at = std::adjacent_find(at, level.end(), twice)) != level.end();
         ++at) {
      all_.problem(node, fmt::format("page {} is there twice", at->page));
    }
    level.erase(std::unique(level.begin(), level.end(), twice), level.end());
    std::vector<PageUse> below;
    constexpr std::size_t kBatch = 512;
    for (std::size_t start = 0; start < level.size(); start += kBatch) {
      std::vector<Key> keys;
      for (std::size_t i = start; i < std::min(start + kBatch, level.size()); ++i) {
        keys.push_back({.space = Space::kPage, .a = level[i].page});
        used_.push_back(level[i].page);
      }
      all_.view.load_many(keys, [&](std::size_t i, Record* record) {
        inspect_page(node, level[start + i], record, depth, below);
      });
    }
    return below;
  }

  void inspect_page(std::uint32_t node, const PageUse& use, const Record* record,
                    std::int64_t depth, std::vector<PageUse>& below) {
    all_.looked();
    if (record == nullptr) {
      all_.problem(node, fmt::format("page {} is missing", use.page));
      return;
    }
    if (record->integers[0] != all_.nodes[node].id) {
      all_.problem(node, fmt::format("page {} says it belongs to {}", use.page,
                                     all_.named(record->integers[0], NodeKind::kList)));
    }
    std::int64_t found = 0;
    try {
      const Element page = jsonb::parse(record->body);
      if (page.type != Type::kArray || page.whole.size() != record->body.size()) {
        throw CorruptionError("it is not an array");
      }
      if (page.payload.empty()) throw CorruptionError("it is empty");
      if (depth > 0) {
        for (const PageUse& child : children(page)) {
          below.push_back(child);
          found += child.count;
        }
      } else {
        for (jsonb::Cursor cursor(page.payload); !cursor.done(); ++found) {
          inspect_element(all_, node, cursor.next(),
                          [&] { return fmt::format("item {} of page {}", found, use.page); });
        }
      }
    } catch (const CorruptionError& error) {
      all_.problem(node, fmt::format("page {} is damaged: {}", use.page, graph::cause_of(error)));
      return;
    }
    if (found != use.count) {
      all_.problem(node, fmt::format("page {} is counted as {} items, it has {}", use.page,
                                     use.count, found));
    }
  }

  static std::int64_t number(Element element) {
    return integer_of(element, "it has items other than pages and counts (unequal depth?)");
  }

  static std::vector<PageUse> children(Element array) {
    if (array.type != Type::kArray) throw CorruptionError("it names no pages");
    std::vector<PageUse> pages;
    for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
      const std::int64_t page = number(cursor.next());
      const std::int64_t count = number(cursor.next());
      if (count < 1)
        throw CorruptionError(fmt::format("it counts {} items in page {}", count, page));
      pages.push_back({page, std::min(count, std::int64_t{1} << 40U)});
    }
    return pages;
  }

  /// Reports pages that no list uses.
  void find_strays() {
    auto use = used_.begin();
    Stream stream(all_.view, Space::kPage);
    for (; Row* row = stream.peek(); stream.pop()) {
      const NodeId page = row->key.a;
      all_.looked();
      all_.saw_id(page);
      all_.saw_version(row->record.version);
      while (use != used_.end() && *use < page) ++use;
      if (use != used_.end() && *use == page) continue;
      all_.strays.push_back(row->key);
      const NodeId owner = row->record.integers[0];
      const std::uint32_t node = all_.find(owner);
      if (node == kNoNode) {
        all_.problem(fmt::format("page {} of {}, which does not exist", page,
                                 all_.named(owner, NodeKind::kList)));
      } else {
        all_.problem(node, fmt::format("page {} says it belongs here, but nothing names it", page));
      }
    }
  }

  Inspection& all_;
  std::vector<NodeId> used_;
};

/// Compares large values with their uses.
class Blobs {
 public:
  explicit Blobs(Inspection& all) : all_(all), uses_(all.blobs) {}

  void inspect() {
    std::sort(uses_.begin(), uses_.end(), [](const BlobUse& left, const BlobUse& right) {
      return std::tie(left.blob, left.node) < std::tie(right.blob, right.node);
    });
    auto use = uses_.begin();
    Stream stream(all_.view, Space::kBlob);
    for (; Row* row = stream.peek(); stream.pop()) {
      all_.looked();
      all_.saw_id(row->key.a);
      for (; use != uses_.end() && use->blob < row->key.a; ++use) missing(*use);
      const auto first = use;
      while (use != uses_.end() && use->blob == row->key.a) ++use;
      if (first == use) {
        unused(row->key.a, row->record.integers[0]);
      } else {
        used(first, use, row->record);
      }
    }
    for (; use != uses_.end(); ++use) missing(*use);
    uses_.clear();
    uses_.shrink_to_fit();
  }

 private:
  using Iterator = std::vector<BlobUse>::const_iterator;

  void missing(const BlobUse& use) {
    all_.problem(use.node, fmt::format("the large value {} is missing", use.blob));
  }

  void unused(std::int64_t blob, NodeId owner) {
    all_.strays.push_back({.space = Space::kBlob, .a = blob});
    const std::uint32_t node = all_.find(owner);
    if (node == kNoNode) {
      all_.problem(
          fmt::format("the large value {} of {}, which does not exist", blob, all_.named(owner)));
    } else {
      all_.problem(
          node, fmt::format("the large value {} says it belongs here, but nothing uses it", blob));
    }
  }

  void used(Iterator first, Iterator last, const Record& record) {
    if (std::distance(first, last) > 1) {
      all_.problem(first->node, fmt::format("the large value {} is used {} times", first->blob,
                                            std::distance(first, last)));
      for (Iterator use = first; use != last; ++use) all_.damaged.insert(use->node);
    }
    if (record.integers[0] != all_.nodes[first->node].id) {
      all_.problem(first->node, fmt::format("the large value {} says it belongs to {}", first->blob,
                                            all_.named(record.integers[0])));
    }
    if (first->text && base::invalid_utf8(record.body)) {
      all_.problem(first->node, fmt::format("the large text {} is not valid UTF-8", first->blob));
    }
  }

  Inspection& all_;
  std::vector<BlobUse>& uses_;
};

}  // namespace

void inspect_large_lists(Inspection& all) { LargeLists(all).inspect(); }

void inspect_blobs(Inspection& all) { Blobs(all).inspect(); }

}  // namespace graven::integrity::checking
