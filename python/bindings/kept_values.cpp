// SPDX-License-Identifier: MIT
//
// See kept_values.hpp. A set's keys have the lowest bits of their hashes in common, more of them
// than stamps go by, so that one stamp tells of all three. What finds no room takes another's place
// one time in eight: where there is more than fits, most of what is there stays.
#include "kept_values.hpp"

#include <sys/mman.h>

#include <cstring>
#include <string_view>

#include "convert.hpp"

namespace graven::python {

namespace {

constexpr std::size_t kFewestSets = Map::kNeighbourhoods;
constexpr std::size_t kMostSets = 131072;
constexpr std::size_t kLargePage = std::size_t{2} << 20U;
constexpr std::size_t kLongest = 256;  // bytes of a key or a value
constexpr std::size_t kInsistence = 8;

/// What an object takes, about; 0: not to be kept.
std::size_t cost_of(PyObject* object) noexcept {
  constexpr std::size_t header = 56;
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

}  // namespace

std::size_t KeptValues::Set::find_equal(PyObject* key, std::uint8_t wanted) const noexcept {
  for (std::size_t way = 0; way < kWays; ++way) {
    if (keys[way] != nullptr && tag(way) == wanted && ascii_of(keys[way]) == ascii_of(key)) {
      return way;
    }
  }
  return kWays;
}

void KeptValues::keep(PyObject* key, std::uint64_t hash, const MapStamp& stamp,
                      PyObject* value) noexcept {
  if (!stamp.usable || !PyUnicode_CheckExact(key)) return;
  const std::size_t cost = cost_of(value);
  const std::size_t with_key = cost_of(key);
  if (cost == 0 || with_key == 0) return;
  if (sets_ == nullptr && !make(kFewestSets)) return;
  if (crowded_ > count_ / 8 && count_ < kMostSets && bytes_ < most_ / 2) grow();

  Set& set = sets_[hash & (count_ - 1)];
  if (set.stamp() != stamp) {
    empty(set);
    set.neighbours = stamp.neighbours;
    set.map = stamp.map;
  }
  const auto tag = static_cast<std::uint8_t>(hash >> 56U);
  if (set.find(key, tag) < kWays) return;
  std::size_t way = set.free();
  if (way < kWays && bytes_ + cost + with_key <= most_) return put(set, way, tag, key, value);
  ++crowded_;
  set.turn = (set.turn + 1U) % (kWays * kInsistence);
  if (set.turn % kInsistence != 0) return;
  way = set.turn / kInsistence;
  if (set.keys[way] != nullptr) put(set, way, tag, key, value);
}

/// Zeroed memory, in large pages where there are any.
bool KeptValues::make(std::size_t sets) noexcept {
  const std::size_t bytes = sets * sizeof(Set);
  const std::size_t align = bytes < kLargePage ? 0 : kLargePage;
  void* const at =
      mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return false;
  auto* const begin = static_cast<std::byte*>(at);
  std::byte* aligned = begin;
  if (align != 0) {
    aligned += (align - reinterpret_cast<std::uintptr_t>(at) % align) % align;
    if (aligned != begin) munmap(begin, static_cast<std::size_t>(aligned - begin));
    if (aligned + bytes != begin + bytes + align) {
      munmap(aligned + bytes, static_cast<std::size_t>(begin + align - aligned));
    }
    madvise(aligned, bytes, MADV_HUGEPAGE);
  }
  sets_ = reinterpret_cast<Set*>(aligned);
  count_ = sets;
  crowded_ = 0;
  return true;
}

/// Twice as many sets.
void KeptValues::grow() noexcept {
  Set* const old = sets_;
  const std::size_t old_count = count_;
  if (!make(2 * old_count)) return;
  for (std::size_t at = 0; at < old_count; ++at) {
    for (std::size_t way = 0; way < kWays && old[at].keys[way] != nullptr; ++way) {
      const std::uint64_t hash = Map::hash(ascii_of(old[at].keys[way]));
      Set& set = sets_[hash & (count_ - 1)];
      set.neighbours = old[at].neighbours;
      set.map = old[at].map;
      const std::size_t to = set.free();
      put(set, to, static_cast<std::uint8_t>(hash >> 56U), old[at].keys[way], old[at].values[way]);
    }
    empty(old[at]);
  }
  munmap(old, old_count * sizeof(Set));
}

void KeptValues::put(Set& set, std::size_t way, std::uint8_t tag, PyObject* key,
                     PyObject* value) noexcept {
  Py_INCREF(key);
  Py_INCREF(value);
  bytes_ += cost_of(key) + cost_of(value);
  if (set.keys[way] != nullptr) bytes_ -= cost_of(set.keys[way]) + cost_of(set.values[way]);
  PyObject* old_key = set.keys[way];
  PyObject* old_value = set.values[way];
  set.keys[way] = key;
  set.values[way] = value;
  if (way == 0) set.first_tag = tag;
  if (way == 1) set.second_tag = tag;
  if (way == 2) set.third_tag = tag;
  Py_XDECREF(old_key);
  Py_XDECREF(old_value);
}

void KeptValues::empty(Set& set) noexcept {
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set.keys[way] == nullptr) continue;
    bytes_ -= cost_of(set.keys[way]) + cost_of(set.values[way]);
    Py_CLEAR(set.keys[way]);
    Py_CLEAR(set.values[way]);
  }
}

void KeptValues::clear() noexcept {
  if (sets_ == nullptr) return;
  for (std::size_t at = 0; at < count_; ++at) empty(sets_[at]);
  munmap(sets_, count_ * sizeof(Set));
  sets_ = nullptr;
}

}  // namespace graven::python
