// SPDX-License-Identifier: MIT
//
// Reads below the hot table, and writes that are mutations of the store. Erasing expired items is
// in stored_expiry.cpp. See stored_map.hpp.
#include "map/stored_map.hpp"

#include <algorithm>
#include <utility>

#include "base/of_thread.hpp"
#include "map/interval.hpp"
#include "map/layout.hpp"
#include "port/scan.hpp"

namespace graven::map {

using port::Change;
using port::Key;
using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Work;

namespace {

constexpr std::size_t kRowsAtATime = 256;
constexpr std::size_t kCountedOneByOne =
    1000;  // after more writes at once, the items must be counted again

}  // namespace

StoredMap::StoredMap(std::shared_ptr<store::Store> store, const MapOptions& options)
    : Core(options,
           {store->backend().facts().cache_path, std::min(options.warm_bytes, store->warm_limit())},
           &store->cache(), store.get()),
      store_(std::move(store)),
      use_(store_),
      limits_{.busy = options.busy_timeout},
      id_(open_id(*store_, options.name, limits_)),
      sweeper_([this] { return sweep(); }) {
  if (any_timed(*store_->view(), id_)) note_timed();
  table_part_ = store_->table_share().join(
      [this](std::size_t bytes) { hot_.tiers().bound(bytes, hot_.capacity()); });
  store_->cache().join(id_, *this);
}

StoredMap::~StoredMap() { StoredMap::close(); }

void StoredMap::close() {
  if (closed()) return;
  end();
  store_->end_of(this);  // a function called by alone() may still run
  sweeper_.stop();
  store_->cache().leave(id_);
  hot_.tiers().close();
  use_.end();
}

void StoredMap::flush() {
  require_open();
  if (!store_->in_transaction()) store_->flush();  // else the transaction's end decides
}

void StoredMap::sync() {
  require_open();
  store_->sync(std::chrono::steady_clock::now() + limits_.busy);
}

// --- Reading

bool StoredMap::read_below(std::string_view key, std::uint64_t hash, Shown shown) {
  require_open();
  misses_.fetch_add(1, std::memory_order_relaxed);
  std::optional<Item> item;
  const bool in_passing = hot_.tiers().warm() && !worth_promoting() && fresh();
  if (in_passing && (item = hot_.find_warm(key, hash))) {
    if (item->expired(now())) return false;
    shown(value_of(*item));
    return true;
  }
  const Key record_key = item_key(id_, key);
  if (!store_->with_current([&](Work& work) { item = to_item_if(work.load(record_key)); })) {
    cache::Cache& cache = store_->cache();
    if (in_passing || !cache.current() || !promote(key, hash, item)) {
      std::optional<Record> record = cache.read_through(record_key);
      count_stored(record.has_value());
      item = to_item_if(std::move(record));
    }
  }
  if (!item || item->expired(now())) return false;
  shown(value_of(*item));
  return true;
}

/// True for one read in sixteen: items that are read often are promoted soon, others cost nothing.
bool StoredMap::worth_promoting() noexcept {
  struct Reads {
    unsigned count = 0;
  };
  return ++base::of_thread<Reads>().count % 16 == 0;
}

/// Finds the item in the warm file and copies it to the hot table.
bool StoredMap::promote(std::string_view key, std::uint64_t hash, std::optional<Item>& item) {
  return hot_.tiers().warm() && store_->cache().promote(
                                    hash,
                                    [&] {
                                      item = hot_.find_warm(key, hash);
                                      return item.has_value();
                                    },
                                    [&] { hot_.put(key, hash, item, true); });
}

void StoredMap::read_many(std::span<const std::string_view> keys,
                          base::FunctionRef<void(std::size_t, const MapValue*)> shown) {
  require_open();
  const Expiry time = now();
  const auto show_record = [&](std::size_t i, Record* record) {
    std::optional<Item> item;
    if (record != nullptr) item = to_item(std::move(*record));
    if (!item || item->expired(time)) return shown(i, nullptr);
    const MapValue value = value_of(*item);
    shown(i, &value);
  };
  if (store_->with_current([&](Work& work) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
          std::optional<Record> record = work.load(item_key(id_, keys[i]));
          show_record(i, record ? &*record : nullptr);
        }
      })) {
    return;
  }
  // Items from the hot table are of one state if the cache's sequence does not change meanwhile.
  // The rest comes from a view; it is of the same state if the state version (mark) did not change
  // either.
  cache::Cache& cache = store_->cache();
  const auto keys_of = [&](std::span<const std::size_t> which) {
    std::vector<Key> wanted;
    wanted.reserve(which.size());
    for (const std::size_t i : which) wanted.push_back(item_key(id_, keys[i]));
    return wanted;
  };
  std::vector<std::size_t> missing;
  if (const std::optional<std::uint64_t> sequence = cache.current_sequence()) {
    hot_.show_many(keys, shown, missing);
    if (missing.empty() && cache.sequence() == *sequence) return hits_.add(keys.size());
    if (cache.sequence() == *sequence) {
      const cache::Cache::Before before = cache.before();
      const std::unique_ptr<View> view = store_->view();
      const std::vector<Key> wanted = keys_of(missing);
      std::vector<std::optional<Record>> records(wanted.size());
      view->load_many(wanted, [&](std::size_t i, Record* record) {
        if (record != nullptr) records[i] = std::move(*record);
      });
      if (cache.strictly_current() && cache.sequence() == *sequence) {
        hits_.add(keys.size() - missing.size());
        misses_.fetch_add(missing.size(), std::memory_order_relaxed);
        for (std::size_t i = 0; i < missing.size(); ++i) {
          cache.fill(before, wanted[i], records[i]);
          count_stored(records[i].has_value());
          show_record(missing[i], records[i] ? &*records[i] : nullptr);
        }
        return;
      }
    }
    shown(SIZE_MAX, nullptr);
  }
  std::vector<std::size_t> all(keys.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  misses_.fetch_add(keys.size(), std::memory_order_relaxed);
  store_->view()->load_many(keys_of(all), [&](std::size_t i, Record* record) {
    count_stored(record != nullptr);
    show_record(i, record);
  });
  cache.settle();
}

