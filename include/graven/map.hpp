// SPDX-License-Identifier: MIT
//
// Map: a flat mapping from text keys to values, kept in a store. Values are scalars (null, bool,
// integers of any size, floats, text, bytes) or plain nested data. Nested data is stored as one
// value: to change it, assign it again. For structures that are edited in place, see Dict and List.
//
// A Map is a small value: copies stand for the same map. Any number of threads may use it.
// One file can hold several maps, each with a name, beside its graph. With Persist::kWritethrough
// several processes may write, and a write inside a transaction of the same file and thread is part
// of it; with kLazy, and with kMemory under that file's path, such a write is a UsageError. Any
// call may throw ClosedError after close(), BusyError and UnavailableError; a write also
// LimitError, WrongTypeError and BadValueError, before anything has changed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/data.hpp>
#include <graven/database.hpp>

namespace graven {

namespace map {
class Session;
}

struct MapOptions {
  /// 1 to 200 bytes of UTF-8 without control characters.
  std::string name = "main";
  Persist persist = Persist::kWritethrough;
  /// The largest number of entries that are cached in memory.
  std::size_t hot_capacity = 1'000'000;
  /// Bytes of the warm file, a file beside the store for entries that the memory has no room for.
  /// It is reserved when it is first needed and removed with the process. At least 64 KB; 0: none.
  std::size_t warm_bytes = std::size_t{64} << 20U;
  /// kLazy: the time between two flushes.
  std::chrono::milliseconds flush_interval{1000};
  /// kLazy: with more bytes of unflushed writes, writers wait for the disk.
  std::size_t pending_limit = std::size_t{256} << 20U;
  /// Like Options::memory_mb, which it sets for the whole file.
  std::size_t memory_mb = 0;
  bool read_only = false;
  /// Like Options::create.
  bool create = true;
  Synchronous synchronous = Synchronous::kNormal;
  std::chrono::milliseconds busy_timeout{30'000};
  /// Like Options::slow_operation, which it sets for the whole file; no effect with kMemory.
  std::chrono::milliseconds slow_operation{0};
  bool allow_network_file_system = false;
  /// Whether peek() returns usable stamps (the first opening of the map in this process decides).
  /// Costs 64 KB of memory, and some nanoseconds for each change.
  bool stamps = false;
};

/// The version of a key's stripe, a group of keys with similar hashes. It says whether a value that
/// was read is still current; see Map::unchanged().
struct MapStamp {
  std::uint64_t neighbours = 0;  ///< changes of keys of the stripe; below 2^48
  std::uint64_t map = 0;         ///< changes of all keys at once; below 2^48
  bool usable = false;
  bool operator==(const MapStamp&) const = default;
};

/// A value in the map's own memory; the view is valid during the call that it is passed to.
struct MapValue {
  enum class Kind : std::uint8_t {
    kNull,
    kFalse,
    kTrue,
    kInt,     ///< 8 bytes, the machine's byte order
    kBigInt,  ///< hexadecimal digits, as in BigInt
    kReal,    ///< 8 bytes, the machine's byte order
    kText,    ///< UTF-8
    kBytes,
    kJson,  ///< nested data, JSONB (docs/format/map.md)
  };
  Kind kind = Kind::kNull;
  std::string_view bytes{};

  [[nodiscard]] Data to_data() const;
};

/// One write of a batch: a scalar as its bytes or, if `data` is set, any value.
struct MapEntry {
  std::string_view key{};
  MapValue value{};
  const Data* data = nullptr;
};

/// Some of a map's entries: those whose keys begin with `prefix` and are not less than `start` but
/// less than `stop`, in the order of their UTF-8 bytes.
struct MapRange {
  std::string prefix{};
  std::optional<std::string> start{};
  std::optional<std::string> stop{};
  bool reverse = false;          ///< from the last key to the first
  std::size_t limit = SIZE_MAX;  ///< no more than so many
};

/// Counts of this process since the map was opened; each key of a batch counts. A read asks, until
/// one knows the key: the hot table, the pending writes, the warm file, the store.
struct MapStats {
  std::uint64_t hot_entries = 0;  ///< keys in the hot table, also keys known to be missing
  std::uint64_t hot_bytes = 0;
  std::uint64_t hot_hits = 0;   ///< reads answered by the hot table
  std::uint64_t misses = 0;     ///< other reads
  std::uint64_t evictions = 0;  ///< entries that the hot table dropped to make room
  std::uint64_t warm_entries = 0;
  std::uint64_t warm_bytes = 0;  ///< size of the warm file
  std::uint64_t warm_hits = 0;
  std::uint64_t warm_misses = 0;
  std::uint64_t store_hits = 0;    ///< reads that found their key in the store
  std::uint64_t store_misses = 0;  ///< reads that did not
  std::uint64_t pending = 0;       ///< writes that are not in the file yet
  std::uint64_t pending_bytes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t failed_flushes = 0;
};

namespace map {

/// Steps through the keys of a map, in order of their UTF-8 bytes or its reverse. One thread at a
/// time.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// The next key and its value; false at the end. `value` may be null where it is not wanted.
  virtual bool next(std::string& key, Data* value) = 0;
  /// Throws UsageError if next() would, because the thread that made this cursor has added keys.
  virtual void require_none_added() const = 0;
};

}  // namespace map

class Map {
 public:
  /// A key in a span of keys; a single key is a Text.
  using Key = std::string_view;

