// SPDX-License-Identifier: MIT
//
// Implements the port for one database file, with a pool of read connections, one write connection
// and the leases (Owners). backend.cpp opens, reads and writes; upkeep.cpp does maintenance and
// statistics.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/change_ring.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/files/standing.hpp"
#include "backends/sqlite/owners.hpp"
#include "backends/sqlite/pool/pool.hpp"
#include "backends/sqlite/read_transaction.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "backends/sqlite/traffic.hpp"
#include "backends/sqlite/vfs/wal_index.hpp"
#include "base/fork.hpp"
#include "base/function_ref.hpp"
#include "port/interactive_backend.hpp"

namespace graven::sqlite {

// Shares of the page cache bound: a third for the writer, at most a twelfth for each reader.
inline constexpr std::size_t kWriterPart = 3;
inline constexpr std::size_t kReaderPart = 12;
inline constexpr std::int64_t kPageInWal = 2048 + 24;

class SqliteBackend final : public port::InteractiveBackend,
                            public port::SharedState,
                            public port::Files,
                            public port::Restamped,
                            public port::Bulk,
                            public port::Maintenance,
                            private port::Leases {
 public:
  SqliteBackend(const std::string& name, const Options& options);
  ~SqliteBackend() override;

  // port::Backend
  [[nodiscard]] const port::Facts& facts() const noexcept override { return facts_; }
  port::Leases& leases() override { return *this; }
  void close() noexcept override;
  port::BackendStats stats() override;

  // port::Interactive
  std::optional<port::Record> load(const port::Key& key) override;
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override;
  std::unique_ptr<port::View> view() override;
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) override;

  // port::SharedState
  const port::MarkWords* live_mark() override;
  [[nodiscard]] bool distinctive(const port::Mark& mark) const override {
    return WalIndex::distinctive(mark);
  }
  [[nodiscard]] bool commit_between(const port::Mark& before,
                                    const port::Mark& after) const override {
    return WalIndex::commits(before) != WalIndex::commits(after);
  }
  port::ChangeFeed* changes() override { return ring_in_use_.load(std::memory_order_acquire); }

  // port::Files
  std::vector<std::string> check() override;
  std::vector<Loss> mend() override;
  void copy_to(const std::string& path, const port::Copying& how) override;
  [[nodiscard]] std::uint64_t size_on_disk() const override;

  // port::Restamped
  bool set_constant(std::uint64_t constant) override;

  // port::Bulk
  void begin_bulk(std::size_t cache_bytes) override;
  bool end_bulk(base::Deadline deadline) override;

  // port::Maintenance
  std::string maintain() override;
  void when_due(std::function<void(base::Deadline)> wake) override;
  std::optional<base::Deadline> tend() override;
  void bound_page_caches(std::size_t bytes) override {
    page_cache_bytes_ = bytes;
    bound_caches();
  }
  void log_slower_than(std::chrono::nanoseconds limit) override { traffic_.slow.set(limit); }

 private:
  // port::InteractiveBackend
  port::CommitResult admit(const port::Batch& batch) override;
  void make_durable(base::Deadline deadline) override;

  // port::Leases
  void announce(std::int64_t process) override { owners_.hold(process); }
  bool alive(std::int64_t process) override { return owners_.alive(process); }
  /// Takes the exclusive writer lease: until close(), no other process writes the store. Its holder
  /// writes the changes of a failed commit again, so it can continue even when it cannot be told
  /// whether that commit is durable.
  port::Lease acquire(const port::Partition& partition, base::Deadline deadline) override;
  bool renew(const port::Partition&, port::Lease&) override { return true; }
  void release(const port::Partition&, const port::Lease&) noexcept override {}

  std::optional<port::Record> read_node(std::int64_t id, bool& reclaiming);
  std::unique_ptr<Connection> open_reader();
  std::unique_ptr<Connection> open_writer();
  void bound_caches() noexcept;
  void prepare_writer() noexcept;
  std::string give_back_pages();
  std::string empty_wal();
  [[nodiscard]] std::string who_reads() const;
  std::optional<base::Deadline> cut_idle_wal(base::Deadline now);
  void configure(Connection& connection) const;
  void make();
  void create();
  void mark_file() noexcept;
  void leave_blank_mark();
  void stamp_last() noexcept;
  bool commit_stamp(Connection& connection) noexcept;
  int commit_unchanged(Connection& connection, base::FunctionRef<int()> body);
  void stamp_before_checkpoint(Connection& writer);
  Traffic::Checkpointed checkpoint(Connection& writer, int mode, base::Deadline until,
                                   std::chrono::nanoseconds patience);
  void optimize(Connection& connection, const char* pragma);
  void unseal();
  void require_same_file() const;
  void require_unchanged() const;
  void require_writable() const;
  [[noreturn]] void throw_claimed() const;

  const Options options_;
  Traffic traffic_;
  const Target target_;
  const std::uint64_t generation_ = base::fork_generation();
  FileState file_;                    // at open
  port::Facts facts_;                 // identity: empty only while the file may still be created
  bool immutable_ = false;            // reads without locks; file_ must not change
  bool cut_ = false;                  // read-only, and pages at the end of the file are missing
  std::atomic<bool> claimed_{false};  // the exclusive writer repeats commits with unknown outcome
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> page_cache_bytes_;  // all connections together
  std::atomic<std::size_t> bulk_bytes_{0};     // the same, during a bulk import
  // Used by tend():
  std::uint64_t commits_seen_ = 0;               // commits of this process at the last call
  std::optional<base::Deadline> wal_idle_at_{};  // when to check if the WAL can be truncated
  Format format_;
  Owners owners_;
  Standing standing_;
  Pool writer_;
  Pool readers_;
  Reads reads_;
  ReadSource source_;
  base::ForkMutex wal_index_mutex_{base::kForkRankMark};  // also held while mapping the index
  std::unique_ptr<WalIndex> wal_index_;  // guarded by wal_index_mutex_; let go before the pools
  ChangeRing ring_;                      // attached together with wal_index_
  std::atomic<ChangeRing*> ring_in_use_{nullptr};
  std::uint64_t wal_index_generation_ = UINT64_MAX;
  std::atomic<const port::MarkWords*> live_mark_{nullptr};
};

}  // namespace graven::sqlite
