// SPDX-License-Identifier: MIT
//
// The store itself: opening, reads of the newest state, scans, the writer's turn, fork(). See
// store.hpp.
#include "backends/lazy/backend.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "backends/lazy/store.hpp"
#include "base/interrupt.hpp"

namespace graven::lazy {
namespace {

constexpr std::size_t kPage = 256;

std::uint64_t random_constant() {
  std::random_device random;
  std::uint64_t constant = 0;
  while (constant == 0) constant = (std::uint64_t{random()} << 32) | random();
  return constant;
}

bool any_reclaiming(port::View& view) {
  return !view.scan({.space = port::Space::kOrphan, .a = 0}, 1).empty();
}

std::unique_ptr<port::Backend> claimed(std::unique_ptr<port::Backend> below) {
  below->claim();
  return below;
}

}  // namespace

Store::Store(std::string name)
    : name_(std::move(name)),
      constant_(random_constant()),
      versions_(false),
      flusher_("store", name_, {}, SIZE_MAX, [] { return std::optional<base::Deadline>(); }) {
  static std::atomic<std::uint64_t> made{0};
  identity_ = "memory:" + std::to_string(++made);
  set_mark();
}

Store::Store(std::unique_ptr<port::Backend> below, const Options& options)
    : below_(claimed(std::move(below))),
      options_(options),
      name_(below_->name()),
      identity_(below_->identity()),
      constant_(below_->store_constant()),
      versions_(true),
      reclaiming_(any_reclaiming(*below_->view())),
      flusher_("store", name_, options_.flush_interval, options_.pending_limit,
               [this] { return chore(); }) {
  set_mark();
}

Store::~Store() {
  flusher_.stop();
  if (!closed_) finish();
}

void Store::require_own() const {
  if (closed_.load(std::memory_order_relaxed)) {
    throw ClosedError(name_ + " was closed; open it again");
  }
  if (!abandoned_.load(std::memory_order_relaxed)) return;
  throw UsageError(
      name_ +
      " was opened with persist=lazy by the parent process, and a child cannot use a lazy store of "
      "its parent; open it again here, read-only while the parent has it open");
}

void Store::set_mark() noexcept {
  port::write_mark(mark_, {.words = {versions_.newest() + 1, constant_}});
}

const port::MarkWords* Store::live_mark() {
  require_own();
  return &mark_;
}

// --- Reading

/// Only the flusher changes the store below, and only to values that are here. So the current
/// record of a key without a version here is in the store below.
std::optional<Record> Store::load(const Key& key) {
  require_own();
  {
    const std::scoped_lock lock(mutex_);
    if (const auto* found = versions_.find(key, versions_.newest())) return *found;
  }
  return below_ ? below_->load(key) : std::nullopt;
}

std::optional<Record> Store::load_node(std::int64_t id, bool& reclaiming) {
  require_own();
  const Key key{.space = port::Space::kNode, .a = id};
  for (;;) {
    std::uint64_t changes = 0;
    {
      const std::scoped_lock lock(mutex_);
      reclaiming = reclaiming_;
      changes = reclaimings_;
      if (const auto* found = versions_.find(key, versions_.newest())) return *found;
    }
    if (!below_) return std::nullopt;
    std::optional<Record> record = below_->load(key);
    // `record` is of some state since then. If `reclaiming` did not change meanwhile, both are of
    // that state.
    const std::scoped_lock lock(mutex_);
    if (reclaimings_ == changes) return record;
  }
}

/// Reads the store below in pages and merges each page with the versions and the overlay.
std::vector<Row> Store::scan(const Range& range, std::size_t limit, Commit commit,
                             const Overlay& overlay, port::View* below) {
  const auto page_below = [below](const Range& rest, std::size_t count) {
    return below != nullptr ? below->scan(rest, count) : std::vector<Row>();
  };
  const auto over = [&](const Range& rest, const Key* until, std::vector<Row>& page,
                        std::vector<Row>& rows) {
    const std::scoped_lock lock(mutex_);
    versions_.merge(rest, until, commit, overlay, page, limit, rows);
  };
  return port::scan_layers(range, limit, kPage, page_below, over);
}

std::unique_ptr<port::View> Store::view() {
  require_own();
  return std::make_unique<Snapshot>(*this);
}

// --- Writing

std::unique_ptr<port::WriteTransaction> Store::begin(base::Deadline deadline) {
  require_own();
  wait_for_room(deadline);
  for (base::InterruptPoll poll;; poll()) {
    {
      const std::scoped_lock lock(mutex_);
      if (!writing_) {
        writing_ = true;
        break;
      }
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw BusyError("another transaction of this process is open on " + name_ +
                      "; end it first or wait longer");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return std::make_unique<Transaction>(*this);
}

// --- Calls forwarded to the store below

void Store::hold_owner(std::int64_t owner) {
  require_own();
  if (below_) return below_->hold_owner(owner);
  const std::scoped_lock lock(mutex_);
  owners_.insert(owner);
}

bool Store::owner_alive(std::int64_t owner) {
  require_own();
  if (below_) return below_->owner_alive(owner);
  const std::scoped_lock lock(mutex_);
  return owners_.contains(owner);
}

std::string Store::maintain() {
  if (!below_) return {};
  flush();
  return below_->maintain();
}

std::vector<std::string> Store::check() {
  require_own();
  return below_ ? below_->check() : std::vector<std::string>();
}

std::vector<port::Backend::Loss> Store::mend() {
  require_own();
  if (!below_) return {};
  flush();
  return below_->mend();
}

void Store::copy_to(const std::string& path, const port::Copying& how) {
  require_own();
  if (!below_) return Backend::copy_to(path, how);
  flush();
  below_->copy_to(path, how);
}

// --- fork()

void Store::child_after_fork() noexcept {
  versions_.forget_views();
  owners_.clear();
  writing_ = false;
  if (below_) abandoned_ = true;  // only the parent may flush what is pending
}

std::unique_ptr<port::Backend> open(std::string name) {
  return std::make_unique<Store>(std::move(name));
}

std::unique_ptr<port::Backend> over(std::unique_ptr<port::Backend> below, const Options& options) {
  if (below->read_only()) {
    throw UsageError(below->name() +
                     " is open read-only, and a lazy store is for writing; open it with "
                     "persist=writethrough to read");
  }
  return std::make_unique<Store>(std::move(below), options);
}

}  // namespace graven::lazy
