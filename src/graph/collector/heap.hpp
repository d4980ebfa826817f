// SPDX-License-Identifier: MIT
//
// The heap: the graph side of one open store in this process, made when the store is first
// opened for its graph. It knows which nodes this process's handles pin, and it is the collector.
// Before each commit it decides what happens to the nodes that lost their anchor. Afterwards, in
// the background, it reclaims garbage too large for one commit and orphans whose last handle is
// gone.
//
// Always holds after a commit: every node's chain of anchors ends in a root, in an orphan that
// a process holds, or in a node on the list of pending deletions ("doomed": kOrphan records with
// owner 0). Nodes pending deletion, and the nodes that hang on them, are in no view; a process
// that finds such nodes finishes the reclaiming.
//
// Shared by every Database of this process on the same store. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/fork.hpp"
#include "graph/collector/pins.hpp"
#include "graph/collector/trace.hpp"
#include "store/store.hpp"

namespace graven::graph {

class Heap final : public store::CommitHook, private base::ForkGuard {
 public:
  explicit Heap(store::Store& store) : store_(store) {}
  /// The heap of a store. The returned pointer keeps the store alive.
  static std::shared_ptr<Heap> of(const std::shared_ptr<store::Store>& store);

  [[nodiscard]] store::Store& store() noexcept { return store_; }
  [[nodiscard]] port::Backend& backend() noexcept { return store_.backend(); }

  // Adds and removes the pins of an open Database; the pins of a closed one do not count.
  void attach(std::shared_ptr<Pins> pins);
  void detach(const std::shared_ptr<Pins>& pins);

  /// The number of this process: its orphans carry it. Chosen when first needed.
  std::int64_t owner();

  /// To be called when the last handle on a node is gone: if the node is an orphan of this process,
  /// it is collected soon.
  void unpinned(NodeId id);

  /// Grows by two with every commit that collects, and is odd during such a commit. If it is even
  /// before a link is read and unchanged after the child is pinned, the child was not collected in
  /// between.
  [[nodiscard]] std::uint64_t collections() const noexcept {
    return collections_.load(std::memory_order_seq_cst);
  }

  /// Whether the node is alive, even while garbage is being reclaimed. False only if it certainly
  /// is not. Finishes the reclaiming if the answer depends on it.
  bool alive(NodeId id);
  /// The same inside a transaction, to be called before the node is read, changed or linked again.
  /// Removes the node if it hangs on a node pending deletion and nothing else holds it.
  void collect_if_doomed(store::Work& work, NodeId id);

  /// Collects nodes that only destroyed handles or dead processes held, and everything that is
  /// pending deletion. Returns how many nodes were removed. BusyError as for reclaim().
  std::uint64_t collect(std::chrono::milliseconds patience);
  /// Removes up to about `most` nodes that are pending deletion; returns how many. BusyError if the
  /// store cannot be written within `patience`; the rest is reclaimed later.
  std::uint64_t reclaim(std::uint64_t most, std::chrono::milliseconds patience);
  /// How many nodes this process has removed so far.
  [[nodiscard]] std::uint64_t removed() const noexcept { return removed_.load(); }

  /// Puts a node without anchor on the list of pending deletions. It and what hangs on it are
  /// reclaimed after the commit, by the housekeeper if `in_background`.
  void doom(store::Work& work, NodeId id, bool in_background);

  /// At the first open: if the view shows leftovers of crashed processes, wakes the housekeeper to
  /// collect them.
  void look_for_leftovers(port::View& view);

  /// The heap's part of closing a Database: collects what its handles held. If that is much, leaves
  /// it to the housekeeper or to the next process that opens the store.
  void close_one(const std::shared_ptr<Pins>& pins) noexcept;

  // store::CommitHook
  void before_commit(store::Work& work) override;
  void after_commit(bool committed) noexcept override;
  std::optional<base::Deadline> chore() noexcept override;

 private:
  // base::ForkGuard
  void child_after_fork() noexcept override;

  bool pinned(NodeId id);
  void release_orphans(store::Work& work);
  void settle(store::Work& work, std::size_t budget);
  std::vector<NodeId> apply(store::Work& work, const Trace& trace);
  void remove(store::Work& work, const Trace& traced);
  static void remove(store::Work& work, NodeRecord node, const std::unordered_set<NodeId>& going);
  std::uint64_t reclaim_pass(std::uint64_t most, std::chrono::milliseconds patience,
                             std::vector<NodeId>& tops);
  void sweep_dead_owners(std::chrono::milliseconds patience);

  base::ForkMutex pins_mutex_{base::kForkRankPins};
  std::vector<std::shared_ptr<Pins>> pins_;  // pins_mutex_

  base::ForkMutex owner_mutex_{base::kForkRankOwner};
  std::int64_t owner_ = 0;  // owner_mutex_

  base::ForkMutex orphans_mutex_{base::kForkRankOrphans};
  std::set<NodeId> orphans_;  // held by this process; orphans_mutex_
  std::atomic<std::size_t> orphan_count_{0};

  std::atomic<std::uint64_t> collections_{0};
  std::atomic<std::uint64_t> removed_{0};              // nodes collected by this process
  std::atomic<bool> doomed_here_{false};               // this process has something to reclaim
  std::atomic<bool> sweep_{false};                     // and must look for dead processes' orphans
  std::atomic<bool> looked_{false};                    // look_for_leftovers() has been done
  base::ForkRenewed<std::timed_mutex> reclaim_mutex_;  // one reclaiming at a time in this process

  // Changes that take effect when the current commit succeeds; guarded by the writer lock (Lane).
  std::vector<NodeId> new_orphans_;
  std::vector<NodeId> gone_orphans_;

  store::Store& store_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::graph