std::optional<std::uint64_t> StoredMap::state() {
  return fresh() ? store_->cache().current_sequence() : std::nullopt;
}

bool StoredMap::peek_many(std::span<const std::string_view> keys,
                          base::FunctionRef<void(std::size_t, const MapValue*)> shown) {
  const std::optional<std::uint64_t> sequence = state();
  if (!sequence) return false;
  std::vector<std::size_t> unknown;
  hot_.show_many(keys, shown, unknown);
  if (!unknown.empty() || store_->cache().sequence() != *sequence) return false;
  hits_.add(keys.size());
  return true;
}

std::optional<Item> StoredMap::item(std::string_view key) {
  require_open();
  std::optional<Item> item;
  std::optional<std::optional<Item>> known;
  if (fresh()) known = hot_.find(key, HotItems::hash(key));
  if (known) {
    hits_.add();
    item = *std::move(known);
  } else {
    misses_.fetch_add(1, std::memory_order_relaxed);
    const Key record_key = item_key(id_, key);
    if (!store_->with_current([&](Work& work) { item = to_item_if(work.load(record_key)); })) {
      item = to_item_if(store_->cache().read_through(record_key));
      count_stored(item.has_value());
    }
  }
  if (item && item->expired(now())) item.reset();
  return item;
}

/// Reads rows in chunks; each chunk is of the newest state.
class StoredMap::Rows final : public Scan {
 public:
  Rows(StoredMap& map, const Interval& interval) : map_(map), rest_(map.id_, interval) {}

  bool next(std::vector<std::pair<std::string, Item>>& items) override {
    items.clear();
    map_.require_open();
    const Expiry time = now();
    while (items.empty()) {
      if (rest_.ended()) return false;
      std::vector<Row> rows;
      const auto scan = [&](View& view) { rows = rest_.next(view); };
      if (!map_.store_->with_current([&](Work& work) { scan(work); })) {
        scan(*map_.store_->view());
        map_.store_->cache().settle();
      }
      for (Row& row : rows) {
        Item item = to_item(std::move(row.record));
        if (!item.expired(time)) items.emplace_back(std::move(row.key.name), std::move(item));
      }
    }
    return true;
  }

 private:
  StoredMap& map_;
  ItemPages rest_;
};

std::unique_ptr<Scan> StoredMap::scan(const Interval& interval) {
  require_open();
  return std::make_unique<Rows>(*this, interval);
}

// --- Writing

void StoredMap::mutate(base::FunctionRef<void(Work&)> mutation) {
  require_open();
  store_->write(
      [&](Work& work) {
        require_no_lazy_owner(work, *store_, name(), 0);
        mutation(work);
      },
      limits_);
  if (!store_->in_transaction()) store_->flush();
}

void StoredMap::put_item(Work& work, std::string_view key, std::optional<Item> item) {
  std::vector<Change> changes;
  const bool timed = item && item->expires != 0;
  append_changes(id_, key, item, changes);
  for (Change& change : changes) {
    if (change.record) {
      work.put(change.key, *std::move(change.record));
    } else {
      work.erase(change.key);
    }
  }
  if (timed) note_timed();
}

void StoredMap::write(std::span<Write> writes) {
  note_added(writes);
  std::vector<Change> changes;
  changes.reserve(writes.size());
  bool timed = false;
  for (const Write& one : writes) {
    append_changes(id_, one.key, one.item, changes);
    timed = timed || (one.item && one.item->expires != 0);
  }
  mutate([&](Work& work) {
    std::optional<std::int64_t> difference;
    if (counted() && writes.size() <= kCountedOneByOne) {
      difference = 0;
      for (const Write& one : writes) {
        const bool there = work.load(item_key(id_, one.key)).has_value();
        *difference += static_cast<int>(one.item.has_value()) - static_cast<int>(there);
      }
    }
    work.write_many(work.may_run_again() ? changes : std::move(changes));
    count_by(work, difference);
  });
  if (timed) note_timed();
}