  /// Opens a map of the store at a path or URL (see Database); map and store are made if they are
  /// missing. With Persist::kMemory the path is only a name and nothing is read or written. A lazy
  /// map has one writer: BusyError, which names the process, while another process has it open
  /// lazily.
  explicit Map(Text url, const MapOptions& options = {});

  /// The value, or nothing.
  [[nodiscard]] std::optional<Data> get(Text key) const;
  /// The value; KeyNotFound when there is none.
  [[nodiscard]] Data at(Text key) const;
  [[nodiscard]] bool contains(Text key) const;
  /// Calls `shown(MapValue)` with the value; a value in memory is not copied. False if there is
  /// none. `shown` must not use the map.
  template <class Shown>
  bool read(Text key, Shown&& shown) const {
    return show(key, call<Shown>, address(shown));
  }
  /// The same without waiting for the store: nothing if that would be needed.
  template <class Shown>
  std::optional<bool> peek(Text key, Shown&& shown) const {
    return peek_at(key, call<Shown>, address(shown));
  }
  /// The hash that stamps use: keys whose hashes are equal modulo kNeighbourhoods are in the same
  /// stripe.
  [[nodiscard]] static std::uint64_t hash(Text key) noexcept;
  static constexpr std::size_t kNeighbourhoods = 8192;
  /// peek() that also returns the stripe version. If that is usable, the value stays current as
  /// long as unchanged() returns true. For programs that cache something made of the value.
  template <class Shown>
  std::optional<bool> peek(Text key, std::uint64_t hash, MapStamp& stamp, Shown&& shown) const {
    return peek_stamped(key, hash, stamp, call<Shown>, address(shown));
  }
  /// Whether a read would return the value that came with the stamp. Takes some nanoseconds. It may
  /// be false although the value is current, never true although it is not.
  [[nodiscard]] bool unchanged(std::uint64_t hash, const MapStamp& stamp) const;
  /// The number of the map's state: if two calls return the same number, all results of peek(),
  /// peek_many() and unchanged() between them are of one state. Nothing if the answer would need
  /// the store.
  [[nodiscard]] std::optional<std::uint64_t> state() const;
  /// The values of many keys, of one state of the map.
  [[nodiscard]] std::vector<std::optional<Data>> get_many(std::span<const Key> keys) const;
  /// The same without copies: calls `shown(i, const MapValue*)`, with null for a missing key, once
  /// for each key in any order. After shown(SIZE_MAX, nullptr) it begins again, and what was shown
  /// before is to be dropped. `shown` must not use the map.
  template <class Shown>
  void read_many(std::span<const Key> keys, Shown&& shown) const {
    show_many(keys, call_many<Shown>, address(shown));
  }
  /// The same without waiting for the store: false if that would be needed, and then what was shown
  /// is to be dropped.
  template <class Shown>
  bool peek_many(std::span<const Key> keys, Shown&& shown) const {
    return peek_at_many(keys, call_many<Shown>, address(shown));
  }

