// SPDX-License-Identifier: MIT
//
// The heap: the graph side of one open store in this process, made when the store is first
// opened for its graph. It knows which nodes this process's handles pin, and is the collector:
// before each commit it settles what became of the nodes that lost their anchor, and afterwards,
// in the background, reclaims pieces too large for one commit and orphans whose last handle has
// gone.
//
// Always holds after a commit: every node's chain of anchors ends in a root, in an orphan that
// a process holds, or in a node on the list of the doomed (kOrphan, owner 0). The doomed and
// what hangs on them are out of every view; a process that meets them finishes the reclaiming.
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
  /// The store's, which lives as long as this is held.
  static std::shared_ptr<Heap> of(const std::shared_ptr<store::Store>& store);

  [[nodiscard]] store::Store& store() noexcept { return store_; }
  [[nodiscard]] store::Backend& backend() noexcept { return store_.backend(); }

  // The pins of each open Database; those of a closed one no longer count.
  void attach(std::shared_ptr<Pins> pins);
  void detach(const std::shared_ptr<Pins>& pins);

  /// This process's number for the nodes its handles hold. Given out at the first need.
  std::int64_t owner();

  /// A handle's last unpin: if the node is one this process holds, it is collected soon.
  void unpinned(NodeId id);

  /// Grows by two with every commit that collects, and is odd while one is under way. Reading a
  /// link, pinning the child, and finding this even and unchanged proves the child was not
  /// collected between.
  [[nodiscard]] std::uint64_t collections() const noexcept {
    return collections_.load(std::memory_order_seq_cst);
  }

  /// Whether the node is alive, given a state in which something is being reclaimed: false
  /// only when it is certainly gone. Finishes the reclaiming when that is what decides.
  bool alive(NodeId id);
  /// The same inside a transaction, before the node is read, changed or linked again: if it hangs
  /// on something being reclaimed and nothing else holds it, it is gone afterwards.
  void collect_if_doomed(store::Work& work, NodeId id);

  /// Collects what only dead handles and dead processes held, and what is still to be
  /// reclaimed. Returns how many nodes are gone. BusyError as reclaim().
  std::uint64_t collect(std::chrono::milliseconds patience);
  /// Reclaims up to about `most` nodes of what is doomed; returns how many. BusyError when the
  /// store is not to be had within `patience`: what is left is taken up again.
  std::uint64_t reclaim(std::uint64_t most, std::chrono::milliseconds patience);
  /// How many nodes this process has removed so far.
  [[nodiscard]] std::uint64_t removed() const noexcept { return removed_.load(); }

  /// Puts a node without anchor on the list of the doomed; its piece is reclaimed afterwards, by
  /// the housekeeper if `in_background`.
  void doom(store::Work& work, NodeId id, bool in_background);

  /// At the first open: has the housekeeper take up what crashed processes left behind, as the view
  /// shows it.
  void look_for_leftovers(store::View& view);

  /// Ends the heap's part of a Database's close(): what its handles held is collected, or, where
  /// that is much, left to the housekeeper and whoever opens the store next.
  void close_one(const std::shared_ptr<Pins>& pins) noexcept;

  // store::CommitHook
  void before_commit(store::Work& work) override;
  void after_commit(bool committed) noexcept override;
  std::optional<store::Deadline> chore() noexcept override;

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
  std::atomic<bool> doomed_here_{false};               // this process has reclaiming to do
  std::atomic<bool> sweep_{false};                     // and dead owners to look for
  std::atomic<bool> looked_{false};                    // for leftovers
  base::ForkRenewed<std::timed_mutex> reclaim_mutex_;  // one reclaiming at a time in this process

  // What the commit under way will have changed once it is durable; in the lane.
  std::vector<NodeId> new_orphans_;
  std::vector<NodeId> gone_orphans_;
  bool new_doomed_ = false;

  store::Store& store_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::graph
