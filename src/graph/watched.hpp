// SPDX-License-Identifier: MIT
//
// What a watch remembers of a dict or list, to find out later what changed. It keeps a hash
// ("print") of each dict entry's value. For a list it keeps one hash of all items, combined from
// the hashes of its pages.
//
// Always holds: everything remembered belongs to one state. If the records changed since then are
// known, only those are read again: the cost of look() depends on the number of changes, not on
// the size of the container.
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

/// The hash of an element: of its content, or of the id of the node it links.
std::uint64_t print_of(const jsonb::Element& element, port::View& view);

/// The hash of a sequence of items. The hashes of two adjacent sequences combine to the hash of
/// both together.
struct ItemsPrint {
  std::uint64_t hash = 0;
  std::size_t count = 0;

  void add(const ItemsPrint& behind) noexcept;
  friend bool operator==(const ItemsPrint&, const ItemsPrint&) = default;
};

class Watched {
 public:
  /// For a dict: the keys whose values changed, in the dict's order, then the keys that are gone.
  /// For a list: whether it changed.
  struct Found {
    std::vector<std::pair<std::string, std::optional<Value>>> entries{};
    bool list = false;
  };

  /// Compares the container as it is now with what is remembered, then remembers its new state.
  /// `changed`: the changed records; nullptr if they are not known.
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
  /// What one look() has read. It is dropped if the read turns out not to be of one state.
  struct Look {
    Layout layout = Layout::kDict;
    bool whole = false;                                // `entries` has all entries of the dict
    std::unordered_map<std::string, Entry> entries{};  // else only those that were read
    std::vector<std::string> gone{};
    std::int64_t next = 0;  // next position of a large dict
    ItemsPrint items{};
    std::unordered_map<std::uint64_t, Page> pages{};  // of a large list, by record_hash()
    Found found{};
  };

  [[nodiscard]] bool in_part(const NodeRecord& node, const store::Changed* changed) const;
  void look_at_dict(Look& look, const NodeRecord& node, port::View& view, Decoder& decoder) const;
  void see_from(Look& look, const NodeRecord& node, std::int64_t from, port::View& view,
                Decoder& decoder) const;
  void look_at_entries(Look& look, const NodeRecord& node, const store::Changed& changed,
                       port::View& view, Decoder& decoder) const;
  void see(Look& look, std::string key, std::int64_t position, std::string_view element,
           port::View& view, Decoder& decoder) const;
  void look_at_list(Look& look, const NodeRecord& node, const store::Changed* changed,
                    port::View& view) const;
  ItemsPrint look_at_page(Look& look, NodeId page, std::int64_t level, std::uint64_t parent,
                          const std::unordered_map<std::uint64_t, bool>& outdated,
                          port::View& view) const;
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
