// SPDX-License-Identifier: MIT
//
// The ways of a work's records to the sink: mutations and savepoints, overlays that have grown,
// runs of many records, and edges that wait for their order. See work.hpp.
//
// Why a run needs no savepoint: it is applied when its mutation has ended, so all that can still
// fail is the sink, and what fails there fails the transaction.
#include <graven/error.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include "store/work.hpp"

namespace graven::store {
namespace {

constexpr std::size_t kKeptChanges = 4'096;
// And in bytes, for those who store large values:
constexpr std::size_t kKeptBytes = std::size_t{4} << 20U;
/// What waits in runs, and in edges where much is not expected.
constexpr std::size_t kRunBytes = std::size_t{64} << 20U;
constexpr std::size_t kEdgeBytes = std::size_t{4} << 20U;
constexpr std::size_t kEdgesTogether = 4'096;

bool in_order(const Change& one, const Change& other) { return one.key < other.key; }

}  // namespace

const std::optional<Record>* Work::in_runs(const Key& key) const {
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (key < run->front().key || run->back().key < key) continue;
    const auto at = std::lower_bound(
        run->begin(), run->end(), key,
        [](const Change& change, const Key& wanted) { return change.key < wanted; });
    if (at->key == key) return &at->record;
  }
  return nullptr;
}

void Work::write_many(std::vector<Change> changes) {
  bool edges = false;
  orphan_known_.reset();
  for (Change& change : changes) {
    clocked_ = clocked_ || clocked(change.key.space);
    edges = edges || change.key.space == Space::kEdge;
    if (change.record) {
      change.record->version = schema(change.key.space).has_version ? commit_id_ : 0;
    }
  }
  const std::size_t many = bulk_bytes_ != 0 ? kManyInBulk : kMany;
  if (recording_ || changes.empty() || (in_mutation_ && changes.size() < many)) {
    for (Change& change : changes) write(change.key, std::move(change.record));
    return;
  }
  written_ = true;
  if (edges) bring_edges();
  if (!in_mutation_ || mutation_spilled_) {
    spill();
    apply(std::move(changes));
    return;
  }
  if (!std::is_sorted(changes.begin(), changes.end(), in_order)) {
    std::sort(changes.begin(), changes.end(), in_order);
  }
  for (const Change& change : changes) {
    if (!mutation_.empty()) mutation_.erase(change.key);
    runs_bytes_ += sizeof change + (change.record ? change.record->body.size() : 0);
  }
  runs_.push_back(std::move(changes));
  if (runs_bytes_ >= kRunBytes) spill();
}

void Work::write_new_edges(std::vector<Edge> edges) {
  if (recording_ || (bulk_bytes_ == 0 && edges.size() < kMany)) {
    for (const Edge& edge : edges) {
      put({.space = Space::kEdge, .a = edge.a, .b = edge.b}, {.integers = {edge.value}});
    }
    return;
  }
  if (edges.empty()) return;
  written_ = true;
  clocked_ = true;
  edges_.insert(edges_.end(), edges.begin(), edges.end());
  if (edges_.size() * sizeof(Edge) >= (bulk_bytes_ != 0 ? bulk_bytes_ / 2 : kEdgeBytes)) {
    bring_edges();
  }
}

/// Before anything looks at an edge, or writes one.
void Work::bring_edges() {
  if (edges_.empty()) return;
  if (in_mutation_ && !mutation_spilled_ && edges_.size() > edges_done_) {
    spill();
  } else {
    apply_edges(edges_.size());
  }
}

/// The first of the edges.
void Work::apply_edges(std::size_t count) {
  if (count == 0) return;
  const auto end = edges_.begin() + static_cast<std::ptrdiff_t>(count);
  std::sort(edges_.begin(), end);
  std::vector<Change> changes;
  for (auto edge = edges_.begin(); edge != end;) {
    const auto until = edge + std::min(end - edge, static_cast<std::ptrdiff_t>(kEdgesTogether));
    changes.clear();
    changes.reserve(static_cast<std::size_t>(until - edge));
    for (; edge != until; ++edge) {
      changes.push_back(
          {{.space = Space::kEdge, .a = edge->a, .b = edge->b}, Record{.integers = {edge->value}}});
    }
    apply(std::move(changes));
  }
  edges_.erase(edges_.begin(), end);
  edges_done_ -= std::min(edges_done_, count);
  if (edges_.empty()) std::vector<Edge>().swap(edges_);
}

