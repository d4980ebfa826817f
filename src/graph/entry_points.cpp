// SPDX-License-Identifier: MIT
//
// Finds the root, nodes by uid, and counters, in any scope. See entry_points.hpp.
#include "graph/entry_points.hpp"

#include <utility>

#include "graph/handles.hpp"
#include "graph/node/build.hpp"

namespace graven::graph {
namespace {

using port::Key;
using port::Record;
using port::Space;

Key counter_key(const Session& session, std::string_view counter) {
  return {.space = Space::kCounter, .a = session.prefix_id(), .name = std::string(counter)};
}

}  // namespace

Dict root_of(const std::shared_ptr<Scope>& scope) {
  scope->session().require_prefix();
  return Dict(std::make_shared<const Pin>(scope, scope->session().root(), NodeKind::kDict, true));
}

std::optional<Value> find_by_uid(const std::shared_ptr<Scope>& scope, std::string_view uid) {
  (void)scope->session().heap();  // ClosedError
  const std::optional<ParsedUid> parsed = parse_uid(scope->session(), uid);
  if (!parsed) return std::nullopt;
  const Dict root = root_of(scope);
  return reading(*root.pin(), [&](Decoder& decoder) -> std::optional<Value> {
    const std::optional<NodeRecord> node = scope->node(parsed->id);
    if (!node || node->kind() != parsed->kind || node->prefix != scope->session().prefix_id()) {
      return std::nullopt;
    }
    return decoder.handle(node->id, node->kind());
  });
}

std::int64_t count(Scope& scope, std::string_view counter) {
  std::int64_t value = 0;
  scope.read([&](port::View& view) {
    const std::optional<Record> record = view.load(counter_key(scope.session(), counter));
    value = record ? record->integers[0] : 0;
  });
  return value;
}

std::int64_t increment(Scope& scope, std::string_view counter, std::int64_t by) {
  check_key(counter);
  if (counter.empty()) throw BadValueError("a counter needs a name");
  std::int64_t value = 0;
  scope.write(
      [&](store::Work& work) { work.add(counter_key(scope.session(), counter), by, value); });
  return value;
}

}  // namespace graven::graph
