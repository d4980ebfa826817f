// SPDX-License-Identifier: MIT
//
// Interactive transactions on stores that have none. A transaction reads records of the newest
// state as they are asked for, keeps what is written, and commits all of it as one batch, which the
// store takes only if what was read is still so. begin_alone() keeps others out instead: it takes
// the lease of the partition, for transactions that cannot run again.
//
// Any thread; a transaction is used by one thread at a time, and the writer queue makes sure that
// there is one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/fork.hpp"
#include "base/housekeeper.hpp"
#include "port/backend.hpp"
#include "port/merge.hpp"
#include "store/committer.hpp"
#include "store/followed_log.hpp"

namespace graven::store {

class Optimistic final : public port::Interactive {
 public:
  explicit Optimistic(port::Backend& backend);
  ~Optimistic() override;

  std::optional<port::Record> load(const port::Key& key) override;
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override;
  std::unique_ptr<port::View> view() override;
  std::unique_ptr<port::WriteTransaction> begin(port::Deadline deadline) override;
  /// Waits for the lease; nobody else commits until the transaction ends.
  std::unique_ptr<port::WriteTransaction> begin_alone(port::Deadline deadline);

  /// Forgets what the last conflict has told: the next transaction does something else.
  void begin_anew() noexcept { fresh_->clear(); }

  [[nodiscard]] FollowedLog& state() noexcept { return followed_; }
  /// Returns when everything that was committed is durable.
  void sync(port::Deadline deadline);
  void close() noexcept;

 private:
  class Transaction;
  /// The lease, held until `release` is called.
  struct Alone {
    std::uint64_t fence;
    port::StateVersion state;  // the newest one while it is held
    std::function<void()> release;
  };
  /// What a conflict has told of the newest state: the next attempt need not read it again.
  using Fresh = std::map<port::Key, std::optional<port::Record>>;

  /// Waits for the lease; the followed log has reached its state.
  Alone take_lease(port::Deadline deadline);
  std::optional<port::Deadline> renew();

  port::Backend& backend_;
  FollowedLog followed_;
  Committer committer_;
  base::ForkRenewed<Fresh> fresh_;  // of the thread that writes
  struct Held {
    std::mutex mutex;                  // also while the store is asked
    std::optional<port::Lease> lease;  // of the transaction that is open
  };
  base::ForkRenewed<Held> held_;
  base::Housekeeper renewal_;
};

}  // namespace graven::store
