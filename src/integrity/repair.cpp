// SPDX-License-Identifier: MIT
//
// The rounds of a repair, and its smaller parts: prefixes, stray records, maps, the clock.
// One thread at a time.
#include "integrity/repair.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "integrity/repair_state.hpp"
#include "port/scan.hpp"

namespace graven::integrity {
namespace repairing {

using graph::NodeRecord;
using port::Key;
using port::Record;
using port::Row;
using port::Space;

namespace {

/// A repair may reveal more damage, so there are several rounds, but at most this many.
constexpr int kMostRounds = 24;

Key prefix_key(const std::string& name) { return {.space = Space::kPrefix, .name = name}; }

NodeId make_root(Mending& mending, NodeId id, std::int64_t prefix, std::string body) {
  NodeRecord root;
  root.id = id;
  root.prefix = prefix;
  root.anchor = id;
  root.body = std::move(body);
  graph::save(mending.work, std::move(root));
  return id;
}

std::string empty_body() {
  std::string body;
  jsonb::put_header(body, jsonb::Type::kObject, 0);
  return body;
}

/// Makes sure that every prefix has its own root, which is a dict, and its own number.
void mend_prefixes(Mending& mending, Inspection& all) {
  std::set<std::int64_t> ids;
  std::set<NodeId> roots;
  for (checking::PrefixInfo& prefix : all.prefixes) {
    const checking::PrefixInfo before = prefix;
    if (prefix.id < 1 || prefix.id > port::kMostId || !ids.insert(prefix.id).second) {
      prefix.id = free_prefix_id(all);
      ids.insert(prefix.id);
    }
    const std::uint32_t place = all.find(prefix.root);
    if (!roots.insert(prefix.root).second) {
      prefix.root = make_root(mending, mending.work.next_id(Space::kNode), prefix.id, empty_body());
      mending.lost({},
                   fmt::format("the prefix '{}' had the root of another prefix: it is empty now",
                               prefix.name));
    } else if (place == kNoNode) {
      const bool usable = prefix.root > 0 && prefix.root <= all.greatest();
      prefix.root = make_root(mending, usable ? prefix.root : mending.work.next_id(Space::kNode),
                              prefix.id, empty_body());
      mending.lost({}, fmt::format("the root of the prefix '{}', {}, is gone: it is empty now",
                                   prefix.name, all.uid(before.root, prefix.id, NodeKind::kDict)));
    } else if (all.nodes[place].known_layout() && all.nodes[place].kind() == NodeKind::kList) {
      std::string body;
      const std::size_t mark = jsonb::open(body);
      jsonb::put_text(body, "recovered");
      graph::put_link(body, {.id = prefix.root, .kind = NodeKind::kList});
      jsonb::close(body, jsonb::Type::kObject, mark);
      prefix.root = make_root(mending, mending.work.next_id(Space::kNode), prefix.id, body);
      mending.kept({}, fmt::format("the prefix '{}' had a list as its root: the list is under the "
                                   "key 'recovered' of a new root now",
                                   prefix.name));
    }
    roots.insert(prefix.root);
    if (prefix.id == before.id && prefix.root == before.root) continue;
    Record record = mending.work.load(prefix_key(prefix.name)).value_or(Record{});
    record.integers[0] = prefix.id;
    record.integers[1] = prefix.root;
    mending.work.put(prefix_key(prefix.name), std::move(record));
    mending.changed = true;
  }
}

std::string describe_stray(const Inspection& all, const Key& key, const Record& record) {
  switch (key.space) {
    case Space::kEntry:
      return fmt::format("the entry at position {} of {}, which is not a large dict", key.b,
                         all.named(key.a));
    case Space::kPage:
      return fmt::format("page {} of {}, which nothing names", key.a,
                         all.named(record.integers[0], NodeKind::kList));
    case Space::kBlob:
      return fmt::format("the large value {} of {}, which nothing uses", key.a,
                         all.named(record.integers[0]));
    case Space::kCounter:
      return fmt::format("the counter '{}' = {} of prefix number {}, which does not exist",
                         key.name, record.integers[0], key.a);
    default:
      return {};  // only bookkeeping, no data
  }
}

/// Erases stray records, which belong to nothing.
void sweep(Mending& mending, Inspection& all) {
  for (const Key& key : all.strays) {
    const std::optional<Record> record = mending.work.load(key);
    if (!record) continue;
    mending.work.erase(key);
    mending.changed = true;
    if (key.space == Space::kBlob && mending.superseded.contains(key.a)) continue;
    if (std::string what = describe_stray(all, key, *record); !what.empty()) {
      mending.lost({}, std::move(what), record->body);
    }
  }
  all.strays.clear();
}

/// Moves the items of a map to another map number.
std::int64_t move_items(store::Work& work, std::int64_t from, std::int64_t to) {
  for (const Space space : {Space::kItem, Space::kExpiry}) {
    port::each_row(work, {.space = space, .a = from, .include_empty_name = true}, 256,
                   [&](Row& row) {
                     work.erase(row.key);
                     row.key.a = to;
                     work.put(std::move(row.key), std::move(row.record));
                   });
  }
  return to;
}

/// Makes sure that every map has its own number, and every item a map and a valid kind.
void mend_maps(Mending& mending, Inspection& all) {
  std::set<std::int64_t> numbers;
  std::vector<Row> same;
  std::set<std::string> names;
  checking::Stream maps(mending.work, Space::kMap);
  for (Row* row; (row = maps.peek()) != nullptr; maps.pop()) {
    names.insert(row->key.name);
    const std::int64_t number = row->record.integers[0];
    const bool one = number > 0 && number <= port::kMostMaps;
    if (!one || !numbers.insert(number).second) same.push_back(*row);
  }
  const auto free_number = [&] {
    std::int64_t number = 1;
    while (!numbers.insert(number).second) ++number;
    return number;
  };
  checking::Stream items(mending.work, Space::kItem);
  std::vector<Row> odd;
  std::set<std::int64_t> nameless;
  for (Row* row; (row = items.peek()) != nullptr; items.pop()) {
    if (!numbers.contains(row->key.a)) nameless.insert(row->key.a);
    if (!all.item_problem(row->record).empty()) odd.push_back(*row);
  }
  for (std::int64_t number : nameless) {
    if (number < 1 || number > port::kMostMaps) {
      const std::int64_t moved = move_items(mending.work, number, free_number());
      for (Row& row : odd) {
        if (row.key.a == number) row.key.a = moved;
      }
      number = moved;
    }
    std::string name = fmt::format("recovered-{}", number);
    while (!names.insert(name).second) name += '_';
    numbers.insert(number);
    mending.work.put({.space = Space::kMap, .name = name}, Record{.integers = {number}});
    mending.kept({}, fmt::format("items of map number {}, which did not exist, are in the map '{}'",
                                 number, name));
  }
  for (Row& row : same) {
    row.record.integers[0] = free_number();
    mending.lost({}, fmt::format("the map '{}' had the number of another map, which keeps the "
                                 "items of both: it is empty now",
                                 row.key.name));
    mending.work.put(row.key, std::move(row.record));
  }
  for (Row& row : odd) {
    row.record.integers[0] = static_cast<std::int64_t>(port::ValueKind::kBytes);
    mending.kept({}, fmt::format("the item '{}' of map number {} could not be read: it is bytes "
                                 "now",
                                 row.key.name, row.key.a));
    mending.work.put(row.key, std::move(row.record));
  }
}

}  // namespace

std::int64_t free_prefix_id(const Inspection& all) {
  std::set<std::int64_t> taken;
  for (const checking::PrefixInfo& prefix : all.prefixes) taken.insert(prefix.id);
  for (const NodeInfo& node : all.nodes) taken.insert(node.prefix);
  std::int64_t id = 1;
  while (taken.contains(id)) ++id;
  return id;
}

void make_prefix(Mending& mending, Inspection& all, NodeId root, std::int64_t id) {
  std::string name = fmt::format("recovered-{}", id);
  while (mending.work.load(prefix_key(name))) name += '_';
  mending.work.put(prefix_key(name), Record{.integers = {id, root}});
  all.prefixes.push_back({name, id, root});
  mending.kept({},
               fmt::format("{} was the root of no prefix: it is the root of the prefix '{}' now",
                           all.named(root), name));
}

}  // namespace repairing

void repair(store::Work& work, store::Ids& ids, std::uint64_t store_constant,
            base::FunctionRef<bool(std::int64_t)> alive, ItemProof prove_item,
            const std::function<void(std::uint64_t, std::uint64_t)>& progress,
            RepairReport& report) {
  using repairing::Inspection;
  repairing::Mending mending(work, report);
  for (int round = 0; round < repairing::kMostRounds; ++round) {
    mending.changed = false;
    Inspection all(store_constant, work, progress, prove_item);
    checking::inspect_prefixes(all);
    checking::inspect_nodes(all);
    repairing::mend_prefixes(mending, all);
    if (mending.changed) continue;
    checking::inspect_large_dicts(all);
    checking::inspect_large_lists(all);
    checking::inspect_blobs(all);
    repairing::mend_contents(mending, all);
    repairing::sweep(mending, all);
    if (mending.changed) continue;
    checking::inspect_orphans(all);
    repairing::sweep(mending, all);
    if (mending.changed) continue;
    repairing::mend_graph(mending, all, alive);
    if (mending.changed) continue;
    checking::inspect_counters(all);
    repairing::sweep(mending, all);
    checking::inspect_maps(all);
    repairing::mend_maps(mending, all);
    if (mending.changed) continue;
    // Set the clock after all ids that were given out; the work writes it.
    if (all.greatest() < port::kMostId) static_cast<void>(ids.next(all.greatest() + 1));
    const std::int64_t last = work.next_id(port::Space::kNode);
    port::Record clock = work.load(port::clock_key()).value_or(port::Record{});
    clock.integers[0] = last;
    work.put(port::clock_key(), std::move(clock));
    break;
  }
  Inspection after(store_constant, work, progress, prove_item);
  checking::inspect(after, alive);
  after.finish();
  for (Problem& problem : after.report.problems) {
    report.left.push_back({std::move(problem.node), std::move(problem.what), {}});
  }
}

}  // namespace graven::integrity
