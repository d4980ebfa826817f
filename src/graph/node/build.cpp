// SPDX-License-Identifier: MIT
//
// Walks the data breadth first, one item of the outer list after another. Ids are given out in the
// order of discovery, so nodes that are read together are stored near each other. See build.hpp.
#include "graph/node/build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/hash.hpp"
#include "base/integer.hpp"
#include "base/text.hpp"
#include "graph/collector/links.hpp"
#include "graph/collector/reclaim.hpp"
#include "graph/handles.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"

namespace graven::graph {
namespace {

using store::Work;
using Index = Data::Index;
using Item = Data::Item;

// --- Refusing

/// The path from the data's root to a container, for messages only.
std::string path_to(const Data& data, std::uint32_t target, const std::string& place) {
  struct From {
    std::uint32_t parent;
    std::string step;
  };
  std::map<std::uint32_t, From> from;
  const auto* root = std::get_if<Index>(&data.root());
  if (root == nullptr || root->at == target) return place;
  std::vector<std::uint32_t> queue{root->at};
  from.emplace(root->at, From{root->at, {}});
  for (std::size_t at = 0; at < queue.size() && !from.contains(target); ++at) {
    const Data::Container& container = data.container(Index{queue[at]});
    for (std::size_t i = 0; i < container.items.size(); ++i) {
      const auto* child = std::get_if<Index>(&container.items[i]);
      if (child == nullptr) continue;
      const std::string step = container.kind == NodeKind::kDict
                                   ? fmt::format("['{}']", container.keys[i])
                                   : fmt::format("[{}]", i);
      if (from.emplace(child->at, From{queue[at], step}).second) queue.push_back(child->at);
    }
  }
  std::string path;
  for (std::uint32_t at = target; at != root->at; at = from.at(at).parent) {
    path.insert(0, from.at(at).step);
  }
  return place + path;
}

void check_text(std::string_view text, auto&& where) {
  if (text.size() > kMaxText) {
    throw LimitError(fmt::format("the text at {} has {} bytes; the limit is {}", where(),
                                 text.size(), kMaxText));
  }
  if (const auto bad = base::invalid_utf8(text)) {
    throw BadValueError(fmt::format(
        "the text at {} is not valid UTF-8 (byte {}; a lone surrogate?): store it as bytes",
        where(), *bad));
  }
}

const Pin* handle_in(const Item& item) {
  if (const auto* dict = std::get_if<Dict>(&item)) return dict->pin().get();
  if (const auto* list = std::get_if<List>(&item)) return list->pin().get();
  return nullptr;
}

void check_item(const Scope& scope, const Item& item, auto&& where) {
  if (const auto* text = std::get_if<std::string>(&item)) {
    check_text(*text, where);
  } else if (const auto* bytes = std::get_if<Bytes>(&item)) {
    if (bytes->data.size() > kMaxText) {
      throw LimitError(fmt::format("the bytes at {} are {} long; the limit is {}", where(),
                                   bytes->data.size(), kMaxText));
    }
  } else if (const auto* integer = std::get_if<BigInt>(&item)) {
    if (!base::is_hex(integer->hex)) base::require_hex(integer->hex, where());
  } else if (const Pin* pin = handle_in(item)) {
    if (&pin->scope() == &scope) return;
    if (!pin->scope().live()) {
      // A link would lead to the node's current state, not to the state that the handle shows.
      throw BadValueError(fmt::format(
          "the handle at {} belongs to a snapshot or another transactor, which shows its own state "
          "of the data, and cannot be linked here: store a copy, as plain data",
          where()));
    }
    if (!same_prefix(scope, pin->scope())) {
      throw BadValueError(fmt::format(
          "the handle at {} belongs to another database or prefix: store a copy, as plain data",
          where()));
    }
  }
}

/// Whether a key occurs twice among many. Compares hashes; two equal hashes almost always mean a
/// duplicate, and then the keys themselves are compared.
bool one_is_twice(const std::vector<std::string>& keys) {
  std::vector<std::uint64_t> places(std::bit_ceil(2 * keys.size()));  // 0: free
  for (const std::string& key : keys) {
    const std::uint64_t hash = base::hash(key, 0) | 1U;
    std::size_t at = (hash >> 1U) & (places.size() - 1);
    for (; places[at] != 0; at = (at + 1) & (places.size() - 1)) {
      if (places[at] != hash) continue;
      const std::unordered_set<std::string_view> seen(keys.begin(), keys.end());
      return seen.size() != keys.size();
    }
    places[at] = hash;
  }
  return false;
}

void check_keys(const Data& data, std::uint32_t at, const std::string& place) {
  const Data::Container& container = data.container(Index{at});
  const auto where = [&] { return path_to(data, at, place); };
  for (const std::string& key : container.keys) {
    if (key.size() > kMaxKey) {
      throw LimitError(
          fmt::format("a key in {} has {} bytes; the limit is {}", where(), key.size(), kMaxKey));
    }
    if (base::invalid_utf8(key)) {
      throw BadValueError(
          fmt::format("a key in {} is not valid UTF-8 (a lone surrogate?)", where()));
    }
  }
  if (container.keys.size() < 2) return;
  bool twice = false;
  if (container.keys.size() <= 12) {
    for (auto it = container.keys.begin(); it != container.keys.end() && !twice; ++it) {
      twice = std::find(std::next(it), container.keys.end(), *it) != container.keys.end();
    }
  } else {
    twice = one_is_twice(container.keys);
  }
  if (twice) throw BadValueError(fmt::format("the dict at {} has the same key twice", where()));
}

// --- Building

/// See put_scalar().
std::size_t large_limit(const NodeRecord& node) {
  return node.large() ? kLargeInEntry : kLargeInNode;
}

struct Planned {
  NodeId id = 0;
  NodeId anchor = 0;
  std::int64_t links = 0;
  std::vector<Parent> others;  // further parents among the new nodes, and the one built for
};

/// The encoded keys of one dict. Many dicts in a row often have the same keys; those are encoded
/// once.
class LaidOutKeys {
 public:
  void set(const std::vector<std::string>& keys) {
    if (keys_ != nullptr && *keys_ == keys) return;
    keys_ = &keys;
    bytes_.clear();
    ends_.assign(1, 0);
    for (const std::string& key : keys) {
      jsonb::put_text(bytes_, key);
      ends_.push_back(bytes_.size());
    }
  }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    return {bytes_.data() + ends_[i], ends_[i + 1] - ends_[i]};
  }

