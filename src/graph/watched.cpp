// SPDX-License-Identifier: MIT
//
// Reads a whole container, or only its changed records, and compares. See watched.hpp.
#include "graph/watched.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "graph/collector/links.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"

namespace graven::graph {
namespace {

using port::Record;
using port::Space;
using port::View;

constexpr std::size_t kBatch = 256;
constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15ULL;

port::Key entry_key(NodeId node, std::int64_t position) {
  return {.space = Space::kEntry, .a = node, .b = position};
}
std::uint64_t page_hash(NodeId page) {
  return port::record_hash({.space = Space::kPage, .a = page});
}

std::uint64_t power(std::uint64_t base, std::size_t exponent) noexcept {
  std::uint64_t result = 1;
  for (; exponent != 0; exponent >>= 1U, base *= base) {
    if ((exponent & 1U) != 0) result *= base;
  }
  return result;
}

ItemsPrint print_of_items(const jsonb::Element& array, View& view) {
  ItemsPrint print;
  for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
    print.add({print_of(cursor.next(), view), 1});
  }
  return print;
}

/// The position that the next entry of a large dict will get; nothing if its header is gone.
std::optional<std::int64_t> next_position(const NodeRecord& node, View& view) {
  const std::optional<Record> header = view.load(entry_key(node.id, dict_content::kHeaderPosition));
  if (!header) return std::nullopt;
  jsonb::Cursor cursor(jsonb::parse(header->body).payload);
  cursor.next();
  return cursor.done() ? std::nullopt : jsonb::integer(cursor.next());
}

}  // namespace

std::uint64_t print_of(const jsonb::Element& element, View& view) {
  if (const std::optional<std::int64_t> blob = blob_of(element)) {
    // The blob's id says nothing about its content.
    const std::optional<Record> record = view.load({.space = Space::kBlob, .a = *blob});
    const bool text = element.whole.find("\x17T") != std::string_view::npos;
    return base::hash(record ? record->body : std::string(), text ? 1 : 2);
  }
  return base::hash(element.whole, 0);
}

void ItemsPrint::add(const ItemsPrint& behind) noexcept {
  hash = hash * power(kFactor, behind.count) + behind.hash;
  count += behind.count;
}

Watched::Found Watched::look(const Pin& pin, const store::Changed* changed) {
  if (changed != nullptr && changed->anything) changed = nullptr;
  Look seen = reading(pin, [&](Decoder& decoder) {
    Look look;
    pin.scope().read([&](View& view) {
      look = {};
      const NodeRecord node = load_node(view, pin.id());
      look.layout = node.layout;
      if (node.kind() == NodeKind::kList) {
        look_at_list(look, node, in_part(node, changed) ? changed : nullptr, view);
      } else if (node.large() && in_part(node, changed)) {
        look_at_entries(look, node, *changed, view, decoder);
      } else {
        look_at_dict(look, node, view, decoder);
      }
    });
    return look;
  });
  Found found = std::move(seen.found);
  remember(pin.id(), std::move(seen));
  return found;
}

/// Whether it is enough to read the changed records. If a large dict became small and then large
/// again, at least as many records changed as it had entries: then it is read completely.
bool Watched::in_part(const NodeRecord& node, const store::Changed* changed) const {
  return known_ && changed != nullptr && node.layout == layout_ &&
         (node.layout != Layout::kLargeDict || changed->hashes.size() < entries_.size());
}

void Watched::see(Look& look, std::string key, std::int64_t position, std::string_view element,
                  View& view, Decoder& decoder) const {
  const jsonb::Element parsed = jsonb::parse(element);
  const std::uint64_t print = print_of(parsed, view);
  const auto before = entries_.find(key);
  if (known_ && (before == entries_.end() || before->second.print != print)) {
    look.found.entries.emplace_back(key, decoder.value(parsed, view));
  }
  look.entries.insert_or_assign(std::move(key), Entry{print, position});
}

void Watched::see_from(Look& look, const NodeRecord& node, std::int64_t from, View& view,
                       Decoder& decoder) const {
  const auto each = [&](dict_content::Entry& entry) {
    see(look, std::move(entry.key), entry.position, entry.element, view, decoder);
    return true;
  };
  dict_content::each_entry(view, node, node.large() ? kBatch : SIZE_MAX, each, from);
}

