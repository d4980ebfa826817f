// SPDX-License-Identifier: MIT
//
// The backend's class: each call of the port as one statement, where it can be one.
//
// Any thread.
#pragma once

#include <memory>

#include "backends/postgres/leases.hpp"
#include "backends/postgres/store.hpp"
#include "backends/postgres/subscription.hpp"
#include "backends/postgres/upkeep.hpp"
#include "backends/postgres/view.hpp"
#include "port/backend.hpp"

namespace graven::postgres {

class PostgresBackend final : public port::Backend, public port::Restamped {
 public:
  /// A store whose schema is prepared.
  explicit PostgresBackend(std::shared_ptr<Store> store);
  ~PostgresBackend() override { close(); }

  [[nodiscard]] const port::Facts& facts() const noexcept override { return store_->facts; }
  port::StateVersion read(const port::Partition& partition, std::span<const port::ReadOp> ops,
                          port::ReadSink each, Deadline deadline) override;
  port::CommitResult commit(const port::CommitId& id, std::span<const port::Batch> batches,
                            const port::CommitOptions& options, Deadline deadline) override;
  port::CommitResult resolve(const port::CommitId& id, std::span<const port::Partition> partitions,
                             Deadline deadline) override;
  std::unique_ptr<port::View> snapshot(const port::Partition& partition,
                                       Deadline deadline) override;
  bool log(const port::Partition& partition, const port::StateVersion& from, port::LogSink each,
           Deadline deadline) override;
  std::unique_ptr<port::Subscription> subscribe(const port::Partition& partition,
                                                port::LogListener& listener) override;
  port::Leases& leases() override { return leases_; }
  bool set_constant(std::uint64_t constant) override;
  void close() noexcept override;
  std::optional<port::Record> find(const port::Partition& partition, const port::Key& key,
                                   port::StateVersion& state, Deadline deadline) override;

 private:
  port::CommitResult commit_one(const port::CommitId& id, const port::Batch& batch, int bits,
                                Deadline deadline);
  port::CommitResult commit_several(const port::CommitId& id, std::span<const port::Batch> batches,
                                    int bits, Deadline deadline);
  port::CommitResult make_durable(Deadline deadline);
  void tell(std::span<const port::Batch> batches, const port::CommitResult& result);

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Views> views_ = std::make_shared<Views>();
  std::vector<std::string> find_sql_{};  // by space
  Followers followers_{*store_};
  Upkeep upkeep_{*store_};
  RowLeases leases_{*store_, upkeep_};
};

}  // namespace graven::postgres
