// SPDX-License-Identifier: MIT
//
// Map: a flat mapping from text keys to values, kept in a store. Values are scalars (null, bool,
// integers of any size, floats, text, bytes) or plain nested data, which is stored as one value:
// change it by assigning it anew. For structures one edits in place, see Dict and List.
//
// A Map is a small value: copies stand for the same map, and any number of threads may use it.
// Several maps live in one file, beside its graph, each under a name. With Persist::kWritethrough
// several processes may write; a write inside a transaction of the same file and thread is part
// of it, or, where it could not be (kLazy, and kMemory with that file's path), a UsageError. Errors
// of any call: ClosedError after close(), BusyError, UnavailableError; of writes also LimitError,
// WrongTypeError and BadValueError, before anything has changed.
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
  /// Entries kept in memory for reading, at most.
  std::size_t hot_capacity = 1'000'000;
  /// Room on the disk for what falls out of memory, compactly, in a file beside the store that is
  /// reserved when it is first needed and gone with the process; at least 64 KB, or 0: none.
  std::size_t warm_bytes = std::size_t{64} << 20U;
  /// kLazy: the time between two flushes.
  std::chrono::milliseconds flush_interval{1000};
  /// kLazy: bytes of unflushed writes from which on writers wait for the disk.
  std::size_t pending_limit = std::size_t{256} << 20U;
  /// As Options::memory_mb, which it sets for the whole file.
  std::size_t memory_mb = 0;
  bool read_only = false;
  /// As Options::create.
  bool create = true;
  Synchronous synchronous = Synchronous::kNormal;
  std::chrono::milliseconds busy_timeout{30'000};
  /// As Options::slow_operation, which it sets for the whole file; nothing is slow with kMemory.
  std::chrono::milliseconds slow_operation{0};
  bool allow_network_file_system = false;
  /// Whether peek() gives usable stamps (of the map as it was opened first in this process); costs
  /// 64 KB, and each change some nanoseconds.
  bool stamps = false;
};

/// Tells whether a value that was read is still the map's, see Map::unchanged().
struct MapStamp {
  std::uint64_t neighbours = 0;  ///< changes of keys with a similar hash; below 2^48
  std::uint64_t map = 0;         ///< changes of all keys at once; below 2^48
  bool usable = false;
  bool operator==(const MapStamp&) const = default;
};

/// A value as it lies in memory; the view lives as long as the call it is given to.
struct MapValue {
  enum class Kind : std::uint8_t {
    kNull,
    kFalse,
    kTrue,
    kInt,     ///< 8 bytes, the machine's order
    kBigInt,  ///< hexadecimal digits, as in BigInt
    kReal,    ///< 8 bytes, the machine's order
    kText,    ///< UTF-8
    kBytes,
    kJson,  ///< nested data, JSONB (docs/format/map.md)
  };
  Kind kind = Kind::kNull;
  std::string_view bytes{};

  [[nodiscard]] Data to_data() const;
};

/// One of many writes: a scalar as it lies in memory or, where `data` is set, any value.
struct MapEntry {
  std::string_view key{};
  MapValue value{};
  const Data* data = nullptr;
};

/// Of this process, since the map was opened; each key of a batch counts. A read asks the hot
/// table, then what is pending, then the warm file, then the store, until one knows.
struct MapStats {
  std::uint64_t hot_entries = 0;  ///< keys known in memory, also as missing
  std::uint64_t hot_bytes = 0;
  std::uint64_t hot_hits = 0;   ///< reads answered from there
  std::uint64_t misses = 0;     ///< reads that had to go below the hot table
  std::uint64_t evictions = 0;  ///< entries it dropped to make room
  std::uint64_t warm_entries = 0;
  std::uint64_t warm_bytes = 0;  ///< of the file
  std::uint64_t warm_hits = 0;
  std::uint64_t warm_misses = 0;
  std::uint64_t store_hits = 0;    ///< reads that found their key in the store
  std::uint64_t store_misses = 0;  ///< reads that found there is none
  std::uint64_t pending = 0;       ///< writes that are not in the file yet
  std::uint64_t pending_bytes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t failed_flushes = 0;
};

namespace map {

/// Steps through the keys of a map, in order of their UTF-8 bytes. One thread at a time.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// The next key and its value; false at the end. `value` may be null where it is not wanted.
  virtual bool next(std::string& key, Data* value) = 0;
  /// UsageError where next() would throw it because the thread that made this has added keys.
  virtual void require_none_added() const = 0;
};

}  // namespace map

class Map {
 public:
  /// Of many, in a span; one is a Text.
  using Key = std::string_view;

  /// Opens a map of the store at a path or URL (see Database), which is made when missing. With
  /// Persist::kMemory the path is only a name and nothing is read or written. A lazy map has one
  /// writer: BusyError, which names the process, while another process has it open lazily.
  explicit Map(Text url, const MapOptions& options = {});

