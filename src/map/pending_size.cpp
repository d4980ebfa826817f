// SPDX-License-Identifier: MIT
//
// Counts the items of a pending map: those in the store, and by how much each batch changes their
// number. See pending_map.hpp.
#include <algorithm>

#include "base/interrupt.hpp"
#include "map/pending_map.hpp"

namespace graven::map {

/// For entries that do not know it, finds out whether the state below has an item. `above_stored`:
/// the entries being flushed, if `batch` is the pending one on top of them.
void PendingMap::resolve(Batch& batch, const PendingTable* above_stored) {
  const auto look = [&](PendingEntry& entry) {
    if (!entry.stored) {
      const PendingEntry* above =
          above_stored != nullptr ? above_stored->find(entry.key, entry.hash) : nullptr;
      entry.stored = above != nullptr ? above->item.has_value() : stored(entry.key).has_value();
    }
    batch.difference += (entry.item ? 1 : 0) - (*entry.stored ? 1 : 0);
  };
  if (!batch.exact) {
    batch.difference = 0;
    batch.entries.each(look);
    batch.exact = true;
  } else {
    for (PendingEntry* entry : batch.unknown) look(*entry);
  }
  batch.unknown.clear();
}

std::uint64_t PendingMap::size() {
  require_open();
  if (any_timed_.load()) erase_due();
  if (!store_) {
    const auto locks = lock_shards(all_shards());
    std::uint64_t size = 0;
    for (const Shard& shard : shards_) size += shard.pending.entries.size();
    return size;
  }
  const auto sum = [&] {
    std::int64_t size = static_cast<std::int64_t>(stored_count_.value_or(0));
    for (Shard& shard : shards_) {
      resolve(shard.flushing, nullptr);
      resolve(shard.pending, &shard.flushing.entries);
      size += shard.flushing.difference + shard.pending.difference;
    }
    return static_cast<std::uint64_t>(size);
  };
  {
    const auto locks = lock_shards(all_shards());
    if (stored_count_ && !flushing_unknown()) return sum();
  }
  // flush_mutex_ keeps commits of this map away while the store counts its items.
  const auto flush = base::lock(flush_mutex_);
  const auto locks = lock_shards(all_shards());
  counting_ = true;
  if (!stored_count_) stored_count_ = store_->view()->count_items(id_);
  return sum();
}

bool PendingMap::flushing_unknown() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const Shard& shard) {
    return !shard.flushing.exact || !shard.flushing.unknown.empty();
  });
}

MapStats PendingMap::stats() const {
  MapStats stats = Core::stats();
  stats.pending_bytes = flusher_.pending();
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    stats.pending += shard.pending.entries.size() + shard.flushing.entries.size();
  }
  if (!store_) stats.pending = 0;
  stats.flushes = flushes_.load();
  stats.failed_flushes = flusher_.failures();
  return stats;
}

}  // namespace graven::map
