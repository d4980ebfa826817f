// SPDX-License-Identifier: MIT
//
// What a watch remembers of a dict or list, in order to tell what has become of it: of each entry
// of a dict what its value is recognised by, of a list one number for all of its items, put
// together from numbers of its pages.
//
// Always holds: what is remembered is of one state. Where it is known which records were changed
// since then, only those are read again: a look costs what was changed, not what is there.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/handles.hpp"
#include "graph/node/list_tree.hpp"
#include "graph/node/node.hpp"
#include "store/follower.hpp"

namespace graven::graph {

/// What an element is recognised by: its content, or the node it links.
std::uint64_t print_of(const jsonb::Element& element, store::View& view);

/// Of several items one after another, so that those of two stretches make those of both.
struct ItemsPrint {
  std::uint64_t hash = 0;
  std::size_t count = 0;

  void add(const ItemsPrint& behind) noexcept;
  friend bool operator==(const ItemsPrint&, const ItemsPrint&) = default;
};

class Watched {
 public:
  /// Keys of a dict whose values are others now, in its order, then those that are gone; or that a
  /// list is another.
  struct Found {
    std::vector<std::pair<std::string, std::optional<Value>>> entries{};
    bool list = false;
  };

  /// As the container is now; `changed` nullptr: nothing is known of what was changed.
  Found look(const Pin& pin, const store::Changed* changed);

 private:
  struct Entry {
    std::uint64_t print;
    std::int64_t position;
  };
  struct Page {
    ItemsPrint print;
    std::uint64_t parent;  // its record's hash; 0: the list's body names it
  };
  /// What a look has seen, of a state that may turn out to be none.
  struct Look {
    Layout layout = Layout::kDict;
    bool whole = false;                                // entries are all there are
    std::unordered_map<std::string, Entry> entries{};  // else those that were looked at
    std::vector<std::string> gone{};
    std::int64_t next = 0;  // position, of a large dict
    ItemsPrint items{};
    std::unordered_map<std::uint64_t, Page> pages{};  // likewise
    Found found{};
  };

  [[nodiscard]] bool in_part(const NodeRecord& node, const store::Changed* changed) const;
  void look_at_dict(Look& look, const NodeRecord& node, store::View& view, Decoder& decoder) const;
  void see_from(Look& look, const NodeRecord& node, std::int64_t from, store::View& view,
                Decoder& decoder) const;
  void look_at_entries(Look& look, const NodeRecord& node, const store::Changed& changed,
                       store::View& view, Decoder& decoder) const;
  void see(Look& look, std::string key, std::int64_t position, std::string_view element,
           store::View& view, Decoder& decoder) const;
  void look_at_list(Look& look, const NodeRecord& node, const store::Changed* changed,
                    store::View& view) const;
  ItemsPrint look_at_page(Look& look, NodeId page, std::int64_t level, std::uint64_t parent,
                          const std::unordered_map<std::uint64_t, bool>& outdated,
                          store::View& view) const;
  void remember(NodeId id, Look look);

  bool known_ = false;
  Layout layout_ = Layout::kDict;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_map<std::uint64_t, const std::string*> keys_;  // of a large dict, by record_hash()
  std::int64_t next_ = 0;
  ItemsPrint items_;
  std::unordered_map<std::uint64_t, Page> pages_;  // of a large list, by record_hash()
};

}  // namespace graven::graph
