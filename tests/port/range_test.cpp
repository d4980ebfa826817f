// SPDX-License-Identifier: MIT
//
// Ranges against keys that are gone through one by one: which keys a range holds, what is left
// behind a key, scans a batch at a time, and layers over rows.
#include "port/range.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "port/merge.hpp"
#include "port/scan.hpp"

namespace graven::test {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Row;
using port::Space;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/// As range.hpp tells it.
bool inside(const Range& range, const Key& key) {
  if (key.space != range.space) return false;
  switch (port::schema(range.space).shape) {
    case KeyShape::kId:
      return range.from <= key.a && key.a <= range.to;
    case KeyShape::kPair:
      if (range.a_to <= range.a) {
        return key.a == range.a && range.from <= key.b && key.b <= range.to;
      }
      if (key.a == range.a) return range.from <= key.b;
      return range.a < key.a && key.a <= range.a_to;
    case KeyShape::kName:
      break;
  }
  if (range.a < key.a && key.a <= range.a_to) return true;
  if (key.a != range.a) return false;
  const bool back = range.reverse && range.a_to <= range.a;
  if (key.name.empty()) return range.include_empty_name && (back || range.after.empty());
  return back ? range.after.empty() || key.name < range.after : key.name > range.after;
}

/// Of the keys from the first to the last, or the other way round.
template <class Keys>
std::vector<Key> chosen(const Keys& keys, const Range& range) {
  std::vector<Key> all;
  for (const Key& key : keys) {
    if (inside(range, key)) all.push_back(key);
  }
  if (range.reverse) std::reverse(all.begin(), all.end());
  return all;
}

class Chance {
 public:
  explicit Chance(Random& random) : random_(random) {}

  Space space() { return static_cast<Space>(random_.below(port::kSpaceCount)); }
  /// Few of them, and those at the ends.
  std::int64_t number() {
    switch (random_.below(8)) {
      case 0:
        return kLeast;
      case 1:
        return kMost;
      default:
        return static_cast<std::int64_t>(random_.below(8)) - 2;
    }
  }
  std::string name() {
    std::string name;
    for (std::size_t n = random_.below(3); n > 0; --n) name += random_.one_in(2) ? 'a' : '\0';
    return name;
  }
  Key key(Space where) {
    const port::Schema& schema = port::schema(where);
    Key key{.space = where};
    if (!schema.a.empty()) key.a = number();
    if (schema.shape == KeyShape::kPair) key.b = number();
    if (schema.shape == KeyShape::kName) key.name = name();
    return key;
  }
  Range range(Space where) {
    if (random_.one_in(6)) return port::whole(where);
    const port::Schema& schema = port::schema(where);
    Range range{.space = where};
    const bool many = schema.shape != KeyShape::kId && !schema.a.empty();
    if (many) range.a = number();
    if (many && random_.one_in(2)) range.a_to = number();
    const bool span = range.a_to > range.a;
    if (schema.shape == KeyShape::kName) {
      if (random_.one_in(2)) range.after = name();
      range.include_empty_name = random_.one_in(2);
      range.reverse = !span && random_.one_in(2);
      return range;
    }
    if (random_.one_in(2)) range.from = number();
    if (random_.one_in(2)) range.to = number();
    range.reverse = !span && random_.one_in(2);
    return range;
  }
  Random& random() noexcept { return random_; }

 private:
  Random& random_;
};

TEST(Ranges, HoldWhatTheySay) {
  Random random;
  Chance chance(random);
  for (int i = 0; i < 20'000; ++i) {
    const Space where = chance.space();
    const Range range = chance.range(where);
    const Key key = chance.key(random.one_in(20) ? chance.space() : where);
    ASSERT_EQ(port::in_range(range, key), inside(range, key));
    ASSERT_EQ(port::backwards(range), range.reverse);
    if (!port::in_range(range, key)) continue;
    ASSERT_LE(port::first_key(range), key);
    if (port::schema(where).shape != KeyShape::kName && !port::spans(range)) {
      ASSERT_LE(key, port::last_key(range));
    } else if (port::backwards(range)) {
      ASSERT_LT(key, port::last_key(range));
    }
    ASSERT_TRUE(port::in_range(port::whole(where), key));
  }
}

TEST(Ranges, BehindAKeyIsTheRest) {
  Random random;
  Chance chance(random);
  for (int i = 0; i < 3'000; ++i) {
    const Space where = chance.space();
    std::set<Key> keys;
    for (int n = 0; n < 30; ++n) keys.insert(chance.key(where));
    const Range range = chance.range(where);
    const std::vector<Key> all = chosen(keys, range);
    for (std::size_t at = 0; at < all.size(); ++at) {
      const std::optional<Range> rest = port::behind(range, all[at]);
      const std::vector<Key> expected(all.begin() + static_cast<std::ptrdiff_t>(at) + 1, all.end());
      ASSERT_EQ(rest ? chosen(keys, *rest) : std::vector<Key>(), expected);
    }
  }
}

TEST(Ranges, NothingIsBehindTheLastKeyThereCanBe) {
  EXPECT_FALSE(port::behind({.space = Space::kNode}, {.space = Space::kNode, .a = kMost}));
  EXPECT_FALSE(
      port::behind({.space = Space::kNode, .reverse = true}, {.space = Space::kNode, .a = kLeast}));
  EXPECT_FALSE(
      port::behind(port::whole(Space::kEdge), {.space = Space::kEdge, .a = kMost, .b = kMost}));
  EXPECT_FALSE(port::behind({.space = Space::kEdge, .a = 1, .reverse = true},
                            {.space = Space::kEdge, .a = 1, .b = kLeast}));
  EXPECT_FALSE(
      port::behind({.space = Space::kItem, .a = 1, .include_empty_name = true, .reverse = true},
                   {.space = Space::kItem, .a = 1}));
}

// --- Layers

using Rows = std::map<Key, Record>;

Record numbered(std::uint64_t version) { return {.version = version}; }

/// Rows in memory; how much was asked for.
class RowsView final : public port::View {
 public:
  explicit RowsView(const Rows& rows) : rows_(rows) {}

