// SPDX-License-Identifier: MIT
//
// The naive collector. See world.hpp.
#include "model/world.hpp"

#include <algorithm>

#include "graph/collector/links.hpp"
#include "graph/node/dict_content.hpp"

namespace graven::test {

int World::add(NodeKind kind, int home) {
  const int name = nodes.empty() ? 1 : nodes.rbegin()->first + 1;
  ModelNode node;
  node.kind = kind;
  node.home = home;
  nodes.emplace(name, std::move(node));
  return name;
}

std::set<int> World::reached(const std::set<int>& from) const {
  std::set<int> all = from;
  std::vector<int> queue(from.begin(), from.end());
  while (!queue.empty()) {
    const int name = queue.back();
    queue.pop_back();
    for (const ModelItem& item : nodes.at(name).items) {
      if (item.child && all.insert(*item.child).second) queue.push_back(*item.child);
    }
  }
  return all;
}

std::set<int> World::rooted() const {
  std::set<int> from;
  for (const auto& [prefix, root] : roots) from.insert(root);
  return reached(from);
}

int World::adopt(const Data& data, Data::Index root, int home,
                 const std::map<NodeId, int>& handles) {
  std::map<std::uint32_t, int> names;
  std::vector<std::uint32_t> queue;
  const auto place = [&](std::uint32_t at) {
    const auto [it, fresh] = names.try_emplace(at, 0);
    if (fresh) {
      it->second = add(data.container(Data::Index{at}).kind, home);
      queue.push_back(at);
    }
    return it->second;
  };
  const int top = place(root.at);
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const Data::Container& container = data.container(Data::Index{queue[i]});
    std::vector<ModelItem> items;
    for (const Data::Item& item : container.items) {
      if (const auto* index = std::get_if<Data::Index>(&item)) {
        items.push_back({0, place(index->at)});
      } else if (const auto* dict = std::get_if<Dict>(&item)) {
        items.push_back({0, handles.at(id_of(*dict))});
      } else if (const auto* list = std::get_if<List>(&item)) {
        items.push_back({0, handles.at(id_of(*list))});
      } else {
        items.push_back({std::get<std::int64_t>(item), std::nullopt});
      }
    }
    ModelNode& node = nodes.at(names.at(queue[i]));
    node.keys = container.keys;
    node.items = std::move(items);
  }
  return top;
}

void match_contents(World& world, port::View& view, const std::set<int>& from) {
  std::set<int> seen = from;
  std::vector<int> queue(from.begin(), from.end());
  while (!queue.empty()) {
    const int name = queue.back();
    queue.pop_back();
    ModelNode& node = world.nodes.at(name);
    const std::optional<NodeRecord> record = graph::find_node(view, node.id);
    ASSERT_TRUE(record) << "node " << name << " is lost";
    ASSERT_EQ(record->kind(), node.kind);
    if (node.kind == NodeKind::kDict) {
      std::vector<std::string> keys;
      for (const auto& entry : graph::dict_content::entries(view, *record, INT64_MIN, SIZE_MAX)) {
        keys.push_back(entry.key);
      }
      ASSERT_EQ(keys, node.keys);
    }
    std::size_t index = 0;
    graph::each_element(view, *record, [&](jsonb::Element element) {
      EXPECT_LT(index, node.items.size());
      if (index >= node.items.size()) return false;
      const ModelItem& item = node.items[index++];
      const std::optional<graph::Link> link = graph::link_of(element);
      EXPECT_EQ(link.has_value(), item.child.has_value());
      if (!item.child) {
        if (!link) {
          EXPECT_EQ(jsonb::integer(element), item.scalar);
        }
        return true;
      }
      if (!link) return false;
      ModelNode& child = world.nodes.at(*item.child);
      if (child.id == 0) child.id = link->id;
      EXPECT_EQ(child.id, link->id);
      EXPECT_EQ(child.kind, link->kind);
      if (seen.insert(*item.child).second) queue.push_back(*item.child);
      return true;
    });
    ASSERT_EQ(index, node.items.size());
    if (::testing::Test::HasFailure()) return;
  }
}

void match_nodes(const World& world, port::View& view, const std::set<int>& living) {
  std::map<NodeId, std::map<NodeId, std::int64_t>> expected;  // child -> parent -> links
  for (const int name : living) {
    const ModelNode& node = world.nodes.at(name);
    expected[node.id];
    for (const ModelItem& item : node.items) {
      if (item.child) ++expected[world.nodes.at(*item.child).id][node.id];
    }
  }
  std::map<NodeId, std::map<NodeId, std::int64_t>> found;
  for (const auto& [key, record] : records_of(view, Space::kNode)) {
    port::Record copy = record;
    const NodeRecord node = graph::to_node(key.a, std::move(copy));
    found[key.a];
    for (const graph::Parent& parent : graph::parents_of(view, node))
      found[key.a][parent.id] = parent.links;
  }
  ASSERT_EQ(found, expected);
}

}  // namespace graven::test
