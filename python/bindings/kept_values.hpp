// SPDX-License-Identifier: MIT
//
// The objects that a map's values were last shown as, so that a key that is read again and again
// need not have its value made anew: a cache of strings, bytes and numbers, none of which can
// change, in sets of three that share a cache line and a stamp (Map::unchanged()).
//
// Always holds: what find() gives is what the map would show now. The objects and keys take no more
// than `most` bytes, the table itself 8 MiB.
//
// Called with the GIL held; runs no Python code.
#pragma once

#include <cstddef>
#include <cstdint>

#include <nanobind/nanobind.h>

#include <graven/map.hpp>

namespace graven::python {

class KeptValues {
 public:
  explicit KeptValues(std::size_t most) : most_(most) {}
  ~KeptValues() { clear(); }
  KeptValues(const KeptValues&) = delete;
  KeptValues& operator=(const KeptValues&) = delete;

  /// A new reference, or null. `key` is ASCII, `hash` its Map::hash(). ClosedError.
  PyObject* find(const Map& map, PyObject* key, std::uint64_t hash) {
    if (sets_ == nullptr) [[unlikely]]
      return nullptr;
    const Set& set = sets_[hash & (count_ - 1)];
    const std::size_t way = set.find(key, static_cast<std::uint8_t>(hash >> 56U));
    if (way == kWays || ++finds_ % kLookAgain == 0) [[unlikely]]
      return nullptr;
    if (!map.unchanged(hash, set.stamp())) [[unlikely]]
      return nullptr;
    Py_INCREF(set.values[way]);
    return set.values[way];
  }
  /// The same of `key`. Keeps the object a value was shown as when the stamp was taken, if it is
  /// worth it.
  void keep(PyObject* key, std::uint64_t hash, const MapStamp& stamp, PyObject* value) noexcept;
  void clear() noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kWays = 3;
  static constexpr std::uint32_t kLookAgain =
      64;  // one find in so many is the map's: it evicts by use

  struct alignas(64) Set {
    std::uint64_t neighbours : 48, first_tag : 8, second_tag : 8;
    std::uint64_t map : 48, third_tag : 8, turn : 8;
    PyObject* keys[kWays];
    PyObject* values[kWays];

    [[nodiscard]] MapStamp stamp() const noexcept { return {neighbours, map, true}; }
    [[nodiscard]] std::uint8_t tag(std::size_t way) const noexcept {
      return static_cast<std::uint8_t>(way == 0 ? first_tag : way == 1 ? second_tag : third_tag);
    }
    /// The way of a key; kWays: it is not there.
    [[nodiscard]] std::size_t find(PyObject* key, std::uint8_t wanted) const noexcept {
      for (std::size_t way = 0; way < kWays; ++way) {
        if (keys[way] == key) return way;
      }
      return find_equal(key, wanted);
    }
    [[nodiscard]] std::size_t find_equal(PyObject* key, std::uint8_t wanted) const noexcept;
    /// A way that is free; kWays: there is none.
    [[nodiscard]] std::size_t free() const noexcept {
      std::size_t way = 0;
      while (way < kWays && keys[way] != nullptr) ++way;
      return way;
    }
  };
  static_assert(sizeof(Set) == 64);

  bool make(std::size_t sets) noexcept;
  void grow() noexcept;
  void put(Set& set, std::size_t way, std::uint8_t tag, PyObject* key, PyObject* value) noexcept;
  void empty(Set& set) noexcept;

  const std::size_t most_;
  Set* sets_ = nullptr;
  std::size_t count_ = 0;  // of the sets, a power of two
  std::size_t bytes_ = 0;
  std::size_t crowded_ = 0;  // how often there was no room since the table was made
  std::uint32_t finds_ = 0;
};

}  // namespace graven::python
