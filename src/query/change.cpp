// SPDX-License-Identifier: MIT
//
// Query::update() and erase(). Both find the rows inside the mutation, so what changes is what
// matches in the state that is changed. Any thread.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <graven/query.hpp>

#include "graph/collector/links.hpp"
#include "graph/handles.hpp"
#include "graph/node/build.hpp"
#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "query/run.hpp"

namespace graven {

using graph::NodeId;
using graph::NodeRecord;
using store::Work;

namespace {

const Data::Container& fields_of(const Data& fields) {
  if (!fields.is_dict()) throw WrongTypeError("the fields to set must be a dict");
  return fields.container(std::get<Data::Index>(fields.root()));
}

std::string place_of(const query::Hit& hit, NodeKind kind) {
  return kind == NodeKind::kDict ? fmt::format("['{}']", hit.key)
                                 : fmt::format("[{}]", hit.position);
}

}  // namespace

std::uint64_t Query::update(const Data& fields) const {
  const Data::Container& given = fields_of(fields);
  const graph::Pin& pin = *plan_->pin;
  graph::check_storable(pin.scope(), fields, "");
  std::uint64_t changed = 0;
  graph::writing(pin, [&](Work& work, NodeRecord& container) {
    changed = 0;
    const std::vector<query::Hit> hits = query::Matches(*plan_).hits(work, container, false);
    std::vector<NodeId> rows;
    rows.reserve(hits.size());
    for (const query::Hit& hit : hits) {
      const auto link = graph::link_of(jsonb::parse(hit.element));
      if (!link || link->kind != NodeKind::kDict) {
        throw WrongTypeError(
            fmt::format("fields can be set in dicts only, and {} is none; nothing was changed",
                        place_of(hit, pin.kind())));
      }
      rows.push_back(link->id);
    }
    for (const NodeId id : rows) {
      NodeRecord row = graph::load_node(work, id, NodeKind::kDict);
      // At once, so that containers shared between the fields stay shared.
      const graph::Elements elements =
          graph::build_items(work, pin.scope().session(), row, fields, given.items);
      for (const std::string& old :
           graph::dict_content::put_many(work, row, given.keys, elements)) {
        graph::release(work, id, old);
      }
      ++changed;
    }
  });
  return changed;
}

std::uint64_t Query::erase() const {
  const graph::Pin& pin = *plan_->pin;
  std::uint64_t erased = 0;
  graph::resizing(pin, [&](Work& work, NodeRecord& container) {
    std::vector<query::Hit> hits = query::Matches(*plan_).hits(work, container, false);
    erased = hits.size();
    if (pin.kind() == NodeKind::kDict) {
      for (const query::Hit& hit : hits) {
        const auto old = graph::dict_content::erase(work, container, hit.key);
        if (old) graph::release(work, container.id, *old);
      }
      return -static_cast<std::int64_t>(erased);
    }
    // From the end, in runs of neighbours, so that the positions stay those that were found.
    std::sort(hits.begin(), hits.end(),
              [](const auto& a, const auto& b) { return a.position > b.position; });
    for (std::size_t i = 0; i < hits.size();) {
      std::size_t count = 1;
      while (i + count < hits.size() &&
             hits[i + count].position == hits[i].position - static_cast<std::int64_t>(count)) {
        ++count;
      }
      const auto start = static_cast<std::size_t>(hits[i + count - 1].position);
      for (const std::string& old : graph::list_content::erase(work, container, start, count)) {
        graph::release(work, container.id, old);
      }
      i += count;
    }
    return -static_cast<std::int64_t>(erased);
  });
  return erased;
}

}  // namespace graven
