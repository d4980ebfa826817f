// SPDX-License-Identifier: MIT
//
// See interval.hpp.
#include "map/interval.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "base/text.hpp"
#include "map/layout.hpp"

namespace graven::map {

using port::Key;
using port::ReadOp;
using port::Row;

namespace {

constexpr std::size_t kRows = 256;      // of a page
constexpr std::size_t kFirstRows = 64;  // of the first one, if the interval may end soon

void check_bound(const char* what, std::string_view bound) {
  if (const auto at = base::invalid_utf8(bound)) {
    throw BadValueError(fmt::format("the {} of a range of keys is not UTF-8 (byte {} of {})", what,
                                    *at, bound.size()));
  }
}

/// Where the last code point of a text begins.
std::size_t last_point(std::string_view text) noexcept {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80) --at;
  return at;
}

char32_t decode(std::string_view point) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(point[i]); };
  if (point.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7fU >> point.size());
  for (std::size_t i = 1; i < point.size(); ++i) value = value << 6U | (byte(i) & 0x3fU);
  return value;
}

void append(std::string& text, char32_t point) {
  const auto tail = [&](unsigned shift) {
    text += static_cast<char>(0x80U | (point >> shift & 0x3fU));
  };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0U | point >> 6U);
    tail(0);
  } else if (point < 0x10000) {
    text += static_cast<char>(0xe0U | point >> 12U);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0U | point >> 18U);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

std::optional<std::string> behind_prefix(std::string_view prefix) {
  // The order of UTF-8 is the order of the code points, so the last one that has a next is raised.
  constexpr char32_t kLast = 0x10ffff;
  constexpr char32_t kBeforeSurrogates = 0xd7ff;
  constexpr char32_t kAfterSurrogates = 0xe000;
  while (!prefix.empty()) {
    const std::size_t at = last_point(prefix);
    const char32_t point = decode(prefix.substr(at));
    if (point != kLast) {
      std::string next(prefix.substr(0, at));
      append(next, point == kBeforeSurrogates ? kAfterSurrogates : point + 1);
      return next;
    }
    prefix = prefix.substr(0, at);
  }
  return std::nullopt;
}

Interval interval_of(const MapRange& range) {
  check_bound("prefix", range.prefix);
  if (range.start) check_bound("start", *range.start);
  if (range.stop) check_bound("stop", *range.stop);
  Interval interval{.from = range.prefix, .to = behind_prefix(range.prefix)};
  if (range.start) interval.from = std::max(interval.from, *range.start);
  if (range.stop && (!interval.to || *range.stop < *interval.to)) interval.to = range.stop;
  interval.reverse = range.reverse;
  interval.limit = range.limit;
  return interval;
}

ItemPages::ItemPages(std::int64_t map, const Interval& interval) : interval_(interval) {
  if (interval.empty()) return;
  port::Range range = items_of(map);
  range.reverse = interval.reverse;
  if (interval.reverse) {
    range.after = interval.to.value_or("");
  } else {
    range.after = interval.from;
    with_first_ = !interval.from.empty();
  }
  rest_ = std::move(range);
  const bool bounded = !interval.from.empty() || interval.to;
  count_ = std::min(interval.limit, bounded ? kFirstRows : kRows);
}

std::vector<Row> ItemPages::read(port::View& view, std::size_t count) {
  if (!std::exchange(with_first_, false)) return view.scan(*rest_, count);
  // The port's range begins behind its name.
  const std::vector<ReadOp> ops{
      {.key = Key{.space = rest_->space, .a = rest_->a, .name = rest_->after}},
      {.range = *rest_, .limit = count}};
  std::vector<Row> first;
  std::vector<Row> rows;
  view.read(ops, [&](std::size_t op, std::span<Row> found) {
    (op == 0 ? first : rows)
        .assign(std::move_iterator(found.begin()), std::move_iterator(found.end()));
  });
  rows.insert(rows.begin(), std::move_iterator(first.begin()), std::move_iterator(first.end()));
  return rows;
}

std::vector<Row> ItemPages::next(port::View& view) {
  std::vector<Row> rows;
  if (!rest_) return rows;
  const std::size_t count = std::exchange(count_, kRows);
  rows = read(view, count);
  rest_ = rows.size() < count ? std::nullopt : port::behind(*std::move(rest_), rows.back().key);
  const auto outside = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    return interval_.reverse ? row.key.name < interval_.from
                             : interval_.to && row.key.name >= *interval_.to;
  });
  if (outside != rows.end()) {
    rows.erase(outside, rows.end());
    rest_.reset();
  }
  return rows;
}

const std::string* KeysInOrder::next() {
  if (at_ == keys_.size()) return nullptr;
  if (at_ == sorted_) sort_some();
  return &keys_[at_];
}

void KeysInOrder::step() {
  const std::string& last = keys_[at_++];
  while (const std::string* same = next()) {
    if (*same != last) return;
    ++at_;
  }
}

void KeysInOrder::sort_some() {
  constexpr std::size_t kGrowth = 8;
  const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  const std::size_t count = std::min(some_, keys_.size() - sorted_);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  const auto before = [this](const std::string& left, const std::string& right) {
    return reverse_ ? right < left : left < right;
  };
  if (end != keys_.end()) std::nth_element(begin, end, keys_.end(), before);
  std::sort(begin, end, before);
  sorted_ += count;
  some_ *= kGrowth;
}

}  // namespace graven::map
