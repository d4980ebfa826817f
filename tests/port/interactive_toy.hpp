// SPDX-License-Identifier: MIT
//
// A toy store with interactive transactions: a map of records, and one writer at a time. What
// InteractiveBackend makes of such a store is tested on it.
//
// Any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "port/interactive_backend.hpp"
#include "port/local_leases.hpp"

namespace graven::test {

class InteractiveToy final : public port::InteractiveBackend {
 public:
  using Records = std::map<port::Key, port::Record>;
  /// What the handles share.
  struct Shared {
    std::timed_mutex writing{};  // held while a write transaction is open
    std::mutex mutex{};
    Records records{};  // mutex
    std::shared_ptr<port::LocalLeases::Table> leases =
        port::LocalLeases::make_table(std::chrono::milliseconds(1'000));

    Records copy() {
      const std::scoped_lock lock(mutex);
      return records;
    }
  };

  explicit InteractiveToy(std::shared_ptr<Shared> shared);
  ~InteractiveToy() override { close(); }

  [[nodiscard]] const port::Facts& facts() const noexcept override { return facts_; }
  std::optional<port::Record> load(const port::Key& key) override { return view()->load(key); }
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) override;
  std::unique_ptr<port::View> view() override;
  std::unique_ptr<port::WriteTransaction> begin(port::Deadline deadline) override;
  port::Leases& leases() override { return leases_; }
  void close() noexcept override;

 protected:
  port::CommitResult admit(const port::Batch& batch) override { return leases_.admit(batch); }
  void make_durable(port::Deadline) override {}

 private:
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<std::atomic<bool>> closed_ = std::make_shared<std::atomic<bool>>(false);
  port::Facts facts_{.name = "interactive toy", .identity = "interactive toy", .constant = 1};
  port::LocalLeases leases_;
};

}  // namespace graven::test
