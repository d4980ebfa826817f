// SPDX-License-Identifier: MIT
//
// The classes of the memory backend: the store, its views, its transactions.
//
// Lock order: flush_mutex_, then mutex_, then the flusher's and the feed's. The store below is
// never called under mutex_.
//
// Always holds: the state version (Mark) and the records change together under mutex_. After that,
// and before another commit can begin, a commit calls its when_released() function, as
// docs/design/coherence.md requires.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/lazy/backend.hpp"
#include "backends/lazy/feed.hpp"
#include "backends/lazy/versions.hpp"
#include "base/fork.hpp"
#include "observe/log.hpp"
#include "port/flusher.hpp"
#include "port/interactive_backend.hpp"
#include "port/touched.hpp"

namespace graven::lazy {

class Store final : public port::InteractiveBackend,
                    public port::SharedState,
                    public port::Files,
                    public port::Bulk,
                    public port::WriteBack,
                    public port::Maintenance,
                    private port::Leases,
                    private base::ForkGuard {
 public:
  explicit Store(std::string name);
  Store(std::unique_ptr<port::Backend> below, const Options& options);
  ~Store() override;

  // port::Backend
  [[nodiscard]] const port::Facts& facts() const noexcept override { return facts_; }
  port::Leases& leases() override { return *this; }
  void close() noexcept override;
  port::BackendStats stats() override;

  // port::Interactive
  std::optional<Record> load(const Key& key) override;
  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override;
  std::unique_ptr<port::View> view() override;
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override;

  // port::SharedState
  const port::MarkWords* live_mark() override;
  [[nodiscard]] bool distinctive(const port::Mark& mark) const override {
    return mark.words[0] != 0;
  }
  port::ChangeFeed* changes() override { return &feed_; }

  // port::Files: those of the store below
  std::vector<std::string> check() override;
  std::vector<Loss> mend() override;
  void copy_to(const std::string& path, const port::Copying& how) override;
  [[nodiscard]] std::uint64_t size_on_disk() const override;

  // port::Bulk
  void begin_bulk(std::size_t cache_bytes) override;
  bool end_bulk(base::Deadline deadline) override;

  // port::WriteBack
  void flush() override;
  void bound_pending(std::size_t bytes) override;

  // port::Maintenance
  std::string maintain() override;
  void when_due(std::function<void(base::Deadline)> wake) override;
  std::optional<base::Deadline> tend() override;
  void bound_page_caches(std::size_t bytes) override;
  void log_slower_than(std::chrono::nanoseconds limit) override;

 private:
  friend class Below;
  friend class Snapshot;
  friend class Transaction;

  /// ClosedError after close(); UsageError in a forked child if the store is lazy.
  void require_own() const;
  void wait_for_room(base::Deadline deadline);
  std::vector<Row> scan(const Range& range, std::size_t limit, Commit commit,
                        const Overlay& overlay, port::View* below);
  void set_mark() noexcept;
  [[nodiscard]] port::Mark mark() const noexcept { return port::read_mark(mark_); }

  // Flushing: flush.cpp.
  void flush_all();
  void commit_cut(Commit cut, std::uint64_t id);
  void publish_below(port::SharedState& state, const port::Mark& before, const port::Mark& after,
                     const port::Touched& touched) noexcept;
  void finish() noexcept;
  std::optional<base::Deadline> chore();

  // port::InteractiveBackend
  port::CommitResult admit(const port::Batch& batch) override;
  void make_durable(base::Deadline deadline) override;

  // port::Leases
  void announce(std::int64_t process) override;
  bool alive(std::int64_t process) override;
  port::Lease acquire(const port::Partition&, base::Deadline) override;
  bool renew(const port::Partition&, port::Lease&) override { return true; }
  void release(const port::Partition&, const port::Lease&) noexcept override {}

  // base::ForkGuard
  void child_after_fork() noexcept override;

  /// The facet of the store below; nullptr if it has none, or there is no store below.
  template <class Facet>
  [[nodiscard]] Facet* below() const noexcept {
    return below_ ? port::facet<Facet>(*below_) : nullptr;
  }

  const std::unique_ptr<port::Backend> below_;  // may be null
  port::Interactive* const records_below_;      // of below_
  const Options options_;
  const port::Facts facts_;
  std::atomic<bool> abandoned_{false};  // in a forked child, if the store is lazy
  std::atomic<bool> closed_{false};
  std::atomic<bool> leased_{false};

  base::ForkMutex mutex_{base::kForkRankPool};
  // Guarded by mutex_:
  Versions versions_;
  bool writing_ = false;
  std::set<std::int64_t> owners_;  // if there is no store below
  bool reclaiming_ = false;        // the newest state has a kOrphan of owner 0
  std::uint64_t reclaimings_ = 0;  // how often reclaiming_ changed
  std::uint64_t newest_id_ = 0;    // of the newest commit

  port::MarkWords mark_{};
  Feed feed_;

  observe::Latency flush_times_;
  observe::SlowLimit slow_;

  std::timed_mutex flush_mutex_;  // one flush at a time
  bool doubtful_ = false;         // a commit below has failed; flush_mutex_

  port::Flusher flusher_;
  base::ForkEnrolment enrolment_{*this};
};

/// A view of one state of the store below, begun by the first view() call.
class Below {
 public:
  explicit Below(Store& store) : store_(store) {}
  Below(const Below&) = delete;
  Below& operator=(const Below&) = delete;
  ~Below();

  /// Begins the view if needed; nullptr if there is no store below. To be called without the
  /// store's mutex.
  port::View* view();
  [[nodiscard]] port::View* begun() const noexcept { return view_.get(); }
  /// To be called in a forked child, where the pinned version is the parent's.
  void abandon() noexcept;

 private:
  Store& store_;
  std::unique_ptr<port::View> view_;
  std::optional<Commit> leaning_;
};

/// A view. Its first read fixes the state, as in every backend.
class Snapshot final : public port::View {
 public:
  explicit Snapshot(Store& store);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() override;

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const Range& range, std::size_t limit) override;

 private:
  void begin();

  Store& store_;
  const std::uint64_t generation_;
  Below below_;
  std::optional<Commit> commit_;
};

/// The write transaction. There is only one at a time, so the newest state does not change.
class Transaction final : public port::WriteTransaction {
 public:
  explicit Transaction(Store& store);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() override;

  std::optional<Record> load(const Key& key) override;
  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override;
  std::vector<Row> scan(const Range& range, std::size_t limit) override;

  void apply(std::span<const port::Change> changes) override;
  void savepoint(int depth) override;
  void rollback_to(int depth) override;
  void release(int depth) override;
  void commit(std::uint64_t id) override;
  void when_released(std::function<void(const port::Mark*)> call) override {
    released_ = std::move(call);
  }

 private:
  /// What a change replaced in the overlay: nothing, or an earlier change (a record or erasure).
  struct Undo {
    Key key;
    std::optional<std::optional<Record>> before;
  };
  void require_own() const;
  void require_open() const;
  void require_depth(int depth, std::size_t count) const;
  [[nodiscard]] std::optional<bool> reclaiming_after();
  void end(const port::Mark* after) noexcept;

  Store& store_;
  const std::uint64_t generation_;
  Below below_;
  Overlay overlay_;
  std::vector<Undo> undo_;               // since the first savepoint
  std::vector<std::size_t> savepoints_;  // the size of undo_ at each savepoint
  std::function<void(const port::Mark*)> released_;
  bool open_ = true;
};

}  // namespace graven::lazy
