// SPDX-License-Identifier: MIT
//
// Erases the items of a stored map that have expired: in the background, and before they would be
// counted. See stored_map.hpp.
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <graven/error.hpp>

#include "map/layout.hpp"
#include "map/stored_map.hpp"

namespace graven::map {

using port::View;
using store::Work;

namespace {

constexpr std::size_t kSweptAtATime = 1000;
constexpr auto kSweepEvery = std::chrono::seconds(1);

}  // namespace

void StoredMap::note_timed() {
  if (timed_.exchange(true) || store_->backend().facts().read_only) return;
  sweeper_.wake(std::chrono::steady_clock::now() + kSweepEvery);
}

/// Erases expired items. Returns how many are still in the store because it is read-only.
std::uint64_t StoredMap::erase_due() {
  if (store_->backend().facts().read_only) {
    const std::unique_ptr<View> view = store_->view();
    const Expiry time = now();
    std::set<std::string> expired;
    for (const Due& one : due(*view, id_, time, SIZE_MAX)) {
      const std::optional<Item> item = to_item_if(view->load(item_key(id_, one.key)));
      if (item && item->expired(time)) expired.insert(one.key);
    }
    return expired.size();
  }
  for (;;) {
    std::size_t found = 0;
    mutate([&](Work& work) {
      const Expiry time = now();
      const std::vector<Due> all = due(work, id_, time, kSweptAtATime);
      found = all.size();
      std::int64_t difference = 0;
      for (const Due& one : all) {
        work.erase(one.record);
        const std::optional<Item> item = to_item_if(work.load(item_key(id_, one.key)));
        if (!item || !item->expired(time)) continue;
        work.erase(item_key(id_, one.key));
        --difference;
      }
      count_by(work, difference);
    });
    if (found < kSweptAtATime) return 0;
  }
}

std::optional<base::Deadline> StoredMap::sweep() noexcept {
  try {
    erase_due();
    if (!any_timed(*store_->view(), id_)) {
      timed_ = false;
      return std::nullopt;
    }
  } catch (const Error&) {
    // Try again later; expired items are not shown meanwhile.
  }
  return std::chrono::steady_clock::now() + kSweepEvery;
}

}  // namespace graven::map
