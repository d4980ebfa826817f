// SPDX-License-Identifier: MIT
//
// The passes of check() over contents. They check that every stored value is allowed by the format,
// that keys are distinct, and that the entries, slots and header of each large dict agree. They
// note links and large values for later passes.
//
// Entries and slots are read together, one node after another; only the hashes and positions of
// one dict are in memory at a time. One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <utility>

#include "base/jsonb_scalar.hpp"
#include "graph/node/dict_content.hpp"
#include "integrity/check_state.hpp"

namespace graven::integrity::checking {
namespace {

using graph::NodeRecord;
using jsonb::Element;
using jsonb::Type;
using port::Row;
using port::Space;

void require_utf8(std::string_view text) {
  if (base::invalid_utf8(text)) throw CorruptionError("a text is not valid UTF-8");
}

/// The bytes of a text element; uses `decoded` for them if the text has escapes.
std::string_view text_of(Element element, std::string& decoded) {
  if (element.type == Type::kText || element.type == Type::kTextRaw) {
    require_utf8(element.payload);
    return element.payload;
  }
  decoded = jsonb::text(element);
  return decoded;
}

std::int64_t id_of(Element element) {
  return integer_of(element, "a link or large value has no id");
}

/// Whether it is a correct encoding of an integer beyond 64 bits.
bool is_big_integer(std::string_view hex) {
  const std::size_t sign = hex.starts_with('-') ? 1 : 0;
  return base::is_hex(hex) && hex.size() - sign >= 16 && hex[sign] != '0';
}

void inspect_escape(Inspection& all, std::uint32_t node, Element object) {
  jsonb::Cursor cursor(object.payload);
  std::string decoded;
  char tag = 0;
  if (!cursor.done()) {
    const std::string_view key = text_of(cursor.next(), decoded);
    if (key.size() == 1) tag = key.front();
  }
  if (tag != 0) {
    const Element value = cursor.next();
    const bool only = cursor.done();
    const auto text = [&] { return text_of(value, decoded); };
    switch (only ? tag : 0) {
      case 'd':
        all.links.push_back({id_of(value), node, NodeKind::kDict});
        return;
      case 'l':
        all.links.push_back({id_of(value), node, NodeKind::kList});
        return;
      case 'T':
      case 'B':
        all.blobs.push_back({id_of(value), node, tag == 'T'});
        return;
      case 'b':
        if (base::from_base64(text())) return;
        throw CorruptionError("bytes are not valid base64");
      case 'i':
        if (is_big_integer(text())) return;
        throw CorruptionError("an integer beyond 64 bits is malformed");
      case 'f':
        if (base::odd_float(text())) return;
        break;
      default:
        break;
    }
  }
  throw CorruptionError("it is an object that graven did not write");
}

void inspect_scalar(Element element) {
  std::string decoded;
  if (element.type == Type::kArray) throw CorruptionError("it is an array where a link belongs");
  if (element.is_text()) {
    static_cast<void>(text_of(element, decoded));
  } else {
    static_cast<void>(jsonb::scalar<graph::Stored>(element));
  }
}

/// Checks bodies of nodes; reuses its buffers.
class Bodies {
 public:
  explicit Bodies(Inspection& all) : all_(all) {}

  void inspect(std::uint32_t node, std::string_view body) {
    const Layout layout = all_.nodes[node].layout;
    if (layout == Layout::kLargeList) return;  // inspect_large_lists() reads it
    try {
      const Element container = jsonb::parse(body);
      const bool dict = layout != Layout::kList;
      if (container.type != (dict ? Type::kObject : Type::kArray)) {
        all_.problem(node, dict ? "its body is not an object" : "its body is not an array");
        return;
      }
      if (container.whole.size() != body.size()) {
        all_.problem(node, fmt::format("its body ends {} bytes before its record does",
                                       body.size() - container.whole.size()));
      }
      if (layout == Layout::kLargeDict) {
        if (!container.payload.empty())
          all_.problem(node, "its body has entries, though it is a large dict");
      } else if (dict) {
        inspect_dict(node, container);
      } else {
        inspect_list(node, container);
      }
    } catch (const CorruptionError& error) {
      all_.problem(node, fmt::format("its body is damaged: {}", graph::cause_of(error)));
    }
  }

 private:
  void inspect_list(std::uint32_t node, Element list) {
    std::size_t index = 0;
    for (jsonb::Cursor cursor(list.payload); !cursor.done(); ++index) {
      inspect_element(all_, node, cursor.next(), [&] { return fmt::format("item {}", index); });
    }
  }

  void inspect_dict(std::uint32_t node, Element dict) {
    keys_.clear();
    decoded_.clear();
    for (jsonb::Cursor cursor(dict.payload); !cursor.done();) {
      std::string unescaped;
      std::string_view key = text_of(cursor.next(), unescaped);
      if (!unescaped.empty()) key = decoded_.emplace_back(std::move(unescaped));
      keys_.push_back(key);
      inspect_element(all_, node, cursor.next(),
                      [&] { return fmt::format("the value under '{}'", key); });
    }
    if (keys_.size() < 2) return;
    std::sort(keys_.begin(), keys_.end());
    for (auto at = keys_.begin(); (at = std::adjacent_find(at, keys_.end())) != keys_.end(); ++at) {
      all_.problem(node, fmt::format("the key '{}' is there twice", *at));
    }
  }