 private:
  const std::vector<std::string>* keys_ = nullptr;
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

class Builder {
 public:
  /// `built_for`: the node whose contents are being built, if any. `prefix`: the prefix of that
  /// node; it may have been deleted while a handle kept the node.
  Builder(Work& work, Session& session, const Data& data, NodeId built_for, std::int64_t prefix)
      : work_(work),
        session_(session),
        data_(data),
        built_for_(built_for),
        prefix_(prefix),
        planned_(data.container_count()) {}

  /// Notes a link from `parent`; plans the container it leads to, if it is one.
  void discover(const Item& item, NodeId parent) {
    if (const auto* index = std::get_if<Index>(&item)) {
      Planned& plan = planned_[index->at];
      if (plan.id == 0) {
        plan = {
            .id = work_.next_id(port::Space::kNode), .anchor = parent, .links = 1, .others = {}};
        queue_.push_back(index->at);
      } else if (plan.anchor == parent) {
        ++plan.links;
      } else if (!plan.others.empty() && plan.others.back().id == parent) {
        ++plan.others.back().links;  // a parent's links are discovered one after another
      } else {
        plan.others.push_back({parent, 1});
      }
    } else if (const Pin* pin = handle_in(item)) {
      handles_.push_back({settled(*pin), parent, pin->kind()});
    }
  }

  /// Discovers everything reachable from what was discovered so far.
  void explore() {
    for (; explored_ < queue_.size(); ++explored_) {
      const std::uint32_t at = queue_[explored_];
      const NodeId id = planned_[at].id;
      for (const Item& item : data_.container(Index{at}).items) discover(item, id);
    }
  }

