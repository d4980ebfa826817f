// SPDX-License-Identifier: MIT
//
// The core of a map: the common part of its implementations. Every item that is read is kept in a
// hot table (also the fact that a key has no item). Below the hot table, a StoredMap has the store;
// a PendingMap has the unflushed items and then the store.
//
// Always holds: the hot table has the same item for a key as a read from below would give. Only
// while this process writes that key, a reader may see the old or the new item. An expired item is
// never shown, even if it is not erased yet.
//
// Shared by all handles of this process on the map. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/map.hpp>

#include "base/function_ref.hpp"
#include "cache/cache.hpp"
#include "cache/tiers.hpp"
#include "map/value.hpp"
#include "observe/hit_counter.hpp"
#include "port/record.hpp"
#include "store/iterations.hpp"
#include "store/store.hpp"

namespace graven::map {

/// Milliseconds since 1970, UTC; 0: never.
using Expiry = std::int64_t;
Expiry now();

/// What is stored under a key.
struct Item {
  ValueKind kind = ValueKind::kNull;
  Expiry expires = 0;
  std::string bytes{};

  [[nodiscard]] bool expired(Expiry at) const noexcept { return expires != 0 && expires <= at; }
};

inline MapValue value_of(const Item& item) {
  return {static_cast<MapValue::Kind>(item.kind), item.bytes};
}

/// One write: an item, or nothing to erase it.
struct Write {
  std::string key;
  std::optional<Item> item;
};

/// Keeps only the last of several writes to the same key, and sorts the writes by key.
void keep_last(std::vector<Write>& writes);

/// The items that this process keeps in memory and in the warm file.
class HotItems {
 public:
  HotItems(std::size_t capacity, cache::Tiers::WarmPlace warm, bool stamped)
      : capacity_(capacity),
        tiers_({.max_entries = capacity}, std::move(warm), kMissing, stamped) {}

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  static std::uint64_t hash(std::string_view key) noexcept { return port::item_hash(key); }

  enum class Found : std::uint8_t { kUnknown, kMissing, kShown };

  /// Calls `shown` with the value, if the key is known to have one.
  template <class Shown>
  Found show(std::string_view key, std::uint64_t hash, Shown&& shown) const {
    return show(key, hash, shown, [] {});
  }
  /// The same. Also calls `rare` if the item expires some time, or is known to be missing.
  template <class Shown, class Rare>
  Found show(std::string_view key, std::uint64_t hash, Shown&& shown, Rare&& rare) const {
    // The item may be in either table, so prefetch from both at once.
    if (tiers_.warm()) [[unlikely]]
      tiers_.expect_warm(hash);
    auto found = Found::kUnknown;
    tiers_.hot().visit(key, hash, [&](std::string_view bytes, std::uint8_t kind) {
      if (kind <= kLastKind) [[likely]] {
        found = Found::kShown;
        shown(MapValue{static_cast<MapValue::Kind>(kind), bytes});
      } else {
        found = show_rare(kind, bytes, shown);
        rare();
      }
    });
    return found;
  }
  /// The same, but returns the item, also an expired one. Outer optional: whether it is known.
  [[nodiscard]] std::optional<std::optional<Item>> find(std::string_view key,
                                                        std::uint64_t hash) const;
  /// show() for many keys, several times as fast. Appends the indexes of unknown keys to `unknown`.
  void show_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown,
                 std::vector<std::size_t>& unknown) const;
  void put(std::string_view key, std::uint64_t hash, const std::optional<Item>& item,
           bool only_if_absent);
  void forget(std::string_view key, std::uint64_t hash) { tiers_.forget(key, hash); }
  [[nodiscard]] cache::HotChanges::Stamp stamp(std::uint64_t hash) const noexcept {
    return tiers_.hot().stamp(hash);
  }

  /// Whether the key has an item, expired or not; nothing if that is not known.
  [[nodiscard]] std::optional<bool> has(std::string_view key, std::uint64_t hash) const;

  /// The item in the warm file. To promote it to the hot table, call put(…, true), which keeps an
  /// item that was put meanwhile.
  std::optional<Item> find_warm(std::string_view key, std::uint64_t hash);

  [[nodiscard]] cache::Tiers& tiers() noexcept { return tiers_; }
  [[nodiscard]] const cache::Tiers& tiers() const noexcept { return tiers_; }

 private:
  static constexpr auto kLastKind = static_cast<std::uint8_t>(ValueKind::kJson);
  static constexpr std::uint8_t kExpires = 0x40;  // the first 8 bytes are the time
  static constexpr std::uint8_t kMissing = 0x7f;
  static constexpr std::size_t kLongestKept = std::size_t{1} << 20U;

