// SPDX-License-Identifier: MIT
//
// The three scopes. LiveScope: the newest state, or the open transaction of the calling thread.
// SnapshotScope: one view, always the same state. OptimisticScope: a snapshot with a work on top.
#include <mutex>
#include <utility>

#include <graven/error.hpp>

#include "graph/collector/links.hpp"
#include "graph/scope.hpp"

namespace graven::graph {
namespace {

using port::Record;
using port::View;
using store::Work;

constexpr int kTriesOfAView = 3;  // where its state becomes too old for the store

class LiveScope final : public Scope {
 public:
  explicit LiveScope(std::shared_ptr<Session> session) : Scope(std::move(session), true) {}

  std::optional<NodeRecord> node(NodeId id) override {
    Heap& heap = session().heap();
    std::optional<NodeRecord> found;
    if (heap.store().with_current([&](Work& work) {
          heap.collect_if_doomed(work, id);
          found = find_node(work, id);
        })) {
      return found;
    }
    cache::Cache& cache = heap.store().cache();
    const port::Key key = node_key(id);
    if (auto known = cache.find_node(key)) {
      if (!*known) return std::nullopt;
      return to_node(id, std::move(**known));
    }
    bool reclaiming = false;
    std::optional<Record> record = cache.read_through(key, &reclaiming);
    if (!record) return std::nullopt;
    if (reclaiming) {
      if (!heap.alive(id)) return std::nullopt;
      record = heap.store().load(key);
      if (!record) return std::nullopt;
    }
    return to_node(id, std::move(*record));
  }

  bool peek(NodeId id, base::FunctionRef<void(Layout, std::string_view)> shown) override {
    store::Store& store = session().heap().store();
    if (store.in_transaction()) return false;
    return store.cache().show_node(
        id, [&](const cache::RecordView& record) { shown(layout_of(record), record.body); });
  }

  cache::Cache* cache() override {
    store::Store& store = session().heap().store();
    return store.in_transaction() ? nullptr : &store.cache();
  }

  void read(base::FunctionRef<void(View&)> body) override {
    Heap& heap = session().heap();
    if (heap.store().with_current([&](Work& work) { body(work); })) return;
    for (int tries = 0; tries < cache::kTriesInMemory; ++tries) {
      cache::CachedView view(heap.store().cache(), heap.store().records());
      try {
        body(view);
        if (view.holds()) return;
      } catch (const ConflictError&) {
        break;  // the view below is too old for the store
      } catch (...) {
        if (view.holds()) throw;
      }
      if (view.read_below()) break;
    }
    for (int tries = 1;; ++tries) {
      const std::unique_ptr<View> view = heap.store().view();
      try {
        body(*view);
        break;
      } catch (const ConflictError&) {
        if (tries == kTriesOfAView) throw;
      }
    }
    heap.store().cache().settle();
  }

  void write(base::FunctionRef<void(Work&)> body) override {
    Session& own = session();
    own.heap().store().write(
        [&](Work& work) {
          static_cast<void>(own.heap());  // ClosedError if it was closed while this call waited
          work.touch_prefix(own.prefix());
          body(work);
        },
        own.limits());
  }

  std::unique_ptr<View> lasting_view() override {
    Heap& heap = session().heap();
    if (heap.store().in_transaction()) return nullptr;
    return heap.store().view();
  }

  std::uint64_t collections() override {
    Heap& heap = session().heap();
    return heap.store().in_transaction() ? 0 : heap.collections();
  }
};

class SnapshotScope final : public Scope {
 public:
  explicit SnapshotScope(std::shared_ptr<Session> session)
      : Scope(std::move(session), false), view_(this->session().heap().store().view()) {
    view_->load(port::clock_key());  // the first read fixes the state
  }

  void read(base::FunctionRef<void(View&)> body) override {
    (void)session().heap();  // ClosedError
    const std::scoped_lock lock(mutex_);
    if (!view_) throw ClosedError("the snapshot was closed; take another with snapshot()");
    body(*view_);
  }

  void write(base::FunctionRef<void(Work&)>) override {
    throw UsageError("a snapshot is read-only; write through the database itself");
  }

