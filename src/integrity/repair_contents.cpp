// SPDX-License-Identifier: MIT
//
// Repairs the contents of damaged containers. Reads what can be read, one entry at a time, and
// writes the container again like a new one. A value that cannot be read becomes null, so that keys
// and positions stay. An entry whose key cannot be read is lost. Text that is not valid UTF-8 is
// kept as bytes.
//
// One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/text.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "integrity/repair_state.hpp"
#include "port/scan.hpp"

namespace graven::integrity::repairing {
namespace {

using graph::Layout;
using graph::NodeRecord;
using jsonb::Element;
using jsonb::Type;
using port::Key;
using port::Record;
using port::Row;
using port::Space;

/// Calls `each` for every record of a space whose keys (a, b) begin with `a`.
void each_pair(port::View& view, Space space, std::int64_t a, base::FunctionRef<void(Row&)> each) {
  port::each_row(view, {.space = space, .a = a}, 256, each);
}

std::string array_of(const std::vector<std::string>& elements) {
  std::string out;
  const std::size_t mark = jsonb::open(out);
  for (const std::string& element : elements) out += element;
  jsonb::close(out, Type::kArray, mark);
  return out;
}

std::string null_element() {
  std::string out;
  jsonb::put_null(out);
  return out;
}

/// Repairs damaged nodes, one after another.
class Salvage {
 public:
  Salvage(Mending& mending, Inspection& all) : mending_(mending), all_(all), work_(mending.work) {}

  void mend(std::uint32_t place) {
    std::optional<NodeRecord> found = graph::find_raw_node(work_, all_.nodes[place].id);
    if (!found) return;
    node_ = *std::move(found);
    uid_ = all_.uid(place);
    place_ = place;
    keys_.clear();
    seen_blobs_.clear();
    object_.clear();
    items_.clear();
    if (!all_.nodes[place].known_layout()) guess_layout();
    if (node_.kind() == NodeKind::kDict) {
      mend_dict();
    } else {
      mend_list();
    }
    mending_.changed = true;
  }

 private:
  void lost(std::string what, std::string_view bytes = {}) {
    mending_.lost(uid_, std::move(what), bytes);
  }

  /// Guesses the layout of a node whose record does not say it.
  void guess_layout() {
    node_.layout = Layout::kDict;
    bool entries = false;
    each_pair(work_, Space::kEntry, node_.id, [&](Row&) { entries = true; });
    if (entries) {
      node_.layout = Layout::kLargeDict;
      return;
    }
    try {
      const Element body = jsonb::parse(node_.body);
      if (body.type != Type::kArray) return;
      node_.layout = Layout::kList;
      for (jsonb::Cursor cursor(body.payload); !cursor.done();) {
        if (cursor.next().type == Type::kArray) node_.layout = Layout::kLargeList;
      }
    } catch (const CorruptionError&) {
      return;  // nothing of it can be read
    }
  }

  // --- Dicts

  void mend_dict() {
    const std::size_t mark = jsonb::open(object_);
    if (node_.layout == Layout::kDict) {
      read_small([&](jsonb::Cursor& cursor) {
        const Element key = cursor.next();
        add_entry(key, cursor.next());
      });
    } else {
      each_pair(work_, Space::kEntry, node_.id, [&](Row& row) {
        if (row.key.b != graph::dict_content::kHeaderPosition) read_entry(row);
      });
      each_pair(work_, Space::kEntry, node_.id, [&](Row& row) { work_.erase(row.key); });
      each_pair(work_, Space::kSlot, node_.id, [&](Row& row) { work_.erase(row.key); });
    }
    jsonb::close(object_, Type::kObject, mark);
    node_.layout = Layout::kDict;
    node_.body.clear();
    graph::dict_content::fill(work_, node_, std::move(object_));
  }

  void read_entry(const Row& row) {
    const auto where = [&] { return fmt::format("the entry at position {}", row.key.b); };
    try {
      const Element pair = jsonb::parse(row.record.body);
      if (pair.type != Type::kArray)
        throw CorruptionError("it is not an array of a key and a value");
      jsonb::Cursor cursor(pair.payload);
      const Element key = cursor.next();
      Element value;
      try {
        value = cursor.next();
      } catch (const CorruptionError&) {
        const std::string nothing = null_element();
        lost(fmt::format("the value of {}, which could not be read: it is null now", where()),
             row.record.body);
        add_entry(key, jsonb::parse(nothing));
        return;
      }
      add_entry(key, value);
      if (!cursor.done()) {
        lost(fmt::format("what came after the value of {}", where()), row.record.body);
      }
    } catch (const CorruptionError&) {
      lost(fmt::format("{}, which could not be read", where()), row.record.body);
    }
  }