  /// Makes the nodes. Then links the nodes of handles, whose anchor chains may lead through new
  /// nodes.
  void make(NodeId unlinked = 0) {
    new_nodes_.reserve(queue_.size());
    for (const std::uint32_t at : queue_) make_node(at, planned_[at].id == unlinked);
    // A new node has no records in the store, so nothing is read for it.
    work_.write_new(std::move(new_nodes_));
    std::sort(handles_.begin(), handles_.end());
    // Linking makes no node pending deletion, so one check is enough.
    doomed_ = !handles_.empty() && any_doomed(work_);
    for (auto at = handles_.begin(); at != handles_.end();) {
      const NodeId child = at->child;
      const auto end =
          std::find_if(at, handles_.end(), [child](const auto& one) { return one.child != child; });
      link_handle(at, end);
      at = end;
    }
    work_.write_new_pairs(port::Space::kEdge, new_edges_);
  }

  /// Whether make() may change existing nodes.
  [[nodiscard]] bool links_handles() const noexcept { return !handles_.empty(); }

  /// The node discovered first.
  [[nodiscard]] NodeId first() const { return planned_[queue_.front()].id; }

  void put_element(std::string& out, const Item& item, std::size_t large, NodeId owner) {
    if (const auto* index = std::get_if<Index>(&item)) {
      put_link(out, {planned_[index->at].id, data_.container(*index).kind});
    } else if (const Pin* pin = handle_in(item)) {
      put_link(out, {pin->id(), pin->kind()});
    } else {
      put_scalar(out, item, large, owner, work_);
    }
  }

 private:
  struct Handle {
    NodeId child;
    NodeId parent;
    NodeKind kind;
    friend auto operator<=>(const Handle&, const Handle&) = default;
  };
  using Handles = std::vector<Handle>;

  /// The node of a handle. From now on the handle refers to this node only.
  NodeId settled(const Pin& pin) {
    const NodeId id = pin.id();
    if (!pin.used() && !pin.root() && work_.look(node_key(id)) == nullptr) {
      pin.find_again(id, work_);
    }
    pin.use();
    return pin.id();
  }

  /// Links the node of a handle from the parents in [at, end), sorted.
  void link_handle(Handles::const_iterator at, Handles::const_iterator end) {
    const NodeId child = at->child;
    if (doomed_) session_.heap().collect_if_doomed(work_, child);
    bool anchored = work_.marked(child, prefix_);
    if (!anchored) {
      const port::Record* record = work_.look(node_key(child));
      if (record == nullptr) throw_collected(uid_of(session_, child, at->kind));
      if (prefix_of(*record) != prefix_) {
        throw BadValueError(
            "the node of a handle belonged to a prefix that has been deleted: store a copy, as "
            "plain data");
      }
      anchored = is_anchored(*record, child);
      if (anchored) work_.mark(child, prefix_);
    }
    while (at != end) {
      const NodeId parent = at->parent;
      const auto next =
          std::find_if(at, end, [parent](const auto& one) { return one.parent != parent; });
      // A new parent has no edges yet, and an anchored child needs only a new edge.
      if (parent != built_for_ && anchored) {
        new_edges_.push_back({child, parent, std::distance(at, next)});
      } else {
        for (auto one = at; one != next; ++one) link(work_, child, parent, built_for_);
      }
      at = next;
    }
  }

