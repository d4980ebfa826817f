// SPDX-License-Identifier: MIT
//
// Leases of a store in this process's memory: among the threads, and the handles, of one process.
//
// Always holds: who asks first gets the lease first. A state that a lease names is that of the last
// commit that was admitted before it was taken; so a store calls admit() and commits under one
// lock, the one under which `newest` reads the state.
//
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "port/batch.hpp"
#include "port/leases.hpp"

namespace graven::port {

class LocalLeases final : public Leases {
 public:
  /// What the handles of one store share.
  class Table;
  static std::shared_ptr<Table> make_table(std::chrono::milliseconds lease);

  using Newest = std::function<StateVersion(const Partition&)>;
  LocalLeases(std::shared_ptr<Table> table, std::string name, Newest newest);
  ~LocalLeases() override { close(); }

  void announce(std::int64_t process) override;
  bool alive(std::int64_t process) override;
  Lease acquire(const Partition& partition, base::Deadline deadline) override;
  bool renew(const Partition& partition, Lease& lease) override;
  void release(const Partition& partition, const Lease& lease) noexcept override;

  /// kDone if a batch with this fence may be committed now, else the answer to its commit.
  CommitResult admit(const Batch& batch);
  /// Gives back what this handle has; who waits in it gets a ClosedError.
  void close() noexcept;

 private:
  void require_open() const;

  const std::shared_ptr<Table> table_;
  const std::string name_;
  const Newest newest_;
  bool closed_ = false;  // the table's mutex
};

}  // namespace graven::port
