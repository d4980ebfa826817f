// SPDX-License-Identifier: MIT
//
// A view: a transaction under REPEATABLE READ on a connection of its own, from the first read on.
//
// A view: one thread at a time. Views: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "backends/postgres/store.hpp"
#include "port/view.hpp"

namespace graven::postgres {

class SnapshotView;

/// The open views of a store.
class Views {
 public:
  /// Ends all of them: each at once, or when its read under way is over.
  void close() noexcept;

 private:
  friend class SnapshotView;
  base::ForkMutex mutex_{base::kForkRankReads};
  bool closed_ = false;  // mutex_, as the next
  std::set<SnapshotView*> open_{};
};

std::unique_ptr<port::View> make_view(std::shared_ptr<Store> store, std::shared_ptr<Views> views,
                                      const port::Partition& partition);

}  // namespace graven::postgres
