// SPDX-License-Identifier: MIT
//
// The oracle: a store in memory that does what the port promises in the plainest way, to compare
// other stores with and to run the layers above on. It shares no code with them: it looks for
// itself whether a predicate holds and what an operation does. A batch that the port does not allow
// is a UsageError here.
//
// Always holds: everything is done under one mutex; but subscribers are called without it, with one
// commit after the other, before the call of commit() returns. Handles of one OracleStore are like
// processes that have opened one store.
//
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/housekeeper.hpp"
#include "port/backend.hpp"
#include "port/local_leases.hpp"

namespace graven::oracle {

struct Settings {
  std::size_t log_entries = 1'000;  ///< of each partition; older ones are forgotten
  std::chrono::milliseconds lease{1'000};
  std::chrono::milliseconds heartbeat{500};
  std::size_t most_changes = SIZE_MAX;  ///< of one commit, operations included
  std::size_t most_predicates = SIZE_MAX;
  bool slow_commits = false;  ///< so writers are committed together
};

/// What the handles share.
class OracleStore;

class Oracle final : public port::Backend {
 public:
  static std::shared_ptr<OracleStore> create(Settings settings = {});
  static std::unique_ptr<Oracle> open(std::shared_ptr<OracleStore> store);
  explicit Oracle(std::shared_ptr<OracleStore> store);
  ~Oracle() override { close(); }

  [[nodiscard]] const port::Facts& facts() const noexcept override { return facts_; }
  port::StateVersion read(const port::Partition& partition, std::span<const port::ReadOp> ops,
                          port::ReadSink each, port::Deadline deadline) override;
  port::CommitResult commit(const port::CommitId& id, std::span<const port::Batch> batches,
                            const port::CommitOptions& options, port::Deadline deadline) override;
  port::CommitResult resolve(const port::CommitId& id, std::span<const port::Partition> partitions,
                             port::Deadline deadline) override;
  std::unique_ptr<port::View> snapshot(const port::Partition& partition,
                                       port::Deadline deadline) override;
  bool log(const port::Partition& partition, const port::StateVersion& from, port::LogSink each,
           port::Deadline deadline) override;
  std::unique_ptr<port::Subscription> subscribe(const port::Partition& partition,
                                                port::LogListener& listener) override;
  port::Leases& leases() override { return leases_; }
  void close() noexcept override;

 private:
  std::unique_lock<std::mutex> enter() const;

  const std::shared_ptr<OracleStore> store_;
  port::Facts facts_;
  const std::shared_ptr<std::atomic<bool>> closed_ = std::make_shared<std::atomic<bool>>(false);
  port::LocalLeases leases_;
  base::Housekeeper heartbeat_;
};

}  // namespace graven::oracle
