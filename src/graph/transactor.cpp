// SPDX-License-Identifier: MIT
//
// Snapshot and Transactor: public classes that forward to their scopes. See scopes.cpp.
#include <chrono>

#include <graven/error.hpp>

#include "graph/entry_points.hpp"
#include "graph/handles.hpp"

namespace graven {

using graph::Scope;
using graph::TransactorScope;

namespace {

TransactorScope& transactor(const std::shared_ptr<Scope>& scope) {
  return dynamic_cast<TransactorScope&>(*scope);
}

constexpr int kOptimisticTries = 3;

}  // namespace

// --- Snapshot

Dict Snapshot::root() const { return graph::root_of(scope_); }
std::optional<Value> Snapshot::get_via_uid(Text uid) const {
  return graph::find_by_uid(scope_, uid);
}
std::int64_t Snapshot::count(Text counter) const { return graph::count(*scope_, counter); }
void Snapshot::close() { graph::close_snapshot(*scope_); }

// --- Transactor

Dict Transactor::root() const { return graph::root_of(scope_); }
std::optional<Value> Transactor::get_via_uid(Text uid) const {
  return graph::find_by_uid(scope_, uid);
}
std::int64_t Transactor::incr(Text counter, Addend by) const {
  return graph::increment(*scope_, counter, by);
}
std::int64_t Transactor::count(Text counter) const { return graph::count(*scope_, counter); }

void Transactor::watch() const {
  transactor(scope_).restart_if_written();
  transactor(scope_).watch_prefix();
}

void Transactor::watch(const Node& node) const {
  graph::require_same_prefix(*scope_, *node.pin());
  transactor(scope_).restart_if_written();
  (void)scope_->node(node.pin()->id());
}

void Transactor::multi() const { (void)scope_->session().heap(); }

bool Transactor::execute(Durable durable) const {
  if (!transactor(scope_).execute()) return false;
  if (durable == Durable::kYes) {
    graph::Session& session = scope_->session();
    session.heap().store().make_durable(std::chrono::steady_clock::now() + session.limits().busy);
  }
  return true;
}

void Transactor::discard() const { transactor(scope_).restart(); }

void Transactor::transact(const std::function<void()>& function, Durable durable) const {
  TransactorScope& scope = transactor(scope_);
  for (int attempt = 0; attempt < kOptimisticTries; ++attempt) {
    scope.restart();
    try {
      function();
    } catch (const ConflictError&) {
      continue;  // the state that it reads from is too old for the store
    } catch (...) {
      scope.restart();
      throw;
    }
    if (execute(durable)) return;
  }
  scope.in_lane(function, durable);
}

}  // namespace graven