  Inspection& all_;
  std::vector<std::string_view> keys_;
  std::deque<std::string> decoded_;
};

// --- Large dicts

/// A slot with this hash has this position.
struct Mark {
  std::int64_t hash;
  std::int64_t position;
  friend auto operator<=>(const Mark&, const Mark&) = default;
};

class LargeDicts {
 public:
  explicit LargeDicts(Inspection& all)
      : all_(all), entries_(all.view, Space::kEntry), slots_(all.view, Space::kSlot) {}

  void inspect() {
    for (std::uint32_t node = 0; node < all_.nodes.size(); ++node) {
      if (all_.nodes[node].layout != Layout::kLargeDict) continue;
      skip_to(all_.nodes[node].id);
      inspect_dict(node);
    }
    skip_to(std::nullopt);
  }

 private:
  /// Reports entries and slots before a node (or up to the end): they belong to no large dict.
  void skip_to(std::optional<NodeId> next) {
    for (Stream* stream : {&entries_, &slots_}) {
      NodeId last = 0;
      std::uint64_t count = 0;
      const auto tell = [&] {
        if (count != 0) stray(stream == &entries_ ? "entries" : "slots", count, last);
        count = 0;
      };
      for (Row* row; (row = stream->peek()) != nullptr && (!next || row->key.a < *next);
           stream->pop()) {
        if (row->key.a != last) tell();
        last = row->key.a;
        all_.strays.push_back(row->key);
        ++count;
        all_.looked();
      }
      tell();
    }
  }

  void stray(std::string_view what, std::uint64_t count, NodeId id) {
    const std::uint32_t node = all_.find(id);
    if (node == kNoNode) {
      all_.problem(fmt::format("{} {} of {}, which does not exist", count, what, all_.named(id)));
    } else {
      all_.problem(node, fmt::format("{} {}, though it is not a large dict", count, what));
    }
  }

  void inspect_dict(std::uint32_t node) {
    read_entries(node);
    read_slots(node);
    if (all_.nodes[node].anchor == graph::kNobody && all_.nodes[node].links == graph::kCondemned)
      return;
    compare_header(node);
    std::sort(wanted_.begin(), wanted_.end());
    std::sort(found_.begin(), found_.end());
    compare_slots(node);
    find_duplicates(node);
  }

  void read_entries(std::uint32_t node) {
    const NodeId id = all_.nodes[node].id;
    wanted_.clear();
    count_ = 0;
    header_.reset();
    for (Row* row; (row = entries_.peek()) != nullptr && row->key.a == id; entries_.pop()) {
      all_.looked();
      all_.saw_version(row->record.version);
      const std::int64_t position = row->key.b;
      if (position == graph::dict_content::kHeaderPosition) {
        header_ = std::move(row->record.body);
        continue;
      }
      ++count_;
      last_ = position;
      const auto place = [position] { return fmt::format("the entry at position {}", position); };
      try {
        const std::string& body = row->record.body;
        const Element pair = jsonb::parse(body);
        if (pair.type != Type::kArray || pair.whole.size() != body.size()) {
          throw CorruptionError("it is not an array of a key and a value");
        }
        jsonb::Cursor cursor(pair.payload);
        std::string decoded;
        const std::string_view key = text_of(cursor.next(), decoded);
        wanted_.push_back({graph::dict_content::slot_of(id, key), position});
        const Element element = cursor.next();
        if (!cursor.done()) throw CorruptionError("it holds more than a key and a value");
        inspect_element(all_, node, element, place);
      } catch (const CorruptionError& error) {
        all_.problem(node, fmt::format("{} is damaged: {}", place(), graph::cause_of(error)));
      }
    }
  }

  void read_slots(std::uint32_t node) {
    const NodeId id = all_.nodes[node].id;
    found_.clear();
    for (Row* row; (row = slots_.peek()) != nullptr && row->key.a == id; slots_.pop()) {
      all_.looked();
      const std::int64_t hash = row->key.b;
      found_.push_back({hash, row->record.integers[0]});
      if (row->record.body.empty()) continue;
      try {
        const Element more = jsonb::parse(row->record.body);
        if (more.type != Type::kArray) throw CorruptionError("it is not an array of positions");
        for (jsonb::Cursor cursor(more.payload); !cursor.done();) {
          found_.push_back({hash, id_of(cursor.next())});
        }
      } catch (const CorruptionError& error) {
        all_.problem(node, fmt::format("the slot of hash {:x} is damaged: {}", hash,
                                       graph::cause_of(error)));
      }
    }
  }

