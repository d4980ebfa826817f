// SPDX-License-Identifier: MIT
//
// See holds.hpp. Any thread.
#include "backends/redis/holds.hpp"

#include <algorithm>
#include <mutex>

namespace graven::redis {
namespace {

constexpr std::chrono::milliseconds kLeast{2'500};  // views may count on so long
constexpr std::chrono::milliseconds kGiven{4'000};  // hold.lua leaves at least so long

}  // namespace

void Holds::add_view(const port::Partition& partition) {
  const std::scoped_lock lock(mutex_);
  ++holds_[partition].views;
}

void Holds::remove_view(const port::Partition& partition) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto at = holds_.find(partition);
  if (at != holds_.end()) --at->second.views;
}

bool Holds::due(const port::Partition& partition) {
  const std::scoped_lock lock(mutex_);
  return holds_[partition].until < Clock::now() + kLeast;
}

void Holds::renewed(const port::Partition& partition, Clock::time_point sent) {
  const std::scoped_lock lock(mutex_);
  Hold& hold = holds_[partition];
  hold.until = std::max(hold.until, sent + kGiven);
}

std::vector<port::Partition> Holds::all_due() {
  std::vector<port::Partition> due;
  const std::scoped_lock lock(mutex_);
  for (const auto& [partition, hold] : holds_) {
    if (hold.views != 0 && hold.until < Clock::now() + kLeast) due.push_back(partition);
  }
  return due;
}

bool Holds::any() {
  const std::scoped_lock lock(mutex_);
  for (const auto& [partition, hold] : holds_) {
    if (hold.views != 0) return true;
  }
  return false;
}

}  // namespace graven::redis
