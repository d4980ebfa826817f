// SPDX-License-Identifier: MIT
//
// A node becomes one container of the arena when the first link to it is found. The arena is also
// the queue of containers that must still be filled. See materialize.hpp.
#include "graph/node/materialize.hpp"

#include <span>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "graph/collector/links.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "graph/node/node_reader.hpp"

namespace graven::graph {
namespace {

constexpr std::size_t kBatch = 1024;

class Materializer {
 public:
  explicit Materializer(port::View& view, LeftOut* left_out = nullptr)
      : view_(view), nodes_(view), left_out_(left_out) {}

  Data run(NodeId root, NodeKind kind) {
    data_.set_root(place(root, kind));
    FrontierStep step;
    std::size_t fetched = 0;
    for (std::uint32_t at = 0; at < ids_.size(); ++at) {
      if (at == fetched && left_out_ == nullptr) {
        const std::size_t next = step.take(ids_.size() - at);
        nodes_.fetch(std::span(ids_).subspan(at, next));
        fetched += next;
      }
      keys_.clear();
      items_.clear();
      if (left_out_ != nullptr) {
        save(at);
      } else {
        fill(at);
      }
      Data::Container& container = data_.container(Data::Index{at});
      container.keys = std::exchange(keys_, {});
      container.items = std::exchange(items_, {});
    }
    return std::move(data_);
  }

 private:
  Data::Index place(NodeId id, NodeKind kind) {
    const auto [it, fresh] = places_.try_emplace(id, Data::Index{0});
    if (fresh) {
      it->second = data_.add(kind);
      ids_.push_back(id);
    } else if (data_.container(it->second).kind != kind) {
      throw CorruptionError("a dict or list is linked as both");
    }
    return it->second;
  }
  [[nodiscard]] NodeKind kind_at(std::uint32_t at) const {
    return data_.container(Data::Index{at}).kind;
  }

  /// Fills the container at an index of the arena; throws if its node cannot be read.
  void fill(std::uint32_t at) {
    const NodeRecord* node = nodes_.find(ids_[at]);
    if (node == nullptr) {
      if (at == 0) throw_collected();
      throw CorruptionError(
          "a link leads to a dict or list that is missing; `graven check` shows which, `graven "
          "repair` repairs it");
    }
    require_kind(*node, kind_at(at));
    switch (node->layout) {
      case Layout::kDict:
        for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
          keys_.push_back(jsonb::text(cursor.next()));
          items_.push_back(item(cursor.next()));
        }
        return;
      case Layout::kList:
        for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
          items_.push_back(item(cursor.next()));
        }
        return;
      case Layout::kLargeDict: {
        const NodeRecord copy = *node;
        dict_content::each_entry(view_, copy, kBatch, [&](dict_content::Entry& entry) {
          keys_.push_back(std::move(entry.key));
          items_.push_back(item(jsonb::parse(entry.element)));
          return true;
        });
        return;
      }
      case Layout::kLargeList: {
        const NodeRecord copy = *node;
        each_element(view_, copy, [&](jsonb::Element element) {
          items_.push_back(item(element));
          return true;
        });
        return;
      }
    }
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

  // --- Salvage from damaged nodes

  /// Fills the container at an index of the arena with what can be read.
  void save(std::uint32_t at) {
    at_ = at;
    // Without read-ahead: another node that cannot be read must not affect this one.
    std::optional<NodeRecord> node;
    const bool found = whole("it", [&] {
      node = find_node(view_, ids_[at]);
      if (!node) throw CorruptionError("it is missing");
      require_kind(*node, kind_at(at));
    });
    if (!found) return;
    switch (node->layout) {
      case Layout::kDict:
        whole("the rest of it", [&] {
          for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
            const jsonb::Element key = cursor.next();
            save_entry([&] { return jsonb::text(key); }, cursor.next());
          }
        });
        return;
      case Layout::kList:
        whole("the rest of it", [&] {
          for (jsonb::Cursor cursor(jsonb::parse(node->body).payload); !cursor.done();) {
            save_item(cursor.next());
          }
        });
        return;
      case Layout::kLargeDict:
        return save_entries(*node);
      case Layout::kLargeList:
        return save_pages(*node);
    }
  }