  void compare_header(std::uint32_t node) {
    if (!header_) {
      all_.problem(node, "its header is missing");
      return;
    }
    std::int64_t count = -1;
    std::int64_t next = 0;
    try {
      const Element header = jsonb::parse(*header_);
      if (header.type != Type::kArray) throw CorruptionError("it is not an array");
      jsonb::Cursor cursor(header.payload);
      count = id_of(cursor.next());
      next = id_of(cursor.next());
    } catch (const CorruptionError& error) {
      all_.problem(node, fmt::format("its header is damaged: {}", graph::cause_of(error)));
      return;
    }
    if (count != count_) {
      all_.problem(node, fmt::format("its header counts {} entries, there are {}", count, count_));
    }
    if (count_ > 0 && last_ >= next) {
      all_.problem(node, fmt::format("an entry has position {}, the next to be given out is {}",
                                     last_, next));
    } else if (next < count || next > graph::dict_content::kHeaderPosition / 2) {
      all_.problem(node, fmt::format("its header says that the next position is {}", next));
    }
  }

  void compare_slots(std::uint32_t node) {
    positions_.clear();
    auto want = wanted_.begin();
    auto have = found_.begin();
    while (want != wanted_.end() || have != found_.end()) {
      if (have == found_.end() || (want != wanted_.end() && *want < *have)) {
        all_.problem(node, fmt::format("the entry at position {} has no slot", want->position));
        ++want;
      } else if (want == wanted_.end() || *have < *want) {
        wrong_slot(node, *have);
        ++have;
      } else {
        ++want;
        ++have;
      }
    }
  }

  void wrong_slot(std::uint32_t node, const Mark& slot) {
    if (positions_.empty()) {
      for (const Mark& entry : wanted_) positions_.push_back(entry.position);
      std::sort(positions_.begin(), positions_.end());
    }
    const bool there = std::binary_search(positions_.begin(), positions_.end(), slot.position);
    all_.problem(node,
                 there ? fmt::format("the slot of hash {:x} names position {}, whose key is in "
                                     "another slot or named twice",
                                     slot.hash, slot.position)
                       : fmt::format("the slot of hash {:x} names position {}, where no entry is",
                                     slot.hash, slot.position));
  }

  /// Reports keys that occur twice. Only keys with equal hashes are compared.
  void find_duplicates(std::uint32_t node) {
    for (std::size_t start = 0; start < wanted_.size();) {
      std::size_t end = start + 1;
      while (end < wanted_.size() && wanted_[end].hash == wanted_[start].hash) ++end;
      if (end - start > 1) compare_keys(node, start, end);
      start = end;
    }
  }

  void compare_keys(std::uint32_t node, std::size_t start, std::size_t end) {
    std::vector<std::string> keys;
    for (std::size_t at = start; at < end; ++at) {
      const auto entry = all_.view.load(
          {.space = Space::kEntry, .a = all_.nodes[node].id, .b = wanted_[at].position});
      if (!entry) continue;
      jsonb::Cursor cursor(jsonb::parse(entry->body).payload);  // was checked before
      keys.push_back(jsonb::text(cursor.next()));
    }
    std::sort(keys.begin(), keys.end());
    for (auto at = keys.begin(); (at = std::adjacent_find(at, keys.end())) != keys.end(); ++at) {
      all_.problem(node, fmt::format("the key '{}' is there twice", *at));
    }
  }

  Inspection& all_;
  Stream entries_;
  Stream slots_;
  std::vector<Mark> wanted_;             // what the slots of the current dict should contain
  std::vector<Mark> found_;              // what they do contain
  std::vector<std::int64_t> positions_;  // of its entries, if they were needed
  std::optional<std::string> header_;
  std::int64_t count_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace

void inspect_element(Inspection& all, std::uint32_t node, Element element,
                     base::FunctionRef<std::string()> where) {
  try {
    if (element.type == Type::kObject) {
      inspect_escape(all, node, element);
    } else {
      inspect_scalar(element);
    }
  } catch (const CorruptionError& error) {
    all.problem(node, fmt::format("{} is damaged: {}", where(), graph::cause_of(error)));
  }
}

void inspect_nodes(Inspection& all) {
  Bodies bodies(all);
  Stream stream(all.view, Space::kNode);
  for (; Row* row = stream.peek(); stream.pop()) {
    all.looked();
    all.saw_id(row->key.a);
    all.saw_version(row->record.version);
    NodeRecord node = graph::to_raw_node(row->key.a, std::move(row->record));
    all.nodes.push_back({.id = node.id,
                         .anchor = node.anchor,
                         .links = node.links,
                         .prefix = node.prefix,
                         .layout = node.layout});
    const auto place = static_cast<std::uint32_t>(all.nodes.size() - 1);
    if (!all.nodes.back().known_layout()) {
      all.problem(place, fmt::format("it is of the unknown kind {}",
                                     static_cast<std::int64_t>(node.layout)));
    } else {
      bodies.inspect(place, node.body);
    }
  }
  all.report.nodes = all.nodes.size();
}

void inspect_large_dicts(Inspection& all) { LargeDicts(all).inspect(); }

}  // namespace graven::integrity::checking