  template <class Shown>
  static Found show_rare(std::uint8_t kind, std::string_view bytes, Shown& shown) {
    if (kind == kMissing) return Found::kMissing;
    const Item item = unpack(kind, bytes);
    if (item.expired(now())) return Found::kMissing;
    shown(value_of(item));
    return Found::kShown;
  }
  static Item unpack(std::uint8_t kind, std::string_view bytes);

  const std::size_t capacity_;
  cache::Tiers tiers_;
};

/// Keys with `from` <= key < `to` (none: no end), from the greatest one down if `reverse`; no more
/// than `limit` are wanted.
struct Interval {
  std::string from{};
  std::optional<std::string> to{};
  bool reverse = false;
  std::size_t limit = SIZE_MAX;

  [[nodiscard]] bool empty() const noexcept { return limit == 0 || (to && *to <= from); }
  [[nodiscard]] bool has(std::string_view key) const noexcept {
    return from <= key && (!to || key < *to);
  }
};

/// Reads the items in key order or its reverse, some at a time. One thread at a time.
class Scan {
 public:
  virtual ~Scan() = default;
  /// The next items, none of them expired; false if there are no more.
  virtual bool next(std::vector<std::pair<std::string, Item>>& items) = 0;
};

class Core;

/// Registers that the current thread iterates over a map.
class Iterating {
 public:
  explicit Iterating(Core& core);
  /// UsageError if the thread added keys meanwhile.
  void require_none_added() const;

 private:
  std::shared_ptr<store::Iterations::Iteration> iteration_;
  std::int64_t before_;
};

class Core {
 public:
  /// What the function passed to edit() decides.
  struct Edit {
    enum class Action : std::uint8_t { kKeep, kPut, kErase } action = Action::kKeep;
    Item item{};
  };
  using Shown = base::FunctionRef<void(const MapValue&)>;
  using Decide = base::FunctionRef<Edit(const Item*)>;

  virtual ~Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Calls `shown` with the value of the key; false if there is none.
  template <class F>
  bool read(std::string_view key, F&& shown) {
    const std::uint64_t hash = HotItems::hash(key);
    if (fresh()) [[likely]] {
      const auto found = hot_.show(key, hash, shown);
      if (found != HotItems::Found::kUnknown) [[likely]] {
        hits_.add();
        return found == HotItems::Found::kShown;
      }
    }
    return read_below(key, hash, shown);
  }
  /// The same, if the value is in the hot table. Never waits for the store.
  template <class F>
  HotItems::Found peek(std::string_view key, F&& shown) {
    if (!fresh()) return HotItems::Found::kUnknown;
    const auto found = hot_.show(key, HotItems::hash(key), shown);
    if (found != HotItems::Found::kUnknown) hits_.add();
    return found;
  }
  using Stamp = cache::HotChanges::Stamp;
  /// The same, and sets a stripe version (stamp). While it is usable and unchanged() is true, the
  /// value that was shown is still the current one.
  template <class F>
  HotItems::Found peek(std::string_view key, std::uint64_t hash, Stamp& stamp, F&& shown) {
    stamp = {};
    if (!fresh()) return HotItems::Found::kUnknown;
    const Stamp before = hot_.stamp(hash);
    bool lasting = true;
    const auto found = hot_.show(key, hash, shown, [&] { lasting = false; });
    if (found == HotItems::Found::kUnknown) return found;
    hits_.add();
    if (lasting) stamp = before;
    return found;
  }
  /// Whether the key's value is surely the same as when peek() set `stamp`. If true, this counts as
  /// a read.
  bool unchanged(std::uint64_t hash, const Stamp& stamp) {
    if (!fresh() || !stamp.usable || hot_.stamp(hash) != stamp) return false;
    hits_.add();
    return true;
  }
  /// A number that identifies the state of the hot table; see Map::state().
  virtual std::optional<std::uint64_t> state() = 0;
  /// Reads many keys from one state. Calls `shown(i, value)` once for each key, in any order, with
  /// nullptr if there is no item. A call shown(SIZE_MAX, nullptr) means: discard everything shown
  /// before; all keys follow again.
  virtual void read_many(std::span<const std::string_view> keys,
                         base::FunctionRef<void(std::size_t, const MapValue*)> shown) = 0;
  /// The same from the hot table only; never waits for the store. Use what was shown only if this
  /// returns true.
  virtual bool peek_many(std::span<const std::string_view> keys,
                         base::FunctionRef<void(std::size_t, const MapValue*)> shown) = 0;

  /// Does all writes in one atomic step. If a key occurs twice, the last write counts. Moves from
  /// the elements of `writes`.
  virtual void write(std::span<Write> writes) = 0;
  /// Does one write if that is possible without waiting; else returns false.
  virtual bool try_write(std::string_view, Item&) { return false; }
  /// Reads the item and does what `decide` returns, with no other write in between. `decide` must
  /// not use the map, and may be called several times.
  virtual void edit(std::string_view key, Decide decide) = 0;
  /// Erases these keys in one atomic step. Returns what was there under each; of a key that comes
  /// twice, only the first time.
  virtual std::vector<std::optional<Item>> take_many(std::span<const std::string_view> keys) = 0;
  /// The item of the key, which says when it expires.
  virtual std::optional<Item> item(std::string_view key) = 0;
  virtual void clear() = 0;
  /// Runs `body`, which may use the map. If the implementation supports it, other writers wait
  /// meanwhile, and the writes of `body` are one atomic step, undone if it throws.
  virtual void alone(base::FunctionRef<void()> body) { body(); }

