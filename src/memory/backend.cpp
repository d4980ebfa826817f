// SPDX-License-Identifier: MIT
//
// The memory backend's one map. Each key has its versions in commit order; a version is the
// number of the commit and the record, or nothing where that commit erased it. A reader at
// commit n sees the last version not after n.
//
// Always holds: `stale_` names every key with more than one version or whose only one is an
// erasure; pruning looks nowhere else. `views_` holds one entry per snapshot in use.
//
// Everything is guarded by `mutex_`, which is also held across a fork.
#include "memory/backend.hpp"

#include <graven/error.hpp>

#include <atomic>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "base/fork.hpp"

namespace graven::memory {
namespace {

using store::Change;
using store::Key;
using store::KeyShape;
using store::Range;
using store::Record;
using store::Row;
using store::Schema;

using Commit = std::uint64_t;

struct Version {
  Commit commit;
  std::optional<Record> record;
};

/// The record as the space keeps it: fields its schema lacks come back empty.
Record stored(const Key& key, Record record) {
  const Schema& schema = store::schema(key.space);
  if (!schema.has_version) record.version = 0;
  if (!schema.has_body) record.body.clear();
  for (std::size_t i = schema.integers.size(); i < store::kMaxIntegers; ++i) {
    record.integers[i] = 0;
  }
  return record;
}

/// The first key a range can hold.
Key first_key(const Range& range) {
  switch (store::schema(range.space).shape) {
    case KeyShape::kId:
      return {.space = range.space, .a = range.from};
    case KeyShape::kPair:
      return {.space = range.space, .a = range.a, .b = range.from};
    case KeyShape::kName:
      break;
  }
  return {.space = range.space, .a = range.a, .name = range.after};
}

/// The last key a range of one `a` can hold, if it is not one of names.
Key last_key(const Range& range) {
  Key last = first_key(range);
  (store::schema(range.space).shape == KeyShape::kId ? last.a : last.b) = range.to;
  return last;
}

/// Whether the range is one of many `a`.
bool spans(const Range& range) {
  return range.a_to > range.a && store::schema(range.space).shape != KeyShape::kId;
}

bool in_range(const Range& range, const Key& key) {
  if (key.space != range.space) return false;
  const KeyShape shape = store::schema(range.space).shape;
  if (shape == KeyShape::kId) return range.from <= key.a && key.a <= range.to;
  if (spans(range) && key.a != range.a) return range.a < key.a && key.a <= range.a_to;
  if (key.a != range.a) return false;
  if (shape == KeyShape::kPair) return range.from <= key.b && (spans(range) || key.b <= range.to);
  return key.name > range.after ||
         (range.include_empty_name && range.after.empty() && key.name.empty());
}

class Store final : public store::Backend, private base::ForkGuard {
 public:
  explicit Store(std::string name) : name_(std::move(name)) {
    static std::atomic<std::uint64_t> made{0};
    identity_ = "memory:" + std::to_string(++made);
    std::random_device random;
    while (constant_ == 0) constant_ = (std::uint64_t{random()} << 32) | random();
  }

  std::optional<Record> load(const Key& key) override {
    const std::scoped_lock lock(mutex_);
    return at(key, newest_);
  }

  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override {
    const std::scoped_lock lock(mutex_);
    reclaiming = !scan_at({.space = store::Space::kOrphan, .a = 0}, 1, newest_, {}).empty();
    return at({.space = store::Space::kNode, .a = id}, newest_);
  }

  std::unique_ptr<store::View> view() override;
  std::unique_ptr<store::WriteTransaction> begin(store::Deadline deadline) override;

  void hold_owner(std::int64_t owner) override {
    const std::scoped_lock lock(mutex_);
    owners_.insert(owner);
  }
  bool owner_alive(std::int64_t owner) override {
    const std::scoped_lock lock(mutex_);
    return owners_.contains(owner);
  }

