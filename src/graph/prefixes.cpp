// SPDX-License-Identifier: MIT
//
// Lists and deletes prefixes. To delete a prefix is to unlink its root; the collector does the
// rest. See prefixes.hpp.
#include "graph/prefixes.hpp"

#include <random>
#include <utility>

#include "graph/collector/links.hpp"
#include "port/scan.hpp"

namespace graven::graph {
namespace {

using port::Key;
using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Work;

Key prefix_key(std::string_view name) {
  return {.space = Space::kPrefix, .name = std::string(name)};
}

void erase_counters(Work& work, std::int64_t prefix) {
  port::each_row(work, {.space = Space::kCounter, .a = prefix, .include_empty_name = true}, 256,
                 [&](const Row& row) { work.erase(row.key); });
}

}  // namespace

std::vector<std::string> prefix_names(Scope& scope) {
  std::vector<std::string> names;
  scope.read([&](View& view) {
    names.clear();
    port::each_row(view, {.space = Space::kPrefix}, 256,
                   [&](const Row& row) { names.push_back(row.key.name); });
  });
  return names;
}

bool prefix_in_use(Scope& scope, std::string_view prefix) {
  bool used = false;
  scope.read(
      [&](View& view) { used = !prefix.empty() && view.load(prefix_key(prefix)).has_value(); });
  return used;
}

std::string free_prefix_name(View& view) {
  static constexpr std::string_view kLetters = "abcdefghjkmnpqrstvwxyz0123456789";
  std::random_device device;
  std::uniform_int_distribution<std::size_t> any(0, kLetters.size() - 1);
  std::string name;
  do {
    name.assign(1, kLetters[any(device) % 22]);
    while (name.size() < 10) name.push_back(kLetters[any(device)]);
  } while (view.load(prefix_key(name)));
  return name;
}

std::uint64_t delete_prefix(Scope& scope, std::string_view prefix, std::uint64_t most) {
  Heap& heap = scope.session().heap();
  if (heap.store().in_transaction()) {
    throw UsageError("a prefix cannot be deleted inside a transaction: do it before or after");
  }
  const bool all = most == UINT64_MAX;
  const bool in_use = prefix_in_use(scope, prefix);
  // Collect the garbage of other prefixes first, so that it is not counted.
  if (all && in_use) heap.collect(scope.session().limits().busy);
  const std::uint64_t before = heap.removed();
  if (in_use) {
    heap.store().write(
        [&](Work& work) {
          const std::optional<Record> record = work.load(prefix_key(prefix));
          if (!record) return;
          work.erase(prefix_key(prefix));
          erase_counters(work, record->integers[0]);
          NodeRecord root = load_node(work, record->integers[1]);
          root.anchor = kNobody;
          save(work, std::move(root));
          heap.doom(work, record->integers[1], all);
        },
        scope.session().limits());
  }
  const std::uint64_t reclaimed = heap.reclaim(most, scope.session().limits().busy);
  // The housekeeper may have removed some of the nodes.
  return all ? heap.removed() - before : reclaimed;
}

}  // namespace graven::graph
