// SPDX-License-Identifier: MIT
//
// Followers: threads that tell listeners of commits. A follower asks for the log when somebody
// notifies it (a commit of this process, LISTEN), and twice a second without that, so that it
// misses nothing where LISTEN does not work.
//
// Always holds: a listener is told each commit once, in order; a heartbeat is never ahead of it.
//
// Any thread. A forked child has none.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "backends/postgres/store.hpp"
#include "port/log.hpp"

namespace graven::postgres {

class Follower;

class Followers {
 public:
  explicit Followers(Store& store) : store_(store) {}
  ~Followers() { close(); }

  std::unique_ptr<port::Subscription> add(const port::Partition& partition,
                                          port::LogListener& listener);
  /// This process has committed.
  void committed(const port::Partition& partition) noexcept;
  /// Ends all of them.
  void close() noexcept;

 private:
  Store& store_;
  base::ForkMutex mutex_{base::kForkRankReads};
  std::vector<std::shared_ptr<Follower>> all_{};  // mutex_
};

}  // namespace graven::postgres
