// SPDX-License-Identifier: MIT
//
// The objects that a map's values were last shown as, so that a key that is read again and again
// need not have its value made anew: a cache of strings, bytes and numbers, none of which can
// change. It goes by the key's object, not by its text, which so need not even be fetched; what is
// kept holds as long as its stamp does (Map::unchanged()). Keys that nobody else holds, made for
// one call, are not worth it.
//
// Always holds: what find() gives is what the map would show now. The objects and keys take no more
// than `most` bytes, the table itself 8 MiB.
//
// Called with the GIL held; runs no Python code.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <nanobind/nanobind.h>

#include <graven/map.hpp>

namespace graven::python {

class KeptValues {
 public:
  explicit KeptValues(std::size_t most) : most_(most) {}
  ~KeptValues() { clear(); }
  KeptValues(const KeptValues&) = delete;
  KeptValues& operator=(const KeptValues&) = delete;

  /// A new reference, or null. ClosedError.
  PyObject* find(const Map& map, PyObject* key) {
    if (sets_ == nullptr) [[unlikely]]
      return nullptr;
    const Set& set = set_of(key);
    const std::size_t way = set.find(key);
    if (way == kWays || set.era != era_ || ++finds_ % kLookAgain == 0) [[unlikely]]
      return nullptr;
    const Stamp& stamp = set.stamps[way];
    if (!map.unchanged(stamp.stripe, {stamp.neighbours, map_, true})) [[unlikely]]
      return nullptr;
    PyObject* value = set.value(way);
    Py_INCREF(value);
    return value;
  }
  /// find() of many: `put(i, reference)` for each that is kept; gives the places of the others.
  /// Where few of the first ones are, they are all of the rest.
  template <class Keys, class Put>
  std::vector<std::size_t> find_many(const Map& map, const Keys& keys, const Put& put) {
    constexpr std::size_t kAhead = 8;  // on their way into the processor's cache
    constexpr std::size_t kFirst = 64;
    const std::size_t count = keys.count();
    std::vector<std::size_t> others;
    std::size_t at = 0;
    for (; sets_ != nullptr && at < count && (at != kFirst || others.size() < kFirst / 2); ++at) {
      if (at + 2 * kAhead < count) __builtin_prefetch(&set_of(keys[at + 2 * kAhead]));
      if (at + kAhead < count) prefetch_value(keys[at + kAhead]);
      if (PyObject* const value = find(map, keys[at])) {
        put(at, value);
      } else {
        others.push_back(at);
      }
    }
    for (; at < count; ++at) others.push_back(at);
    return others;
  }
  /// Keeps the object a value was shown as when the stamp was taken, if it is worth it. `hash` is
  /// the key's Map::hash().
  void keep(PyObject* key, std::uint64_t hash, const MapStamp& stamp, PyObject* value) noexcept;
  void clear() noexcept;

 private:
  static constexpr std::size_t kWays = 3;
  // One find in so many is the map's: it evicts by use.
  static constexpr std::uint32_t kLookAgain = 64;

  struct Stamp {
    std::uint64_t neighbours : 48, stripe : 13, unused : 3;
  };
  static_assert(Map::kNeighbourhoods == 1U << 13U);

  /// Three keys and values in one cache line: of an address 45 bits say all.
  struct alignas(64) Set {
    Stamp stamps[kWays];
    std::uint32_t keys[kWays];  // the lowest of them
    std::uint32_t values[kWays];
    std::uint16_t keys_above[kWays];
    std::uint16_t values_above[kWays];
    std::uint32_t era : 24, turn : 8;

    [[nodiscard]] PyObject* key(std::size_t way) const noexcept {
      return object(keys[way], keys_above[way]);
    }
    [[nodiscard]] PyObject* value(std::size_t way) const noexcept {
      return object(values[way], values_above[way]);
    }
    void put(std::size_t way, PyObject* key, PyObject* value, Stamp stamp) noexcept;
    /// The way of a key, or of null for a free one; kWays: there is none.
    [[nodiscard]] std::size_t find(PyObject* wanted) const noexcept {
      // Without a branch on which it is: that would be guessed wrong every other time.
      const auto low = static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(wanted) >> 3U);
      unsigned same = 1U << kWays;
      for (std::size_t way = 0; way < kWays; ++way) {
        same |= static_cast<unsigned>(keys[way] == low) << way;
      }
      const auto way = static_cast<std::size_t>(std::countr_zero(same));
      return way < kWays && key(way) == wanted ? way : kWays;
    }

   private:
    static PyObject* object(std::uint64_t low, std::uint64_t above) noexcept {
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      return reinterpret_cast<PyObject*>(low << 3U | above << 35U);
    }
  };
  static_assert(sizeof(Set) == 64);

  [[nodiscard]] Set& set_of(PyObject* key) const noexcept {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;
    return sets_[(reinterpret_cast<std::uint64_t>(key) * golden) >> shift_];
  }
  void prefetch_value(PyObject* key) const noexcept {
    const Set& set = set_of(key);
    if (const std::size_t way = set.find(key); way != kWays) __builtin_prefetch(set.value(way), 1);
  }
  bool make(int bits) noexcept;
  void grow() noexcept;
  void put(Set& set, std::size_t way, PyObject* key, PyObject* value, Stamp stamp) noexcept;
  void empty(Set& set) noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return std::size_t{1} << (64 - shift_); }

  const std::size_t most_;
  Set* sets_ = nullptr;
  int shift_ = 64;           // the sets are as many as there are other bits
  std::uint64_t map_ = 0;    // stamp of what was kept in this era
  std::uint32_t era_ = 0;    // what is of an earlier one is void
  std::size_t bytes_ = 0;    // of keys and values
  std::size_t crowded_ = 0;  // how often there was no room since the table was made
  std::uint32_t finds_ = 0;
};

}  // namespace graven::python
