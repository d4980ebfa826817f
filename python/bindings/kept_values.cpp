// SPDX-License-Identifier: MIT
//
// See kept_values.hpp. What finds no room takes another's place one time in eight: where there is
// more than fits, most of what is there stays.
#include "kept_values.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace graven::python {

namespace {

constexpr int kFewest = 10;  // bits: 64 KB
constexpr int kMost = 17;
constexpr int kStep = 2;
constexpr std::size_t kLargePage = std::size_t{2} << 20U;
constexpr std::size_t kLongest = 256;  // bytes of a key or a value
constexpr std::size_t kInsistence = 8;
constexpr std::uint32_t kLastEra = (1U << 24U) - 1;

/// What an object takes, about; 0: not to be kept.
std::size_t cost_of(PyObject* object) noexcept {
  constexpr std::size_t header = 56;
  // No address needs more bits today.
  constexpr std::uint64_t out_of_reach = ~((std::uint64_t{1} << 48U) - 8);
  if ((reinterpret_cast<std::uint64_t>(object) & out_of_reach) != 0) return 0;
  if (PyUnicode_CheckExact(object)) {
    const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)) *
                      static_cast<std::size_t>(PyUnicode_KIND(object));
    return size <= kLongest ? header + size : 0;
  }
  if (PyBytes_CheckExact(object)) {
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(object));
    return size <= kLongest ? header + size : 0;
  }
  return PyLong_CheckExact(object) || PyFloat_CheckExact(object) ? header : 0;
}

/// Whether somebody else than the caller and his variable holds a key, and so may use it again.
bool is_held(PyObject* key) noexcept {
#if PY_VERSION_HEX >= 0x030e0000  // which lends a variable's reference for a call
  constexpr Py_ssize_t callers = 1;
#else
  constexpr Py_ssize_t callers = 2;
#endif
  return Py_REFCNT(key) > callers || PyUnicode_CHECK_INTERNED(key) != 0;
}

}  // namespace

void KeptValues::Set::put(std::size_t way, PyObject* key, PyObject* value, Stamp stamp) noexcept {
  const std::uint64_t first = reinterpret_cast<std::uint64_t>(key) >> 3U;
  const std::uint64_t second = reinterpret_cast<std::uint64_t>(value) >> 3U;
  keys[way] = static_cast<std::uint32_t>(first);
  values[way] = static_cast<std::uint32_t>(second);
  keys_above[way] = static_cast<std::uint16_t>(first >> 32U);
  values_above[way] = static_cast<std::uint16_t>(second >> 32U);
  stamps[way] = stamp;
}

void KeptValues::keep(PyObject* key, std::uint64_t hash, const MapStamp& stamp,
                      PyObject* value) noexcept {
  if (!stamp.usable || !PyUnicode_CheckExact(key) || !is_held(key)) return;
  const std::size_t cost = cost_of(value);
  const std::size_t with_key = cost_of(key);
  if (cost == 0 || with_key == 0) return;
  if (sets_ == nullptr && !make(kFewest)) return;
  if (stamp.map != map_) {
    if (era_ == kLastEra) return clear();
    map_ = stamp.map;
    ++era_;
  }
  if (crowded_ > count() / 32 && count() < std::size_t{1} << kMost && bytes_ < most_ / 2) grow();

  Set& set = set_of(key);
  if (set.era != era_) empty(set);
  const Stamp kept{stamp.neighbours, hash % Map::kNeighbourhoods, 0};
  std::size_t way = set.find(key);
  if (way == kWays && bytes_ + cost + with_key <= most_) way = set.find(nullptr);
  if (way == kWays) {
    ++crowded_;
    set.turn = (set.turn + 1U) % (kWays * kInsistence);
    if (set.turn % kInsistence != 0) return;
    way = set.turn / kInsistence;
    if (set.key(way) == nullptr) return;  // there is room, but not for more bytes
  }
  put(set, way, key, value, kept);
}

/// Zeroed memory, in large pages where there are any.
bool KeptValues::make(int bits) noexcept {
  const std::size_t bytes = sizeof(Set) << static_cast<unsigned>(bits);
  const std::size_t align = bytes < kLargePage ? 0 : kLargePage;
  void* const at =
      mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return false;
  auto* const begin = static_cast<std::byte*>(at);
  std::byte* aligned = begin;
  if (align != 0) {
    aligned += (align - reinterpret_cast<std::uintptr_t>(at) % align) % align;
    if (aligned != begin) munmap(begin, static_cast<std::size_t>(aligned - begin));
    if (aligned != begin + align) {
      munmap(aligned + bytes, static_cast<std::size_t>(begin + align - aligned));
    }
    madvise(aligned, bytes, MADV_HUGEPAGE);
  }
  sets_ = reinterpret_cast<Set*>(aligned);
  shift_ = 64 - bits;
  crowded_ = 0;
  return true;
}

void KeptValues::grow() noexcept {
  Set* const old = sets_;
  const std::size_t old_count = count();
  if (!make(std::min(64 - shift_ + kStep, kMost))) return;
  for (std::size_t at = 0; at < old_count; ++at) {
    for (std::size_t way = 0; way < kWays; ++way) {
      PyObject* key = old[at].key(way);
      if (key == nullptr || old[at].era != era_) continue;
      Set& set = set_of(key);
      set.era = era_;
      const std::size_t free = set.find(nullptr);
      if (free < kWays) put(set, free, key, old[at].value(way), old[at].stamps[way]);
    }
    empty(old[at]);
  }
  munmap(old, old_count * sizeof(Set));
}

void KeptValues::put(Set& set, std::size_t way, PyObject* key, PyObject* value,
                     Stamp stamp) noexcept {
  PyObject* const old_key = set.key(way);
  PyObject* const old_value = set.value(way);
  Py_INCREF(key);
  Py_INCREF(value);
  bytes_ += cost_of(key) + cost_of(value);
  set.put(way, key, value, stamp);
  if (old_key == nullptr) return;
  bytes_ -= cost_of(old_key) + cost_of(old_value);
  Py_DECREF(old_key);
  Py_DECREF(old_value);
}

/// What was in there is of no use any more.
void KeptValues::empty(Set& set) noexcept {
  set.era = era_;
  for (std::size_t way = 0; way < kWays; ++way) {
    PyObject* const key = set.key(way);
    PyObject* const value = set.value(way);
    if (key == nullptr) continue;
    set.put(way, nullptr, nullptr, {});
    bytes_ -= cost_of(key) + cost_of(value);
    Py_DECREF(key);
    Py_DECREF(value);
  }
}

void KeptValues::clear() noexcept {
  if (sets_ == nullptr) return;
  const std::size_t sets = count();
  for (std::size_t at = 0; at < sets; ++at) empty(sets_[at]);
  munmap(sets_, sets * sizeof(Set));
  sets_ = nullptr;
  era_ = 0;
}

}  // namespace graven::python
