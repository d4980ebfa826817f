// SPDX-License-Identifier: MIT
//
// Counts links in the child's records and edges, and walks links in the parent's body. See
// links.hpp.
#include "graph/collector/links.hpp"

#include <utility>

#include "graph/node/dict_content.hpp"
#include "graph/node/list_content.hpp"
#include "port/scan.hpp"

namespace graven::graph {
namespace {

using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Work;

constexpr std::size_t kBatch = 256;

void put_edge(Work& work, NodeId child, NodeId parent, std::int64_t links) {
  if (links > 0) {
    work.put(edge_key(child, parent), {.integers = {links}});
  } else {
    work.erase(edge_key(child, parent));
  }
}

/// Erases the orphan record of a node without a parent, if there is one.
void forget_orphan(Work& work, const NodeRecord& node) {
  if (node.held()) {
    work.erase(orphan_key(-node.anchor, node.id));
  } else if (node.adrift()) {
    const port::Key doomed = orphan_key(kNobody, node.id);
    if (work.load(doomed)) work.erase(doomed);
  }
}

/// Whether anything may hang on the node. Assumes so for a large container, without reading it.
bool has_links(View& view, const NodeRecord& node) {
  bool found = node.large();
  if (!found) {
    each_link(view, node, [&](Link) {
      found = true;
      return false;
    });
  }
  return found;
}

}  // namespace

std::vector<Parent> parents_of(View& view, const NodeRecord& node) {
  std::vector<Parent> parents;
  if (node.anchored()) parents.push_back({node.anchor, node.links});
  port::each_row(view, {.space = Space::kEdge, .a = node.id}, kBatch, [&](const Row& row) {
    parents.push_back({row.key.b, row.record.integers[0]});
  });
  return parents;
}

void each_element(View& view, const NodeRecord& node,
                  base::FunctionRef<bool(jsonb::Element)> each) {
  switch (node.layout) {
    case Layout::kDict:
    case Layout::kList:
      for (jsonb::Cursor cursor(jsonb::parse(node.body).payload); !cursor.done();) {
        if (node.layout == Layout::kDict) cursor.next();
        if (!each(cursor.next())) return;
      }
      return;
    case Layout::kLargeDict:
      return dict_content::each_entry(view, node, kBatch, [&](const dict_content::Entry& entry) {
        return each(jsonb::parse(entry.element));
      });
    case Layout::kLargeList:
      for (std::size_t start = 0;;) {
        const auto batch = list_content::items(view, node, start, kBatch);
        for (const auto& element : batch) {
          if (!each(jsonb::parse(element))) return;
        }
        if (batch.size() < kBatch) return;
        start += batch.size();
      }
  }
}

void each_link(View& view, const NodeRecord& node, base::FunctionRef<bool(Link)> each) {
  each_element(view, node, [&](jsonb::Element element) {
    const std::optional<Link> found = link_of(element);
    return !found || each(*found);
  });
}

NodeRecord chain_end(View& view, NodeRecord node) {
  for (ChainWalk walk; node.anchored(); node = load_node(view, node.anchor)) walk.at(node.id);
  return node;
}

void link(Work& work, NodeId child, NodeId parent, NodeId unfinished) {
  NodeRecord node = load_node(work, child);
  if (node.anchored() && node.anchor == parent) {
    ++node.links;
    save(work, std::move(node));
    return;
  }
  if (const std::optional<Record> edge = work.load(edge_key(child, parent))) {
    put_edge(work, child, parent, edge->integers[0] + 1);
    return;
  }
  // A node without a parent gets this parent as its anchor, unless the parent itself hangs on the
  // node: then the anchors would form a cycle. Nothing hangs on a node without links.
  const bool loose = node.adrift() || node.held();
  const bool bare = child != unfinished && !has_links(work, node);
  if (loose && child != parent && (bare || chain_end(work, load_node(work, parent)).id != child)) {
    forget_orphan(work, node);
    node.anchor = parent;
    node.links = 1;
    save(work, std::move(node));
    return;
  }
  put_edge(work, child, parent, 1);
}

void unlink(Work& work, NodeId child, NodeId parent) {
  NodeRecord node = load_node(work, child);
  if (node.anchored() && node.anchor == parent) {
    if (--node.links == 0) {
      node.anchor = kNobody;
      work.suspects().insert(child);
    }
    save(work, std::move(node));
    return;
  }
  const std::optional<Record> edge = work.load(edge_key(child, parent));
  if (edge) put_edge(work, child, parent, edge->integers[0] - 1);
}

void release(Work& work, NodeId owner, std::string_view element) {
  const jsonb::Element parsed = jsonb::parse(element);
  if (const std::optional<Link> old = link_of(parsed)) {
    unlink(work, old->id, owner);
  } else if (const std::optional<std::int64_t> blob = blob_of(parsed)) {
    work.erase({.space = Space::kBlob, .a = *blob});
  }
}

void change_anchor(Work& work, NodeRecord node, NodeId anchor) {
  const NodeId child = node.id;
  if (node.anchored()) put_edge(work, child, node.anchor, node.links);
  forget_orphan(work, node);
  node.anchor = anchor;
  node.links = 0;
  if (anchor > 0) {
    if (const std::optional<Record> edge = work.load(edge_key(child, anchor))) {
      node.links = edge->integers[0];
      work.erase(edge_key(child, anchor));
    }
  } else {
    work.put(orphan_key(-anchor, child), {});
  }
  save(work, std::move(node));
}

}  // namespace graven::graph
