// SPDX-License-Identifier: MIT
//
// How a work's records get to the sink: mutations and savepoints, overlays that have grown, runs of
// many records, and waiting pairs. See work.hpp.
//
// Why a run needs no savepoint: it is applied when its mutation has ended, so only the sink can
// still fail, and that fails the whole transaction.
#include <graven/error.hpp>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "store/work.hpp"

namespace graven::store {
namespace {

constexpr std::size_t kKeptChanges = 4'096;
// The same limit in bytes, for large values:
constexpr std::size_t kKeptBytes = std::size_t{4} << 20U;
/// Bytes of runs; of waiting edges or slots without bulk writing; and of those at most.
constexpr std::size_t kRunBytes = std::size_t{64} << 20U;
constexpr std::size_t kWaitingBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostWaiting = std::size_t{1} << 30U;
constexpr std::size_t kPairsTogether = 4'096;

bool in_order(const Change& one, const Change& other) { return one.key < other.key; }

}  // namespace

const std::optional<Record>* Work::in_runs(const Key& key) {
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (key < run->front().key || run->back().key < key) continue;
    const auto at = std::lower_bound(
        run->begin(), run->end(), key,
        [](const Change& change, const Key& wanted) { return change.key < wanted; });
    if (at->key == key) return &at->record;
  }
  for (const NewRows& run : new_runs_) {
    shown_ = run.find(key);
    if (shown_) return &shown_;
  }
  return nullptr;
}

/// Whether the runs may have any record of the space.
bool Work::in_runs(Space space) const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [space](const auto& run) {
                       return run.front().key.space <= space && space <= run.back().key.space;
                     }) ||
         std::any_of(new_runs_.begin(), new_runs_.end(),
                     [space](const NewRows& run) { return run.space() == space; });
}

/// Whether so many changes bypass the overlays.
bool Work::go_past(std::size_t count) const noexcept {
  return !recording_ && count != 0 &&
         (!in_mutation_ || count >= (bulk_bytes_ != 0 ? kManyInBulk : kMany));
}

void Work::write_many(std::vector<Change> changes) {
  bool edges = false;
  bool slots = false;
  bring(Space::kCounter);
  orphan_known_.reset();
  for (Change& change : changes) {
    if (change.key.space == Space::kNode && marks_.has(change.key.a)) marks_.clear();
    clocked_ = clocked_ || port::clocked(change.key.space);
    edges = edges || change.key.space == Space::kEdge;
    slots = slots || change.key.space == Space::kSlot;
    if (change.record) {
      change.record->version = port::schema(change.key.space).has_version ? commit_id_ : 0;
    }
  }
  if (!go_past(changes.size())) {
    for (Change& change : changes) write(change.key, std::move(change.record));
    return;
  }
  written_ = true;
  if (edges) bring(Space::kEdge);
  if (slots) bring(Space::kSlot);
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

void Work::write_new(NewRows rows) {
  if (!go_past(rows.size())) {
    for (std::size_t row = 0; row < rows.size(); ++row) put(rows.key(row), rows.record(row));
    return;
  }
  written_ = true;
  clocked_ = true;
  rows.set_version(port::schema(rows.space()).has_version ? commit_id_ : 0);
  if (!in_mutation_ || mutation_spilled_) {
    spill();
    apply(std::move(rows));
    return;
  }
  for (std::size_t row = 0; row < rows.size() && !mutation_.empty(); ++row) {
    mutation_.erase(rows.key(row));
  }
  runs_bytes_ += rows.memory();
  new_runs_.push_back(std::move(rows));
  if (runs_bytes_ >= kRunBytes) spill();
}

void Work::write_new_pairs(Space space, std::span<const NewPair> pairs) {
  const auto key_of = [space](const NewPair& pair) {
    return Key{.space = space, .a = pair.a, .b = pair.b};
  };
  const auto put_one = [&](const NewPair& pair) { put(key_of(pair), {.integers = {pair.value}}); };
  if (recording_ || pairs.empty() || (bulk_bytes_ == 0 && pairs.size() < kMany)) {
    for (const NewPair& pair : pairs) put_one(pair);
    return;
  }
  // The key of a slot may have been erased by this work; that of an edge is new, like its parent.
  const auto erased = [&](const NewPair& pair) { return overlaid(key_of(pair)) != nullptr; };
  std::vector<NewPair> rest;
  if (space == Space::kSlot && any_overlaid(space) &&
      std::any_of(pairs.begin(), pairs.end(), erased)) {
    std::copy_if(pairs.begin(), pairs.end(), std::back_inserter(rest), std::not_fn(erased));
    for (const NewPair& pair : pairs) {
      if (erased(pair)) put_one(pair);
    }
    pairs = rest;
  }
  written_ = true;
  clocked_ = true;
  Waiting& waiting = space == Space::kEdge ? edges_ : slots_;
  waiting.add(pairs);
  const std::size_t most =
      bulk_bytes_ != 0 ? std::min(bulk_bytes_ / 2, kMostWaiting) : kWaitingBytes;
  if (waiting.bytes() >= most) bring(space);
}

std::size_t Work::erase_unseen(Space space, std::int64_t a, std::size_t limit) {
  bring(space);
  spill();
  require_sound();
  cache_ = nullptr;
  written_ = true;
  clocked_ = true;
  forget_all_clean();
  std::size_t erased = 0;
  try {
    erased = sink_->erase_first(space, a, limit);
  } catch (...) {
    broken_ = true;
    throw;
  }
  applied_records_ += erased;
  return erased;
}

/// Applies what waits of the space, before it is read or written.
void Work::bring(Space space) {
  if (space == Space::kCounter && !adds_.empty()) read_counters();
  if (space != Space::kEdge && space != Space::kSlot) return;
  Waiting& waiting = space == Space::kEdge ? edges_ : slots_;
  if (waiting.empty()) return;
  if (in_mutation_ && !mutation_spilled_ && waiting.size() > waiting.done()) {
    spill();
  } else {
    apply(waiting, waiting.size());
  }
}

/// Applies the first `count` waiting pairs.
void Work::apply(Waiting& waiting, std::size_t count) {
  if (count == 0) return;
  const std::vector<NewPair> pairs = waiting.take(count);
  NewRows rows(waiting.space());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    rows.add(pairs[i].a, pairs[i].b, {pairs[i].value});
    if (rows.size() == kPairsTogether || i + 1 == pairs.size()) {
      apply(std::exchange(rows, NewRows(waiting.space())));
    }
  }
}

