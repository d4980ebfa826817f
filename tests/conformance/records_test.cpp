// SPDX-License-Identifier: MIT
//
// What the port promises about records: what is put comes back, in every space, of every
// size, and in order.
#include <graven/error.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "conformance/store_under_test.hpp"
#include "port/range.hpp"

namespace graven::test {
namespace {

using port::Change;
using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Row;
using port::Space;

constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

class Records : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Backends, Records, ::testing::ValuesIn(every_backend()), backend_name);

std::vector<Space> every_space() {
  std::vector<Space> spaces;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) spaces.push_back(static_cast<Space>(i));
  return spaces;
}

Key key_of(Space space, std::int64_t a, std::int64_t b) {
  const port::Schema& schema = port::schema(space);
  Key key{.space = space};
  if (!schema.a.empty()) key.a = a;
  if (schema.shape == KeyShape::kPair) key.b = b;
  if (schema.shape == KeyShape::kName) key.name = "name " + std::to_string(b);
  return key;
}

/// A record that uses every field of the space.
Record full_record(Space space, std::int64_t seed) {
  const port::Schema& schema = port::schema(space);
  Record record;
  if (schema.has_version) record.version = static_cast<std::uint64_t>(seed) + 1000;
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    record.integers[i] = seed * 10 + static_cast<std::int64_t>(i);
  }
  if (schema.has_body) record.body = "body " + std::to_string(seed) + std::string("\0\xff", 2);
  return record;
}

std::vector<std::int64_t> second_parts(const std::vector<Row>& rows) {
  std::vector<std::int64_t> parts;
  for (const Row& row : rows) parts.push_back(row.key.b);
  return parts;
}

TEST_P(Records, ANewStoreIsEmpty) {
  const auto view = backend_->view();
  for (const Space space : every_space()) {
    EXPECT_EQ(backend_->load(key_of(space, 1, 1)), std::nullopt);
    EXPECT_EQ(view->load(key_of(space, 1, 1)), std::nullopt);
    EXPECT_TRUE(view->scan({.space = space, .include_empty_name = true}, 10).empty());
  }
}

TEST_P(Records, ComeBackWholeInEverySpace) {
  std::vector<Change> changes;
  for (const Space space : every_space()) {
    changes.push_back({key_of(space, 5, 7), full_record(space, 3)});
  }
  const auto transaction = backend_->begin(soon());
  transaction->apply(changes);
  transaction->commit(1);
  for (int round = 0; round < 2; ++round) {
    for (const Change& change : changes) {
      EXPECT_EQ(backend_->load(change.key), change.record);
      EXPECT_EQ(backend_->view()->load(change.key), change.record);
    }
    reopen();
  }
}

TEST_P(Records, NewRowsAreWrittenAlsoOverOnesThatAreThere) {
  const auto transaction = backend_->begin(soon());
  std::map<Key, Record> expected;
  for (const Space space : {Space::kNode, Space::kEdge, Space::kEntry, Space::kSlot}) {
    for (int round = 0; round < 2; ++round) {
      port::NewRows rows(space);
      if (port::schema(space).has_version) rows.set_version(7);
      for (std::int64_t i = round * 50; i < round * 50 + 100; ++i) {
        const Key key = key_of(space, i / 3, i);
        if (key.b == 0 && rows.size() > 0 && rows.a(rows.size() - 1) == key.a) continue;
        Record record = full_record(space, i + round);
        record.version = rows.version();
        if (i % 5 == 0) record.body.clear();
        rows.bytes() += record.body;
        rows.add(key.a, key.b, record.integers);
        expected[key] = record;
      }
      transaction->insert(rows);
    }
  }
  transaction->commit(1);
  for (const auto& [key, record] : expected) EXPECT_EQ(backend_->load(key), record);
}

TEST_P(Records, FieldsTheSpaceLacksAreNotKept) {
  Record everything{.version = 7, .integers = {1, 2, 3, 4}, .body = "body"};
  const auto transaction = backend_->begin(soon());
  for (const Space space : every_space()) {
    const std::vector<Change> one{{key_of(space, 5, 7), everything}};
    transaction->apply(one);
    const port::Schema& schema = port::schema(space);
    const auto stored = transaction->load(key_of(space, 5, 7));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->version, schema.has_version ? 7U : 0U);
    EXPECT_EQ(stored->body, schema.has_body ? "body" : "");
    for (std::size_t i = 0; i < port::kMaxIntegers; ++i) {
      EXPECT_EQ(stored->integers[i],
                i < schema.integers.size() ? static_cast<std::int64_t>(i + 1) : 0);
    }
  }
}

