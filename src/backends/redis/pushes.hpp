// SPDX-License-Identifier: MIT
//
// A subscription: a thread with a connection of its own, which passes on the entries that commits
// publish, and writes a heartbeat, which only the master takes.
//
// Always holds: a heartbeat's state is told after all entries up to it that came. While the server
// cannot be reached nothing is told; then interrupted().
//
// Any thread. In the child of a fork it tells nothing.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <graven/interrupt.hpp>

#include "backends/redis/core.hpp"
#include "base/housekeeper.hpp"
#include "port/log.hpp"

namespace graven::redis {

class Pushes {
 public:
  /// Returns when it hears of every commit from now on; or, if the server cannot be reached, once
  /// it tries to.
  Pushes(std::shared_ptr<Core> core, const port::Partition& partition, port::LogListener& listener);
  ~Pushes();

  /// Tells nothing from now on. Not from the listener.
  void stop() noexcept;

 private:
  std::optional<Deadline> turn() noexcept;
  void connect(Deadline deadline);
  void listen();
  void beat();
  void take(const ReplyPart& push) noexcept;

  const std::shared_ptr<Core> core_;
  const port::Partition partition_;
  port::LogListener& listener_;
  const std::uint64_t generation_;
  const int wake_;  // a descriptor that can be read once it is to end
  std::unique_ptr<Connection> connection_;
  Deadline next_beat_{};
  std::chrono::milliseconds pause_{0};
  Cancellation ending_;
  base::Housekeeper thread_;
};

}  // namespace graven::redis
