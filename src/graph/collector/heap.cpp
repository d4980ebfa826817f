// SPDX-License-Identifier: MIT
//
// Collects before commits (settle, apply, remove), holds and releases orphans, and runs the passes
// of reclaim.cpp for garbage too large for one commit. trace.cpp decides which nodes live.
#include "graph/collector/heap.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <random>
#include <span>
#include <thread>
#include <unordered_set>
#include <utility>

#include <graven/error.hpp>

#include "base/interrupt.hpp"
#include "graph/collector/links.hpp"
#include "graph/collector/reclaim.hpp"

namespace graven::graph {
namespace {

using port::Range;
using port::ReadOp;
using port::Row;
using port::Space;
using port::View;
using store::Work;
using Clock = std::chrono::steady_clock;

// The number of nodes and edges that a commit may read to collect; more is reclaimed in slices.
constexpr std::size_t kCommitBudget = 20'000;
constexpr std::size_t kSweepNodes = 4'000;
constexpr auto kSoon = std::chrono::milliseconds(300);
constexpr auto kLaneWait = std::chrono::milliseconds(500);  // in the background
constexpr std::size_t kRemovedAtOnce = 256;                 // nodes read together,
constexpr std::size_t kEdges = 256;                         // with so many edges each
constexpr int kMostInVain = 10;
constexpr auto kPatience = std::chrono::milliseconds(60'000);

/// A view whose reads throw once the store is being closed, because a trace may take long.
class UntilStopped final : public View {
 public:
  explicit UntilStopped(store::Store& store) : store_(store), below_(store.view()) {}
  std::optional<port::Record> load(const port::Key& key) override {
    look();
    return below_->load(key);
  }
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override {
    look();
    below_->load_many(keys, each);
  }
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    look();
    return below_->scan(range, limit);
  }
  void read(std::span<const ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<Row>)> each) override {
    look();
    below_->read(ops, each);
  }
  [[nodiscard]] std::optional<port::StateVersion> state() const override { return below_->state(); }

 private:
  void look() const {
    if (store_.stopping()) throw ClosedError("the store is being closed");
  }
  store::Store& store_;
  std::unique_ptr<View> below_;
};

std::int64_t new_owner() {
  std::random_device device;
  std::uniform_int_distribution<std::int64_t> any(1, (std::int64_t{1} << 46) - 1);
  return any(device);
}

}  // namespace

std::shared_ptr<Heap> Heap::of(const std::shared_ptr<store::Store>& store) {
  store::CommitHook& hook = store->hook([&] { return std::make_unique<Heap>(*store); });
  return {store, &static_cast<Heap&>(hook)};
}

void Heap::attach(std::shared_ptr<Pins> pins) {
  const std::scoped_lock lock(pins_mutex_);
  pins_.push_back(std::move(pins));
}

void Heap::detach(const std::shared_ptr<Pins>& pins) {
  const std::scoped_lock lock(pins_mutex_);
  std::erase(pins_, pins);
}

bool Heap::pinned(NodeId id) {
  const std::scoped_lock lock(pins_mutex_);
  return std::any_of(pins_.begin(), pins_.end(),
                     [&](const auto& pins) { return pins->pinned(id); });
}

std::int64_t Heap::owner() {
  const std::scoped_lock lock(owner_mutex_);
  if (owner_ == 0) {
    const std::int64_t number = new_owner();
    backend().leases().announce(number);
    owner_ = number;
  }
  return owner_;
}

void Heap::unpinned(NodeId id) {
  if (orphan_count_.load(std::memory_order_relaxed) == 0) return;
  {
    const std::scoped_lock lock(orphans_mutex_);
    if (!orphans_.contains(id)) return;
  }
  store_.wake(Clock::now() + kSoon);
}

// --- Collection before each commit

void Heap::before_commit(Work& work) {
  new_orphans_.clear();
  gone_orphans_.clear();
  if (orphan_count_.load(std::memory_order_relaxed) != 0 || !work.suspects().empty()) {
    collections_.fetch_add(1, std::memory_order_seq_cst);
    release_orphans(work);
    settle(work, kCommitBudget);
  }
}