TEST_P(Records, ReplacingAndErasing) {
  write(*backend_, {{node_key(1), node_record(0, "old")}, {node_key(2), node_record(0, "two")}});
  write(*backend_, {{node_key(1), node_record(0, "new")}, {node_key(2), std::nullopt}});
  EXPECT_EQ(backend_->load(node_key(1))->body, "new");
  EXPECT_EQ(backend_->load(node_key(2)), std::nullopt);
  // Erasing what is not there is nothing.
  write(*backend_, {{node_key(2), std::nullopt}, {node_key(99), std::nullopt}});
  EXPECT_EQ(backend_->load(node_key(99)), std::nullopt);
}

TEST_P(Records, TheLastChangeOfABatchWins) {
  write(*backend_, {{node_key(1), node_record(0, "first")},
                    {node_key(1), std::nullopt},
                    {node_key(1), node_record(0, "last")},
                    {node_key(2), node_record(0, "there")},
                    {node_key(2), std::nullopt}});
  EXPECT_EQ(backend_->load(node_key(1))->body, "last");
  EXPECT_EQ(backend_->load(node_key(2)), std::nullopt);
}

TEST_P(Records, BodiesOfEverySize) {
  const std::vector<std::size_t> sizes{0,    1,    100,   1000,    4000,    4096,
                                       4097, 9000, 70000, 1 << 20, 10 << 20};
  std::int64_t id = 0;
  std::map<std::int64_t, std::string> expected;
  for (const std::size_t size : sizes) {
    std::string body(size, '\0');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 + size);
    expected[++id] = body;
    write(*backend_, {{{.space = Space::kBlob, .a = id}, Record{.integers = {1}, .body = body}}});
  }
  reopen();
  for (const auto& [key, body] : expected) {
    const auto record = backend_->load({.space = Space::kBlob, .a = key});
    ASSERT_TRUE(record);
    EXPECT_TRUE(record->body == body) << body.size();
  }
  // Small over large, and large over small.
  write(*backend_, {{{.space = Space::kBlob, .a = id}, Record{.body = "small"}},
                    {{.space = Space::kBlob, .a = 1}, Record{.body = expected[id]}}});
  EXPECT_EQ(backend_->load({.space = Space::kBlob, .a = id})->body, "small");
  EXPECT_TRUE(backend_->load({.space = Space::kBlob, .a = 1})->body == expected[id]);
}

TEST_P(Records, IntegersAtTheirLimits) {
  write(*backend_, {});
  const auto transaction = backend_->begin(soon());
  std::vector<Change> changes;
  for (const std::int64_t id : {kLeast, std::int64_t{-1}, std::int64_t{0}, kMost}) {
    changes.push_back({node_key(id), Record{.version = static_cast<std::uint64_t>(kMost),
                                            .integers = {kLeast, kMost, -1, id},
                                            .body = "x"}});
    changes.push_back({{.space = Space::kEdge, .a = id, .b = id}, Record{.integers = {id}}});
  }
  transaction->apply(changes);
  transaction->commit(1);
  for (const Change& change : changes) EXPECT_EQ(backend_->load(change.key), change.record);
  const auto rows = backend_->view()->scan({.space = Space::kNode}, 10);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows.front().key.a, kLeast);
  EXPECT_EQ(rows.back().key.a, kMost);
}

TEST_P(Records, LoadNodeTellsWhetherAnythingIsToBeReclaimed) {
  write(*backend_, {{node_key(1), node_record(0, "one")}});
  bool reclaiming = true;
  EXPECT_EQ(backend_->load_node(1, reclaiming)->body, "one");
  EXPECT_FALSE(reclaiming);
  reclaiming = true;
  EXPECT_EQ(backend_->load_node(2, reclaiming), std::nullopt);
  EXPECT_FALSE(reclaiming);

  // Orphans somebody owns do not count.
  write(*backend_, {{{.space = Space::kOrphan, .a = 17, .b = 1}, Record{}}});
  reclaiming = true;
  EXPECT_EQ(backend_->load_node(1, reclaiming)->body, "one");
  EXPECT_FALSE(reclaiming);

  write(*backend_, {{{.space = Space::kOrphan, .a = 0, .b = 1}, Record{}}});
  EXPECT_EQ(backend_->load_node(1, reclaiming)->body, "one");
  EXPECT_TRUE(reclaiming);
  reclaiming = false;
  EXPECT_EQ(backend_->load_node(2, reclaiming), std::nullopt);
  EXPECT_TRUE(reclaiming);
}

