// SPDX-License-Identifier: MIT
//
// A memory budget (Share): a number of bytes divided evenly among its parts, such as the tables of
// a store's cache and maps, or the kinds of pending writes.
//
// Always holds: every part has been told its bytes, or is being told by the call that changed them.
//
// Any thread. A part's `set` is called with the budget's mutex held: it must not use the budget.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <list>
#include <mutex>
#include <utility>

#include "base/fork.hpp"

namespace graven::cache {

class Share final {
 public:
  using Set = std::function<void(std::size_t bytes)>;
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  /// Membership, until it is destroyed. Destroy it before what `set` uses.
  class Part {
   public:
    Part() = default;
    Part(Part&& other) noexcept : share_(std::exchange(other.share_, nullptr)), set_(other.set_) {}
    Part& operator=(Part&& other) noexcept {
      std::swap(share_, other.share_);
      std::swap(set_, other.set_);
      return *this;
    }
    ~Part() {
      if (share_ != nullptr) share_->leave(set_);
    }

   private:
    friend class Share;
    Part(Share& share, std::list<Set>::iterator set) : share_(&share), set_(set) {}
    Share* share_ = nullptr;
    std::list<Set>::iterator set_{};
  };

  [[nodiscard]] Part join(Set set) {
    const std::scoped_lock lock(mutex_);
    parts_.push_back(std::move(set));
    divide();
    return {*this, std::prev(parts_.end())};
  }

  void set_total(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    total_ = bytes;
    divide();
  }

 private:
  void leave(std::list<Set>::iterator set) {
    const std::scoped_lock lock(mutex_);
    parts_.erase(set);
    divide();
  }
  void divide() {
    const std::size_t each =
        total_ == kUnbounded ? total_ : total_ / std::max<std::size_t>(parts_.size(), 1);
    for (const Set& set : parts_) set(each);
  }

  base::ForkMutex mutex_{base::kForkRankRegistry};
  std::size_t total_ = kUnbounded;
  std::list<Set> parts_;
};

}  // namespace graven::cache