  std::unique_ptr<View> lasting_view() override { return nullptr; }
  std::uint64_t collections() override { return 0; }

  void close() {
    const std::scoped_lock lock(mutex_);
    view_.reset();
  }

 private:
  std::recursive_mutex mutex_;  // recursive: reads nest, since a cursor's step may load a value
  std::unique_ptr<View> view_;
};

class OptimisticScope final : public TransactorScope {
 public:
  using TransactorScope::TransactorScope;

  void read(base::FunctionRef<void(View&)> body) override {
    with_work([&](Work& work) { body(work); });
  }

  void write(base::FunctionRef<void(Work&)> body) override {
    Session& own = session();
    if (own.heap().backend().facts().read_only) {
      throw UsageError("the database is open read-only: nothing can be written");
    }
    const auto mutate = [&](Work& work) {
      work.touch_prefix(own.prefix());
      body(work);
    };
    if (in_lane_) {
      own.heap().store().write(mutate, own.limits());
      return;
    }
    with_work([&](Work& work) {
      work.begin_mutation();
      try {
        mutate(work);
      } catch (...) {
        work.drop_mutation();
        throw;
      }
      work.end_mutation();
    });
  }

  std::unique_ptr<View> lasting_view() override { return nullptr; }
  std::uint64_t collections() override { return 0; }

  void restart() override {
    work_.reset();
    view_.reset();
  }

  void restart_if_written() override {
    if (work_ && !work_->empty()) restart();
  }

  void watch_prefix() override {
    with_work([&](Work& work) {
      work.load({.space = port::Space::kPrefix, .name = session().prefix()});
      // A change of a counter does not change the prefix's version, so read all counters too.
      work.scan({.space = port::Space::kCounter, .a = session().prefix_id()}, SIZE_MAX);
      work.rely_on_all();
    });
  }

  bool execute() override {
    if (in_lane_) return true;  // committed at the end of in_lane()
    if (!work_ || work_->empty()) {
      // Nothing to commit, but what was read may still be out of date.
      const bool fresh = !work_ || holds_now();
      restart();
      return counted(fresh);
    }
    bool fresh = false;
    const std::unique_ptr<Work> mine = std::move(work_);
    view_.reset();
    session().heap().store().write(
        [&](Work& work) {
          fresh = mine->read_set().holds_in(work);
          if (fresh) mine->replay_into(work);
        },
        session().limits());
    return counted(fresh);
  }

  void in_lane(const std::function<void()>& function, Durable durable) override {
    restart();
    TransactionStep step(shared_session());
    in_lane_ = true;
    try {
      function();
    } catch (...) {
      in_lane_ = false;
      throw;
    }
    in_lane_ = false;
    step.commit(durable);
  }

 private:
  bool counted(bool fresh) {
    if (!fresh) session().heap().store().activity().counts.add(store::Event::kConflicts);
    return fresh;
  }

  bool holds_now() {
    bool fresh = false;
    Heap& heap = session().heap();
    if (!heap.store().with_current([&](Work& now) { fresh = work_->read_set().holds_in(now); })) {
      fresh = work_->read_set().holds_in(*heap.store().view());
    }
    return fresh;
  }

  void with_work(base::FunctionRef<void(Work&)> body) {
    Heap& heap = session().heap();
    if (in_lane_) {
      heap.store().with_current(body);
      return;
    }
    if (!work_) {
      view_ = heap.store().view();
      work_ = std::make_unique<Work>(*view_, heap.store().ids());
    }
    body(*work_);
  }

  std::unique_ptr<View> view_;
  std::unique_ptr<Work> work_;
  bool in_lane_ = false;
};

}  // namespace

std::shared_ptr<Scope> make_live_scope(std::shared_ptr<Session> session) {
  return std::make_shared<LiveScope>(std::move(session));
}

std::shared_ptr<Scope> make_snapshot_scope(const Scope& live) {
  return std::make_shared<SnapshotScope>(live.shared_session());
}

std::shared_ptr<Scope> make_transactor_scope(const Scope& live) {
  return std::make_shared<OptimisticScope>(live.shared_session());
}

void close_snapshot(Scope& scope) { dynamic_cast<SnapshotScope&>(scope).close(); }

}  // namespace graven::graph