  virtual std::uint64_t size() = 0;
  /// A scan of the keys of an interval. It may go on after its limit.
  virtual std::unique_ptr<Scan> scan(const Interval& interval) = 0;

  virtual void flush() = 0;
  virtual void sync() = 0;
  /// Flushes the map and closes it for all handles.
  virtual void close() = 0;
  [[nodiscard]] virtual MapStats stats() const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  [[nodiscard]] Persist persist() const noexcept { return persist_; }
  [[nodiscard]] bool in_transaction() const noexcept {
    return transactions_ != nullptr && transactions_->in_transaction();
  }
  /// True in a forked child if only the parent may use the map.
  [[nodiscard]] bool abandoned() const noexcept {
    return abandoned_.load(std::memory_order_relaxed);
  }

 protected:
  Core(const MapOptions& options, cache::Tiers::WarmPlace warm, cache::Cache* cache,
       store::Store* transactions)
      : hot_(options.hot_capacity, std::move(warm), options.stamps),
        cache_(cache),
        transactions_(transactions),
        name_(options.name),
        persist_(options.persist) {}

  /// Whether this thread may use the hot table now.
  [[nodiscard]] bool fresh() {
    return barred_.load(std::memory_order_acquire) == 0 &&
           (cache_ == nullptr || (cache_->current() && !transactions_->in_transaction()));
  }
  virtual bool read_below(std::string_view key, std::uint64_t hash, Shown shown) = 0;
  /// Counts one read of the store.
  void count_stored(bool found) noexcept {
    (found ? store_hits_ : store_misses_).fetch_add(1, std::memory_order_relaxed);
  }
  /// To be called before every write. An iteration of the same thread throws if keys were added,
  /// because otherwise it might never end.
  void note_added(std::span<const Write> writes) {
    if (iterations_.any()) [[unlikely]]
      look_for_added(writes);
  }
  [[nodiscard]] store::Iterations& iterations() noexcept { return iterations_; }
  void note_added(std::string_view key) {
    if (iterations_.any()) [[unlikely]]
      look_for_added(key);
  }
  /// Throws ClosedError if closed; UsageError in a forked child that cannot use the map.
  void require_open() const;
  void end() noexcept {
    barred_.fetch_or(kEnded);
    closed_.store(true);
  }

  HotItems hot_;
  cache::Cache* const cache_;         // tells if the hot table is current; nullptr: it always is
  store::Store* const transactions_;  // a thread in its transaction must not use the hot table
  // Not 0 while the hot table must not be used: kEnded after the end, plus the number of multi-key
  // changes in progress, so that no reader sees only a part of such a change.
  static constexpr std::uint32_t kEnded = std::uint32_t{1} << 31U;
  std::atomic<std::uint32_t> barred_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> store_hits_{0};
  std::atomic<std::uint64_t> store_misses_{0};
  observe::HitCounter hits_;  // hits of the hot table, including keys known to be missing

 private:
  void look_for_added(std::span<const Write> writes);
  void look_for_added(std::string_view key);

  friend class Session;
  friend class Iterating;
  store::Iterations iterations_;  // over this map, the only container (number 0)
  std::atomic<int> users_{0};
  const std::string name_;
  const Persist persist_;
};

/// What one Map and its copies share: one opening of a core. The last session to be closed closes
/// the core.
class Session {
 public:
  explicit Session(std::shared_ptr<Core> core);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// ClosedError after close().
  [[nodiscard]] Core& core() const {
    if (closed_.load(std::memory_order_relaxed)) [[unlikely]]
      refuse();
    return *core_;
  }
  [[nodiscard]] const std::string& name() const noexcept { return core_->name(); }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  void close();

 private:
  [[noreturn]] void refuse() const;

  const std::shared_ptr<Core> core_;
  std::atomic<bool> closed_{false};
};

/// Opens the map of that name in the store; creates it if there is none. All openings in this
/// process share one core. UsageError if the map is open in another mode.
std::shared_ptr<Session> open(std::shared_ptr<store::Store> store, const MapOptions& options);
/// Flushes the lazy maps that this process has open on the store with this identity.
void flush_lazy(const std::string& store);
/// Opens a map that exists in memory only. `place`: the absolute path that was given as its name,
/// or empty.
std::shared_ptr<Session> open_in_memory(const MapOptions& options, std::string place);

}  // namespace graven::map
