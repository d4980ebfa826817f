// SPDX-License-Identifier: MIT
//
// Keeps the two tiers consistent. A reader that misses creates the warm file, not the eviction,
// which would delay writers. See tiers.hpp.
#include "cache/tiers.hpp"

#include <graven/error.hpp>

#include <utility>

namespace graven::cache {

Tiers::Tiers(HotLimits limits, WarmPlace place, std::uint8_t missing, bool stamped)
    : place_(std::move(place)),
      missing_(missing),
      hot_(
          limits,
          place_.bytes == 0 || place_.path.empty()
              ? HotTable::Sink()
              : [this](const HotEvicted& evicted) { take(evicted); },
          stamped) {}

Tiers::~Tiers() = default;

void Tiers::take(const HotEvicted& evicted) noexcept {
  if (!overflown_.load(std::memory_order_relaxed)) overflown_.store(true);
  WarmFile* warm = warm_.load(std::memory_order_acquire);
  if (warm == nullptr) return;
  if (evicted.kind == missing_) {
    warm->erase(evicted.hash);  // an older value, in case its put is still in progress
    return;
  }
  warm->put(evicted.key, evicted.hash, evicted.value, evicted.kind, evicted.generation);
}

WarmFile* Tiers::open_warm() {
  const std::scoped_lock lock(mutex_);
  if (tried_.load()) return warm_.load();
  tried_.store(true);
  try {
    owned_warm_ = std::make_unique<WarmFile>(place_.path, place_.bytes);
    owned_warm_->clear(hot_.generation());
    warm_.store(owned_warm_.get(), std::memory_order_release);
  } catch (const Error&) {
    // No room for it: what is dropped is read from the store again.
  }
  return warm_.load();
}

bool Tiers::find_warm(std::string_view key, std::uint64_t hash, std::string& value,
                      std::uint8_t& kind) {
  WarmFile* warm = warm_.load(std::memory_order_acquire);
  if (warm == nullptr && (!overflown_.load(std::memory_order_relaxed) || tried_.load() ||
                          (warm = open_warm()) == nullptr)) {
    return false;
  }
  return warm->find(key, hash, value, kind);
}

void Tiers::put(std::string_view key, std::uint64_t hash, std::string_view value,
                std::uint8_t kind) {
  // In this order. Another thread that puts another key may be evicting the older value: that value
  // is in the warm file by the time the newer one is in the hot table. And if the newer one is
  // evicted as missing, nothing in the warm file is removed for it.
  hot_.put(key, hash, value, kind);
  if (WarmFile* warm = warm_.load(std::memory_order_acquire)) warm->erase(hash);
}

void Tiers::forget(std::string_view key, std::uint64_t hash) {
  hot_.erase(key, hash);
  if (WarmFile* warm = warm_.load(std::memory_order_acquire)) warm->erase(hash);
}

void Tiers::forget_hash(std::uint64_t hash) {
  hot_.erase_hash(hash);
  if (WarmFile* warm = warm_.load(std::memory_order_acquire)) warm->erase(hash);
}

void Tiers::clear() {
  const std::scoped_lock lock(mutex_);
  hot_.clear();
  if (WarmFile* warm = warm_.load(std::memory_order_acquire)) warm->clear(hot_.generation());
}

void Tiers::close() noexcept {
  const std::scoped_lock lock(mutex_);
  tried_.store(true);
  hot_.clear();
  if (owned_warm_) owned_warm_->close();
}

void Tiers::bound(std::size_t max_bytes, std::size_t max_entries) {
  const HotLimits now = hot_.limits();
  if (now.max_bytes == max_bytes && now.max_entries == max_entries) return;
  hot_.set_limits({.max_entries = max_entries, .max_bytes = max_bytes});
}

WarmFile::Stats Tiers::warm_stats() const {
  const WarmFile* warm = warm_.load(std::memory_order_acquire);
  return warm != nullptr ? warm->stats() : WarmFile::Stats{};
}

}  // namespace graven::cache