  std::optional<Record> load(const Key&) override { return std::nullopt; }
  void load_many(std::span<const Key>, const std::function<void(std::size_t, Record*)>&) override {}
  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    ++scans;
    std::vector<Row> found;
    for (const auto& [key, record] : rows_) {
      if (inside(range, key)) found.push_back({key, record});
    }
    if (range.reverse) std::reverse(found.begin(), found.end());
    if (found.size() > limit) found.resize(limit);
    return found;
  }

  std::size_t scans = 0;

 private:
  const Rows& rows_;
};

std::vector<std::pair<Key, std::uint64_t>> told(const std::vector<Row>& rows) {
  std::vector<std::pair<Key, std::uint64_t>> all;
  for (const Row& row : rows) all.emplace_back(row.key, row.record.version);
  return all;
}

TEST(Ranges, ComeInBatches) {
  Random random;
  Chance chance(random);
  for (int i = 0; i < 2'000; ++i) {
    const Space where = chance.space();
    Rows below;
    for (std::uint64_t n = random.below(30); n > 0; --n) below[chance.key(where)] = numbered(n);
    const Range range = chance.range(where);
    const std::size_t batch = 1 + random.below(6);
    RowsView view(below);
    const std::vector<Row> expected = view.scan(range, SIZE_MAX);
    std::vector<Row> all;
    port::each_row(view, range, batch, [&](Row& row) { all.push_back(row); });
    ASSERT_EQ(told(all), told(expected));
    const std::size_t wanted = random.below(expected.size() + 1);
    std::vector<Row> some;
    port::each_row(view, range, batch, [&](Row& row) {
      if (some.size() == wanted) return false;
      some.push_back(row);
      return true;
    });
    ASSERT_EQ(told(some),
              told({expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(wanted)}));
  }
}

TEST(Ranges, LayersLieOverRows) {
  Random random;
  Chance chance(random);
  using Seen = std::optional<std::optional<Record>>;  // nothing: what is below
  for (int i = 0; i < 4'000; ++i) {
    const Space where = chance.space();
    const std::size_t entries = random.below(25);
    Rows below;
    std::map<Key, Seen> lower;
    port::Overlay upper;
    Rows expected;
    std::set<Key> keys;
    for (std::size_t n = 0; n < entries; ++n) keys.insert(chance.key(where));
    for (std::size_t n = 0; n < 3; ++n) keys.insert(chance.key(chance.space()));
    for (const Key& key : keys) {
      const auto any = [&]() -> std::optional<Record> {
        if (random.one_in(3)) return std::nullopt;
        return numbered(random.bits());
      };
      std::optional<Record> newest;
      if (random.one_in(2)) newest = below[key] = numbered(random.bits());
      if (random.one_in(2)) {
        Seen& seen = lower[key];
        if (!random.one_in(4)) newest = seen.emplace(any());
      }
      if (random.one_in(3)) newest = upper[key] = any();
      if (newest) expected[key] = *newest;
    }
    const Range range = chance.range(where);
    const std::size_t limit = random.one_in(2) ? SIZE_MAX : random.below(12);
    RowsView view(below);
    const auto page = [&](const Range& rest, std::size_t count) { return view.scan(rest, count); };
    const auto seen = [](const Seen& one) { return one ? &*one : nullptr; };
    const auto over = [&](const Range& rest, const Key* until, std::vector<Row>& rows_below,
                          std::vector<Row>& rows) {
      port::merge(rest, until, upper, lower, seen, rows_below, limit, rows);
    };
    const std::vector<Row> rows = port::scan_layers(range, limit, 1 + random.below(4), page, over);
    ASSERT_EQ(told(rows), told(RowsView(expected).scan(range, limit)));
  }
}

TEST(Ranges, NoMoreIsReadBelowThanIsWanted) {
  Rows below;
  for (std::int64_t a = 0; a < 10; ++a) below[{.space = Space::kNode, .a = a}] = numbered(1);
  const port::Overlay upper{{{.space = Space::kNode, .a = 1}, std::nullopt}};
  const port::Overlay lower;
  const auto itself = [](const std::optional<Record>& record) { return &record; };
  RowsView view(below);
  std::vector<std::size_t> asked;
  const auto page = [&](const Range& rest, std::size_t count) {
    asked.push_back(count);
    return view.scan(rest, count);
  };
  const auto over = [&](const Range& rest, const Key* until, std::vector<Row>& rows_below,
                        std::vector<Row>& rows) {
    port::merge(rest, until, upper, lower, itself, rows_below, 3, rows);
  };
  EXPECT_EQ(port::scan_layers({.space = Space::kNode}, 3, 1, page, over).size(), 3U);
  EXPECT_EQ(asked, (std::vector<std::size_t>{3, 1}));
}

}  // namespace
}  // namespace graven::test