  /// Reads entries forwards from the first and backwards from the last, up to damaged ones.
  void save_entries(const NodeRecord& node) {
    std::int64_t from = dict_content::kFirst;
    const bool all = whole("some of its entries", [&] {
      while (save_entry_at(node, from, false)) {
      }
    });
    if (all) return;
    std::vector<std::string> keys = std::exchange(keys_, {});
    std::vector<Data::Item> items = std::exchange(items_, {});
    std::int64_t to = dict_content::kHeaderPosition - 1;
    try {
      while (to >= from && save_entry_at(node, to, true)) {
      }
    } catch (const Error&) {
      // Already reported.
    }
    keys.insert(keys.end(), keys_.rbegin(), keys_.rend());
    items.insert(items.end(), items_.rbegin(), items_.rend());
    keys_ = std::move(keys);
    items_ = std::move(items);
  }

  bool save_entry_at(const NodeRecord& node, std::int64_t& position, bool reverse) {
    const auto entries = dict_content::entries(view_, node, position, 1, reverse);
    if (entries.empty()) return false;
    const dict_content::Entry& entry = entries.front();
    save_entry([&] { return entry.key; }, jsonb::parse(entry.element));
    if (reverse && entry.position == dict_content::kFirst) return false;
    position = entry.position + (reverse ? -1 : 1);
    return true;
  }

  template <class Key>
  void save_entry(Key&& key, jsonb::Element element) {
    std::string name;
    if (!whole("an entry", [&] { name = key(); })) return;
    keys_.push_back(std::move(name));
    save_item(element);
  }

  void save_item(jsonb::Element element) {
    Data::Item got = nullptr;
    whole(kind_at(at_) == NodeKind::kDict ? fmt::format("the value under '{}'", keys_.back())
                                          : fmt::format("item {}", items_.size()),
          [&] { got = item(element); });
    items_.push_back(std::move(got));
  }

  /// Reads items in batches; reads item by item where a batch cannot be read.
  void save_pages(const NodeRecord& node) {
    constexpr std::size_t kMostInARow = 1000;
    std::size_t size = 0;
    if (!whole("all of its items", [&] { size = list_content::size(node); })) return;
    std::size_t lost = 0;
    for (std::size_t start = 0; start < size && lost < kMostInARow;) {
      for (const std::size_t count : {kBatch, std::size_t{1}}) {
        try {
          const auto batch = list_content::items(view_, node, start, std::min(count, size - start));
          for (const std::string& element : batch) save_item(jsonb::parse(element));
          if (batch.empty()) throw CorruptionError("there are fewer");
          start += batch.size();
          lost = 0;
          break;
        } catch (const Error& error) {
          if (count != 1) continue;
          if (lost++ == 0) tell(fmt::format("items from {} on", start), error);
          items_.emplace_back(nullptr);
          ++start;
        }
      }
    }
  }

  /// Whether `body` finished without an error; reports the error otherwise.
  template <class Body>
  bool whole(const std::string& what, Body&& body) {
    try {
      body();
      return true;
    } catch (const CorruptionError& error) {
      tell(what, error);
    } catch (const CollectedError& error) {
      tell(what, error);
    }
    return false;
  }
  void tell(const std::string& what, const Error& error) {
    (*left_out_)(ids_[at_], kind_at(at_), fmt::format("{}: {}", what, cause_of(error)));
  }

  port::View& view_;
  NodeReader nodes_;
  LeftOut* left_out_;
  Data data_;
  std::unordered_map<NodeId, Data::Index> places_;
  std::vector<NodeId> ids_;  // by index in the arena
  std::uint32_t at_ = 0;
  std::vector<std::string> keys_;
  std::vector<Data::Item> items_;
};

}  // namespace

Data materialize(port::View& view, NodeId root, NodeKind kind) {
  return Materializer(view).run(root, kind);
}

Data salvage(port::View& view, NodeId root, NodeKind kind, LeftOut left_out) {
  return Materializer(view, &left_out).run(root, kind);
}

}  // namespace graven::graph
