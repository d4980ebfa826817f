// SPDX-License-Identifier: MIT
//
// Phases, progress and abort of an import. The backend's begin_bulk() and end_bulk() prepare the
// store for it. See graven/bulk_import.hpp.
#include <graven/bulk_import.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/interrupt.hpp"
#include "graph/scope.hpp"

namespace graven {

using graph::Session;
using Clock = std::chrono::steady_clock;

namespace {
constexpr auto kReportsApart = std::chrono::milliseconds(50);
constexpr auto kOnTheWayOut = std::chrono::milliseconds(100);
constexpr auto kNoLimit = std::chrono::hours(24 * 365);
}  // namespace

struct BulkImport::State {
  State(Database of, BulkOptions with) : database(std::move(of)), options(std::move(with)) {}

  [[nodiscard]] store::Store& store() const { return database.scope()->session().heap().store(); }

  const Database database;
  const BulkOptions options;
  const std::uint64_t generation = base::fork_generation();
  std::atomic<bool> aborted{false};

  void report() {
    told = {current.done, total};
    options.progress(current.name, current.done, total);
  }

  // Used only by the thread of the phase:
  std::optional<graph::TransactionStep> open;
  Phase current;
  Clock::time_point began;
  Clock::time_point reported;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> told;  // done, total; reported last
  std::uint64_t total = 0;
  bool advanced = false;  // advance() was called
  bool finished = false;
  bool emptied = false;

  std::mutex mutex;
  std::vector<Phase> ended;  // mutex
};

BulkImport::BulkImport(const Database& database, BulkOptions options)
    : state_(std::make_shared<State>(database, std::move(options))) {
  constexpr std::size_t kMost = std::size_t{1} << 20U;
  if (state_->options.cache_mb < 1 || state_->options.cache_mb > kMost) {
    throw UsageError(fmt::format("cache_mb is {}: give a number of MiB from 1 to {}",
                                 state_->options.cache_mb, kMost));
  }
  store::Store& store = state_->store();
  if (store.backend().facts().read_only) {
    throw UsageError("a bulk import writes, and " + database.name() + " was opened read-only");
  }
  if (store.in_transaction()) {
    throw UsageError(
        "a bulk import cannot begin inside a transaction: begin it before; its phases are "
        "transactions themselves");
  }
  store.begin_bulk(state_->options.cache_mb << 20U);
}

BulkImport::BulkImport(BulkImport&&) noexcept = default;

BulkImport::~BulkImport() {
  if (state_.get() == nullptr) return;
  const base::Uninterrupted to_the_end;
  try {
    if (std::uncaught_exceptions() != 0) {
      finish(kOnTheWayOut);
    } else {
      finish();
    }
  } catch (const std::exception&) {
    // A program that wants the error calls finish().
  }
}

void BulkImport::begin_phase(Text name) const {
  State& state = *state_;
  if (state.finished) throw UsageError("the bulk import has ended: begin another");
  if (state.open) {
    throw UsageError(
        fmt::format("phase '{}' is open: end it before '{}'", state.current.name, name));
  }
  if (state.aborted.load()) {
    throw AbortedError(fmt::format("the bulk import was aborted before its phase '{}'", name));
  }
  const store::Limits limits = state.database.scope()->session().limits();
  state.open.emplace(state.database.scope()->shared_session(),
                     store::Limits{.busy = limits.busy,
                                   .transaction = kNoLimit,
                                   .read_cache = state.options.cache_mb << 20U >> 2U});
  state.current = {.name = std::string(name)};
  state.total = 0;
  state.told.reset();
  state.advanced = false;
  state.began = state.reported = Clock::now();
}

void BulkImport::end_phase(bool commit) const {
  State& state = *state_;
  if (!state.open) throw UsageError("no phase of the bulk import is open");
  graph::TransactionStep step = *std::move(state.open);
  state.open.reset();
  const auto end = [&](bool committed) {
    state.current.committed = committed;
    state.current.seconds = std::chrono::duration<double>(Clock::now() - state.began).count();
    const std::scoped_lock lock(state.mutex);
    state.ended.push_back(state.current);
  };
  try {
    if (commit) {
      step.commit();
    } else {
      step.rollback();
    }
  } catch (...) {
    end(false);
    throw;
  }
  end(commit);
  const std::pair last(state.current.done, state.total);
  if (commit && state.options.progress && state.advanced && state.told != last) state.report();
}

void BulkImport::phase(Text name, const std::function<void()>& body) const {
  begin_phase(name);
  try {
    body();
  } catch (...) {
    end_phase(false);
    throw;
  }
  end_phase(true);
}

bool BulkImport::advance(std::uint64_t done, std::uint64_t total) const {
  State& state = *state_;
  if (!state.open) throw UsageError("advance() is called inside a phase of the bulk import");
  state.current.done = done;
  state.total = total;
  state.advanced = true;
  if (state.options.progress) {
    const auto now = Clock::now();
    if (now - state.reported >= kReportsApart) {
      state.reported = now;
      state.report();
    }
  }
  return !state.aborted.load(std::memory_order_relaxed);
}

void BulkImport::abort() const noexcept {
  if (state_.get() != nullptr) state_->aborted.store(true);
}

bool BulkImport::aborted() const noexcept {
  return state_.get() != nullptr && state_->aborted.load();
}

std::vector<BulkImport::Phase> BulkImport::phases() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->ended;
}

bool BulkImport::finish(std::optional<std::chrono::milliseconds> patience) const {
  State& state = *state_;
  if (state.finished) return state.emptied;
  state.finished = true;
  if (state.generation != base::fork_generation()) return false;
  const Session& session = state.database.scope()->session();
  const auto end = [&] {
    state.emptied = session.shared_heap()->store().end_bulk(
        Clock::now() + patience.value_or(session.limits().busy));
  };
  try {
    if (state.open) end_phase(false);
  } catch (...) {
    end();
    throw;
  }
  end();
  return state.emptied;
}

}  // namespace graven