void Work::before_scan(Space space) {
  if (space == Space::kEdge) bring_edges();
  const bool there = std::any_of(runs_.begin(), runs_.end(), [space](const auto& run) {
    return run.front().key.space <= space && space <= run.back().key.space;
  });
  if (there) spill();
}

void Work::require_sound() const {
  if (broken_) {
    throw UnavailableError(
        "the transaction cannot go on after an error while much was written; roll it back");
  }
}

void Work::apply(Overlay& overlay) {
  if (overlay.empty()) return;
  std::vector<Change> changes;
  changes.reserve(overlay.size());
  for (auto& [key, record] : overlay) changes.push_back({key, std::move(record)});
  overlay.clear();
  apply(std::move(changes));
}

void Work::apply(std::vector<Change> changes) {
  require_sound();
  cache_ = nullptr;
  for (const Change& change : changes) forget_clean(change.key);
  try {
    sink_->apply(changes);
  } catch (...) {
    broken_ = true;
    throw;
  }
  applied_records_ += changes.size();
  for (const Change& change : changes) {
    if (change.record) applied_bytes_ += change.record->body.size();
  }
  if (forgotten_ || applied_.size() + changes.size() > kKeptChanges ||
      applied_bytes_ > kKeptBytes) {
    forgotten_ = true;
    applied_.clear();
  } else if (applied_.empty()) {
    applied_.swap(changes);
  } else {
    std::move(changes.begin(), changes.end(), std::back_inserter(applied_));
  }
}

void Work::apply_runs() {
  runs_bytes_ = 0;
  for (std::vector<Change>& run : std::exchange(runs_, {})) apply(std::move(run));
}

void Work::drop_runs() noexcept {
  runs_bytes_ = 0;
  runs_.clear();
  edges_.resize(edges_done_);
}

/// Everything to the sink; what may still be dropped behind a savepoint. Edges of what is done may
/// wait on only as long as nothing is behind a savepoint.
void Work::spill() {
  unspilled_bytes_ = 0;
  apply(done_);
  if (!in_mutation_) return;
  if (!mutation_spilled_) {
    apply_edges(edges_done_);
    sink_->savepoint(depth_++);
    mutation_spilled_ = true;
  }
  apply_runs();
  apply(mutation_);
  apply_edges(edges_.size());
}

void Work::begin_mutation() {
  in_mutation_ = true;
  mutation_spilled_ = false;
  edges_done_ = edges_.size();
}

void Work::end_mutation() {
  in_mutation_ = false;
  if (mutation_spilled_) {
    apply_edges(edges_.size());
    apply(mutation_);
    sink_->release(--depth_);
    mutation_spilled_ = false;
  } else {
    if (!runs_.empty()) {
      apply(done_);
      apply_runs();
      unspilled_bytes_ = 0;
    }
    if (done_.empty()) {
      done_.swap(mutation_);
    } else {
      for (auto& [key, record] : mutation_) done_.insert_or_assign(key, std::move(record));
      mutation_.clear();
    }
  }
  edges_done_ = edges_.size();
}

void Work::drop_mutation() noexcept {
  in_mutation_ = false;
  orphan_known_.reset();
  mutation_.clear();
  drop_runs();
  if (mutation_spilled_) {
    mutation_spilled_ = false;
    forget_all_clean();
    forgotten_ = true;
    try {
      sink_->rollback_to(--depth_);
    } catch (const std::exception&) {
      broken_ = true;  // the sink is, and says so
    }
  }
}

void Work::savepoint() {
  apply(done_);
  apply_edges(edges_.size());
  sink_->savepoint(depth_++);
}

void Work::rollback_to_savepoint() {
  orphan_known_.reset();
  done_.clear();
  edges_.clear();
  edges_done_ = 0;
  forget_all_clean();
  forgotten_ = true;
  sink_->rollback_to(--depth_);
}

void Work::release_savepoint() {
  apply(done_);
  sink_->release(--depth_);
}

void Work::finish() {
  require_sound();
  apply_edges(edges_.size());
  if (clocked_) {
    for (const std::string& name : prefixes_) {
      const Key key{.space = Space::kPrefix, .name = name};
      if (std::optional<Record> record = load(key)) put(key, std::move(*record));
    }
    Record clock;
    clock.integers[0] = last_id_;
    clock.integers[1] = last_prefix_;
    put(clock_key(), std::move(clock));
  }
  apply(done_);
}

}  // namespace graven::store