/// Applies the changes that wait in working_set_.
void Work::write_deferred() {
  try {
    working_set_.write_deferred([this](std::vector<Change> changes) { apply(std::move(changes)); });
  } catch (...) {
    broken_ = true;  // the remaining changes are lost
    throw;
  }
}

void Work::apply_waiting() {
  apply(edges_, edges_.size());
  apply(slots_, slots_.size());
}

void Work::before_scan(Space space) {
  bring(space);
  if (working_set_.deferred(space)) write_deferred();
  if (in_runs(space)) spill();
}

void Work::require_sound() const {
  if (broken_) {
    throw UnavailableError(
        "the transaction cannot go on after an error during a large write; roll it back");
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
  try {
    for (const Change& change : changes)
      wrote(change.key, change.record ? &*change.record : nullptr);
    sink_->apply(changes);
  } catch (...) {
    broken_ = true;
    throw;
  }
  applied_records_ += changes.size();
  for (const Change& change : changes) {
    if (change.record) applied_bytes_ += change.record->body.size();
  }
  if (!kept(changes.size())) forget_changes();
  if (forgotten_) {
    for (const auto& [key, record] : changes) touch(key, record ? &*record : nullptr);
  } else if (applied_.empty()) {
    applied_.swap(changes);
  } else {
    std::move(changes.begin(), changes.end(), std::back_inserter(applied_));
  }
}

/// From here on only what was changed is kept (touched_), not the changes.
void Work::forget_changes() {
  if (std::exchange(forgotten_, true)) return;
  for (const auto& [key, record] : std::exchange(applied_, {})) {
    touch(key, record ? &*record : nullptr);
  }
}

/// Whether changes() has room for so many more.
bool Work::kept(std::size_t records) const noexcept {
  return !forgotten_ && applied_.size() + records <= kKeptChanges && applied_bytes_ <= kKeptBytes;
}

void Work::apply(NewRows rows) {
  if (kept(rows.size())) return apply(rows.changes());
  require_sound();
  cache_ = nullptr;
  forget_changes();
  try {
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const Key key = rows.key(row);
      wrote(key, nullptr);
      const Record owner{.integers = rows.integers(row)};
      touch(key, &owner);
    }
    sink_->insert(rows);
  } catch (...) {
    broken_ = true;
    throw;
  }
  applied_records_ += rows.size();
  applied_bytes_ += rows.body_bytes();
}

void Work::apply_runs() {
  runs_bytes_ = 0;
  for (NewRows& run : std::exchange(new_runs_, {})) apply(std::move(run));
  for (std::vector<Change>& run : std::exchange(runs_, {})) apply(std::move(run));
}

