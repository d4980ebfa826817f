// SPDX-License-Identifier: MIT
//
// A map's inside: what all its ways of keeping items have in common. Every item looked at is kept
// in a hot table (so is the fact that there is none); below it are, in StoredMap, the store, and in
// PendingMap what has not been flushed, then the store.
//
// Always holds: what the hot table has of a key is what a read from below would give, but while a
// write of this process to that very key is under way, which may be seen before or after. An
// item whose time has come is never shown, whether it has been swept yet or not.
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

/// Of writes to the same key keeps the last, and orders them by key.
void keep_last(std::vector<Write>& writes);

/// The items this process remembers.
class HotItems {
 public:
  HotItems(std::size_t capacity, store::Tiers::WarmPlace warm, bool stamped)
      : capacity_(capacity),
        tiers_({.max_entries = capacity}, std::move(warm), kMissing, stamped) {}

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  static std::uint64_t hash(std::string_view key) noexcept { return store::item_hash(key); }

  enum class Found : std::uint8_t { kUnknown, kMissing, kShown };

  /// Shows the value, if the key is known to have one.
  template <class Shown>
  Found show(std::string_view key, std::uint64_t hash, Shown&& shown) const {
    return show(key, hash, shown, [] {});
  }
  /// The same. Calls `rare` where it will not be there for
  /// ever, or is known not to be there.
  template <class Shown, class Rare>
  Found show(std::string_view key, std::uint64_t hash, Shown&& shown, Rare&& rare) const {
    // It waits for both tables at once, where it may be in either.
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
  /// The same as an item; expired ones too.
  [[nodiscard]] std::optional<std::optional<Item>> find(std::string_view key,
                                                        std::uint64_t hash) const;
  /// show() for many, several times as fast; the places of those not known go into `unknown`.
  void show_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown,
                 std::vector<std::size_t>& unknown) const;
  void put(std::string_view key, std::uint64_t hash, const std::optional<Item>& item,
           bool only_if_absent);
  void forget(std::string_view key, std::uint64_t hash) { tiers_.forget(key, hash); }
  [[nodiscard]] store::HotChanges::Stamp stamp(std::uint64_t hash) const noexcept {
    return tiers_.hot().stamp(hash);
  }

  /// Whether there is one, expired or not, if known.
  [[nodiscard]] std::optional<bool> has(std::string_view key, std::uint64_t hash) const;

  /// What the warm file has; to be promoted by put(…, true) if nothing was put meanwhile.
  std::optional<Item> find_warm(std::string_view key, std::uint64_t hash);

  [[nodiscard]] store::Tiers& tiers() noexcept { return tiers_; }
  [[nodiscard]] const store::Tiers& tiers() const noexcept { return tiers_; }

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
  store::Tiers tiers_;
};

/// The items in order of their keys, some at a time. One thread at a time.
class Scan {
 public:
  virtual ~Scan() = default;
  /// The next few, none of them expired; false when that were all.
  virtual bool next(std::vector<std::pair<std::string, Item>>& items) = 0;
};

class Core;

/// That its thread is iterating over a map.
class Iterating {
 public:
  explicit Iterating(Core& core);
  /// UsageError once the thread has added keys.
  void require_none_added() const;

 private:
  std::shared_ptr<store::Iterations::Iteration> iteration_;
  std::int64_t before_;
};

class Core {
 public:
  /// What edit() decides.
  struct Edit {
    enum class Action : std::uint8_t { kKeep, kPut, kErase } action = Action::kKeep;
    Item item{};
  };
  using Shown = base::FunctionRef<void(const MapValue&)>;
  using Decide = base::FunctionRef<Edit(const Item*)>;

  virtual ~Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Shows the value under the key; false when there is none.
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
  /// The same, if it can be told without waiting for the store.
  template <class F>
  HotItems::Found peek(std::string_view key, F&& shown) {
    if (!fresh()) return HotItems::Found::kUnknown;
    const auto found = hot_.show(key, HotItems::hash(key), shown);
    if (found != HotItems::Found::kUnknown) hits_.add();
    return found;
  }
  using Stamp = store::HotChanges::Stamp;
  /// The same, and a stamp: usable if what was shown is the value as long as unchanged().
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
  /// Counts as a read when it is true.
  bool unchanged(std::uint64_t hash, const Stamp& stamp) {
    if (!fresh() || !stamp.usable || hot_.stamp(hash) != stamp) return false;
    hits_.add();
    return true;
  }
  /// A number of the state the hot table is in, see Map::state().
  virtual std::optional<std::uint64_t> state() = 0;
  /// Shows what is there of many keys, of one state: `shown(i, value)`, with nullptr where there is
  /// nothing; each once, in any order, or, after shown(SIZE_MAX, nullptr), all over again.
  virtual void read_many(std::span<const std::string_view> keys,
                         base::FunctionRef<void(std::size_t, const MapValue*)> shown) = 0;
  /// The same, if it can be told without waiting for the store: what was shown counts if true.
  virtual bool peek_many(std::span<const std::string_view> keys,
                         base::FunctionRef<void(std::size_t, const MapValue*)> shown) = 0;