  void add_entry(Element key, Element value) {
    std::string name;
    try {
      name = jsonb::text(key);
      if (base::invalid_utf8(name)) throw CorruptionError("no text");
    } catch (const CorruptionError&) {
      lost("an entry whose key is not a text", std::string(key.whole) + std::string(value.whole));
      return;
    }
    if (!keys_.insert(name).second) {
      lost(fmt::format("the second entry of the key '{}'", name), value.whole);
      return;
    }
    jsonb::put_text(object_, name);
    object_ += sane(value, [&] { return fmt::format("the value under '{}'", name); });
  }

  // --- Lists

  void mend_list() {
    if (node_.layout == Layout::kList) {
      read_small([&](jsonb::Cursor& cursor) { add_item(cursor.next()); });
    } else {
      read_tree();
    }
    node_.layout = Layout::kList;
    node_.body.clear();
    graph::list_content::fill(work_, node_, array_of(items_));
  }

  void add_item(Element element) {
    items_.push_back(sane(element, [&] { return fmt::format("item {}", items_.size()); }));
  }

  /// Reads the tree from its header down, as far as possible. If a part cannot be followed, appends
  /// the other pages that belong to this list, in the order in which they were made.
  void read_tree() {
    std::set<NodeId> own;
    checking::Stream pages(work_, Space::kPage);
    for (Row* row; (row = pages.peek()) != nullptr; pages.pop()) {
      if (row->record.integers[0] == node_.id) own.insert(row->key.a);
    }
    std::set<NodeId> visited;
    bool whole = true;
    std::string tail;
    try {
      const Element header = jsonb::parse(node_.body);
      if (header.type != Type::kArray) throw CorruptionError("no header");
      jsonb::Cursor cursor(header.payload);
      cursor.next();
      cursor.next();
      const Element root = cursor.next();
      std::vector<NodeId> children;
      if (root.type != Type::kArray || !children_of(root, nullptr, children)) {
        throw CorruptionError("no pages");
      }
      for (const NodeId child : children) whole = follow(child, own, visited) && whole;
      tail = cursor.next().whole;
    } catch (const CorruptionError&) {
      whole = false;
      lost("the header of the list, which could not be read, or its last items", node_.body);
    }
    if (!whole) {
      for (const NodeId page : own) {
        if (!visited.contains(page)) static_cast<void>(follow(page, own, visited));
      }
    }
    if (!tail.empty()) {
      try {
        for (jsonb::Cursor cursor(jsonb::parse(tail).payload); !cursor.done();) {
          add_item(cursor.next());
        }
      } catch (const CorruptionError&) {
        lost("the last items of the list", tail);
      }
    }
    for (const NodeId page : visited) work_.erase({.space = Space::kPage, .a = page});
  }

  /// Whether an array is [page, count, page, count …]; if `own` is given, all pages must be in it.
  static bool children_of(Element array, const std::set<NodeId>* own, std::vector<NodeId>& pages) {
    try {
      for (jsonb::Cursor cursor(array.payload); !cursor.done();) {
        for (const bool page : {true, false}) {
          const Element one = cursor.next();
          std::int64_t number = 0;
          if (one.type != Type::kInt || !jsonb::read_integer(one, number)) return false;
          if (page && own != nullptr && !own->contains(number)) return false;
          if (page) pages.push_back(number);
        }
      }
    } catch (const CorruptionError&) {
      return false;
    }
    return !pages.empty();
  }

  /// Adds the items below a page, in order; returns whether nothing was missing.
  bool follow(NodeId top, const std::set<NodeId>& own, std::set<NodeId>& visited) {
    bool whole = true;
    std::vector<NodeId> ahead{top};
    while (!ahead.empty()) {
      const NodeId page = ahead.back();
      ahead.pop_back();
      const std::optional<Record> record = work_.load({.space = Space::kPage, .a = page});
      if (!record) {
        lost(fmt::format("the items of page {}, which is missing", page));
        whole = false;
        continue;
      }
      if (!visited.insert(page).second) continue;
      try {
        const Element array = jsonb::parse(record->body);
        if (array.type != Type::kArray) throw CorruptionError("no array");
        std::vector<NodeId> below;
        if (children_of(array, &own, below)) {
          ahead.insert(ahead.end(), below.rbegin(), below.rend());
          continue;
        }
        const std::size_t before = items_.size();
        try {
          for (jsonb::Cursor cursor(array.payload); !cursor.done();) add_item(cursor.next());
        } catch (const CorruptionError&) {
          lost(fmt::format("what comes after item {} of page {}", items_.size() - before, page),
               record->body);
        }
      } catch (const CorruptionError&) {
        lost(fmt::format("the items of page {}, which could not be read", page), record->body);
        whole = false;
      }
    }
    return whole;
  }

  // --- Dicts and lists

