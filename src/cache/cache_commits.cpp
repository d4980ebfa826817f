// SPDX-License-Identifier: MIT
//
// The cache and commits of this process: encoding what they change, publishing it, and telling
// other processes. See cache.hpp; for the thread that writes.
#include <array>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "cache/cache.hpp"
#include "cache/cached_record.hpp"

namespace graven::cache {

using port::ChangeFeed;
using port::Space;

namespace {

constexpr std::size_t kKeptOfACommit = 32;

}  // namespace

bool Cache::begin_own() {
  const MarkWords* live = live_.load(std::memory_order_acquire);
  if (live == nullptr) return false;
  const std::scoped_lock lock(mutex_);
  const Mark mark = port::read_mark(*live);
  if (mark != port::read_mark(tag_)) {
    if (!state_->distinctive(mark)) return false;
    follow(mark);
  }
  own_.store(true, std::memory_order_release);
  return true;
}

void Cache::fill_own(const Key& key, const std::optional<Record>& record) {
  const std::scoped_lock lock(mutex_);
  put_if_absent(key, record);
}

/// Drops what a coming commit will have changed, and bars the table from keeping anything until the
/// commit is done; so its readers need not wait. Under mutex_.
void Cache::forget_ahead(const Touched& touched) {
  barred_ = true;
  const std::vector<Touched::Single>* singles = touched.singles();
  if (singles == nullptr) {
    return forget_scopes({touched.scopes().begin(), touched.scopes().end()}, touched.spaces());
  }
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  std::vector<ItemCache*> maps;
  for (const Joined& map : joined_) {
    if (touched.has_map(map.map)) maps.push_back(map.items);
  }
  for (const Touched::Single& single : *singles) {
    if (single.space == Space::kItem) {
      for (ItemCache* map : maps) map->forget_hash(single.hash);
    } else if (tiers != nullptr) {
      tiers->forget_hash(single.hash);
    }
  }
  changes_.note_all();
}

void Cache::prepare_own(const std::vector<Change>* changes, const Touched* touched) {
  laid_out_.clear();
  laid_bytes_.clear();
  if (!own_.load(std::memory_order_acquire)) return;
  if (changes == nullptr) {
    if (touched == nullptr) return;
    const std::scoped_lock lock(mutex_);
    return forget_ahead(*touched);
  }
  // What a large commit wrote is seldom read soon: it is not worth room in the table.
  if (changes->size() > kKeptOfACommit) return;
  for (const auto& [key, record] : *changes) {
    LaidOut& laid = laid_out_.emplace_back();
    if (key.space == Space::kItem) {
      laid.hash = port::item_hash(key.name);
      continue;
    }
    const port::Encoded encoded(key);
    laid.hash = encoded.hash();
    laid.key = laid_bytes_.size();
    laid_bytes_ += encoded.view();
    laid.value = laid_bytes_.size();
    laid.fits = record ? port::cached(key.space) && record->body.size() <= kLongestRecord
                       : keeps_absence(key.space);
    if (record && laid.fits) encode(port::schema(key.space), *record, laid_bytes_);
    laid.end = laid_bytes_.size();
  }
}

/// Tells the other processes what was changed.
void Cache::announce(const std::vector<Change>* changes, const Touched* touched, const Mark& before,
                     const Mark& after) noexcept {
  ChangeFeed* feed = state_->changes();
  if (feed == nullptr) return;
  std::array<std::uint64_t, ChangeFeed::kMost + 1> hashes{};
  std::size_t count = 0;
  const auto add = [&](std::uint64_t hash) {
    if (count < hashes.size() && (count == 0 || hashes[count - 1] != hash)) hashes[count++] = hash;
  };
  port::Told told;
  if (changes == nullptr) {
    count = hashes.size();
  } else {
    std::int64_t container = 0;  // changes come in order of their keys
    for (const Change& change : *changes) {
      const Key& key = change.key;
      if (!port::cached(key.space)) continue;
      add(port::change_hash(key));
      if (key.space == Space::kOrphan && key.a == 0) told.doomed = true;
      std::int64_t node = 0;
      if (key.space == Space::kEntry) node = key.a;
      if (key.space == Space::kPage && change.record) node = change.record->integers[0];
      if (node != 0 && node != container) add(port::container_hash(container = node));
    }
  }
  if (count <= ChangeFeed::kMost || (changes == nullptr && touched == nullptr)) {
    return feed->publish(before, after, {hashes.data(), count}, told.flags());
  }
  try {
    if (changes != nullptr) {
      Touched all;
      for (const auto& [key, record] : *changes) all.add(key, record ? &*record : nullptr);
      told = all.told(ChangeFeed::kMost);
    } else {
      told = touched->told(ChangeFeed::kMost);
    }
    feed->publish(before, after, told.hashes, told.flags());
  } catch (const std::bad_alloc&) {
    feed->publish(before, after, {hashes.data(), hashes.size()}, 0);  // everything
  }
}

void Cache::end_own(const std::vector<Change>* changes, const Mark* after,
                    const Touched* touched) noexcept {
  if (!own_.load(std::memory_order_acquire)) return;
  if (after == nullptr) {
    const std::scoped_lock lock(mutex_);
    barred_ = false;
    own_.store(false, std::memory_order_release);
    return;
  }
  const Mark before = port::read_mark(tag_);
  // Readers of this process wait since the commit became visible, so they are served first.
  publish(changes, touched, *after);
  own_.store(false, std::memory_order_release);
  announce(changes, touched, before, *after);
}

void Cache::committed(const std::vector<Change>* changes, const Mark& after) noexcept {
  if (live_.load(std::memory_order_acquire) == nullptr) return;
  const std::scoped_lock lock(mutex_);
  try {
    const Mark mark = port::read_mark(*live_.load(std::memory_order_acquire));
    if (!state_->distinctive(mark)) return;
    if (mark != port::read_mark(tag_)) follow(mark);  // drops what was changed
    if (mark != after || changes == nullptr || changes->size() > kKeptOfACommit) return;
    for (const auto& [key, record] : *changes) {
      forget(key);
      put_if_absent(key, record);
    }
  } catch (const std::bad_alloc&) {
    start_over(after);
  }
}

/// Puts the changes of a commit of this process into the table, and sets its state version.
void Cache::publish(const std::vector<Change>* changes, const Touched* touched,
                    const Mark& after) noexcept {
  const std::scoped_lock lock(mutex_);
  // If the table was not barred, it is not known that the changed records were dropped.
  const bool ahead = std::exchange(barred_, false) && changes == nullptr && touched != nullptr;
  try {
    if (changes == nullptr && !ahead) {
      start_over(after);
      return;
    }
    sequence_.fetch_add(1, std::memory_order_seq_cst);
    if (ahead) {
      changes_.note_all();
      if (touched->doomed()) unsettle_nodes();
      for (Joined& map : joined_) map.touched = touched->has_map(map.map);
    } else {
      publish_each(*changes);
    }
    for (Joined& map : joined_) {
      map.items->committed(sequence_.load(std::memory_order_relaxed), map.touched);
      map.touched = false;
    }
    port::write_mark(tag_, after);
  } catch (const std::bad_alloc&) {
    start_over(after);
  }
}

void Cache::publish_each(const std::vector<Change>& changes) {
  const bool laid_out = laid_out_.size() == changes.size();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto& [key, record] = changes[i];
    if (laid_out) {
      put(laid_out_[i], key, record);
    } else {
      forget(key);
    }
    if (key.space == Space::kOrphan && key.a == 0) unsettle_nodes();
    if (key.space == Space::kItem) {
      if (Joined* map = joined(key.a)) map->touched = true;
    }
    changes_.note(laid_out ? laid_out_[i].hash : port::change_hash(key));  // as in follow()
  }
}

}  // namespace graven::cache