  /// All of them in one step; of a key that comes twice the last counts. Takes the writes apart.
  virtual void write(std::span<Write> writes) = 0;
  /// One of them, if that can be done without waiting; else false.
  virtual bool try_write(std::string_view, Item&) { return false; }
  /// Reads the item and does what `decide` says, with no other write between. `decide` must not
  /// use the map, and may be called again.
  virtual void edit(std::string_view key, Decide decide) = 0;
  /// Erases those that are there, in one step; how many.
  virtual std::size_t erase_many(std::span<const std::string_view> keys) = 0;
  virtual void clear() = 0;
  /// Runs `body`, which may use the map and anything else, while others wait to write, where that
  /// can be arranged; its writes are one step then, undone if it throws.
  virtual void alone(base::FunctionRef<void()> body) { body(); }

  virtual std::uint64_t size() = 0;
  /// From the first key on.
  virtual std::unique_ptr<Scan> scan() = 0;

  virtual void flush() = 0;
  virtual void sync() = 0;
  /// Flushes and ends it, for all.
  virtual void close() = 0;
  [[nodiscard]] virtual MapStats stats() const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  [[nodiscard]] Persist persist() const noexcept { return persist_; }
  [[nodiscard]] bool in_transaction() const noexcept {
    return transactions_ != nullptr && transactions_->in_transaction();
  }
  /// In a forked child: it is the parent's alone.
  [[nodiscard]] bool abandoned() const noexcept {
    return abandoned_.load(std::memory_order_relaxed);
  }

 protected:
  Core(const MapOptions& options, store::Tiers::WarmPlace warm, store::Cache* cache,
       store::Store* transactions)
      : hot_(options.hot_capacity, std::move(warm), options.stamps),
        cache_(cache),
        transactions_(transactions),
        name_(options.name),
        persist_(options.persist) {}

  /// Whether the hot table may be asked now, by this thread.
  [[nodiscard]] bool fresh() {
    return barred_.load(std::memory_order_acquire) == 0 &&
           (cache_ == nullptr || (cache_->current() && !transactions_->in_transaction()));
  }
  virtual bool read_below(std::string_view key, std::uint64_t hash, Shown shown) = 0;
  /// Counts a read of the store.
  void count_stored(bool found) noexcept {
    (found ? store_hits_ : store_misses_).fetch_add(1, std::memory_order_relaxed);
  }
  /// Of every write, before it: an iteration of its own thread ends where keys are added, or it
  /// might never.
  void note_added(std::span<const Write> writes) {
    if (iterations_.any()) [[unlikely]]
      look_for_added(writes);
  }
  [[nodiscard]] store::Iterations& iterations() noexcept { return iterations_; }
  void note_added(std::string_view key) {
    if (iterations_.any()) [[unlikely]]
      look_for_added(key);
  }
  /// ClosedError or, in a forked child where it cannot go on, UsageError.
  void require_open() const;
  void end() noexcept {
    barred_.fetch_or(kEnded);
    closed_.store(true);
  }

  HotItems hot_;
  store::Cache* const cache_;         // whose word counts for the hot table; nullptr: nobody's
  store::Store* const transactions_;  // in which a thread's transaction hides what is in there
  // Why the hot table may not be asked: kEnded, and a number for each change of several keys that
  // is under way, so that nobody sees one of them changed and then another one not.
  static constexpr std::uint32_t kEnded = std::uint32_t{1} << 31U;
  std::atomic<std::uint32_t> barred_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> store_hits_{0};
  std::atomic<std::uint64_t> store_misses_{0};
  base::HitCounter hits_;  // of the hot table, missing keys that it knows included

 private:
  void look_for_added(std::span<const Write> writes);
  void look_for_added(std::string_view key);

  friend class Session;
  friend class Iterating;
  store::Iterations iterations_;  // of the one container there is
  std::atomic<int> users_{0};
  const std::string name_;
  const Persist persist_;
};

/// What one Map and its copies share: an opening of a core. The last one to be closed closes it.
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

/// The map of that name in the store, opened, or made where there is none; the same core for all
/// who ask in this process. UsageError when it is open in another mode.
std::shared_ptr<Session> open(std::shared_ptr<store::Store> store, const MapOptions& options);
/// Flushes the lazy maps that this process has open on the store of that identity.
void flush_lazy(const std::string& store);
/// One in memory only. `place`: the absolute path that it was given for a name, or nothing.
std::shared_ptr<Session> open_in_memory(const MapOptions& options, std::string place);

}  // namespace graven::map
