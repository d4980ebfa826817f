// SPDX-License-Identifier: MIT
//
// Database: the public class over a session and its live scope. Any thread.
#include <graven/database.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "graph/collector/links.hpp"
#include "graph/entry_points.hpp"
#include "graph/handles.hpp"
#include "graph/node/build.hpp"
#include "graph/prefixes.hpp"

namespace graven {

using graph::NodeId;
using graph::NodeRecord;
using graph::Session;
using port::View;
using store::Work;

Dict Database::root() const {
  (void)scope_->session().heap();  // ClosedError
  return graph::root_of(scope_);
}

// The handle is made inside the write, so that its pin exists before the commit checks pins.
Dict Database::new_dict(const Data& entries) const {
  if (!entries.is_dict()) throw WrongTypeError("the entries of a new dict must be a dict");
  graph::check_storable(*scope_, entries, "");
  std::optional<Value> made;
  scope_->write([&](Work& work) {
    graph::Decoder decoder(scope_);
    made = decoder.handle(graph::build_unlinked(work, scope_->session(), entries), NodeKind::kDict);
  });
  return made->as_dict();
}

List Database::new_list(const Data& items) const {
  if (!items.is_list()) throw WrongTypeError("the items of a new list must be a list");
  graph::check_storable(*scope_, items, "");
  std::optional<Value> made;
  scope_->write([&](Work& work) {
    graph::Decoder decoder(scope_);
    made = decoder.handle(graph::build_unlinked(work, scope_->session(), items), NodeKind::kList);
  });
  return made->as_list();
}

std::optional<Value> Database::get_via_uid(Text uid) const {
  return graph::find_by_uid(scope_, uid);
}

std::vector<std::string> Database::why_alive(const Node& node) const {
  std::vector<std::string> path;
  const graph::Pin& pin = *node.pin();
  graph::require_same_prefix(*scope_, pin);
  graph::using_pin(pin, [&] { (void)graph::current(pin); });
  scope_->read([&](View& view) {
    path.clear();
    NodeRecord at = graph::load_node(view, pin.id(), pin.kind());
    path.push_back(graph::uid_of(scope_->session(), at.id, at.kind()));
    for (graph::ChainWalk walk; at.anchored();) {
      walk.at(at.id);
      at = graph::load_node(view, at.anchor);
      path.push_back(graph::uid_of(scope_->session(), at.id, at.kind()));
    }
    if (!at.root()) path.clear();
    std::reverse(path.begin(), path.end());
  });
  return path;
}

Transaction Database::begin() const {
  return Transaction(std::make_unique<graph::TransactionStep>(scope_->shared_session()));
}

void Database::transaction(const std::function<void()>& body, Durable durable) const {
  Transaction transaction = begin();
  body();
  transaction.commit(durable);
}

Transaction::Transaction(std::unique_ptr<graph::TransactionStep> step) : step_(std::move(step)) {}
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&&) noexcept = default;
Transaction::~Transaction() = default;

void Transaction::commit(Durable durable) {
  if (!step_) throw UsageError("this transaction was moved elsewhere");
  step_->commit(durable);
}

void Transaction::rollback() noexcept {
  if (step_) step_->rollback();
}

bool Database::in_transaction() const { return scope_->session().heap().store().in_transaction(); }

void Database::wait_durable() const {
  Session& session = scope_->session();
  session.heap().store().sync(std::chrono::steady_clock::now() + session.limits().busy);
}

Transactor Database::transactor() const {
  (void)scope_->session().heap();  // ClosedError
  return Transactor(graph::make_transactor_scope(*scope_));
}

Snapshot Database::snapshot() const { return Snapshot(graph::make_snapshot_scope(*scope_)); }

std::int64_t Database::incr(Text counter, Addend by) const {
  return graph::increment(*scope_, counter, by);
}

std::int64_t Database::decr(Text counter, Addend by) const {
  const std::int64_t number = by;
  if (number == std::numeric_limits<std::int64_t>::min()) {
    throw LimitError(fmt::format(
        "{} cannot be subtracted from a counter, because its negative is not an integer of 64 bits",
        number));
  }
  return incr(counter, -number);
}

std::int64_t Database::count(Text counter) const { return graph::count(*scope_, counter); }

std::string Database::prefix() const { return scope_->session().prefix(); }

Database Database::with_prefix(Text prefix) const {
  const Session& own = scope_->session();
  (void)own.heap();  // ClosedError
  Options options = own.options();
  options.prefix = prefix;
  options.new_prefix = false;
  if (prefix.empty()) throw BadValueError("a prefix needs a name");
  return Database(graph::make_live_scope(std::make_shared<Session>(own.shared_store(), options)));
}

std::string Database::new_prefix() const {
  std::string name;
  scope_->read([&](port::View& view) { name = graph::free_prefix_name(view); });
  return name;
}

std::vector<std::string> Database::prefixes() const { return graph::prefix_names(*scope_); }

bool Database::prefix_in_use(Text prefix) const { return graph::prefix_in_use(*scope_, prefix); }

std::uint64_t Database::delete_prefix_immediately(Text prefix) const {
  return graph::delete_prefix(*scope_, prefix, UINT64_MAX);
}

std::uint64_t Database::delete_prefix_batch(Text prefix, Count count) const {
  return graph::delete_prefix(*scope_, prefix, count);
}

void Database::flush() const { scope_->session().heap().store().flush(); }

std::uint64_t Database::collect() const {
  graph::Heap& heap = scope_->session().heap();
  if (heap.store().in_transaction()) {
    throw UsageError("collect() inside a transaction: call it before or after");
  }
  return heap.collect(scope_->session().limits().busy);
}

std::string Database::maintenance() const {
  collect();
  auto* store = port::facet<port::Maintenance>(scope_->session().heap().backend());
  return store != nullptr ? store->maintain() : std::string();
}

std::uint64_t Database::size_on_disk() const {
  auto* files = port::facet<port::Files>(scope_->session().heap().backend());
  return files != nullptr ? files->size_on_disk() : 0;
}

std::string Database::name() const { return scope_->session().heap().backend().facts().name; }

bool Database::read_only() const { return scope_->session().heap().backend().facts().read_only; }

std::string Database::store_id() const {
  return fmt::format("{:016x}", scope_->session().store_constant());
}

bool Database::closed() const noexcept {
  return scope_.get() == nullptr || scope_->session().closed();
}

void Database::close() const { scope_->session().close_flushed(); }

}  // namespace graven