  /// Reads the body of a small container; calls `one` for each entry or item.
  void read_small(base::FunctionRef<void(jsonb::Cursor&)> one) {
    const bool dict = node_.layout == Layout::kDict;
    Element body;
    try {
      body = jsonb::parse(node_.body);
      if (body.type != (dict ? Type::kObject : Type::kArray)) throw CorruptionError("other kind");
    } catch (const CorruptionError&) {
      lost(fmt::format("its contents, which could not be read: it is an empty {} now",
                       dict ? "dict" : "list"),
           node_.body);
      return;
    }
    if (body.whole.size() < node_.body.size()) {
      lost("bytes after its contents", std::string_view(node_.body).substr(body.whole.size()));
    }
    const std::string bytes(body.payload);  // a copy, because node_ may change meanwhile
    jsonb::Cursor cursor(bytes);
    try {
      while (!cursor.done()) one(cursor);
    } catch (const CorruptionError&) {
      lost("the rest of its contents, which could not be read", bytes);
    }
  }

  /// The element, if it is one that graven writes; else its replacement.
  std::string sane(Element element, base::FunctionRef<std::string()> where) {
    if (element.type == Type::kText || element.type == Type::kTextRaw) {
      if (base::invalid_utf8(element.payload)) {
        mending_.kept(uid_, fmt::format("{} was not a valid text: it is bytes now", where()));
        std::string bytes;
        graph::put_scalar(bytes, Bytes{std::string(element.payload)}, graph::kLargeInNode, node_.id,
                          work_);
        return bytes;
      }
      return std::string(element.whole);
    }
    const checking::Inspection::Progress silent;
    Inspection probe(0, work_, silent);
    probe.nodes.push_back(all_.nodes[place_]);
    checking::inspect_element(probe, 0, element, where);
    if (!probe.damaged.empty()) {
      lost(fmt::format("{}, which could not be read: it is null now", where()), element.whole);
      return null_element();
    }
    if (!probe.blobs.empty()) return own_blob(element, probe.blobs.front(), where);
    return std::string(element.whole);
  }

  /// Makes sure that a large value is used once, by the node that its record names.
  std::string own_blob(Element element, const checking::BlobUse& use,
                       base::FunctionRef<std::string()> where) {
    const Key key{.space = Space::kBlob, .a = use.blob};
    std::optional<Record> record = work_.load(key);
    if (!record) {
      lost(fmt::format("{}, a large value that is missing: it is null now", where()),
           element.whole);
      return null_element();
    }
    const bool text = use.text && !base::invalid_utf8(record->body);
    if (text != use.text) {
      mending_.kept(uid_, fmt::format("{} was not a valid text: it is bytes now", where()));
    }
    const bool again = !seen_blobs_.insert(use.blob).second;
    if (!again && text == use.text && record->integers[0] == node_.id) {
      return std::string(element.whole);
    }
    // Make a copy, because another node may use the same value.
    mending_.superseded.insert(use.blob);
    std::string copy;
    graph::put_scalar(copy, text ? Data::Item(record->body) : Data::Item(Bytes{record->body}), 1,
                      node_.id, work_);
    return copy;
  }

  Mending& mending_;
  Inspection& all_;
  store::Work& work_;
  NodeRecord node_{};
  std::string uid_{};
  std::uint32_t place_ = 0;
  std::unordered_set<std::string> keys_{};
  std::set<std::int64_t> seen_blobs_{};
  std::string object_{};
  std::vector<std::string> items_{};
};

}  // namespace

void mend_contents(Mending& mending, Inspection& all) {
  Salvage salvage(mending, all);
  for (const std::uint32_t place : all.damaged) salvage.mend(place);
}

void replace_links(Mending& mending, const NodeInfo& info,
                   base::FunctionRef<std::optional<std::string>(Link)> other) {
  std::optional<NodeRecord> node = graph::find_node(mending.work, info.id);
  if (!node) return;
  const auto replaced = [&](std::string_view element) -> std::optional<std::string> {
    const std::optional<Link> link = graph::link_of(jsonb::parse(element));
    return link ? other(*link) : std::nullopt;
  };
  if (node->kind() == NodeKind::kList) {
    const std::vector<std::string> items =
        graph::list_content::items(mending.work, *node, 0, SIZE_MAX);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (const auto element = replaced(items[i])) {
        graph::list_content::set(mending.work, *node, i, *element);
      }
    }
  } else {
    for (const graph::dict_content::Entry& entry :
         graph::dict_content::entries(mending.work, *node, graph::dict_content::kFirst, SIZE_MAX)) {
      if (const auto element = replaced(entry.element)) {
        graph::dict_content::put(mending.work, *node, entry.key, *element);
      }
    }
  }
  mending.changed = true;
}

}  // namespace graven::integrity::repairing