  /// Sets a key. After `ttl`, its time to live, the key is gone; without one it stays, also if it
  /// had a time to live before.
  void set(Text key, const Data& value,
           std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// set() of a scalar given as its bytes; UsageError for nested data and big integers.
  void set_value(Text key, const MapValue& value,
                 std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// The same without waiting: false if it would have to wait, and then nothing was done.
  [[nodiscard]] bool try_set_value(Text key, const MapValue& value) const;
  /// The value of the key; if it is missing, stores `value` and returns it. Atomic.
  Data setdefault(Text key, const Data& value,
                  std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// The value of the key; if it is missing, stores what `make` returns, unless another thread or
  /// process has done so meanwhile, and returns what is stored. No lock is held while `make` runs.
  Data get_or_set(Text key, const std::function<Data()>& make,
                  std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// Sets many keys atomically; if a key comes twice, the last one counts. `ttl` is for each key,
  /// as in set().
  void update(std::span<const std::pair<std::string, Data>> entries,
              std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  void update(std::span<const MapEntry> entries,
              std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;

  // The following calls read and write atomically: no write of another thread comes between, and
  // with Persist::kWritethrough none of another process (in the other modes one process writes).

  /// Sets the key if it is missing; else changes nothing and returns false.
  bool add(Text key, const Data& value,
           std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// Adds to the number under a key and returns the sum: for integers it is exact and may exceed
  /// 64 bits; if either is a float, it is a float. A missing key counts as `initial`. A key that
  /// exists keeps its time to live; `ttl` is for a key that is made. WrongTypeError, which names
  /// the key, if the value is not a number (a bool is not).
  Data incr(Text key, const Data& by = 1, const Data& initial = 0,
            std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  Data decr(Text key, const Data& by = 1, const Data& initial = 0,
            std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// Calls the function with the value of the key, or with `initial` if it is missing, then stores
  /// and returns the result. Without `initial`, KeyNotFound for a missing key. The key keeps its
  /// time to live. No lock is held while the function runs, so it may use the map. It runs again
  /// if others have changed the value meanwhile, so it should have no other effect. ConflictError
  /// if that happens a thousand times (not with kWritethrough).
  Data update_with(Text key, const std::function<Data(const Data&)>& function) const;
  Data update_with(Text key, const std::function<Data(const Data&)>& function,
                   const Data& initial) const;

  /// Gives a key a new time to live, from now; without one, it stays. False if it is missing.
  bool touch(Text key, std::optional<std::chrono::milliseconds> ttl) const;
  /// Lets a key expire at a time; if that has passed, the key is removed. False if it is missing.
  bool expire_at(Text key, std::chrono::sys_time<std::chrono::milliseconds> when) const;
  /// How long a key will live; nothing if it stays. KeyNotFound if it is missing.
  [[nodiscard]] std::optional<std::chrono::milliseconds> ttl(Text key) const;

  /// False when the key is not there.
  bool erase(Text key) const;
  /// Removes many keys atomically; returns how many were there.
  std::size_t erase_many(std::span<const Key> keys) const;
  std::optional<Data> pop(Text key) const;
  /// Removes many keys atomically; returns what each had. A key that comes twice had nothing the
  /// second time.
  [[nodiscard]] std::vector<std::optional<Data>> pop_many(std::span<const Key> keys) const;
  /// Removes and returns the first entry; nothing when empty.
  std::optional<std::pair<std::string, Data>> popitem() const;
  void clear() const;

  /// The number of keys. Usually O(1); O(size) after another process has written.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// The entry with the first key, or the last; nothing when empty.
  [[nodiscard]] std::optional<std::pair<std::string, Data>> first() const;
  [[nodiscard]] std::optional<std::pair<std::string, Data>> last() const;
  /// Iterates over the entries of a range, or over all of them from the first key on. A key that
  /// exists during the whole iteration is met once; a key that is added or removed meanwhile, at
  /// most once. If the iterating thread itself adds a key, the next step is a UsageError, because
  /// the iteration might never end; it may change and remove keys.
  [[nodiscard]] std::shared_ptr<map::Cursor> cursor(const MapRange& range = {}) const;

  /// Returns when everything written before is in the file. If a flush in the background failed,
  /// its error is thrown here or by the next write; what it should have written is kept.
  void flush() const;
  /// flush(); then everything written before survives a power loss, also with kNormal (with kOff
  /// only until the next checkpoint).
  void wait_durable() const;

  [[nodiscard]] MapStats stats() const;
  /// The same in Prometheus' text format, under the map's name. Names: docs/operations.md.
  [[nodiscard]] std::string metrics() const;
  /// Whether this thread is in a transaction that includes its reads and writes of the map.
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] const std::string& name() const&;
  [[nodiscard]] std::string name() && { return name(); }
  /// The map's persist mode; ClosedError once closed.
  [[nodiscard]] Persist persist() const;
  [[nodiscard]] bool closed() const noexcept;
  /// Flushes, and ends this Map and its copies; idempotent. Closing the last open Map or Database
  /// on the file releases everything: see Database::close().
  void close() const;

  explicit Map(std::shared_ptr<map::Session> session) : session_(std::move(session)) {}
  [[nodiscard]] const std::shared_ptr<map::Session>& session() const& { return session_; }
  [[nodiscard]] std::shared_ptr<map::Session> session() && { return session_.shared(); }

 private:
  using ShowOne = void (*)(void*, const MapValue&);
  using ShowMany = void (*)(void*, std::size_t, const MapValue*);
  template <class Shown>
  static void call(void* shown, const MapValue& value) {
    (*static_cast<std::remove_reference_t<Shown>*>(shown))(value);
  }
  template <class Shown>
  static void call_many(void* shown, std::size_t i, const MapValue* value) {
    (*static_cast<std::remove_reference_t<Shown>*>(shown))(i, value);
  }
  template <class Shown>
  static void* address(Shown& shown) {
    return const_cast<void*>(static_cast<const void*>(std::addressof(shown)));
  }
  bool show(Key key, ShowOne shown, void* callable) const;
  std::optional<bool> peek_at(Key key, ShowOne shown, void* callable) const;
  std::optional<bool> peek_stamped(Key key, std::uint64_t hash, MapStamp& stamp, ShowOne shown,
                                   void* callable) const;
  void show_many(std::span<const Key> keys, ShowMany shown, void* callable) const;
  Data replace(Key key, const std::function<Data(const Data&)>& function,
               const Data* initial) const;
  bool peek_at_many(std::span<const Key> keys, ShowMany shown, void* callable) const;

  detail::Held<map::Session> session_;
};

}  // namespace graven
