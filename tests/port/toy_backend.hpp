// SPDX-License-Identifier: MIT
//
// A toy store: the least that passes the conformance suite. It shows what a store must do itself;
// what src/port has for every store that holds a lock while it commits does the rest: predicates
// and operations (plan()), outcomes, leases. A view is a copy.
//
// It lacks pushes, and commits to several partitions. Any thread.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "port/backend.hpp"
#include "port/local_leases.hpp"
#include "port/remembered_outcomes.hpp"

namespace graven::test {

class ToyBackend final : public port::Backend {
 public:
  struct State {  // of a partition
    port::StateVersion version{};
    std::map<port::Key, port::Record> records{};
    std::vector<port::LogEntry> log{};
  };
  struct Shared {  // by the handles
    std::mutex mutex{};
    std::map<port::Partition, State> states{};
    std::map<port::Partition, port::Outcomes> outcomes{};
    std::shared_ptr<port::LocalLeases::Table> leases =
        port::LocalLeases::make_table(std::chrono::milliseconds(1'000));
  };

  explicit ToyBackend(std::shared_ptr<Shared> shared);

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
  std::unique_ptr<port::Subscription> subscribe(const port::Partition&,
                                                port::LogListener&) override {
    return nullptr;
  }
  port::Leases& leases() override { return leases_; }
  void close() noexcept override {
    *closed_ = true;
    leases_.close();
  }

 private:
  port::CommitResult attempt(const port::CommitId& id, const port::Batch& batch,
                             port::Deadline deadline);

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<std::atomic<bool>> closed_ = std::make_shared<std::atomic<bool>>(false);
  port::Facts facts_;
  port::LocalLeases leases_;
};

}  // namespace graven::test
