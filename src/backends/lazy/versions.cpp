// SPDX-License-Identifier: MIT
//
// Keeps, drops and flushes versions. See versions.hpp.
#include "backends/lazy/versions.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace graven::lazy {
namespace {

constexpr std::size_t kOverhead = 256;  // bytes of an entry besides its key and body, about

}  // namespace

const std::optional<Record>* Versions::seen(const Entry& entry, Commit commit) {
  for (auto it = entry.versions.rbegin(); it != entry.versions.rend(); ++it) {
    if (it->commit <= commit) return &it->record;
  }
  return nullptr;
}

const std::optional<Record>* Versions::find(const Key& key, Commit commit) const {
  const auto found = table_.find(key);
  return found == table_.end() ? nullptr : seen(found->second, commit);
}

void Versions::merge(const Range& range, const Key* until, Commit commit, const Overlay& overlay,
                     std::span<Row> page, std::size_t limit, std::vector<Row>& rows) const {
  const auto visible = [commit](const Entry& entry) { return seen(entry, commit); };
  port::merge(range, until, overlay, table_, visible, page, limit, rows);
}

// --- Views

void Versions::unsee(Commit commit) {
  views_.erase(views_.find(commit));
  prune();
}

void Versions::unlean(Commit commit) {
  leaning_.erase(leaning_.find(commit));
  prune();
}

void Versions::forget_views() noexcept {
  views_.clear();
  leaning_.clear();
  prune();
}

// --- Writing and dropping

std::size_t Versions::weight(const Key& key, const std::optional<Record>& record) {
  return kOverhead + key.name.size() + (record ? record->body.size() : 0);
}

void Versions::put(const Key& key, std::optional<Record> record) {
  const auto [node, fresh] = table_.try_emplace(key);
  Entry& entry = node->second;
  if (over_) {
    if (entry.epoch == epoch_) {
      dirty_bytes_ -= weight(key, entry.versions.back().record);
    } else {
      entry.epoch = epoch_;
      ++entry.listed;
      dirty_.push_back(node);
    }
    dirty_bytes_ += weight(key, record);
  }
  // A version that is newer than every view can be replaced: no view sees it.
  if (!fresh && entry.versions.back().commit > latest_view()) {
    entry.versions.back() = {newest_, std::move(record)};
  } else {
    entry.versions.push_back({newest_, std::move(record)});
  }
  wait_for_views(node);
}

/// Queues the entry, if a part of it can be dropped when all views have reached some commit.
void Versions::wait_for_views(Node node) {
  Entry& entry = node->second;
  if (entry.superseded) return;  // already queued; prune() calls this again
  const std::vector<Version>& versions = entry.versions;
  if (versions.size() > 1) {
    superseded_.emplace(versions[1].commit, node);
  } else if (!over_ && !versions[0].record) {
    superseded_.emplace(versions[0].commit, node);
  } else {
    return;
  }
  entry.superseded = true;
}

void Versions::prune() {
  const Commit oldest = oldest_view();
  while (!superseded_.empty() && superseded_.begin()->first <= oldest) {
    const Node node = superseded_.begin()->second;
    superseded_.erase(superseded_.begin());
    node->second.superseded = false;
    std::vector<Version>& versions = node->second.versions;
    std::ptrdiff_t gone = 0;
    while (gone + 1 < std::ssize(versions) &&
           versions[static_cast<std::size_t>(gone) + 1].commit <= oldest) {
      ++gone;
    }
    versions.erase(versions.begin(), versions.begin() + gone);
    if (!over_ && versions.size() == 1 && !versions[0].record && versions[0].commit <= oldest) {
      table_.erase(node);
    } else {
      wait_for_views(node);
    }
  }
  const Commit below = held_below();
  while (!settled_.empty() && settled_.begin()->first <= below) {
    const Node node = settled_.begin()->second;
    settled_.erase(settled_.begin());
    node->second.settled = false;
    settle(node);
  }
}

/// Drops an entry whose newest version is in the store below, or queues it for that. To be called
/// after prune(): then a version that is old enough for every pinned version is also visible to
/// every view, so the entry has no older version.
void Versions::settle(Node node) {
  Entry& entry = node->second;
  if (entry.listed > 0 || entry.settled) return;  // this is called again later
  const Commit newest = entry.versions.back().commit;
  if (newest <= held_below()) {
    assert(!entry.superseded);
    table_.erase(node);
  } else {
    settled_.emplace(newest, node);
    entry.settled = true;
  }
}

// --- Flushing

bool Versions::cut() {
  if (dirty_.empty() && flushing_.empty()) return false;
  failed_before_ = !flushing_.empty();
  if (flushing_.empty()) {
    flushing_.swap(dirty_);
  } else {
    flushing_.insert(flushing_.end(), dirty_.begin(), dirty_.end());
    dirty_.clear();
  }
  flushing_bytes_ += std::exchange(dirty_bytes_, 0);
  ++epoch_;
  return true;
}

void Versions::sort_flushing() {
  std::sort(flushing_.begin(), flushing_.end(),
            [](const Node& left, const Node& right) { return left->first < right->first; });
}

void Versions::drop_duplicates() {
  if (!failed_before_) return;
  std::size_t kept = 0;
  for (const Node& node : flushing_) {
    if (kept > 0 && flushing_[kept - 1] == node) {
      --node->second.listed;
    } else {
      flushing_[kept++] = node;
    }
  }
  flushing_.resize(kept);
}

port::Change Versions::flushing(std::size_t i, Commit cut) const {
  const Node& node = flushing_[i];
  const std::optional<Record>* record = seen(node->second, cut);
  assert(record != nullptr);
  return {node->first, *record};
}

std::size_t Versions::flushed(Commit cut) noexcept {
  flushed_ = cut;
  return std::exchange(flushing_bytes_, 0);
}

bool Versions::forget_flushed(std::size_t most) {
  prune();
  for (; most > 0 && !flushing_.empty(); --most) {
    const Node node = flushing_.back();
    flushing_.pop_back();
    --node->second.listed;
    settle(node);
  }
  return !flushing_.empty();
}

}  // namespace graven::lazy