  void make_node(std::uint32_t at, bool unlinked) {
    const Data::Container& container = data_.container(Index{at});
    const Planned& plan = planned_[at];
    NodeRecord node{.id = plan.id,
                    .prefix = prefix_,
                    .layout = Layout::kDict,
                    .anchor = plan.anchor,
                    .links = plan.links};
    for (const Parent& parent : plan.others) {
      new_edges_.push_back({plan.id, parent.id, parent.links});
    }
    if (unlinked) {
      node.anchor = -session_.heap().owner();
      node.links = 0;
      work_.put(orphan_key(-node.anchor, node.id), {});
      work_.suspects().insert(node.id);  // so that the collector registers it as an orphan
    }
    std::string& body = new_nodes_.bytes();
    const std::size_t begin = body.size();
    const std::size_t mark = jsonb::open(body);
    const bool dict = container.kind == NodeKind::kDict;
    if (dict) keys_.set(container.keys);
    for (std::size_t i = 0; i < container.items.size(); ++i) {
      if (dict) body.append(keys_[i]);
      put_element(body, container.items[i], kLargeInNode, plan.id);
    }
    jsonb::close(body, dict ? jsonb::Type::kObject : jsonb::Type::kArray, mark);
    if (!dict) node.layout = Layout::kList;
    const std::size_t count = container.items.size();
    const std::size_t bytes = body.size() - begin;
    if (dict ? dict_content::small(bytes, count) : list_content::small(bytes, count)) {
      new_nodes_.add(plan.id, 0, to_record(std::move(node)).integers);
      return;
    }
    std::string whole = body.substr(begin);
    body.resize(begin);
    if (dict) {
      dict_content::fill(work_, node, std::move(whole));
    } else {
      list_content::fill(work_, node, std::move(whole));
    }
  }

  Work& work_;
  Session& session_;
  const Data& data_;
  NodeId built_for_;
  std::int64_t prefix_;
  std::vector<Planned> planned_;
  std::vector<std::uint32_t> queue_;
  std::size_t explored_ = 0;
  Handles handles_;
  port::NewRows new_nodes_{port::Space::kNode};
  LaidOutKeys keys_;
  bool doomed_ = false;
  std::vector<port::NewPair> new_edges_;
};

}  // namespace

void check_key(std::string_view key) {
  if (key.size() > kMaxKey) {
    throw LimitError(fmt::format("the key has {} bytes; the limit is {}", key.size(), kMaxKey));
  }
  if (base::invalid_utf8(key)) {
    throw BadValueError("the key is not valid UTF-8 (a lone surrogate?)");
  }
}

void check_storable(const Scope& scope, const Data& data, const std::string& place) {
  check_item(scope, data.root(), [&] { return place; });
  const std::vector<std::string>* good = nullptr;  // rows mostly have the same keys
  for (std::uint32_t at = 0; at < data.container_count(); ++at) {
    const Data::Container& container = data.container(Index{at});
    const bool dict = container.kind == NodeKind::kDict;
    if (dict && (good == nullptr || *good != container.keys)) {
      check_keys(data, at, place);
      good = &container.keys;
    }
    for (std::size_t i = 0; i < container.items.size(); ++i) {
      check_item(scope, container.items[i], [&] {
        return path_to(data, at, place) +
               (dict ? fmt::format("['{}']", container.keys[i]) : fmt::format("[{}]", i));
      });
    }
  }
}

std::string build(Work& work, Session& session, NodeRecord& parent, const Data& data,
                  const Item& item) {
  Builder builder(work, session, data, parent.id, parent.prefix);
  builder.discover(item, parent.id);
  builder.explore();
  builder.make();
  if (builder.links_handles()) parent = load_node(work, parent.id);
  std::string element;
  builder.put_element(element, item, large_limit(parent), parent.id);
  return element;
}

Elements build_items(Work& work, Session& session, NodeRecord& parent, const Data& data,
                     const std::vector<Item>& items) {
  Builder builder(work, session, data, parent.id, parent.prefix);
  for (const Item& item : items) {
    builder.discover(item, parent.id);
    builder.explore();  // so that the nodes of one item get consecutive ids
  }
  builder.make();
  if (builder.links_handles()) parent = load_node(work, parent.id);
  Elements elements;
  for (const Item& item : items) {
    builder.put_element(elements.bytes(), item, large_limit(parent), parent.id);
    elements.end_one();
  }
  return elements;
}

NodeId build_unlinked(Work& work, Session& session, const Data& data) {
  Builder builder(work, session, data, kNobody, session.prefix_id());
  builder.discover(data.root(), kNobody);
  builder.explore();
  const NodeId id = builder.first();
  builder.make(id);
  return id;
}

}  // namespace graven::graph