void StoredMap::edit(std::string_view key, Decide decide) {
  bool added = false;
  mutate([&](Work& work) {
    const std::optional<Item> old = to_item_if(work.load(item_key(id_, key)));
    const bool there = old && !old->expired(now());
    Edit edit = decide(there ? &*old : nullptr);
    added = !there && edit.action == Edit::Action::kPut;
    switch (edit.action) {
      case Edit::Action::kKeep:
        return;
      case Edit::Action::kPut:
        put_item(work, key, std::move(edit.item));
        return count_by(work, old ? 0 : 1);
      case Edit::Action::kErase:
        put_item(work, key, std::nullopt);
        return count_by(work, old ? -1 : 0);
    }
  });
  if (added) iterations().changed(0, 1);
}

std::vector<std::optional<Item>> StoredMap::take_many(std::span<const std::string_view> keys) {
  std::vector<std::optional<Item>> taken(keys.size());
  mutate([&](Work& work) {
    const Expiry time = now();
    std::int64_t difference = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      taken[i] = to_item_if(work.load(item_key(id_, keys[i])));
      if (!taken[i]) continue;
      put_item(work, keys[i], std::nullopt);
      --difference;
      if (taken[i]->expired(time)) taken[i].reset();
    }
    if (difference != 0) count_by(work, difference);
  });
  return taken;
}

void StoredMap::clear() {
  mutate([&](Work& work) {
    std::vector<Change> changes;
    const auto erase = [&] { work.write_many(std::exchange(changes, {})); };
    port::each_row(work, items_of(id_), kRowsAtATime, [&](Row& row) {
      changes.push_back({std::move(row.key), std::nullopt});
      if (changes.size() == kRowsAtATime) erase();
    });
    if (!changes.empty()) erase();
    count_by(work, std::nullopt);
  });
}

void StoredMap::alone(base::FunctionRef<void()> body) {
  require_open();
  store::Step step = store_->begin(limits_, this);
  body();
  step.commit();
  if (!store_->in_transaction()) store_->flush();
}

// --- Counting

/// Whether the number of items is known; only then commits update it.
bool StoredMap::counted() {
  const std::scoped_lock lock(count_mutex_);
  return count_.has_value();
}

/// Notes by how much the current commit changes the count; nothing if that is not known. To be
/// called under the writer lock (Lane).
void StoredMap::count_by(const Work& work, std::optional<std::int64_t> difference) {
  if (work.empty()) return;
  const std::scoped_lock lock(count_mutex_);
  if (changing_ != work.commit_id()) {
    changing_ = work.commit_id();
    difference_ = 0;
  }
  // Inside a transaction, a savepoint may be rolled back, which is not tracked here.
  if (!difference || !difference_ || store_->in_transaction()) {
    difference_.reset();
  } else {
    *difference_ += *difference;
  }
}

void StoredMap::committed(std::uint64_t sequence, bool touched) {
  const std::scoped_lock lock(count_mutex_);
  if (!count_) return;
  if (count_sequence_ + 1 != sequence || (touched && !difference_)) return count_.reset();
  if (touched) *count_ += static_cast<std::uint64_t>(*difference_);
  count_sequence_ = sequence;
}

std::uint64_t StoredMap::size() {
  require_open();
  cache::Cache& cache = store_->cache();
  for (;;) {
    const std::uint64_t expired = timed_.load() ? erase_due() : 0;
    std::uint64_t count = 0;
    if (store_->with_current([&](Work& work) { count = work.count_items(id_); })) {
      return count - expired;
    }
    const std::optional<std::uint64_t> sequence = cache.current_sequence();
    if (sequence) {
      const std::scoped_lock lock(count_mutex_);
      if (count_ && count_sequence_ == *sequence) return *count_ - expired;
    }
    const std::unique_ptr<View> view = store_->view();
    count = view->count_items(id_);
    if (!timed_.load() && any_timed(*view, id_)) {
      note_timed();
      continue;
    }
    if (sequence && cache.strictly_current()) {
      const std::scoped_lock lock(count_mutex_);
      if (cache.sequence() == *sequence) {
        count_ = count;
        count_sequence_ = *sequence;
      }
    }
    cache.settle();
    return count - expired;
  }
}

// --- ItemCache: the hot table as a part of the store's cache

std::optional<std::optional<Record>> StoredMap::look(const Key& key) {
  const auto found = hot_.find(key.name, HotItems::hash(key.name));
  if (!found) return std::nullopt;
  std::optional<std::optional<Record>> record(std::in_place);
  if (*found) *record = to_record(**found);
  return record;
}

void StoredMap::put(const Key& key, const std::optional<Record>& record, bool only_if_absent) {
  hot_.put(key.name, HotItems::hash(key.name), to_item_if(record), only_if_absent);
}

void StoredMap::forget(const Key& key) { hot_.forget(key.name, HotItems::hash(key.name)); }

}  // namespace graven::map