void Watched::look_at_dict(Look& look, const NodeRecord& node, View& view, Decoder& decoder) const {
  look.whole = true;
  if (node.large()) look.next = next_position(node, view).value_or(0);
  see_from(look, node, dict_content::kFirst, view, decoder);
  for (const auto& [key, entry] : entries_) {
    if (!look.entries.contains(key)) look.gone.push_back(key);
  }
  std::sort(look.gone.begin(), look.gone.end());
  for (const std::string& key : look.gone) look.found.entries.emplace_back(key, std::nullopt);
}

void Watched::look_at_entries(Look& look, const NodeRecord& node, const store::Changed& changed,
                              View& view, Decoder& decoder) const {
  std::vector<std::pair<std::int64_t, const std::string*>> touched;
  for (const std::uint64_t hash : changed.hashes) {
    const auto key = keys_.find(hash);
    if (key != keys_.end()) touched.emplace_back(entries_.at(*key->second).position, key->second);
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const auto& [position, key] : touched) {
    const std::optional<Record> record = view.load(entry_key(node.id, position));
    if (!record) {
      look.gone.push_back(*key);
      continue;
    }
    jsonb::Cursor cursor(jsonb::parse(record->body).payload);
    std::string now = jsonb::text(cursor.next());
    if (now != *key) look.gone.push_back(*key);
    see(look, std::move(now), position, cursor.next().whole, view, decoder);
  }
  look.next = next_position(node, view).value_or(0);
  if (next_ < look.next) see_from(look, node, next_, view, decoder);
  std::erase_if(look.gone, [&](const std::string& key) { return look.entries.contains(key); });
  std::sort(look.gone.begin(), look.gone.end());
  for (const std::string& key : look.gone) look.found.entries.emplace_back(key, std::nullopt);
}

void Watched::look_at_list(Look& look, const NodeRecord& node, const store::Changed* changed,
                           View& view) const {
  look.whole = changed == nullptr;
  const list_content::Parts parts = list_content::parts(node);
  std::unordered_map<std::uint64_t, bool> outdated;  // changed pages, and the pages above them
  if (changed != nullptr) {
    for (std::uint64_t hash : changed->hashes) {
      for (auto page = pages_.find(hash); page != pages_.end(); page = pages_.find(hash)) {
        if (!outdated.emplace(hash, true).second) break;
        hash = page->second.parent;
      }
    }
  }
  for (const list_tree::Child& child : parts.tree.root) {
    look.items.add(look_at_page(look, child.page, parts.tree.level, 0, outdated, view));
  }
  look.items.add(print_of_items(parts.tail, view));
  look.found.list = known_ && look.items != items_;
}

/// The hash of a page and all pages below it; level 1 is a leaf.
ItemsPrint Watched::look_at_page(Look& look, NodeId page, std::int64_t level, std::uint64_t parent,
                                 const std::unordered_map<std::uint64_t, bool>& outdated,
                                 View& view) const {
  const std::uint64_t hash = page_hash(page);
  if (!look.whole && !outdated.contains(hash)) {
    const auto known = pages_.find(hash);
    if (known != pages_.end() && known->second.parent == parent) return known->second.print;
  }
  const std::optional<Record> record = view.load({.space = Space::kPage, .a = page});
  ItemsPrint print;
  if (record) {
    const jsonb::Element array = jsonb::parse(record->body);
    if (level <= 1) {
      print = print_of_items(array, view);
    } else {
      for (const list_tree::Child& child : list_tree::read_children(array)) {
        print.add(look_at_page(look, child.page, level - 1, hash, outdated, view));
      }
    }
  }
  look.pages.insert_or_assign(hash, Page{print, parent});
  return print;
}

void Watched::remember(NodeId id, Look look) {
  known_ = true;
  layout_ = look.layout;
  next_ = look.next;
  items_ = look.items;
  const auto forget_key = [&](const std::string& key) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return;
    keys_.erase(port::record_hash(entry_key(id, entry->second.position)));
    entries_.erase(entry);
  };
  if (look.whole) {
    entries_.clear();
    keys_.clear();
    pages_ = std::move(look.pages);
  } else {
    for (const std::string& key : look.gone) forget_key(key);
    for (auto& [hash, page] : look.pages) pages_.insert_or_assign(hash, page);
  }
  for (auto& [key, entry] : look.entries) {
    forget_key(key);
    const auto at = entries_.emplace(key, entry).first;
    if (look.layout == Layout::kLargeDict) {
      keys_.emplace(port::record_hash(entry_key(id, entry.position)), &at->first);
    }
  }
}

}  // namespace graven::graph