  /// The value, or nothing.
  [[nodiscard]] std::optional<Data> get(Text key) const;
  /// The value; KeyNotFound when there is none.
  [[nodiscard]] Data at(Text key) const;
  [[nodiscard]] bool contains(Text key) const;
  /// Calls `shown(MapValue)` with the value in place, without a copy where it is in memory; false
  /// when there is none. `shown` must not use the map.
  template <class Shown>
  bool read(Text key, Shown&& shown) const {
    return show(key, call<Shown>, address(shown));
  }
  /// The same, if it can be told without waiting for the store; nothing where it cannot.
  template <class Shown>
  std::optional<bool> peek(Text key, Shown&& shown) const {
    return peek_at(key, call<Shown>, address(shown));
  }
  /// What stamps go by: keys have the same neighbours whose hashes have the same rest by
  /// kNeighbourhoods.
  [[nodiscard]] static std::uint64_t hash(Text key) noexcept;
  static constexpr std::size_t kNeighbourhoods = 8192;
  /// peek() with a stamp: if that is usable, what was shown is the value as long as unchanged().
  /// For those who keep what they made of it.
  template <class Shown>
  std::optional<bool> peek(Text key, std::uint64_t hash, MapStamp& stamp, Shown&& shown) const {
    return peek_stamped(key, hash, stamp, call<Shown>, address(shown));
  }
  /// Whether the value that came with the stamp is what a read would give now; no more than some
  /// nanoseconds. May be false without need.
  [[nodiscard]] bool unchanged(std::uint64_t hash, const MapStamp& stamp) const;
  /// A number of the state that the map is in: between two calls that gave the same one, what
  /// peek(), peek_many() and unchanged() told of any keys is of one state. Nothing while the store
  /// would have to be waited for.
  [[nodiscard]] std::optional<std::uint64_t> state() const;
  /// The values of many keys, of one state of the map.
  [[nodiscard]] std::vector<std::optional<Data>> get_many(std::span<const Key> keys) const;
  /// The same in place: `shown(i, const MapValue*)`, null where there is none, for each once in any
  /// order, or, after shown(SIZE_MAX, nullptr), all over again. `shown` must not use the map.
  template <class Shown>
  void read_many(std::span<const Key> keys, Shown&& shown) const {
    show_many(keys, call_many<Shown>, address(shown));
  }
  /// The same, if it can be told without waiting for the store; if false, what was shown is to be
  /// forgotten.
  template <class Shown>
  bool peek_many(std::span<const Key> keys, Shown&& shown) const {
    return peek_at_many(keys, call_many<Shown>, address(shown));
  }

  /// With a time to live the key is gone that much later; without, any earlier one is off.
  void set(Text key, const Data& value,
           std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// set() of a scalar as it lies in memory; UsageError for nested data and big integers.
  void set_value(Text key, const MapValue& value,
                 std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// The same, if it can be done without waiting; false where it cannot, and nothing has been done.
  [[nodiscard]] bool try_set_value(Text key, const MapValue& value) const;
  /// The value there, or `value` after storing it, in one step.
  Data setdefault(Text key, const Data& value) const;
  /// Sets many keys in one step; of a key that comes twice the last. `ttl`: of each, as in set().
  void update(std::span<const std::pair<std::string, Data>> entries,
              std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  void update(std::span<const MapEntry> entries,
              std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;

  // What follows reads and writes in one step: no write of another thread comes between, and with
  // Persist::kWritethrough none of another process (the other modes have one process that writes).

  /// Sets the key if it is not there; false, and nothing done, where it is.
  bool add(Text key, const Data& value,
           std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// Adds to the number under a key and gives the sum: exact for integers, which may grow beyond
  /// 64 bits, a float where either is one. A key that is missing counts as `initial`. One that is
  /// there keeps its time to live; `ttl` is for one that is made. WrongTypeError, which names the
  /// key, where there is no number (a bool is none).
  Data incr(Text key, const Data& by = 1, const Data& initial = 0,
            std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  Data decr(Text key, const Data& by = 1, const Data& initial = 0,
            std::optional<std::chrono::milliseconds> ttl = std::nullopt) const;
  /// Stores what the function makes of the value there, or else of `initial`, and gives it; without
  /// `initial` KeyNotFound where there is none. The key keeps its time to live. Nothing is locked
  /// while the function runs, so it may use the map; it runs again where others have changed the
  /// value meanwhile, so it should have no other effect. ConflictError where, in a map that is not
  /// written through, they have done so a thousand times.
  Data update_with(Text key, const std::function<Data(const Data&)>& function) const;
  Data update_with(Text key, const std::function<Data(const Data&)>& function,
                   const Data& initial) const;

  /// False when the key is not there.
  bool erase(Text key) const;
  /// In one step; how many were there.
  std::size_t erase_many(std::span<const Key> keys) const;
  std::optional<Data> pop(Text key) const;
  /// Removes and returns an entry; nothing when empty.
  std::optional<std::pair<std::string, Data>> popitem() const;
  void clear() const;

  /// O(1) as a rule; O(size) after another process has written.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// From the first key on. A key that is there all the while is met once, one that comes or goes
  /// meanwhile at most once. A thread that goes over a map and adds keys to it might never come to
  /// the end, so then the next step is a UsageError; changing and removing what is there is fine.
  [[nodiscard]] std::shared_ptr<map::Cursor> cursor() const;

  /// Returns when all that was written before is in the file. An error of a flush in the
  /// background is thrown here, or by the next write; what it was to write is kept.
  void flush() const;
  /// flush(), and then it survives a loss of power, also with kNormal (with kOff until the next
  /// checkpoint only).
  void wait_durable() const;

  [[nodiscard]] MapStats stats() const;
  /// The same in Prometheus' text format, under the map's name. Names: docs/operations.md.
  [[nodiscard]] std::string metrics() const;
  /// Whether this thread is in a transaction that reads and writes of the map are part of.
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] const std::string& name() const&;
  [[nodiscard]] std::string name() && { return name(); }
  /// How the map keeps what is written; ClosedError once closed.
  [[nodiscard]] Persist persist() const;
  [[nodiscard]] bool closed() const noexcept;
  /// Flushes, and ends this Map and its copies; idempotent. With the last open Map and Database on
  /// the file everything of it is let go of: see Database::close().
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
