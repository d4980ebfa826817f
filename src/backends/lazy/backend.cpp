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
constexpr std::uint64_t kLeaseToken = 1;
constexpr auto kLeasePatience = std::chrono::milliseconds(5000);

std::uint64_t random_constant() {
  std::random_device random;
  std::uint64_t constant = 0;
  while (constant == 0) constant = (std::uint64_t{random()} << 32) | random();
  return constant;
}

bool any_reclaiming(port::View& view) {
  return !view.scan({.space = port::Space::kOrphan, .a = 0}, 1).empty();
}

std::unique_ptr<port::Backend> leased(std::unique_ptr<port::Backend> below) {
  static_cast<void>(below->leases().acquire({}, std::chrono::steady_clock::now() + kLeasePatience));
  return below;
}

port::Facts facts_in_memory(std::string name) {
  static std::atomic<std::uint64_t> made{0};
  port::Facts facts;
  facts.name = std::move(name);
  facts.identity = "memory:" + std::to_string(++made);
  facts.constant = random_constant();
  return facts;
}

port::Facts facts_over(const port::Backend& below) {
  port::Facts facts = below.facts();
  facts.read_only = false;
  facts.slow_commits = false;
  facts.most_changes = SIZE_MAX;
  facts.most_predicates = SIZE_MAX;
  return facts;
}

}  // namespace

Store::Store(std::string name)
    : records_below_(nullptr),
      facts_(facts_in_memory(std::move(name))),
      versions_(false),
      flusher_("store", facts_.name, {}, SIZE_MAX, [] { return std::optional<base::Deadline>(); }) {
  set_mark();
}

Store::Store(std::unique_ptr<port::Backend> below, const Options& options)
    : below_(leased(std::move(below))),
      records_below_(port::facet<port::Interactive>(*below_)),
      options_(options),
      facts_(facts_over(*below_)),
      versions_(true),
      reclaiming_(any_reclaiming(*records_below_->view())),
      flusher_("store", facts_.name, options_.flush_interval, options_.pending_limit,
               [this] { return chore(); }) {
  set_mark();
}

Store::~Store() {
  flusher_.stop();
  if (!closed_) finish();
}

void Store::require_own() const {
  if (closed_.load(std::memory_order_relaxed)) {
    throw ClosedError(facts_.name + " was closed; open it again");
  }
  if (!abandoned_.load(std::memory_order_relaxed)) return;
  throw UsageError(
      facts_.name +
      " was opened with persist=lazy by the parent process, and a child cannot use a lazy store of "
      "its parent; open it again here, read-only while the parent has it open");
}

void Store::set_mark() noexcept {
  port::write_mark(mark_, {.words = {versions_.newest() + 1, facts_.constant}});
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
  return below_ ? records_below_->load(key) : std::nullopt;
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
    std::optional<Record> record = records_below_->load(key);
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
      throw BusyError("another transaction of this process is open on " + facts_.name +
                      "; end it first or wait longer");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return std::make_unique<Transaction>(*this);
}

// --- Calls forwarded to the store below

void Store::announce(std::int64_t process) {
  require_own();
  if (below_) return below_->leases().announce(process);
  const std::scoped_lock lock(mutex_);
  owners_.insert(process);
}

bool Store::alive(std::int64_t process) {
  require_own();
  if (below_) return below_->leases().alive(process);
  const std::scoped_lock lock(mutex_);
  return owners_.contains(process);
}

/// No other process can write this store while it is open.
port::Lease Store::acquire(const port::Partition&, base::Deadline) {
  leased_ = true;
  return {.token = kLeaseToken, .until = base::Deadline::max(), .state = {}};
}

port::CommitResult Store::admit(const port::Batch& batch) {
  if (batch.fence == 0 || (batch.fence == kLeaseToken && leased_.load())) return {};
  return {.outcome = port::Outcome::kNotDone, .reason = port::Reason::kFenced};
}

void Store::begin_bulk(std::size_t cache_bytes) {
  if (auto* bulk = below<port::Bulk>()) bulk->begin_bulk(cache_bytes);
}

bool Store::end_bulk(base::Deadline deadline) {
  if (!below_) return true;
  flush();
  auto* const bulk = below<port::Bulk>();
  return bulk == nullptr || bulk->end_bulk(deadline);
}

std::string Store::maintain() {
  if (!below_) return {};
  flush();
  auto* const maintenance = below<port::Maintenance>();
  return maintenance != nullptr ? maintenance->maintain() : std::string();
}

void Store::when_due(std::function<void(base::Deadline)> wake) {
  if (auto* maintenance = below<port::Maintenance>()) maintenance->when_due(std::move(wake));
}

std::optional<base::Deadline> Store::tend() {
  auto* const maintenance = below<port::Maintenance>();
  return maintenance != nullptr ? maintenance->tend() : std::nullopt;
}

void Store::bound_page_caches(std::size_t bytes) {
  if (auto* maintenance = below<port::Maintenance>()) maintenance->bound_page_caches(bytes);
}

void Store::log_slower_than(std::chrono::nanoseconds limit) {
  slow_.set(limit);
  if (auto* maintenance = below<port::Maintenance>()) maintenance->log_slower_than(limit);
}

std::vector<std::string> Store::check() {
  require_own();
  auto* const files = below<port::Files>();
  return files != nullptr ? files->check() : std::vector<std::string>();
}

std::vector<port::Files::Loss> Store::mend() {
  require_own();
  auto* const files = below<port::Files>();
  if (files == nullptr) return {};
  flush();
  return files->mend();
}

void Store::copy_to(const std::string& path, const port::Copying& how) {
  require_own();
  auto* const files = below<port::Files>();
  if (files == nullptr) {
    throw UsageError(facts_.name + " is a store in memory, and of that there is no backup; " +
                     "`graven dump` writes one as JSON");
  }
  flush();
  files->copy_to(path, how);
}

std::uint64_t Store::size_on_disk() const {
  const auto* const files = below<port::Files>();
  return files != nullptr ? files->size_on_disk() : 0;
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
  if (below->facts().read_only) {
    throw UsageError(below->facts().name +
                     " is open read-only, and a lazy store is for writing; open it with "
                     "persist=writethrough to read");
  }
  if (port::facet<port::Interactive>(*below) == nullptr) {
    throw UsageError(below->facts().name + ": persist=lazy needs a store with transactions");
  }
  return std::make_unique<Store>(std::move(below), options);
}

}  // namespace graven::lazy