TEST_P(Records, ViewsTellWhetherThereAreOrphans) {
  EXPECT_FALSE(backend_->view()->any_orphans());
  for (const std::int64_t owner : {7, 0}) {
    const Key orphan{.space = Space::kOrphan, .a = owner, .b = 1};
    const auto before = backend_->view();
    EXPECT_FALSE(before->any_orphans());
    write(*backend_, {{orphan, Record{}}});
    EXPECT_TRUE(backend_->view()->any_orphans());
    EXPECT_FALSE(before->any_orphans());
    write(*backend_, {{orphan, std::nullopt}});
    EXPECT_FALSE(backend_->view()->any_orphans());
  }
}

TEST_P(Records, ScanOfIds) {
  std::vector<Change> changes;
  for (const std::int64_t id : {10, 20, 30, 40}) {
    changes.push_back({node_key(id), node_record(0, std::to_string(id))});
  }
  write(*backend_, changes);
  const auto ids = [this](Range range, std::size_t limit) {
    range.space = Space::kNode;
    std::vector<std::int64_t> found;
    for (const Row& row : backend_->view()->scan(range, limit)) {
      found.push_back(row.key.a);
      EXPECT_EQ(row.record.body, std::to_string(row.key.a));
    }
    return found;
  };
  using Ids = std::vector<std::int64_t>;
  EXPECT_EQ(ids({}, 100), (Ids{10, 20, 30, 40}));
  EXPECT_EQ(ids({}, std::numeric_limits<std::size_t>::max()), (Ids{10, 20, 30, 40}));
  EXPECT_EQ(ids({}, 0), (Ids{}));
  EXPECT_EQ(ids({}, 2), (Ids{10, 20}));
  EXPECT_EQ(ids({.from = 20, .to = 30}, 100), (Ids{20, 30}));
  EXPECT_EQ(ids({.from = 11, .to = 29}, 100), (Ids{20}));
  EXPECT_EQ(ids({.from = 30, .to = 20}, 100), (Ids{}));
  EXPECT_EQ(ids({.reverse = true}, 100), (Ids{40, 30, 20, 10}));
  EXPECT_EQ(ids({.reverse = true}, 1), (Ids{40}));
  EXPECT_EQ(ids({.from = 15, .to = 35, .reverse = true}, 1), (Ids{30}));
}

TEST_P(Records, ScanOfPairsStaysWithinTheFirst) {
  std::vector<Change> changes;
  for (const std::int64_t a : {1, 2, 3}) {
    for (const std::int64_t b :
         {kLeast, std::int64_t{-5}, std::int64_t{0}, std::int64_t{5}, kMost}) {
      changes.push_back({{.space = Space::kEntry, .a = a, .b = b}, full_record(Space::kEntry, 1)});
    }
  }
  write(*backend_, changes);
  const auto scan = [this](Range range, std::size_t limit) {
    range.space = Space::kEntry;
    const auto rows = backend_->view()->scan(range, limit);
    for (const Row& row : rows) EXPECT_EQ(row.key.a, range.a);
    return second_parts(rows);
  };
  using Parts = std::vector<std::int64_t>;
  EXPECT_EQ(scan({.a = 2}, 100), (Parts{kLeast, -5, 0, 5, kMost}));
  EXPECT_EQ(scan({.a = 2, .from = -5, .to = 5}, 100), (Parts{-5, 0, 5}));
  EXPECT_EQ(scan({.a = 2, .from = -5, .to = 5}, 2), (Parts{-5, 0}));
  EXPECT_EQ(scan({.a = 2, .to = 5, .reverse = true}, 2), (Parts{5, 0}));
  EXPECT_EQ(scan({.a = 4}, 100), (Parts{}));
}

TEST_P(Records, ScanOfManyFirstParts) {
  std::vector<Change> changes;
  for (const std::int64_t a : {1, 2, 3, 4}) {
    for (const std::int64_t b : {-5, 0, 5}) {
      changes.push_back({{.space = Space::kEdge, .a = a, .b = b}, full_record(Space::kEdge, b)});
    }
    for (const std::string name : {"", "m", "z"}) {
      changes.push_back({{.space = Space::kCounter, .a = a, .name = name}, counter_record(0, a)});
    }
  }
  write(*backend_, changes);
  const auto scan = [this](const Range& range, std::size_t limit) {
    std::string found;
    for (const Row& row : backend_->view()->scan(range, limit)) {
      found += std::to_string(row.key.a) + ":";
      found += range.space == Space::kEdge ? std::to_string(row.key.b) : row.key.name;
      found += " ";
    }
    return found;
  };
  EXPECT_EQ(scan({.space = Space::kEdge, .a = 2, .a_to = 3}, 100), "2:-5 2:0 2:5 3:-5 3:0 3:5 ");
  EXPECT_EQ(scan({.space = Space::kEdge, .a = 2, .a_to = kMost, .from = 5, .to = 0}, 4),
            "2:5 3:-5 3:0 3:5 ");
  EXPECT_EQ(scan({.space = Space::kEdge, .a = 2, .a_to = 1}, 100), "2:-5 2:0 2:5 ");
  EXPECT_EQ(scan({.space = Space::kCounter, .a = 2, .a_to = 3, .after = "m"}, 100),
            "2:z 3: 3:m 3:z ");
  EXPECT_EQ(scan({.space = Space::kCounter, .a = 2, .a_to = 3}, 100), "2:m 2:z 3: 3:m 3:z ");
  EXPECT_EQ(scan({.space = Space::kCounter, .a = 2, .a_to = 3, .include_empty_name = true}, 2),
            "2: 2:m ");
}

