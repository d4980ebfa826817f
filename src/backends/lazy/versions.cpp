// SPDX-License-Identifier: MIT
//
// See versions.hpp.
#include "backends/lazy/versions.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <iterator>
#include <utility>

#include "backends/lazy/ranges.hpp"

namespace graven::memory {
namespace {

constexpr std::size_t kOverhead = 256;  // of an entry beside its bytes

/// Goes through up to three ordered sources side by side; where several have a key, that on top
/// counts: a change, then a version, then a row from below.
template <class Seen, class Record, class Change, class Before>
class Merge {
 public:
  Merge(const Range& range, const Key* until, const Seen& seen, Before before)
      : range_(range), until_(until), seen_(seen), before_(before) {}

  void run(Record record, Record records, Change change, Change changes, std::span<Row> page,
           std::size_t limit, std::vector<Row>& rows) const {
    std::size_t at = 0;
    while (rows.size() < limit) {
      if (record != records && outside(record->first)) record = records;
      if (change != changes && outside(change->first)) change = changes;
      const Key* least = at < page.size() ? &page[at].key : nullptr;
      if (record != records && (least == nullptr || before_(record->first, *least))) {
        least = &record->first;
      }
      if (change != changes && (least == nullptr || before_(change->first, *least))) {
        least = &change->first;
      }
      if (least == nullptr) return;
      const bool in_page = at < page.size() && page[at].key == *least;
      const bool in_records = record != records && record->first == *least;
      const bool in_changes = change != changes && change->first == *least;
      const std::optional<store::Record>* on_top = in_records ? seen_(record->second) : nullptr;
      if (in_changes) on_top = &change->second;
      if (on_top == nullptr) {
        if (in_page) rows.push_back(std::move(page[at]));
      } else if (*on_top) {
        rows.push_back({*least, **on_top});
      }
      if (in_page) ++at;
      if (in_records) ++record;
      if (in_changes) ++change;
    }
  }

 private:
  bool outside(const Key& key) const {
    return !in_range(range_, key) || (until_ != nullptr && before_(*until_, key));
  }

  const Range& range_;
  const Key* until_;
  const Seen& seen_;
  const Before before_;
};

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
  const auto run = [&](auto record, auto records, auto change, auto changes, auto before) {
    const Merge<decltype(visible), decltype(record), decltype(change), decltype(before)> merge(
        range, until, visible, before);
    merge.run(record, records, change, changes, page, limit, rows);
  };
  if (backwards(range)) {
    const Key last = last_key(range);
    run(std::make_reverse_iterator(table_.upper_bound(last)), table_.rend(),
        std::make_reverse_iterator(overlay.upper_bound(last)), overlay.rend(), std::greater<>());
  } else {
    // A name range begins behind `after`, unless the empty name is wanted.
    const Key first = first_key(range);
    const bool with_first = in_range(range, first);
    run(with_first ? table_.lower_bound(first) : table_.upper_bound(first), table_.end(),
        with_first ? overlay.lower_bound(first) : overlay.upper_bound(first), overlay.end(),
        std::less<>());
  }
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

// --- Writing and forgetting

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
  // A version that came after every view is seen by nobody once there is a newer one.
  if (!fresh && entry.versions.back().commit > latest_view()) {
    entry.versions.back() = {newest_, std::move(record)};
  } else {
    entry.versions.push_back({newest_, std::move(record)});
  }
  wait_for_views(node);
}

/// Queues the entry, if something of it goes when all views have come so far.
void Versions::wait_for_views(Node node) {
  Entry& entry = node->second;
  if (entry.superseded) return;  // looked at again when its turn comes
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

/// Forgets an entry whose newest version is below, or queues it for that. After prune(): what
/// every view leans on, every view sees, so it has no older version.
void Versions::settle(Node node) {
  Entry& entry = node->second;
  if (entry.listed > 0 || entry.settled) return;  // it is come to again
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

store::Change Versions::flushing(std::size_t i, Commit cut) const {
  const Node& node = flushing_[i];
  const std::optional<Record>* record = seen(node->second, cut);
  assert(record != nullptr);
  return {node->first, *record};
}

void Versions::flushed(Commit cut) noexcept {
  flushed_ = cut;
  flushing_bytes_ = 0;
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

}  // namespace graven::memory