  [[nodiscard]] bool read_only() const override { return false; }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const std::string& identity() const override { return identity_; }
  [[nodiscard]] std::uint64_t store_constant() const override { return constant_; }
  void maintain() override {}
  std::vector<std::string> check() override { return {}; }
  [[nodiscard]] std::uint64_t size_on_disk() const override { return 0; }

 private:
  friend class Snapshot;
  friend class Transaction;
  /// What a transaction has applied; looked at before the map.
  using Overlay = std::map<Key, std::optional<Record>>;

  std::optional<Record> at(const Key& key, Commit commit) const {
    const auto found = records_.find(key);
    return found == records_.end() ? std::nullopt : seen(found->second, commit);
  }

  /// The last version not after a commit.
  static std::optional<Record> seen(const std::vector<Version>& versions, Commit commit) {
    for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
      if (it->commit <= commit) return it->record;
    }
    return std::nullopt;
  }

  std::vector<Row> scan_at(const Range& range, std::size_t limit, Commit commit,
                           const Overlay& overlay) const {
    std::vector<Row> rows;
    // Records and changes side by side; where both have a key, the change counts.
    const auto merge = [&](auto record, auto records, auto change, auto changes, auto&& before) {
      while (rows.size() < limit) {
        if (record != records && !in_range(range, record->first)) record = records;
        if (change != changes && !in_range(range, change->first)) change = changes;
        if (change != changes && (record == records || !before(record->first, change->first))) {
          if (record != records && record->first == change->first) ++record;
          if (change->second) rows.push_back({change->first, *change->second});
          ++change;
        } else if (record != records) {
          if (auto version = seen(record->second, commit)) {
            rows.push_back({record->first, *std::move(version)});
          }
          ++record;
        } else {
          return;
        }
      }
    };
    if (range.reverse && !spans(range) && store::schema(range.space).shape != KeyShape::kName) {
      const Key last = last_key(range);
      merge(std::make_reverse_iterator(records_.upper_bound(last)), records_.rend(),
            std::make_reverse_iterator(overlay.upper_bound(last)), overlay.rend(),
            std::greater<>());
    } else {
      // A name range begins behind `after`, unless the empty name is wanted.
      const Key first = first_key(range);
      const bool with_first = in_range(range, first);
      merge(with_first ? records_.lower_bound(first) : records_.upper_bound(first), records_.end(),
            with_first ? overlay.lower_bound(first) : overlay.upper_bound(first), overlay.end(),
            std::less<>());
    }
    return rows;
  }

  void write(const Key& key, std::optional<Record> record) {
    records_[key].push_back({newest_, std::move(record)});
    stale_.insert(key);
  }

  /// Drops every version that no view can see any more.
  void prune() {
    const Commit oldest = views_.empty() ? newest_ : *views_.begin();
    for (auto key = stale_.begin(); key != stale_.end();) {
      const auto found = records_.find(*key);
      std::vector<Version>& versions = found->second;
      while (versions.size() > 1 && versions[1].commit <= oldest) versions.erase(versions.begin());
      if (versions.size() > 1 || versions[0].commit > oldest) {
        ++key;
        continue;
      }
      if (!versions[0].record) records_.erase(found);
      key = stale_.erase(key);
    }
  }

  void prepare_fork() noexcept override { mutex_.lock(); }
  void parent_after_fork() noexcept override { mutex_.unlock(); }
  void child_after_fork() noexcept override {
    views_.clear();
    owners_.clear();
    writing_ = false;
    mutex_.unlock();
  }

  std::string name_;
  std::string identity_;
  std::uint64_t constant_ = 0;

  std::mutex mutex_;
  std::map<Key, std::vector<Version>> records_;
  std::set<Key> stale_;
  std::multiset<Commit> views_;
  base::ForkEnrolment enrolment_{*this, base::kForkRankPool};
  std::set<std::int64_t> owners_;
  Commit newest_ = 0;
  bool writing_ = false;
};

/// A view: takes its snapshot with the first read, like every backend's.
class Snapshot : public store::WriteTransaction {
 public:
  explicit Snapshot(Store& store) : store_(store), generation_(base::fork_generation()) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  ~Snapshot() override {
    if (generation_ != base::fork_generation() || !begun_) return;
    const std::scoped_lock lock(store_.mutex_);
    store_.views_.erase(store_.views_.find(commit_));
    store_.prune();
  }