void Work::drop_runs() noexcept {
  runs_bytes_ = 0;
  runs_.clear();
  new_runs_.clear();
  edges_.drop();
  slots_.drop();
}

/// Applies everything to the sink; the running mutation's part after a savepoint, so that it can
/// still be dropped. Waiting pairs of ended mutations are applied before the savepoint.
void Work::spill() {
  bring(Space::kCounter);
  ++spills_;
  unspilled_bytes_ = 0;
  apply(done_);
  if (!in_mutation_) return;
  if (!mutation_spilled_) {
    write_deferred();
    apply(edges_, edges_.done());
    apply(slots_, slots_.done());
    sink_->savepoint(depth_++);
    mutation_spilled_ = true;
  }
  apply_runs();
  apply(mutation_);
  apply_waiting();
}

/// Keeps a change of an ended mutation in working_set_, if it may wait there.
bool Work::defer(const Key& key, const std::optional<Record>& record) {
  if (bulk_bytes_ == 0 || !record || done_.contains(key) || !working_set_.defer(key, *record)) {
    return false;
  }
  forget_bytes(record->body.size());
  return true;
}

void Work::begin_mutation() {
  in_mutation_ = true;
  mutation_spilled_ = false;
  effects_before_ = effects_.size();
  adds_before_ = adds_.size();
  edges_.settle();
  slots_.settle();
}

void Work::end_mutation() {
  in_mutation_ = false;
  if (mutation_spilled_) {
    apply_waiting();
    apply(mutation_);
    sink_->release(--depth_);
    mutation_spilled_ = false;
  } else {
    if (!runs_.empty() || !new_runs_.empty()) {
      // Without the records that this mutation replaces. Otherwise the header of a large dict would
      // become the last row of its table before the new rows, and SQLite would search a page for
      // each of them.
      for (const auto& [key, record] : mutation_) done_.erase(key);
      apply(done_);
      apply_runs();
      unspilled_bytes_ = 0;
    }
    if (done_.empty() && bulk_bytes_ == 0) {
      done_.swap(mutation_);
    } else {
      for (auto& [key, record] : mutation_) {
        if (defer(key, record)) continue;
        auto& [known, before] = *done_.try_emplace(key).first;
        forget_bytes(before ? before->body.size() : 0);
        before = std::move(record);
      }
      mutation_.clear();
      if (!recording_ && done_.size() >= spill_records_) spill();
    }
  }
  edges_.settle();
  slots_.settle();
}

void Work::drop_mutation() noexcept {
  in_mutation_ = false;
  effects_.resize(effects_before_);
  adds_.resize(adds_before_);
  orphan_known_.reset();
  marks_.clear();
  for (const auto& [key, record] : mutation_) forget_bytes(record ? record->body.size() : 0);
  mutation_.clear();
  drop_runs();
  if (mutation_spilled_) {
    mutation_spilled_ = false;
    forget_all_clean();
    try {
      forget_changes();
      sink_->rollback_to(--depth_);
    } catch (const std::exception&) {
      broken_ = true;  // the sink is broken too, and reports it
    }
  }
}

void Work::savepoint() {
  bring(Space::kCounter);
  apply(done_);
  write_deferred();
  apply_waiting();
  effects_before_each_.push_back(effects_.size());
  sink_->savepoint(depth_++);
}

void Work::rollback_to_savepoint() {
  orphan_known_.reset();
  marks_.clear();
  done_.clear();
  adds_.clear();
  edges_.clear();
  slots_.clear();
  forget_all_clean();
  forget_changes();
  effects_.resize(effects_before_each_.back());
  effects_before_each_.pop_back();
  sink_->rollback_to(--depth_);
}

void Work::release_savepoint() {
  bring(Space::kCounter);
  apply(done_);
  sink_->release(depth_ - 1);
  --depth_;
  effects_before_each_.pop_back();
}

void Work::committed() noexcept {
  for (const auto& effect : std::exchange(effects_, {})) effect();
}

void Work::finish() {
  require_sound();
  apply_waiting();
  write_deferred();
  if (clocked_ && optimism_ == nullptr) {
    for (const std::string& name : prefixes_) {
      const Key key{.space = Space::kPrefix, .name = name};
      if (std::optional<Record> record = load(key)) put(key, std::move(*record));
    }
    Record clock;
    clock.integers[0] = last_id_;
    clock.integers[1] = last_prefix_;
    put(port::clock_key(), std::move(clock));
  }
  apply(done_);
  hand_over_adds();
}

}  // namespace graven::store
