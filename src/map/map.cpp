// SPDX-License-Identifier: MIT
//
// Map: the public class over a session and its core. Also keeps the list of open cores of this
// process. Any thread.
#include <graven/map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include <graven/error.hpp>

#include "base/fork.hpp"
#include "base/interrupt.hpp"
#include "map/core.hpp"
#include "map/interval.hpp"
#include "map/items.hpp"
#include "map/layout.hpp"
#include "map/pending_map.hpp"
#include "map/stored_map.hpp"
#include "observe/log_failure.hpp"

namespace graven {
namespace map {
namespace {

/// The open cores of maps in stores, by store and name.
class Cores final {
 public:
  // Never destroyed: maps may outlive static destruction.
  static Cores& get() {
    static auto* cores = new Cores;
    return *cores;
  }

  std::shared_ptr<Core> share(std::shared_ptr<store::Store> store, const MapOptions& options) {
    // One opening at a time; otherwise two openings could both take the map's lease.
    const auto opening = base::lock(*opening_);
    const std::pair<store::Store*, std::string> key{store.get(), options.name};
    // Declared before the lock, so that the core is not destroyed under it: fork() takes this lock
    // and then no ForkGuard may be removed.
    std::shared_ptr<Core> core;
    {
      const std::scoped_lock lock(mutex_);
      std::erase_if(cores_, [](const auto& entry) { return entry.second.expired(); });
      const auto open = cores_.find(key);
      if (open != cores_.end()) core = open->second.lock();
      if (core && !core->closed() && !core->abandoned()) {
        if (core->persist() != options.persist) {
          throw UsageError(fmt::format(
              "the map '{}' is open in this process with another persist mode; close it first",
              options.name));
        }
        return core;
      }
    }
    if (options.persist == Persist::kLazy) {
      core = std::make_shared<PendingMap>(std::move(store), options);
    } else {
      core = std::make_shared<StoredMap>(std::move(store), options);
    }
    const std::scoped_lock lock(mutex_);
    cores_[key] = core;
    return core;
  }

  /// The lazy maps of a store, in all openings of that store.
  std::vector<std::shared_ptr<Core>> lazy(const std::string& store) {
    std::vector<std::shared_ptr<Core>> all;  // so that no core is destroyed under the lock
    std::vector<std::shared_ptr<Core>> found;
    const std::scoped_lock lock(mutex_);
    all.reserve(cores_.size());
    found.reserve(cores_.size());
    for (const auto& [key, weak] : cores_) {
      std::shared_ptr<Core> core = weak.lock();
      if (!core) continue;  // if the core exists, so does its store
      if (core->persist() == Persist::kLazy && key.first->backend().facts().identity == store) {
        found.push_back(core);
      }
      all.push_back(std::move(core));
    }
    return found;
  }

 private:
  base::ForkRenewed<std::timed_mutex> opening_;
  base::ForkMutex mutex_{base::kForkRankRegistry};
  std::map<std::pair<store::Store*, std::string>, std::weak_ptr<Core>> cores_;  // mutex_
};

}  // namespace

std::shared_ptr<Session> open(std::shared_ptr<store::Store> store, const MapOptions& options) {
  if (options.persist == Persist::kLazy && store->backend().facts().read_only) {
    throw UsageError("a lazy map is for writing: open a read-only one with persist=writethrough");
  }
  return std::make_shared<Session>(Cores::get().share(std::move(store), options));
}

void flush_lazy(const std::string& store) {
  for (const std::shared_ptr<Core>& core : Cores::get().lazy(store)) {
    if (core->closed() || core->abandoned()) continue;
    try {
      core->flush();
    } catch (const ClosedError&) {
      // Another thread has just closed the map, and so flushed it.
    }
  }
}

std::shared_ptr<Session> open_in_memory(const MapOptions& options, std::string place) {
  check_name(options.name);
  return std::make_shared<Session>(
      std::make_shared<PendingMap>(nullptr, options, std::move(place)));
}

Session::Session(std::shared_ptr<Core> core) : core_(std::move(core)) {
  core_->users_.fetch_add(1);
}

Session::~Session() {
  const base::Uninterrupted to_the_end;
  try {
    close();
  } catch (...) {
    observe::log_failure("flush_failed", "map", name());
  }
}

void Session::close() {
  if (closed_.exchange(true)) return;
  if (core_->users_.fetch_sub(1) != 1) {
    // Another session has the map open. What was written through this one must still be in the
    // file now.
    if (!core_->abandoned()) core_->flush();
    return;
  }
  try {
    core_->close();
  } catch (...) {
    core_->users_.fetch_add(1);
    closed_ = false;
    throw;
  }
}

void Session::refuse() const { throw ClosedError(fmt::format("the map '{}' was closed", name())); }

namespace {

class ItemCursor final : public Cursor {
 public:
  ItemCursor(std::shared_ptr<Session> session, const Interval& interval)
      : session_(std::move(session)),
        iterating_(session_->core()),
        scan_(session_->core().scan(interval)),
        left_(interval.limit) {}

