// SPDX-License-Identifier: MIT
//
// Elements to data, and steps through nodes. See reader.hpp.
#include "query/reader.hpp"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "graph/value/stored.hpp"

namespace graven::query {
namespace {

using graph::NodeId;
using graph::NodeRecord;
using jsonb::Element;
using jsonb::Type;

constexpr std::size_t kBatch = 256;

}  // namespace

Datum Reader::read(const Element& element) {
  Datum datum{.there = true};
  switch (element.type) {
    case Type::kNull:
      return datum;
    case Type::kTrue:
    case Type::kFalse:
      datum.kind = Kind::kBool;
      datum.integer = element.type == Type::kTrue ? 1 : 0;
      return datum;
    case Type::kInt:
    case Type::kInt5:
      if (jsonb::read_integer(element, datum.integer)) {
        datum.kind = Kind::kInt;
        return datum;
      }
      [[fallthrough]];
    case Type::kFloat:
    case Type::kFloat5:
      datum.kind = Kind::kReal;
      datum.real = jsonb::real(element);
      return datum;
    case Type::kText:
    case Type::kTextRaw:
      datum.kind = Kind::kText;
      datum.text = element.payload;
      return datum;
    case Type::kTextJ:
    case Type::kText5:
      datum.kind = Kind::kText;
      datum.text = keep(jsonb::text(element));
      return datum;
    default:
      break;
  }
  if (const auto link = graph::link_of(element)) {
    datum.kind = link->kind == NodeKind::kDict ? Kind::kDict : Kind::kList;
    datum.integer = link->id;
    return datum;
  }
  if (graph::blob_of(element)) ++records_;
  std::visit(
      [&](auto&& part) {
        using T = std::remove_cvref_t<decltype(part)>;
        if constexpr (std::is_same_v<T, std::string>) {
          datum.kind = Kind::kText;
          datum.text = keep(std::move(part));
        } else if constexpr (std::is_same_v<T, Bytes>) {
          datum.kind = Kind::kBytes;
          datum.text = keep(std::move(part.data));
        } else if constexpr (std::is_same_v<T, BigInt>) {
          datum.kind = Kind::kBig;
          datum.text = keep(std::move(part.hex));
        } else if constexpr (std::is_same_v<T, double>) {
          datum.kind = Kind::kReal;
          datum.real = part;
        }
      },
      graph::read(element, view_));
  return datum;
}

const NodeRecord& Reader::node(const Datum& container) {
  const NodeId id = container.integer;
  auto it = nodes_.find(id);
  if (it == nodes_.end()) {
    std::optional<NodeRecord> found = graph::find_node(view_, id);
    ++records_;
    if (!found) {
      throw CorruptionError(
          "a link leads to a dict or list that is missing; `graven check` shows which, `graven "
          "repair` repairs it");
    }
    it = nodes_.emplace(id, std::move(*found)).first;
  }
  graph::require_sound(it->second);
  graph::require_kind(it->second,
                      container.kind == Kind::kDict ? NodeKind::kDict : NodeKind::kList);
  return it->second;
}

void Reader::fetch(std::span<const NodeId> ids) {
  keys_.clear();
  for (const NodeId id : ids) {
    if (!nodes_.contains(id)) keys_.push_back(graph::node_key(id));
  }
  if (keys_.size() < 2) return;  // node() does it
  nodes_.reserve(nodes_.size() + keys_.size());
  records_ += keys_.size();
  view_.load_many(keys_, [&](std::size_t i, port::Record* record) {
    if (record == nullptr) return;
    nodes_.insert_or_assign(keys_[i].a, graph::to_raw_node(keys_[i].a, std::move(*record)));
  });
}

Datum Reader::step(const Datum& from, const Step& step) {
  if (from.kind == Kind::kDict && step.by_key) {
    const NodeRecord& dict = node(from);
    if (!dict.large()) {
      const std::optional<Element> found = jsonb::find(jsonb::parse(dict.body), step.key);
      return found ? read(*found) : Datum{};
    }
    records_ += 2;
    std::optional<std::string> found = graph::dict_content::find(view_, dict, step.key);
    return found ? read(jsonb::parse(keep(std::move(*found)))) : Datum{};
  }
  if (from.kind == Kind::kList && !step.by_key) {
    const NodeRecord& list = node(from);
    const auto place = graph::list_content::place_of(step.index, graph::list_content::size(list));
    if (!place) return {};
    if (!list.large()) return read(jsonb::nth(jsonb::parse(list.body), *place));
    ++records_;
    std::vector<std::string> found = graph::list_content::items(view_, list, *place, 1);
    return found.empty() ? Datum{} : read(jsonb::parse(keep(std::move(found.front()))));
  }
  return {};
}

Datum Reader::field(Datum from, const Path& path) {
  for (const Step& each : path.steps) from = step(from, each);
  return from;
}

bool Reader::empty(const Datum& container) {
  const NodeRecord& record = node(container);
  if (container.kind == Kind::kDict) return graph::dict_content::size(view_, record) == 0;
  return graph::list_content::size(record) == 0;
}

bool Reader::has_key(const Datum& dict, std::string_view key) {
  const NodeRecord& record = node(dict);
  if (!record.large()) return jsonb::find(jsonb::parse(record.body), key).has_value();
  return graph::dict_content::find(view_, record, key).has_value();
}

void Reader::items(const Datum& list, base::FunctionRef<bool(std::span<const Element>)> each) {
  const NodeRecord& record = node(list);
  std::vector<Element> some;
  if (!record.large()) {
    for (jsonb::Cursor cursor(jsonb::parse(record.body).payload); !cursor.done();) {
      some.push_back(cursor.next());
      if (some.size() == kBatch) {
        if (!each(some)) return;
        some.clear();
      }
    }
    if (!some.empty()) each(some);
    return;
  }
  const NodeRecord copy = record;
  for (std::size_t start = 0;; start += kBatch) {
    const std::vector<std::string> batch = graph::list_content::items(view_, copy, start, kBatch);
    some.clear();
    for (const std::string& element : batch) some.push_back(jsonb::parse(element));
    if (batch.empty() || !each(some) || batch.size() < kBatch) return;
  }
}

}  // namespace graven::query
