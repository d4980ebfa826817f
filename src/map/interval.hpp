// SPDX-License-Identifier: MIT
//
// Intervals of keys: what a MapRange asks for, as two bounds, and its items read from a store page
// by page.
//
// Always holds: pages come in order without a key twice, and each begins behind the last key of the
// one before, so that each may be read from another view.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/map.hpp>

#include "map/core.hpp"
#include "port/view.hpp"

namespace graven::map {

/// BadValueError if a bound is not UTF-8.
Interval interval_of(const MapRange& range);

/// The least text that is greater than every text with this prefix; nothing if there is none.
/// Prefix and result are UTF-8.
std::optional<std::string> behind_prefix(std::string_view prefix);

/// The stored items of an interval.
class ItemPages {
 public:
  ItemPages(std::int64_t map, const Interval& interval);

  [[nodiscard]] bool ended() const noexcept { return !rest_; }
  void end() noexcept { rest_.reset(); }
  /// The next rows; perhaps none, also before the end.
  std::vector<port::Row> next(port::View& view);

 private:
  std::vector<port::Row> read(port::View& view, std::size_t count);

  const Interval interval_;
  std::optional<port::Range> rest_;
  bool with_first_ = false;  // the next read also wants the key where the interval begins
  std::size_t count_ = 0;    // rows of the next page
};

/// Keys in order, sorted a part at a time, for readers that may need only the first ones. Each key
/// comes once.
class KeysInOrder {
 public:
  explicit KeysInOrder(bool reverse) noexcept : reverse_(reverse) {}

  void add(std::string key) { keys_.push_back(std::move(key)); }
  /// The next key; nullptr at the end. All are to be added before.
  [[nodiscard]] const std::string* next();
  void step();

 private:
  void sort_some();

  std::vector<std::string> keys_;
  std::size_t at_ = 0;
  std::size_t sorted_ = 0;
  std::size_t some_ = 1024;
  const bool reverse_;
};

}  // namespace graven::map
