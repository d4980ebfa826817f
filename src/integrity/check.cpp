// SPDX-License-Identifier: MIT
//
// check(): what it proves, pass by pass.
//  - Prefixes: each has its own root, which is a dict of that prefix.
//  - Contents (check_values.cpp, check_lists.cpp): every body is valid JSONB with values that
//    graven writes; entries, slots and header of a large dict agree; the pages of a large list
//    are one tree with correct counts; each large value exists and is used once.
//  - The graph (check_links.cpp): links lead to nodes of their kind and prefix; links and
//    back-references agree in both directions; chains of anchors end in a root, an orphan or a
//    node pending deletion; every node is reachable.
//  - Bookkeeping: orphans, counters, the clock; and the backend's own structure.
// All passes use one view, so other writers have no influence. Reads only.
#include "integrity/check.hpp"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <set>

#include "integrity/check_state.hpp"
#include "store/incomplete.hpp"

namespace graven::integrity {
namespace {
constexpr auto kPatience = std::chrono::seconds(30);  // until a store answers
}
namespace checking {

using port::Record;
using port::Row;
using port::Space;

void inspect_prefixes(Inspection& all) {
  Stream stream(all.view, Space::kPrefix);
  for (; Row* row = stream.peek(); stream.pop()) {
    all.looked();
    all.saw_version(row->record.version);
    if (row->key.name.empty()) continue;  // the clock
    if (row->key == store::incomplete_key()) {
      all.incomplete = true;
      continue;
    }
    all.prefixes.push_back({row->key.name, row->record.integers[0], row->record.integers[1]});
  }
}

void inspect_roots(Inspection& all) {
  std::map<std::int64_t, std::string> ids;
  std::map<NodeId, std::string> roots;
  for (const PrefixInfo& prefix : all.prefixes) {
    const auto say = [&](const std::string& what) {
      all.problem(fmt::format("the prefix '{}' {}", prefix.name, what));
    };
    const auto [same_id, fresh_id] = ids.emplace(prefix.id, prefix.name);
    if (!fresh_id) say(fmt::format("has the same id as '{}'", same_id->second));
    const auto [same_root, fresh_root] = roots.emplace(prefix.root, prefix.name);
    if (!fresh_root) say(fmt::format("has the same root as '{}'", same_root->second));
    const std::uint32_t place = all.find(prefix.root);
    if (place == kNoNode) {
      say(fmt::format("has no root: {} does not exist",
                      all.uid(prefix.root, prefix.id, NodeKind::kDict)));
      continue;
    }
    const NodeInfo& root = all.nodes[place];
    if (root.kind() != NodeKind::kDict) say("has a list for a root");
    if (!root.root()) {
      say(root.anchor > 0 ? "has a root with the anchor " + all.named(root.anchor)
                          : std::string("has a root whose record does not say that it is one"));
    }
    if (root.prefix != prefix.id && fresh_root) say("has a root of another prefix");
  }
}

void inspect_counters(Inspection& all) {
  Stream stream(all.view, Space::kCounter);
  for (; Row* row = stream.peek(); stream.pop()) {
    all.looked();
    all.saw_version(row->record.version);
    const bool known = std::any_of(all.prefixes.begin(), all.prefixes.end(),
                                   [&](const PrefixInfo& one) { return one.id == row->key.a; });
    if (!known) {
      all.problem(fmt::format("the counter '{}' is of prefix number {}, which does not exist",
                              row->key.name, row->key.a));
      all.strays.push_back(row->key);
    }
  }
}

void inspect_maps(Inspection& all) {
  std::vector<std::int64_t> maps;
  Stream names(all.view, Space::kMap);
  for (; Row* row = names.peek(); names.pop()) {
    all.looked();
    all.saw_version(row->record.version);
    const std::int64_t id = row->record.integers[0];
    if (id < 1 || id > port::kMostMaps) {
      all.problem(fmt::format("the map '{}' has the number {}, which is not a valid one",
                              row->key.name, id));
    }
    if (std::find(maps.begin(), maps.end(), id) != maps.end()) {
      all.problem(fmt::format("the map '{}' has the number {} of another map", row->key.name, id));
    }
    maps.push_back(id);
  }
  Stream items(all.view, Space::kItem);
  for (; Row* row = items.peek(); items.pop()) {
    all.looked();
    if (std::find(maps.begin(), maps.end(), row->key.a) == maps.end()) {
      all.problem(fmt::format("the item '{}' is of map number {}, which does not exist",
                              row->key.name, row->key.a));
    }
    if (const std::string why = all.item_problem(row->record); !why.empty()) {
      all.problem(fmt::format("the item '{}' of map number {} {}", row->key.name, row->key.a, why));
    }
  }
}

/// A store that tells its state versions has no clock record.
void inspect_clock(Inspection& all) {
  if (all.view.state()) return;
  const std::optional<Record> clock = all.view.load(port::clock_key());
  const std::int64_t last = clock ? clock->integers[0] : 0;
  if (last < 0 || last > port::kMostId) all.problem(fmt::format("the clock stands at {}", last));
  if (all.greatest() > last) {
    all.problem(fmt::format("the clock stands at {}, behind {}, which was given out already", last,
                            all.greatest()));
  }
}

void inspect(Inspection& all, base::FunctionRef<bool(std::int64_t)> alive) {
  inspect_prefixes(all);
  if (all.incomplete) {
    all.problem("it is an incomplete copy; `graven copy` starts over, in the same place");
    return;
  }
  inspect_nodes(all);
  inspect_roots(all);
  inspect_large_dicts(all);
  inspect_large_lists(all);
  inspect_blobs(all);
  inspect_orphans(all);
  inspect_links(all, alive);
  inspect_counters(all);
  inspect_maps(all);
  inspect_clock(all);
}

}  // namespace checking

CheckReport check(port::Backend& backend, ItemProof prove_item,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const std::unique_ptr<port::View> view =
      backend.snapshot({}, std::chrono::steady_clock::now() + kPatience);
  checking::Inspection all(backend.facts().constant, *view, progress, prove_item);
  try {
    checking::inspect(all, [&](std::int64_t owner) { return backend.leases().alive(owner); });
  } catch (const CorruptionError& error) {
    // The backend could not read further. The store's own check, below, checks its structure.
    all.problem(error.what());
  }
  if (auto* files = port::facet<port::Files>(backend)) {
    for (std::string& line : files->check()) all.problem(std::move(line));
  }
  all.finish();
  return std::move(all.report);
}

}  // namespace graven::integrity