TEST_P(Records, NamesAreBytesInOrder) {
  // Any UTF-8, U+0000 too, compared byte by byte.
  const std::vector<std::string> names{std::string("\0", 1),
                                       std::string("a\0b", 3),
                                       "a",
                                       "ab",
                                       "b",
                                       "Z",
                                       "é",
                                       "😀",
                                       std::string(5000, 'n'),
                                       "1",
                                       "01"};
  std::vector<Change> changes;
  for (const std::string& name : names)
    changes.push_back({counter_key(name), counter_record(0, 1)});
  changes.push_back({counter_key(""), counter_record(0, 2)});
  changes.push_back(
      {{.space = Space::kCounter, .a = 2, .name = "elsewhere"}, counter_record(0, 3)});
  write(*backend_, changes);
  reopen();

  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const auto scan = [this](Range range, std::size_t limit) {
    range.space = Space::kCounter;
    range.a = 1;
    std::vector<std::string> found;
    for (const Row& row : backend_->view()->scan(range, limit)) found.push_back(row.key.name);
    return found;
  };
  EXPECT_EQ(scan({}, 100), sorted);
  std::vector<std::string> with_empty = sorted;
  with_empty.insert(with_empty.begin(), "");
  EXPECT_EQ(scan({.include_empty_name = true}, 100), with_empty);
  EXPECT_EQ(scan({.include_empty_name = true}, 1), (std::vector<std::string>{""}));
  // Page by page, as callers do.
  std::vector<std::string> paged;
  for (Range range{};;) {
    const auto page = scan(range, 3);
    if (page.empty()) break;
    paged.insert(paged.end(), page.begin(), page.end());
    range.after = page.back();
    range.include_empty_name = true;  // means nothing behind a name
  }
  EXPECT_EQ(paged, sorted);
  // And backwards: from the end, or from a name, which need not be there.
  std::vector<std::string> falling(sorted.rbegin(), sorted.rend());
  EXPECT_EQ(scan({.reverse = true}, 100), falling);
  EXPECT_EQ(scan({.reverse = true}, 2), (std::vector<std::string>{"😀", "é"}));
  EXPECT_EQ(scan({.after = "b", .include_empty_name = true, .reverse = true}, 2),
            (std::vector<std::string>{"ab", std::string("a\0b", 3)}));
  EXPECT_EQ(scan({.after = "aa", .reverse = true}, 2),
            (std::vector<std::string>{std::string("a\0b", 3), "a"}));
  EXPECT_EQ(scan({.after = std::string("\0", 1), .reverse = true}, 9), std::vector<std::string>{});
  EXPECT_EQ(scan({.after = std::string("\0", 1), .include_empty_name = true, .reverse = true}, 9),
            (std::vector<std::string>{""}));
  falling.emplace_back();
  EXPECT_EQ(scan({.include_empty_name = true, .reverse = true}, 100), falling);
  paged.clear();
  std::optional<Range> rest =
      Range{.space = Space::kCounter, .a = 1, .include_empty_name = true, .reverse = true};
  while (rest) {
    const auto page = scan(*rest, 3);
    paged.insert(paged.end(), page.begin(), page.end());
    rest = page.empty() ? std::nullopt : port::behind(*rest, counter_key(page.back()));
  }
  EXPECT_EQ(paged, falling);
  EXPECT_EQ(backend_->load(counter_key(""))->integers[0], 2);
  for (const std::string& name : names) EXPECT_TRUE(backend_->load(counter_key(name))) << name;
}