void Heap::after_commit(bool committed) noexcept {
  if (committed) {
    const std::scoped_lock lock(orphans_mutex_);
    for (const NodeId id : gone_orphans_) orphans_.erase(id);
    orphans_.insert(new_orphans_.begin(), new_orphans_.end());
    orphan_count_.store(orphans_.size(), std::memory_order_relaxed);
  }
  if (collections_.load(std::memory_order_relaxed) % 2 == 1) {
    collections_.fetch_add(1, std::memory_order_seq_cst);
  }
  if (!committed) return;
  // The last handle may have been destroyed while its node was becoming an orphan.
  for (const NodeId id : new_orphans_) {
    if (!pinned(id)) store_.wake(Clock::now() + kSoon);
  }
}

/// Detaches orphans of this process that no handle pins any more.
void Heap::release_orphans(Work& work) {
  std::vector<NodeId> released;
  {
    const std::scoped_lock lock(orphans_mutex_);
    std::copy_if(orphans_.begin(), orphans_.end(), std::back_inserter(released),
                 [&](NodeId id) { return !pinned(id); });
  }
  for (const NodeId id : released) {
    gone_orphans_.push_back(id);
    const std::int64_t mine = owner();
    std::optional<NodeRecord> node = find_node(work, id);
    if (!node || node->anchor != -mine) continue;  // linked again, or gone
    work.erase(orphan_key(mine, id));
    node->anchor = kNobody;
    save(work, std::move(*node));
    work.suspects().insert(id);
  }
}

void Heap::doom(Work& work, NodeId id, bool in_background) {
  work.put(orphan_key(kNobody, id), {});
  if (!in_background) return;
  work.when_committed([this] {
    doomed_here_.store(true);
    store_.wake(Clock::now());
  });
}

void Heap::settle(Work& work, std::size_t budget) {
  std::vector<NodeId> adrift;
  for (const NodeId id : std::exchange(work.suspects(), {})) {
    const std::optional<NodeRecord> node = find_node(work, id);
    if (!node) continue;
    if (node->adrift()) adrift.push_back(id);
    if (node->held()) new_orphans_.push_back(id);
  }
  if (adrift.empty()) return;
  const Trace traced = trace(
      work, adrift, any_doomed(work), [&](NodeId id) { return pinned(id); }, budget);
  // A commit to a server is one message, which it applies without answering anybody else.
  const bool to_server = port::facet<port::Interactive>(backend()) == nullptr;
  if (traced.complete && !(to_server && traced.elements > kCommitBudget)) {
    for (const NodeId id : apply(work, traced)) new_orphans_.push_back(id);
    remove(work, traced);
  } else {
    for (const NodeId id : adrift) doom(work, id, true);
  }
}

/// Gives rescued nodes their new anchors. Returns those that are orphans of this process now.
std::vector<NodeId> Heap::apply(Work& work, const Trace& traced) {
  std::vector<NodeId> held;
  for (const Trace::Rescue& rescue : traced.rescued) {
    NodeRecord node = load_node(work, rescue.node);
    if (rescue.anchor == kHeldHere) {
      held.push_back(node.id);
      change_anchor(work, std::move(node), -owner());
    } else {
      change_anchor(work, std::move(node), rescue.anchor);
    }
  }
  return held;
}

/// Removes all garbage of a trace; no other node hangs on it any more.
void Heap::remove(Work& work, const Trace& traced) {
  const std::unordered_set<NodeId> going(traced.garbage.begin(), traced.garbage.end());
  // For nodes with more than one record: read the node and the edges to it together.
  std::vector<NodeId> ids;
  std::vector<ReadOp> reads;
  const auto remove_read = [&] {
    std::vector<std::vector<Row>> found(reads.size());
    work.read(reads, [&](std::size_t i, std::span<Row> rows) {
      found[i].assign(std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
    });
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!found[2 * i].empty()) {
        remove(work, to_node(ids[i], std::move(found[2 * i].front().record)), going);
      }
      for (const Row& edge : found[2 * i + 1]) work.erase(edge.key);
      if (found[2 * i + 1].size() == kEdges) erase_edges(work, ids[i]);
    }
    ids.clear();
    reads.clear();
  };
  for (std::size_t i = 0; i < traced.garbage.size(); ++i) {
    const NodeId id = traced.garbage[i];
    if (traced.footprints[i] == Footprint::kRecord) {
      work.erase(node_key(id));
      continue;
    }
    ids.push_back(id);
    reads.push_back({.key = node_key(id)});
    reads.push_back({.range = {.space = Space::kEdge, .a = id}, .limit = kEdges});
    if (ids.size() == kRemovedAtOnce) remove_read();
  }
  remove_read();
  work.when_committed([this, count = traced.garbage.size()] { removed_.fetch_add(count); });
}