  bool next(std::string& key, Data* value) override {
    static_cast<void>(session_->core());
    require_none_added();
    if (left_ == 0) return false;
    while (at_ == items_.size()) {
      at_ = 0;
      if (!scan_->next(items_)) {
        items_.clear();
        return false;
      }
    }
    --left_;
    auto& [name, item] = items_[at_++];
    key = std::move(name);
    if (value != nullptr) *value = to_data(item);
    return true;
  }
  void require_none_added() const override { iterating_.require_none_added(); }

 private:
  std::shared_ptr<Session> session_;
  Iterating iterating_;
  std::unique_ptr<Scan> scan_;
  std::size_t left_;  // that may still be shown
  std::vector<std::pair<std::string, Item>> items_;
  std::size_t at_ = 0;
};

}  // namespace
}  // namespace map

using map::Core;
using map::Item;
using map::Write;

Data MapValue::to_data() const { return map::decode(static_cast<port::ValueKind>(kind), bytes); }

bool Map::show(Key key, ShowOne shown, void* callable) const {
  return session_->core().read(key, [&](const MapValue& value) { shown(callable, value); });
}

std::optional<bool> Map::peek_at(Key key, ShowOne shown, void* callable) const {
  using Found = map::HotItems::Found;
  const Found found =
      session_->core().peek(key, [&](const MapValue& value) { shown(callable, value); });
  if (found == Found::kUnknown) return std::nullopt;
  return found == Found::kShown;
}

std::uint64_t Map::hash(Text key) noexcept { return map::HotItems::hash(key); }

std::optional<bool> Map::peek_stamped(Key key, std::uint64_t hash, MapStamp& stamp, ShowOne shown,
                                      void* callable) const {
  using Found = map::HotItems::Found;
  map::Core::Stamp taken;
  const Found found = session_->core().peek(key, hash, taken,
                                            [&](const MapValue& value) { shown(callable, value); });
  stamp = {taken.stripe, taken.table, taken.usable};
  if (found == Found::kUnknown) return std::nullopt;
  return found == Found::kShown;
}

bool Map::unchanged(std::uint64_t hash, const MapStamp& stamp) const {
  static_assert(kNeighbourhoods == cache::HotChanges::kStripes);
  return session_->core().unchanged(hash, {stamp.neighbours, stamp.map, stamp.usable});
}

std::optional<std::uint64_t> Map::state() const { return session_->core().state(); }

void Map::show_many(std::span<const Key> keys, ShowMany shown, void* callable) const {
  session_->core().read_many(
      keys, [&](std::size_t i, const MapValue* value) { shown(callable, i, value); });
}

bool Map::peek_at_many(std::span<const Key> keys, ShowMany shown, void* callable) const {
  return session_->core().peek_many(
      keys, [&](std::size_t i, const MapValue* value) { shown(callable, i, value); });
}

std::optional<Data> Map::get(Text key) const {
  std::optional<Data> found;
  session_->core().read(key, [&](const MapValue& value) { found = value.to_data(); });
  return found;
}

Data Map::at(Text key) const {
  if (auto found = get(key)) return *std::move(found);
  throw KeyNotFound(fmt::format("the map '{}' has no key '{}'", name(), key));
}

bool Map::contains(Text key) const {
  return session_->core().read(key, [](const MapValue&) {});
}

std::vector<std::optional<Data>> Map::get_many(std::span<const Key> keys) const {
  std::vector<std::optional<Data>> values(keys.size());
  session_->core().read_many(keys, [&](std::size_t i, const MapValue* value) {
    if (i == SIZE_MAX) {
      std::fill(values.begin(), values.end(), std::nullopt);
    } else if (value != nullptr) {
      values[i] = value->to_data();
    }
  });
  return values;
}

void Map::set(Text key, const Data& value, std::optional<std::chrono::milliseconds> ttl) const {
  Core& core = session_->core();
  Write one{std::string(key), map::make_item(key, value, ttl)};
  core.write({&one, 1});
}

void Map::set_value(Text key, const MapValue& value,
                    std::optional<std::chrono::milliseconds> ttl) const {
  Core& core = session_->core();
  Write one{std::string(key), map::make_item(key, value, ttl)};
  core.write({&one, 1});
}

bool Map::try_set_value(Text key, const MapValue& value) const {
  Core& core = session_->core();
  if (core.persist() == Persist::kWritethrough) return false;
  Item item = map::make_item(key, value);
  return core.try_write(key, item);
}

namespace {

template <class Entry, class ToWrite>
void write_all(Core& core, std::span<const Entry> entries, const ToWrite& to_write) {
  std::vector<Write> writes;
  writes.reserve(entries.size());
  for (const Entry& entry : entries) writes.push_back(to_write(entry));
  map::keep_last(writes);
  if (!writes.empty()) core.write(writes);
}

}  // namespace

void Map::update(std::span<const std::pair<std::string, Data>> entries,
                 std::optional<std::chrono::milliseconds> ttl) const {
  write_all(session_->core(), entries, [&](const auto& entry) {
    return Write{entry.first, map::make_item(entry.first, entry.second, ttl)};
  });
}

void Map::update(std::span<const MapEntry> entries,
                 std::optional<std::chrono::milliseconds> ttl) const {
  write_all(session_->core(), entries, [&](const MapEntry& entry) {
    return Write{std::string(entry.key), map::make_item(entry, ttl)};
  });
}

bool Map::erase(Text key) const {
  bool erased = false;
  session_->core().edit(key, [&](const Item* old) -> Core::Edit {
    erased = old != nullptr;
    return {erased ? Core::Edit::Action::kErase : Core::Edit::Action::kKeep, {}};
  });
  return erased;
}

std::size_t Map::erase_many(std::span<const Key> keys) const {
  Core& core = session_->core();
  if (keys.empty()) return 0;
  const std::vector<std::optional<Item>> taken = core.take_many(keys);
  return static_cast<std::size_t>(
      std::count_if(taken.begin(), taken.end(), [](const auto& item) { return item.has_value(); }));
}

std::vector<std::optional<Data>> Map::pop_many(std::span<const Key> keys) const {
  Core& core = session_->core();
  std::vector<std::optional<Data>> values(keys.size());
  if (keys.empty()) return values;
  const std::vector<std::optional<Item>> taken = core.take_many(keys);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i]) values[i] = map::to_data(*taken[i]);
  }
  return values;
}