TEST_P(Records, TheClockIsThePrefixWithoutAName) {
  write(*backend_, {{{.space = Space::kPrefix, .name = "app"}, Record{.integers = {1, 10}}}});
  EXPECT_EQ(backend_->load(port::clock_key())->integers[0], 1);
  const auto view = backend_->view();
  ASSERT_EQ(view->scan({.space = Space::kPrefix}, 10).size(), 1U);
  EXPECT_EQ(view->scan({.space = Space::kPrefix}, 10)[0].key.name, "app");
  EXPECT_EQ(view->scan({.space = Space::kPrefix, .include_empty_name = true}, 10).size(), 2U);
}

TEST_P(Records, LoadManyAnswersEveryKeyOnce) {
  std::vector<Change> changes;
  for (std::int64_t i = 0; i < 500; ++i) {
    changes.push_back({node_key(i * (i % 7 == 0 ? 1000 : 1)), node_record(0, std::to_string(i))});
    changes.push_back({{.space = Space::kEntry, .a = i % 3, .b = i * (i % 5 == 0 ? 1 << 20 : 1)},
                       full_record(Space::kEntry, i)});
    changes.push_back({counter_key(std::to_string(i)), counter_record(0, i)});
  }
  write(*backend_, changes);
  const auto view = backend_->view();
  for (const Space space : {Space::kNode, Space::kEntry, Space::kCounter}) {
    std::vector<Key> keys;
    for (const Change& change : changes) {
      if (change.key.space == space) keys.push_back(change.key);
    }
    keys.push_back(key_of(space, 777'777, 777'777));  // not there
    keys.push_back(key_of(space, -1, -1));
    keys.push_back(keys.front());  // twice
    std::reverse(keys.begin(), keys.end());
    std::vector<int> answers(keys.size(), 0);
    view->load_many(keys, [&](std::size_t i, Record* record) {
      ++answers[i];
      const auto expected = backend_->load(keys[i]);
      ASSERT_EQ(record != nullptr, expected.has_value());
      if (record == nullptr) return;
      EXPECT_EQ(*record, *expected);
      const Record moved = std::move(*record);  // allowed
      static_cast<void>(moved);
    });
    EXPECT_TRUE(std::all_of(answers.begin(), answers.end(), [](int n) { return n == 1; }));
  }
  view->load_many({}, [](std::size_t, Record*) { FAIL(); });
}

TEST_P(Records, LoadManySurvivesACallbackThatThrows) {
  write(*backend_, {{node_key(1), node_record(0, "a")}, {node_key(2), node_record(0, "b")}});
  const auto view = backend_->view();
  const std::vector<Key> keys{node_key(1), node_key(2)};
  EXPECT_THROW(
      view->load_many(keys, [](std::size_t, Record*) { throw std::runtime_error("enough"); }),
      std::runtime_error);
  EXPECT_EQ(view->load(node_key(2))->body, "b");
}

TEST_P(Records, TheStoreHasItsOwnConstant) {
  const std::uint64_t constant = backend_->facts().constant;
  EXPECT_NE(constant, 0U);
  reopen();
  EXPECT_EQ(backend_->facts().constant, constant);
  const TemporaryFolder elsewhere;
  EXPECT_NE(GetParam().open(elsewhere)->facts().constant, constant);
}

TEST_P(Records, IdentityTellsStoresApart) {
  const TemporaryFolder elsewhere;
  const Opened other = GetParam().open(elsewhere);
  EXPECT_NE(other->facts().identity, backend_->facts().identity);
  const std::string identity = backend_->facts().identity;
  reopen();
  EXPECT_EQ(backend_->facts().identity, identity);
  EXPECT_FALSE(backend_->facts().name.empty());
  EXPECT_FALSE(backend_->facts().read_only);
}

TEST_P(Records, SoundStoresHaveNoProblems) {
  write(*backend_, {{node_key(1), node_record(0, std::string(10000, 'x'))}});
  EXPECT_TRUE(backend_->check().empty());
  backend_->maintain();
  EXPECT_TRUE(backend_->check().empty());
  EXPECT_EQ(backend_->size_on_disk() > 0, GetParam().persistent);
}

TEST_P(Records, OwnersLiveAsLongAsTheyAreHeld) {
  EXPECT_FALSE(backend_->leases().alive(5));
  backend_->leases().announce(5);
  backend_->leases().announce(5);  // once more is nothing
  backend_->leases().announce(kMost);
  EXPECT_TRUE(backend_->leases().alive(5));
  EXPECT_TRUE(backend_->leases().alive(kMost));
  EXPECT_FALSE(backend_->leases().alive(6));
  EXPECT_FALSE(backend_->leases().alive(4));
  if (!GetParam().persistent) return;
  reopen();
  EXPECT_FALSE(backend_->leases().alive(5));
}

}  // namespace
}  // namespace graven::test
