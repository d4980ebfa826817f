// SPDX-License-Identifier: MIT
//
// Each node becomes one container of the arena the first time a link leads to it; the queue
// of those still to be filled is the arena itself. See materialize.hpp.
#include "graph/materialize.hpp"

#include <unordered_map>
#include <utility>

#include "graph/dict_content.hpp"
#include "graph/links.hpp"
#include "graph/node_reader.hpp"

namespace graven::graph {
namespace {

class Materializer {
 public:
  explicit Materializer(store::View& view) : view_(view), nodes_(view) {}

  Data run(NodeId root) {
    const NodeRecord* node = nodes_.find(root);
    if (node == nullptr) throw_collected(root);
    data_.set_root(place(root, node->kind()));
    for (std::uint32_t at = 0; at < ids_.size(); ++at) fill(at);
    return std::move(data_);
  }

 private:
  Data::Index place(NodeId id, NodeKind kind) {
    const auto [it, fresh] = places_.try_emplace(id, Data::Index{0});
    if (fresh) {
      it->second = data_.add(kind);
      ids_.push_back(id);
    }
    return it->second;
  }

  void fill(std::uint32_t at) {
    const NodeRecord* node = nodes_.find(ids_[at]);
    if (node == nullptr) {
      throw CorruptionError("a link leads to a node that is missing from the store; run check()");
    }
    std::vector<std::string> keys;
    std::vector<Data::Item> items;
    switch (node->layout) {
      case Layout::kDict: {
        for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
          keys.push_back(jsonb::text(cursor.next()));
          items.push_back(item(cursor.next()));
        }
        break;
      }
      case Layout::kList: {
        for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
          items.push_back(item(cursor.next()));
        }
        break;
      }
      case Layout::kLargeDict: {
        const NodeRecord copy = *node;
        for (std::int64_t from = dict_content::kFirst;;) {
          auto batch = dict_content::entries(view_, copy, from, kBatch);
          for (auto& entry : batch) {
            keys.push_back(std::move(entry.key));
            items.push_back(item(jsonb::parse(entry.element)));
          }
          if (batch.size() < kBatch) break;
          from = batch.back().position + 1;
        }
        break;
      }
      case Layout::kLargeList: {
        const NodeRecord copy = *node;
        each_element(view_, copy, [&](jsonb::Element element) {
          items.push_back(item(element));
          return true;
        });
        break;
      }
    }
    Data::Container& container = data_.container(Data::Index{at});
    container.keys = std::move(keys);
    container.items = std::move(items);
  }

  Data::Item item(jsonb::Element element) {
    return std::visit(
        [&](auto&& part) -> Data::Item {
          using T = std::remove_cvref_t<decltype(part)>;
          if constexpr (std::is_same_v<T, Link>) {
            return place(part.id, part.kind);
          } else {
            return std::move(part);
          }
        },
        read(element, view_));
  }

  static constexpr std::size_t kBatch = 1024;

  store::View& view_;
  NodeReader nodes_;
  Data data_;
  std::unordered_map<NodeId, Data::Index> places_;
  std::vector<NodeId> ids_;  // by place
};

}  // namespace

Data materialize(store::View& view, NodeId root) { return Materializer(view).run(root); }

}  // namespace graven::graph