/// Removes one garbage node, except the edges to it.
void Heap::remove(Work& work, NodeRecord node, const std::unordered_set<NodeId>& going) {
  const NodeId id = node.id;
  const auto forget = [&](std::string_view element) {
    const jsonb::Element parsed = jsonb::parse(element);
    if (const std::optional<Link> child = link_of(parsed)) {
      if (!going.contains(child->id)) work.erase(edge_key(child->id, id));
    } else if (const std::optional<std::int64_t> blob = blob_of(parsed)) {
      work.erase({.space = Space::kBlob, .a = *blob});
    }
  };
  if (node.large()) {
    drain(work, node, SIZE_MAX, forget);
  } else {
    each_element(work, node, [&](jsonb::Element element) {
      if (element.type == jsonb::Type::kObject) forget(element.whole);
      return true;
    });
  }
  if (node.adrift()) work.erase(orphan_key(kNobody, id));
  work.erase(node_key(id));
}

// --- Garbage too large for one commit

bool Heap::alive(NodeId id) {
  const std::unique_ptr<View> view = store_.view();
  std::optional<NodeRecord> node = find_node(*view, id);
  if (!node) return false;
  if (!chain_end(*view, std::move(*node)).adrift()) return true;
  if (backend().facts().read_only) {
    const Trace traced = trace(
        *view, doomed_in(*view), false, [](NodeId) { return false; }, SIZE_MAX);
    return std::find(traced.garbage.begin(), traced.garbage.end(), id) == traced.garbage.end();
  }
  reclaim(UINT64_MAX, kPatience);
  return store_.load(node_key(id)).has_value();
}

void Heap::collect_if_doomed(Work& work, NodeId id) {
  if (!any_doomed(work)) return;
  std::optional<NodeRecord> node = find_node(work, id);
  if (!node || !chain_end(work, std::move(*node)).adrift()) return;
  // It hangs on a node pending deletion: only a complete trace can tell whether it lives.
  std::set<std::int64_t> suspects = std::exchange(work.suspects(), {});
  const Trace traced = trace(
      work, doomed_in(work), !suspects.empty(), [&](NodeId other) { return pinned(other); },
      SIZE_MAX);
  if (traced.complete) {
    // So that before_commit() registers them as orphans.
    for (const NodeId held : apply(work, traced)) suspects.insert(held);
    remove(work, traced);
  }
  work.suspects().merge(suspects);
}

std::uint64_t Heap::reclaim(std::uint64_t most, std::chrono::milliseconds patience) {
  const auto lock = base::lock(*reclaim_mutex_);
  std::uint64_t total = 0;
  store::Activity& activity = store_.activity();
  const observe::Timed timed(activity.collection, activity.slow, "collection",
                             backend().facts().name, [&] {
                               return LogField{"nodes", std::to_string(total)};
                             });
  std::vector<NodeId> before;
  for (int idle = 0; total < most;) {
    doomed_here_.store(false);
    if (!any_doomed(*store_.view())) break;
    doomed_here_.store(true);  // until it is done: this may end by an exception
    std::vector<NodeId> tops;
    const std::uint64_t removed = reclaim_pass(most - total, patience, tops);
    total += removed;
    // A pass may remove nothing because others rescued its nodes, but not many times in sequence.
    idle = removed == 0 && tops == before ? idle + 1 : 0;
    if (idle == kMostInVain) {
      throw CorruptionError(backend().facts().name +
                            " has dicts and lists pending deletion that cannot be removed; `graven "
                            "check` shows which, `graven repair` repairs it");
    }
    before = std::move(tops);
  }
  return total;
}

std::uint64_t Heap::reclaim_pass(std::uint64_t most, std::chrono::milliseconds patience,
                                 std::vector<NodeId>& tops) {
  std::optional<Reclaiming> pass;
  {
    UntilStopped view(store_);
    pass.emplace(view, [&](NodeId id) { return pinned(id); });
    tops = pass->tops();
  }
  const auto slice = [&](base::FunctionRef<void(Work&)> body) {
    if (store_.stopping()) throw ClosedError("the store is being closed");
    const Reclaiming::Progress before = pass->progress();
    store_.write_apart(
        [&](Work& work) {
          pass->resume(before);  // where a slice runs again
          body(work);
        },
        Clock::now() + patience);
    base::check_interrupt();
    std::this_thread::sleep_for(std::chrono::microseconds(300));  // let another process in
  };
  while (pass->to_rescue()) {
    slice([&](Work& work) { pass->rescue(work, [&] { return owner(); }); });
  }
  while (pass->to_condemn()) slice([&](Work& work) { pass->condemn(work); });
  if (pass->outdated()) {
    UntilStopped view(store_);
    pass->trace_again(view);
  }
  std::uint64_t total = 0;
  while (pass->to_remove() && total < most) {
    std::uint64_t removed = 0;
    slice([&](Work& work) { removed = pass->remove(work, most - total); });
    total += removed;
    removed_.fetch_add(removed);
  }
  return total;
}

