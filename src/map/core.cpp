// SPDX-License-Identifier: MIT
//
// Encodes items for the hot table, and implements the parts of Core that do not depend on the
// layers below it. Any thread.
#include "map/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <graven/error.hpp>

#include "base/of_thread.hpp"

namespace graven::map {

Expiry now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void keep_last(std::vector<Write>& writes) {
  std::stable_sort(writes.begin(), writes.end(),
                   [](const Write& left, const Write& right) { return left.key < right.key; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (i + 1 < writes.size() && writes[i + 1].key == writes[i].key) continue;
    if (kept != i) writes[kept] = std::move(writes[i]);
    ++kept;
  }
  writes.resize(kept);
}

Item HotItems::unpack(std::uint8_t kind, std::string_view bytes) {
  Item item;
  if ((kind & kExpires) != 0) {
    std::memcpy(&item.expires, bytes.data(), sizeof item.expires);
    bytes.remove_prefix(sizeof item.expires);
    kind &= static_cast<std::uint8_t>(~kExpires);
  }
  item.kind = static_cast<ValueKind>(kind);
  item.bytes = bytes;
  return item;
}

std::optional<std::optional<Item>> HotItems::find(std::string_view key, std::uint64_t hash) const {
  std::optional<std::optional<Item>> found;
  tiers_.hot().visit(key, hash, [&](std::string_view bytes, std::uint8_t kind) {
    found.emplace();
    if (kind != kMissing) *found = unpack(kind, bytes);
  });
  return found;
}

std::optional<bool> HotItems::has(std::string_view key, std::uint64_t hash) const {
  std::optional<bool> known;
  tiers_.hot().visit(key, hash,
                     [&](std::string_view, std::uint8_t kind) { known = kind != kMissing; });
  return known;
}

std::optional<Item> HotItems::find_warm(std::string_view key, std::uint64_t hash) {
  std::string bytes;
  std::uint8_t kind = 0;
  if (!tiers_.find_warm(key, hash, bytes, kind)) return std::nullopt;
  return unpack(kind, bytes);
}

void HotItems::show_many(std::span<const std::string_view> keys,
                         base::FunctionRef<void(std::size_t, const MapValue*)> shown,
                         std::vector<std::size_t>& unknown) const {
  constexpr std::size_t kBlock = 64;
  constexpr std::size_t kStride = cache::HotTable::kInlineBytes;
  std::array<cache::HotKey, kBlock> wanted;
  std::array<cache::HotHit, kBlock> hits;
  std::array<char, kBlock * kStride> bytes;
  for (std::size_t begin = 0; begin < keys.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, keys.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      wanted[i] = {keys[begin + i], hash(keys[begin + i])};
    }
    tiers_.hot().find_many({wanted.data(), count}, bytes.data(), kStride, hits.data());
    for (std::size_t i = 0; i < count; ++i) {
      if (hits[i] && hits[i].kind <= kLastKind && hits[i].size <= kStride) [[likely]] {
        const MapValue value{static_cast<MapValue::Kind>(hits[i].kind),
                             {&bytes[i * kStride], hits[i].size}};
        shown(begin + i, &value);
        continue;
      }
      const auto found = show(wanted[i].key, wanted[i].hash,
                              [&](const MapValue& value) { shown(begin + i, &value); });
      if (found == Found::kMissing) shown(begin + i, nullptr);
      if (found == Found::kUnknown) unknown.push_back(begin + i);
    }
  }
}

void HotItems::put(std::string_view key, std::uint64_t hash, const std::optional<Item>& item,
                   bool only_if_absent) {
  std::string_view bytes;
  std::uint8_t kind = kMissing;
  if (item) {
    kind = static_cast<std::uint8_t>(item->kind);
    bytes = item->bytes;
    if (bytes.size() > kLongestKept) {
      if (!only_if_absent) tiers_.forget(key, hash);
      return;
    }
    if (item->expires != 0) {
      struct Timed {
        std::string bytes;
      };
      std::string& timed = base::of_thread<Timed>().bytes;
      kind |= kExpires;
      timed.assign(reinterpret_cast<const char*>(&item->expires), sizeof item->expires);
      timed += bytes;
      bytes = timed;
    }
  }
  if (only_if_absent) {
    tiers_.hot().put_if_absent(key, hash, bytes, kind);
  } else {
    tiers_.put(key, hash, bytes, kind);
  }
}

Iterating::Iterating(Core& core)
    : iteration_(core.iterations_.begin(0)), before_(iteration_->size.load()) {}

void Iterating::require_none_added() const {
  if (iteration_->size.load() == before_) return;
  throw UsageError(
      "keys were added to the map while this thread iterates over it: add them afterwards, or "
      "iterate over a copy of the keys");
}

void Core::look_for_added(std::span<const Write> writes) {
  if (!iterations_.mine(0)) return;
  for (const Write& one : writes) {
    if (one.item) look_for_added(one.key);
  }
}

void Core::look_for_added(std::string_view key) {
  if (!iterations_.mine(0) || read(key, [](const MapValue&) {})) return;
  iterations_.changed(0, 1);
}

void Core::require_open() const {
  if (closed()) throw ClosedError(fmt::format("the map '{}' was closed", name_));
  if (abandoned_.load(std::memory_order_relaxed)) {
    throw UsageError(fmt::format(
        "the map '{}' was opened by the parent process, and this child does not have the parent's "
        "unflushed writes; open it again here, read-only while the parent writes",
        name_));
  }
}

MapStats Core::stats() const {
  MapStats stats;
  stats.hot_entries = hot_.tiers().hot().size();
  stats.hot_bytes = hot_.tiers().hot().bytes();
  const cache::WarmFile::Stats warm = hot_.tiers().warm_stats();
  stats.warm_entries = warm.entries;
  stats.warm_bytes = warm.bytes;
  stats.warm_hits = warm.hits;
  stats.warm_misses = warm.misses;
  stats.hot_hits = hits_.sum();
  stats.misses = misses_.load(std::memory_order_relaxed);
  stats.evictions = hot_.tiers().hot().evictions();
  stats.store_hits = store_hits_.load(std::memory_order_relaxed);
  stats.store_misses = store_misses_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace graven::map
