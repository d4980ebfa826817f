// SPDX-License-Identifier: MIT
//
// A flush makes a flush barrier (cut) and copies all changes up to it, in chunks, into one
// transaction of the store below. See store.hpp.
#include <graven/error.hpp>

#include <algorithm>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "backends/lazy/store.hpp"
#include "base/interrupt.hpp"
#include "observe/log_failure.hpp"

namespace graven::lazy {
namespace {

using Clock = std::chrono::steady_clock;

// Limits for one chunk that is copied or dropped, so that no thread waits long for the mutex.
constexpr std::size_t kChanges = 4096;
constexpr std::size_t kBytes = std::size_t{4} << 20U;

}  // namespace

/// To be called before a write. Waits while too much is pending, and throws the error of a failed
/// background flush.
void Store::wait_for_room(base::Deadline deadline) {
  if (!below_) return;
  const bool room = flusher_.wait_until_ready(deadline);
  if (closed_) throw ClosedError(facts_.name + " was closed; open it again");
  if (!room) {
    throw BusyError(std::to_string(flusher_.pending()) + " bytes written to " + facts_.name +
                    " wait to be flushed, more than pending_limit, and the disk did not take them "
                    "in time; wait longer, or raise the limit");
  }
}

void Store::bound_pending(std::size_t bytes) {
  if (below_) flusher_.bound(std::min(bytes, options_.pending_limit));
}

void Store::flush() {
  require_own();
  if (below_) flusher_.run([this] { flush_all(); });
}

void Store::make_durable(base::Deadline deadline) {
  flush();
  if (!below_) return;
  // Also after a long flush.
  const base::Deadline at_least = Clock::now() + options_.patience;
  static_cast<void>(below_->commit({}, {}, {.durable = true}, std::max(deadline, at_least)));
}

/// Commits everything that was committed here to the store below.
void Store::flush_all() {
  const auto flush = base::lock(flush_mutex_);
  Commit cut = 0;
  std::uint64_t id = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (!versions_.cut()) return;
    cut = versions_.newest();
    id = newest_id_;
    versions_.see(cut);
  }
  try {
    const observe::Timed timed(flush_times_, slow_, "flush", facts_.name, [&] {
      return LogField{"commit", std::to_string(id)};
    });
    commit_cut(cut, id);
  } catch (...) {
    doubtful_ = true;
    const std::scoped_lock lock(mutex_);
    versions_.unsee(cut);
    throw;
  }
  doubtful_ = false;
  {
    const std::scoped_lock lock(mutex_);
    flusher_.flushed(versions_.flushed(cut));
    versions_.unsee(cut);
  }
  for (bool more = true; more;) {
    const std::scoped_lock lock(mutex_);
    more = versions_.forget_flushed(kChanges);
  }
}

void Store::commit_cut(Commit cut, std::uint64_t id) {
  versions_.sort_flushing();
  std::size_t count = 0;
  {
    const std::scoped_lock lock(mutex_);
    versions_.drop_duplicates();
    count = versions_.flushing();
  }
  auto* const state = below<port::SharedState>();
  // The first call also creates the invalidation log.
  const port::MarkWords* live = state != nullptr ? state->live_mark() : nullptr;
  const std::unique_ptr<port::WriteTransaction> writes =
      records_below_->begin(Clock::now() + options_.patience);
  port::Touched touched;
  const auto apply = [&](std::span<const port::Change> some) {
    writes->apply(some);
    for (const auto& [key, record] : some) touched.add(key, record ? &*record : nullptr);
  };
  if (live != nullptr) {
    writes->when_released([&, before = port::read_mark(*live)](const port::Mark* after) {
      if (after != nullptr) publish_below(*state, before, *after, touched);
    });
  }
  const std::optional<Record> clock = writes->load(port::clock_key());
  std::vector<port::Change> changes;
  for (std::size_t i = 0; i < count;) {
    changes.clear();
    {
      const std::scoped_lock lock(mutex_);
      for (std::size_t bytes = 0; i < count && changes.size() < kChanges && bytes < kBytes; ++i) {
        changes.push_back(versions_.flushing(i, cut));
        if (changes.back().record) bytes += changes.back().record->body.size();
      }
    }
    apply(changes);
  }
  // A failed commit may have changed the clock below, which identifies commits. So this commit
  // needs a number of its own.
  if (doubtful_ && clock && clock->version >= id) {
    id = clock->version + 1;
    Record later = writes->load(port::clock_key()).value_or(*clock);
    later.version = id;
    later.integers[0] = std::max(later.integers[0], static_cast<std::int64_t>(id));
    changes.assign(1, {port::clock_key(), std::move(later)});
    apply(changes);
  }
  writes->commit(id);
}

/// Publishes what a flush changed to processes that read the store below.
void Store::publish_below(port::SharedState& state, const port::Mark& before,
                          const port::Mark& after, const port::Touched& touched) noexcept {
  port::ChangeFeed* feed = state.changes();
  if (feed == nullptr || !state.distinctive(before) || !state.distinctive(after)) return;
  try {
    const port::Told told = touched.told(port::ChangeFeed::kMost);
    feed->publish(before, after, told.hashes, told.flags());
  } catch (const std::bad_alloc&) {
    // The log has a gap now, so readers assume that everything changed.
  }
}

void Store::close() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  flusher_.stop();
  finish();
  if (below_ && !abandoned_) below_->close();
}

/// The last flush. Its error can only be logged.
void Store::finish() noexcept {
  if (!below_ || abandoned_) return;
  const base::Uninterrupted to_the_end;
  try {
    flush_all();
  } catch (...) {
    observe::log_failure("flush_failed", "store", facts_.name);
  }
}

port::BackendStats Store::stats() {
  require_own();
  port::BackendStats stats = below_ ? below_->stats() : Backend::stats();
  stats.file.name = facts_.name;
  stats.flushes = {flusher_.failures(), below_ ? flusher_.pending() : 0, flush_times_.snapshot()};
  return stats;
}

std::optional<base::Deadline> Store::chore() {
  flush_all();
  const std::scoped_lock lock(mutex_);
  return versions_.dirty() ? std::optional(flusher_.later()) : std::nullopt;
}

}  // namespace graven::lazy
