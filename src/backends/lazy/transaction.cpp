// SPDX-License-Identifier: MIT
//
// Views and transactions. See store.hpp.
//
// A view takes its commit number after it has fixed its state of the store below. That state may
// change until it is fixed, but only up to a flush barrier, which is never newer than the newest
// commit. If the view took its number first, a key that first changed in between would show a newer
// record from the store below.
#include <graven/error.hpp>

#include <utility>

#include "backends/lazy/store.hpp"

namespace graven::lazy {
namespace {

/// The record as its space stores it: fields that its schema lacks are empty.
Record stored(const Key& key, Record record) {
  const port::Schema& schema = port::schema(key.space);
  if (!schema.has_version) record.version = 0;
  if (!schema.has_body) record.body.clear();
  for (std::size_t i = schema.integers.size(); i < port::kMaxIntegers; ++i) {
    record.integers[i] = 0;
  }
  return record;
}

const Overlay kNoChanges;

}  // namespace

// --- Below

Below::~Below() {
  view_.reset();
  if (!leaning_) return;
  const std::scoped_lock lock(store_.mutex_);
  store_.versions_.unlean(*leaning_);
}

port::View* Below::view() {
  if (view_ || !store_.below_) return view_.get();
  if (!leaning_) {
    const std::scoped_lock lock(store_.mutex_);
    leaning_ = store_.versions_.flushed();
    store_.versions_.lean(*leaning_);
  }
  std::unique_ptr<port::View> view = store_.records_below_->view();
  view->load(port::clock_key());  // the first read fixes the state
  view_ = std::move(view);
  return view_.get();
}

void Below::abandon() noexcept { leaning_.reset(); }

// --- Snapshot

Snapshot::Snapshot(Store& store)
    : store_(store), generation_(base::fork_generation()), below_(store) {}

Snapshot::~Snapshot() {
  if (generation_ != base::fork_generation()) below_.abandon();
  if (generation_ != base::fork_generation() || !commit_) return;
  const std::scoped_lock lock(store_.mutex_);
  store_.versions_.unsee(*commit_);
}

void Snapshot::begin() {
  if (generation_ != base::fork_generation()) {
    throw UsageError("this view of " + store_.facts_.name +
                     " was begun by the parent process; begin a new one in the child");
  }
  if (commit_) return;
  below_.view();
  const std::scoped_lock lock(store_.mutex_);
  store_.versions_.see(store_.versions_.newest());
  commit_ = store_.versions_.newest();
}

std::optional<Record> Snapshot::load(const Key& key) {
  begin();
  {
    const std::scoped_lock lock(store_.mutex_);
    if (const auto* found = store_.versions_.find(key, *commit_)) return *found;
  }
  return below_.begun() != nullptr ? below_.begun()->load(key) : std::nullopt;
}

namespace {

using port::Known;

/// Loads from a view below, if there is one.
auto from(port::View* below) {
  return [below](std::span<const Key> keys, const auto& each) {
    if (below != nullptr) return below->load_many(keys, each);
    for (std::size_t i = 0; i < keys.size(); ++i) each(i, nullptr);
  };
}

}  // namespace

void Snapshot::load_many(std::span<const Key> keys,
                         const std::function<void(std::size_t, Record*)>& each) {
  begin();
  const auto known = [this](const Key& key) -> Known {
    const std::scoped_lock lock(store_.mutex_);
    const auto* found = store_.versions_.find(key, *commit_);
    return found != nullptr ? Known(std::in_place, *found) : std::nullopt;
  };
  port::load_layers(keys, each, known, from(below_.begun()));
}

std::vector<Row> Snapshot::scan(const Range& range, std::size_t limit) {
  begin();
  return store_.scan(range, limit, *commit_, kNoChanges, below_.begun());
}

// --- Transaction

Transaction::Transaction(Store& store)
    : store_(store), generation_(base::fork_generation()), below_(store) {}

Transaction::~Transaction() {
  if (generation_ != base::fork_generation()) {
    below_.abandon();
  } else if (open_) {
    end(nullptr);
  }
}

/// Calls the function of when_released() with the result of the transaction, then releases the
/// write lock.
void Transaction::end(const port::Mark* after) noexcept {
  open_ = false;
  if (released_) released_(after);
  const std::scoped_lock lock(store_.mutex_);
  store_.writing_ = false;
}

void Transaction::require_own() const {
  if (generation_ == base::fork_generation()) return;
  throw UsageError("this transaction on " + store_.facts_.name +
                   " was begun by the parent process; begin a new one in the child");
}

void Transaction::require_open() const {
  require_own();
  if (open_) return;
  throw UsageError("the transaction on " + store_.facts_.name + " was committed already");
}

void Transaction::require_depth(int depth, std::size_t count) const {
  if (depth < 0 || static_cast<std::size_t>(depth) >= count) {
    throw UsageError("no savepoint of depth " + std::to_string(depth) + " in the transaction on " +
                     store_.facts_.name);
  }
}

std::optional<Record> Transaction::load(const Key& key) {
  require_own();
  if (const auto changed = overlay_.find(key); changed != overlay_.end()) return changed->second;
  {
    const std::scoped_lock lock(store_.mutex_);
    if (const auto* found = store_.versions_.find(key, store_.versions_.newest())) return *found;
  }
  if (below_.begun() != nullptr) return below_.begun()->load(key);
  return store_.below_ ? store_.records_below_->load(key) : std::nullopt;
}

void Transaction::load_many(std::span<const Key> keys,
                            const std::function<void(std::size_t, Record*)>& each) {
  require_own();
  // Begin the view below before reading versions: a version that is dropped from now on is in that
  // view.
  port::View* below = below_.view();
  const auto known = [this](const Key& key) -> Known {
    if (const auto changed = overlay_.find(key); changed != overlay_.end()) {
      return Known(std::in_place, changed->second);
    }
    const std::scoped_lock lock(store_.mutex_);
    const auto* found = store_.versions_.find(key, store_.versions_.newest());
    return found != nullptr ? Known(std::in_place, *found) : std::nullopt;
  };
  port::load_layers(keys, each, known, from(below));
}

std::vector<Row> Transaction::scan(const Range& range, std::size_t limit) {
  require_own();
  port::View* below = below_.view();
  return store_.scan(range, limit, UINT64_MAX, overlay_, below);
}

void Transaction::apply(std::span<const port::Change> changes) {
  require_open();
  for (const port::Change& change : changes) {
    std::optional<Record> record;
    if (change.record) record = stored(change.key, *change.record);
    const auto [at, fresh] = overlay_.try_emplace(change.key);
    if (!savepoints_.empty()) {
      undo_.push_back({change.key, std::nullopt});
      if (!fresh) undo_.back().before.emplace(std::move(at->second));
    }
    at->second = std::move(record);
  }
}

void Transaction::savepoint(int depth) {
  require_open();
  require_depth(depth, savepoints_.size() + 1);
  savepoints_.resize(static_cast<std::size_t>(depth));
  savepoints_.push_back(undo_.size());
}

void Transaction::rollback_to(int depth) {
  require_open();
  require_depth(depth, savepoints_.size());
  savepoints_.resize(static_cast<std::size_t>(depth) + 1);
  for (; undo_.size() > savepoints_.back(); undo_.pop_back()) {
    Undo& undo = undo_.back();
    if (undo.before) {
      overlay_[undo.key] = std::move(*undo.before);
    } else {
      overlay_.erase(undo.key);
    }
  }
}

void Transaction::release(int depth) {
  require_open();
  require_depth(depth, savepoints_.size());
  savepoints_.resize(static_cast<std::size_t>(depth));
  if (savepoints_.empty()) undo_.clear();
}

/// Whether there are nodes pending deletion after this transaction; nothing if it does not change
/// that.
std::optional<bool> Transaction::reclaiming_after() {
  const auto first = overlay_.lower_bound({.space = port::Space::kOrphan, .a = 0, .b = INT64_MIN});
  if (first == overlay_.end() || first->first.space != port::Space::kOrphan ||
      first->first.a != 0) {
    return std::nullopt;
  }
  return !scan({.space = port::Space::kOrphan, .a = 0}, 1).empty();
}

void Transaction::commit(std::uint64_t id) {
  require_open();
  const std::optional<bool> reclaiming = reclaiming_after();
  port::Mark after;
  {
    const std::scoped_lock lock(store_.mutex_);
    if (store_.closed_.load()) {  // the last flush may be over
      throw ClosedError("nothing was committed to " + store_.facts_.name +
                        ", which was closed meanwhile");
    }
    const std::size_t pending = store_.versions_.pending_bytes();
    store_.versions_.begin_commit();
    for (auto& [key, record] : overlay_) store_.versions_.put(key, std::move(record));
    store_.flusher_.add(store_.versions_.pending_bytes() - pending);
    store_.versions_.prune();
    store_.newest_id_ = id;
    if (reclaiming && *reclaiming != store_.reclaiming_) {
      store_.reclaiming_ = *reclaiming;
      ++store_.reclaimings_;
    }
    store_.set_mark();
    after = store_.mark();
  }
  overlay_.clear();
  undo_.clear();
  end(&after);
  store_.feed_.notify();
  if (store_.below_) store_.flusher_.wake();
}

}  // namespace graven::lazy