void Heap::sweep_dead_owners(std::chrono::milliseconds patience) {
  std::vector<std::int64_t> dead;
  {
    const std::unique_ptr<View> view = store_.view();
    std::optional<Range> rest = Range{.space = Space::kOrphan, .a = 1, .a_to = INT64_MAX};
    while (rest) {
      const std::vector<Row> rows = view->scan(*rest, 1);
      if (rows.empty()) break;
      const std::int64_t number = rows.front().key.a;
      if (!backend().leases().alive(number)) dead.push_back(number);
      rest = port::behind(*rest, {.space = Space::kOrphan, .a = number, .b = INT64_MAX});
    }
  }
  for (const std::int64_t number : dead) {
    for (bool more = true; more;) {
      if (store_.stopping()) throw ClosedError("the store is being closed");
      store_.write_apart(
          [&](Work& work) {
            const std::vector<Row> rows =
                work.scan({.space = Space::kOrphan, .a = number}, kSweepNodes);
            more = rows.size() == kSweepNodes;
            for (const Row& row : rows) {
              work.erase(row.key);
              std::optional<NodeRecord> node = find_node(work, row.key.b);
              if (!node || node->anchor != -number) continue;
              node->anchor = kNobody;
              save(work, std::move(*node));
              work.suspects().insert(row.key.b);
            }
          },
          Clock::now() + patience);
    }
  }
}

std::uint64_t Heap::collect(std::chrono::milliseconds patience) {
  const std::uint64_t before = removed_.load();
  store_.write_apart([](Work&) {}, Clock::now() + patience);
  sweep_dead_owners(patience);
  reclaim(UINT64_MAX, patience);
  return removed_.load() - before;
}

void Heap::look_for_leftovers(View& view) {
  if (backend().facts().read_only || looked_.exchange(true)) return;
  try {
    if (!view.any_orphans()) return;
  } catch (const CorruptionError&) {
    return;  // check() and repair() need the store open: they report and repair it
  }
  sweep_.store(true);
  doomed_here_.store(true);
  store_.wake(Clock::now() + kSoon);
}

// --- Called by the store and by databases

void Heap::close_one(const std::shared_ptr<Pins>& pins) noexcept {
  detach(pins);
  if (orphan_count_.load() == 0) return;
  if (store_.in_transaction())
    return store_.wake(Clock::now() + kSoon);  // a write here would wait for our own transaction
  const base::Uninterrupted to_the_end;
  try {
    // This collects little garbage at once. Much is put on the list of pending deletions; the
    // housekeeper or the next process that opens the store reclaims it.
    store_.write_apart([](Work&) {}, Clock::now() + kLaneWait);
  } catch (const std::exception&) {
    // The store is busy or broken: the next process that opens it collects what is left.
  }
}

std::optional<base::Deadline> Heap::chore() noexcept {
  try {
    bool released = false;
    if (orphan_count_.load() != 0) {
      const std::scoped_lock lock(orphans_mutex_);
      released =
          std::any_of(orphans_.begin(), orphans_.end(), [&](NodeId id) { return !pinned(id); });
    }
    if (released) store_.write_apart([](Work&) {}, Clock::now() + kLaneWait);
    if (sweep_.load()) {
      sweep_dead_owners(kLaneWait);
      sweep_.store(false);
    }
    if (doomed_here_.load()) reclaim(UINT64_MAX, kLaneWait);
    return std::nullopt;
  } catch (const std::exception&) {
    // Another writer has the store, or it fails: its next user gets the error; try again later.
    return Clock::now() + std::chrono::seconds(1);
  }
}

void Heap::child_after_fork() noexcept {
  // The parent holds the orphans; the child gets its own number when it needs one.
  orphans_.clear();
  orphan_count_.store(0);
  owner_ = 0;
  doomed_here_.store(false);
  if (collections_.load() % 2 == 1) collections_.fetch_add(1);
}

}  // namespace graven::graph