std::optional<Data> Map::pop(Text key) const {
  std::optional<Data> popped;
  session_->core().edit(key, [&](const Item* old) -> Core::Edit {
    popped.reset();
    if (old == nullptr) return {};
    popped = map::to_data(*old);
    return {Core::Edit::Action::kErase, {}};
  });
  return popped;
}

std::optional<std::pair<std::string, Data>> Map::popitem() const {
  std::string key;
  while (cursor({.limit = 1})->next(key, nullptr)) {
    if (auto value = pop(key)) return std::pair{std::move(key), *std::move(value)};
  }
  return std::nullopt;
}

void Map::clear() const { session_->core().clear(); }

std::size_t Map::size() const { return session_->core().size(); }

std::shared_ptr<map::Cursor> Map::cursor(const MapRange& range) const {
  return std::make_shared<map::ItemCursor>(session_, map::interval_of(range));
}

namespace {

std::optional<std::pair<std::string, Data>> first_of(const Map& map, bool reverse) {
  std::pair<std::string, Data> entry;
  if (!map.cursor({.reverse = reverse, .limit = 1})->next(entry.first, &entry.second)) return {};
  return entry;
}

}  // namespace

std::optional<std::pair<std::string, Data>> Map::first() const { return first_of(*this, false); }

std::optional<std::pair<std::string, Data>> Map::last() const { return first_of(*this, true); }

void Map::flush() const { session_->core().flush(); }

void Map::wait_durable() const { session_->core().sync(); }

MapStats Map::stats() const { return session_->core().stats(); }

bool Map::in_transaction() const { return session_->core().in_transaction(); }

const std::string& Map::name() const& { return session_->name(); }

Persist Map::persist() const { return session_->core().persist(); }

bool Map::closed() const noexcept { return session_.get() == nullptr || session_->closed(); }

void Map::close() const { session_->close(); }

}  // namespace graven