  std::optional<Record> load(const Key& key) override {
    const auto lock = enter();
    const auto changed = overlay_.find(key);
    return changed == overlay_.end() ? store_.at(key, commit_) : changed->second;
  }

  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::optional<Record> record = load(keys[i]);
      each(i, record ? &*record : nullptr);
    }
  }

  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    const auto lock = enter();
    return store_.scan_at(range, limit, commit_, overlay_);
  }

  // A plain view is handed out as a View, so nobody can call these on one.
  void apply(std::span<const Change>) override {}
  void savepoint(int) override {}
  void rollback_to(int) override {}
  void release(int) override {}
  void commit(std::uint64_t) override {}

 protected:
  std::unique_lock<std::mutex> enter() {
    if (generation_ != base::fork_generation()) {
      throw UsageError("this view of " + store_.name_ +
                       " was begun by the parent process; begin a new one in the child");
    }
    std::unique_lock lock(store_.mutex_);
    if (!begun_) {
      begun_ = true;
      commit_ = store_.newest_;
      store_.views_.insert(commit_);
    }
    return lock;
  }

  Store& store_;
  const std::uint64_t generation_;
  Store::Overlay overlay_;

 private:
  bool begun_ = false;
  Commit commit_ = 0;
};

class Transaction final : public Snapshot {
 public:
  explicit Transaction(Store& store) : Snapshot(store) { enter(); }

  ~Transaction() override {
    if (generation_ != base::fork_generation()) return;
    const std::scoped_lock lock(store_.mutex_);
    if (open_) store_.writing_ = false;
  }

  void apply(std::span<const Change> changes) override {
    const auto lock = enter_open();
    for (const Change& change : changes) {
      std::optional<Record> record;
      if (change.record) record = stored(change.key, *change.record);
      overlay_[change.key] = std::move(record);
    }
  }

  void savepoint(int depth) override {
    const auto lock = enter_open();
    require_depth(depth, savepoints_.size() + 1);
    savepoints_.resize(static_cast<std::size_t>(depth));
    savepoints_.push_back(overlay_);
  }

  void rollback_to(int depth) override {
    const auto lock = enter_open();
    require_depth(depth, savepoints_.size());
    savepoints_.resize(static_cast<std::size_t>(depth) + 1);
    overlay_ = savepoints_.back();
  }

  void release(int depth) override {
    const auto lock = enter_open();
    require_depth(depth, savepoints_.size());
    savepoints_.resize(static_cast<std::size_t>(depth));
  }

  void commit(std::uint64_t) override {
    const auto lock = enter_open();
    ++store_.newest_;
    for (auto& [key, record] : overlay_) store_.write(key, std::move(record));
    overlay_.clear();
    open_ = false;
    store_.writing_ = false;
    store_.prune();
  }

 private:
  std::unique_lock<std::mutex> enter_open() {
    auto lock = enter();
    if (!open_) throw UsageError("the transaction on " + store_.name_ + " was committed already");
    return lock;
  }

  void require_depth(int depth, std::size_t count) const {
    if (depth < 0 || static_cast<std::size_t>(depth) >= count) {
      throw UsageError("no savepoint of depth " + std::to_string(depth) +
                       " in the transaction on " + store_.name_);
    }
  }

  bool open_ = true;
  std::vector<Store::Overlay> savepoints_;
};

std::unique_ptr<store::View> Store::view() { return std::make_unique<Snapshot>(*this); }

std::unique_ptr<store::WriteTransaction> Store::begin(store::Deadline deadline) {
  for (;;) {
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

}  // namespace

std::unique_ptr<store::Backend> open(std::string name) {
  return std::make_unique<Store>(std::move(name));
}

}  // namespace graven::memory
