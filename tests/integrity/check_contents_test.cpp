// SPDX-License-Identifier: MIT
//
// check() finds every kind of damage inside containers: bodies, entries and slots of large
// dicts, pages of large lists, large values. Each test plants one kind in a sound store and
// asserts that exactly this is reported.
#include "integrity/damage.hpp"

namespace graven::test {
namespace {

class ContentDamage : public Damage {
 protected:
  /// The body of a node replaced by other bytes; the store was sound before.
  void rewrite(const Node& node, std::string body) {
    expect_clean(db);
    rewrite_unchecked(node, std::move(body));
  }
  void rewrite_unchecked(const Node& node, std::string body) {
    NodeRecord record = stored_node(db, node);
    record.body = std::move(body);
    plant(db, {saved(record)});
  }

  Dict large_dict(int size = 100) {
    const Dict dict = made("large", Data::dict());
    for (int i = 0; i < size; ++i) dict.set("key " + std::to_string(i), i);
    return dict;
  }

  List large_list(int size = 1000) {
    Data items = Data::list();
    auto& container = items.container(std::get<Data::Index>(items.root()));
    for (int i = 0; i < size; ++i) container.items.emplace_back(std::int64_t{i});
    return made_list("large", items);
  }

  Records records(Space space) { return records_of(*store_of(db).view(), space); }

  Key slot_key(const Node& node, const std::string& key) {
    return {.space = Space::kSlot,
            .a = id_of(node),
            .b = graph::dict_content::slot_of(id_of(node), key)};
  }
  static Key entry_key(const Node& node, std::int64_t position) {
    return {.space = Space::kEntry, .a = id_of(node), .b = position};
  }
  static Key header_key(const Node& node) {
    return entry_key(node, graph::dict_content::kHeaderPosition);
  }
};
GRAVEN_ON_EVERY_STORE(ContentDamage);

// Bodies, written by hand: an element is put together of its type, and its payload.
std::string element(jsonb::Type type, const std::string& payload) {
  std::string out;
  jsonb::put_header(out, type, payload.size());
  return out + payload;
}
std::string text(const std::string& payload) { return element(jsonb::Type::kText, payload); }
std::string integer(std::int64_t value) {
  std::string out;
  jsonb::put_int(out, value);
  return out;
}
std::string array(const std::string& payload) { return element(jsonb::Type::kArray, payload); }
std::string object(const std::string& payload) { return element(jsonb::Type::kObject, payload); }

// --- Bodies

TEST_P(ContentDamage, ABodyThatIsNoJsonb) {
  const Dict dict = made("d");
  rewrite(dict, "\xff\xff\xff");
  expect(dict, "its body is damaged: damaged JSONB");
}

TEST_P(ContentDamage, ABodyThatIsEmpty) {
  const Dict dict = made("d");
  rewrite(dict, "");
  expect(dict, "its body is damaged: damaged JSONB");
}

TEST_P(ContentDamage, ABodyThatEndsWithinAnElement) {
  const List list = made_list("l", Data::list());
  rewrite(list, array(integer(1) + "\x57" + "abc"));
  expect(list, "its body is damaged: damaged JSONB");
}

TEST_P(ContentDamage, ABodyOfTheOtherKind) {
  const Dict dict = made("d");
  const List list = made_list("l", Data::list());
  rewrite(dict, array(""));
  expect(dict, "its body is not an object");
  plant(db, {saved([&] {
          NodeRecord node = *graph::find_raw_node(*store_of(db).view(), id_of(dict));
          node.body = object("");
          return node;
        }())});
  rewrite(list, text("text"));
  expect(list, "its body is not an array");
}

TEST_P(ContentDamage, ABodyWithSomethingBehindIt) {
  const Dict dict = made("d");
  rewrite(dict, object("") + "abc");
  expect(dict, "its body ends 3 bytes before its record does");
}

TEST_P(ContentDamage, ANodeOfAnUnknownKind) {
  const Dict dict = made("d");
  alter(dict, [](NodeRecord& node) { node.layout = static_cast<graph::Layout>(17); });
  expect(dict, "it is of the unknown kind 17");
}

TEST_P(ContentDamage, KeysThatAreNoTexts) {
  const Dict dict = made("d");
  rewrite(dict, object(integer(1) + integer(2)));
  expect(dict, "its body is damaged: damaged JSONB: a text is expected");
}

TEST_P(ContentDamage, AKeyThatIsThereTwice) {
  const Dict dict = made("d");
  const std::string escaped = element(jsonb::Type::kTextJ, "\\u006bey");
  rewrite(dict,
          object(text("key") + integer(1) + text("other") + integer(2) + escaped + integer(3)));
  expect(dict, "the key 'key' is there twice");
}

TEST_P(ContentDamage, ValuesThatGravenDoesNotWrite) {
  const List list = made_list("l", Data::list());
  const std::vector<std::pair<std::string, std::string>> cases{
      {text("\xed\xa0\x80"), "a text is not valid UTF-8"},
      {element(jsonb::Type::kTextRaw, "\xff"), "a text is not valid UTF-8"},
      {element(jsonb::Type::kTextJ, "\\ud800"), "lone surrogate"},
      {element(jsonb::Type::kInt, "12x"), "an integer is malformed"},
      {element(jsonb::Type::kInt5, "0x"), "a hexadecimal integer is malformed"},
      {element(jsonb::Type::kFloat, "1.5.2"), "a number is malformed"},
      {array(integer(1)), "it is an array where a link belongs"},
      {object(""), "an object that graven did not write"},
      {object(text("x") + integer(1)), "an object that graven did not write"},
      {object(text("name") + text("Ada")), "an object that graven did not write"},
      {object(text("f") + text("one")), "an object that graven did not write"},
      {object(text("f") + text("nan") + text("g") + text("nan")),
       "an object that graven did not write"},
      {object(text("d")), "damaged JSONB"},
      {object(text("d") + text("1")), "a link or large value has no id"},
      {object(text("T") + text("1")), "a link or large value has no id"},
      {object(text("b") + text("a")), "bytes are not valid base64"},
      {object(text("b") + integer(1)), "a text is expected"},
      {object(text("i") + text("ff")), "an integer beyond 64 bits is malformed"},
      {object(text("i") + text("0123456789abcdef01")), "an integer beyond 64 bits is malformed"},
      {object(text("i") + text("-ABCDEF0123456789")), "an integer beyond 64 bits is malformed"},
  };
  std::string all;
  std::vector<Expected> expected;
  for (const auto& [bytes, what] : cases) {
    expected.push_back({list.uid(), "item " + std::to_string(expected.size()) + " is damaged: "});
    all += bytes;
  }
  rewrite(list, array(all));
  expect(expected);
  const CheckReport report = db.check();
  ASSERT_EQ(report.problems.size(), cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_NE(report.problems[i].what.find(cases[i].second), std::string::npos)
        << report.problems[i].what << "\ndoes not say\n"
        << cases[i].second;
  }
}

TEST_P(ContentDamage, AValueUnderAKey) {
  const Dict dict = made("d");
  rewrite(dict,
          object(text("a") + text("fine") + text("b") + text("\xff") + text("c") + integer(1)));
  expect(dict, "the value under 'b' is damaged: a text is not valid UTF-8");
}

TEST_P(ContentDamage, WhatSqliteMayWriteIsNoDamage) {
  const Dict dict = made("d");
  rewrite(dict,
          object(element(jsonb::Type::kTextJ, "a\\n") + element(jsonb::Type::kTextJ, "\\u00e9") +
                 text("b") + element(jsonb::Type::kInt5, "0xff") + text("c") +
                 element(jsonb::Type::kFloat5, ".5") + text("d") +
                 element(jsonb::Type::kText5, "\\x41") + text("e") +
                 element(jsonb::Type::kInt, "123456789012345678901234567890")));
  expect_clean(db);
}

// --- Large dicts

TEST_P(ContentDamage, TheHeaderOfALargeDict) {
  const Dict dict = large_dict();
  change({{header_key(dict), Record{.body = array(integer(99) + integer(100))}}});
  expect(dict, "its header counts 99 entries, there are 100");
}

TEST_P(ContentDamage, TheNextPositionOfALargeDict) {
  const Dict dict = large_dict();
  change({{header_key(dict), Record{.body = array(integer(100) + integer(99))}}});
  expect(dict, "an entry has position 99, the next to be given out is 99");
}

TEST_P(ContentDamage, AHeaderThatIsMissing) {
  const Dict dict = large_dict();
  change({erased(header_key(dict))});
  expect(dict, "its header is missing");
}

TEST_P(ContentDamage, AHeaderThatIsNone) {
  const Dict dict = large_dict();
  change({{header_key(dict), Record{.body = object("")}}});
  expect(dict, "its header is damaged");
}

TEST_P(ContentDamage, AHeaderWithoutNumbers) {
  const Dict dict = large_dict();
  change({{header_key(dict), Record{.body = array(text("1") + text("2"))}}});
  expect(dict, "its header is damaged");
}

TEST_P(ContentDamage, AnEntryWithoutSlot) {
  const Dict dict = large_dict();
  change({erased(slot_key(dict, "key 7"))});
  expect(dict, "the entry at position 7 has no slot");
}

TEST_P(ContentDamage, ASlotWithoutEntry) {
  const Dict dict = large_dict();
  change({{Key{.space = Space::kSlot, .a = id_of(dict), .b = 12345}, Record{.integers = {1000}}}});
  expect(dict, "the slot of hash 3039 names position 1000, where no entry is");
}

TEST_P(ContentDamage, ASlotOfTheWrongHash) {
  const Dict dict = large_dict();
  const Key right = slot_key(dict, "key 7");
  Key wrong = right;
  ++wrong.b;
  change({erased(right), {wrong, Record{.integers = {7}}}});
  expect({{dict.uid(), "the entry at position 7 has no slot"},
          {dict.uid(), "names position 7, whose key is in another slot"}});
}

TEST_P(ContentDamage, ASlotOfTheWrongPosition) {
  const Dict dict = large_dict();
  change({{slot_key(dict, "key 7"), Record{.integers = {8}}}});
  expect({{dict.uid(), "the entry at position 7 has no slot"},
          {dict.uid(), "names position 8, whose key is in another slot"}});
}

TEST_P(ContentDamage, ASlotThatNamesAPositionTwice) {
  const Dict dict = large_dict();
  change({{slot_key(dict, "key 7"), Record{.integers = {7}, .body = array(integer(7))}}});
  expect(dict, "names position 7, whose key is in another slot or named twice");
}

TEST_P(ContentDamage, ASlotThatIsNoArray) {
  const Dict dict = large_dict();
  change({{slot_key(dict, "key 7"), Record{.integers = {7}, .body = text("7")}}});
  expect(dict, "is damaged: it is not an array of positions");
}

TEST_P(ContentDamage, AKeyThatALargeDictHasTwice) {
  const Dict dict = large_dict();
  expect_clean(db);
  const Record entry = *store_of(db).load(entry_key(dict, 7));
  plant(db, {{entry_key(dict, 100), entry},
             {slot_key(dict, "key 7"), Record{.integers = {7}, .body = array(integer(100))}},
             {header_key(dict), Record{.body = array(integer(101) + integer(101))}}});
  expect(dict, "the key 'key 7' is there twice");
}

TEST_P(ContentDamage, AnEntryThatIsNoPair) {
  const Dict dict = large_dict();
  alter(entry_key(dict, 7), [](Record& entry) { entry.body = text("key 7"); });
  expect(
      {{dict.uid(), "the entry at position 7 is damaged: it is not an array of a key and a value"},
       {dict.uid(), "names position 7, where no entry is"}});
}

TEST_P(ContentDamage, AnEntryOfMoreThanAPair) {
  const Dict dict = large_dict();
  alter(entry_key(dict, 7),
        [](Record& entry) { entry.body = array(text("key 7") + integer(1) + integer(2)); });
  expect(dict, "the entry at position 7 is damaged: it holds more than a key and a value");
}

TEST_P(ContentDamage, AnEntryWithoutValue) {
  const Dict dict = large_dict();
  alter(entry_key(dict, 7), [](Record& entry) { entry.body = array(text("key 7")); });
  expect(dict, "the entry at position 7 is damaged: damaged JSONB: an element is missing");
}

TEST_P(ContentDamage, AnEntryWhoseValueIsDamaged) {
  const Dict dict = large_dict();
  alter(entry_key(dict, 7),
        [](Record& entry) { entry.body = array(text("key 7") + object(text("x") + integer(1))); });
  expect(dict, "the entry at position 7 is damaged: it is an object that graven did not write");
}

TEST_P(ContentDamage, EntriesAndSlotsOfNobody) {
  const Record entry{.body = array(text("k") + integer(1))};
  std::vector<Change> changes;
  for (std::int64_t i = 0; i < 3; ++i) {
    changes.push_back({Key{.space = Space::kEntry, .a = kAbsent, .b = i}, entry});
  }
  changes.push_back({Key{.space = Space::kEntry, .a = INT64_MAX, .b = 1}, entry});
  changes.push_back({Key{.space = Space::kSlot, .a = kAbsent, .b = 1}, Record{}});
  change(changes);
  expect({{"", "3 entries of " + absent() + ", which does not exist"},
          {"", "1 entries of " + absent(NodeKind::kDict, INT64_MAX) + ", which does not exist"},
          {"", "1 slots of " + absent() + ", which does not exist"}});
}

TEST_P(ContentDamage, EntriesAndSlotsOfASmallDict) {
  const Dict large = large_dict();  // what is there before and behind it is right
  const Dict dict = made("d");
  change({{entry_key(dict, 1), Record{.body = array(text("k") + integer(1))}},
          {slot_key(dict, "k"), Record{.integers = {1}}}});
  expect({{dict.uid(), "1 entries, though it is not a large dict"},
          {dict.uid(), "1 slots, though it is not a large dict"}});
}

// --- Large lists

TEST_P(ContentDamage, AMissingPage) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  change({erased(page)});
  expect(list, "page " + std::to_string(page.a) + " is missing");
}

TEST_P(ContentDamage, APageThatIsCountedWrong) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  alter(page, [](Record& record) {
    record.body = array(std::string(jsonb::parse(record.body).payload) + integer(1));
  });
  expect(list, "page " + std::to_string(page.a) + " is counted as 128 items, it has 129");
}

TEST_P(ContentDamage, APageThatIsEmpty) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  alter(page, [](Record& record) { record.body = array(""); });
  expect(list, "page " + std::to_string(page.a) + " is damaged: it is empty");
}

TEST_P(ContentDamage, APageThatIsNoArray) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  alter(page, [](Record& record) { record.body = "\xff"; });
  expect(list, "page " + std::to_string(page.a) + " is damaged");
}

TEST_P(ContentDamage, APageWithADamagedItem) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  alter(page, [](Record& record) {
    std::string items;
    for (int i = 0; i < 127; ++i) items += integer(i);
    record.body = array(items + text("\xff"));
  });
  expect(list,
         "item 127 of page " + std::to_string(page.a) + " is damaged: a text is not valid UTF-8");
}

TEST_P(ContentDamage, APageOfAnother) {
  const List list = large_list();
  const Key page = std::next(records(Space::kPage).begin(), 2)->first;
  alter(page, [](Record& record) { record.integers[0] = kAbsent; });
  expect(list, "page " + std::to_string(page.a) + " says it belongs to " + absent(NodeKind::kList));
}

TEST_P(ContentDamage, PagesThatNothingNames) {
  const List list = large_list();
  change({{Key{.space = Space::kPage, .a = 5},
           Record{.integers = {kAbsent}, .body = array(integer(1))}},
          {Key{.space = Space::kPage, .a = 6},
           Record{.integers = {id_of(list)}, .body = array(integer(1))}}});
  expect({{"", "page 5 of " + absent(NodeKind::kList) + ", which does not exist"},
          {list.uid(), "page 6 says it belongs here, but nothing names it"}});
}

TEST_P(ContentDamage, TheHeaderOfALargeList) {
  const List list = large_list();
  const auto pages = records(Space::kPage);
  rewrite(list, array(integer(0) + integer(0) + array("") + array("")));
  const CheckReport report = db.check();
  EXPECT_EQ(report.problems.size(), 1 + pages.size()) << problems_of(report);
  EXPECT_EQ(report.problems.front().what, "its header is damaged: it claims 0 levels of pages");
}

/// A body [level, items in pages, [page, count, page, count …], tail] of these pairs.
std::string header_with(std::int64_t level, const std::vector<std::int64_t>& pairs) {
  std::string children;
  std::int64_t items = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    children += integer(pairs[i]);
    if (i % 2 == 1) items += pairs[i];
  }
  return array(integer(level) + integer(items) + array(children) + array(""));
}

std::vector<std::int64_t> pairs_of(const std::string& header) {
  jsonb::Cursor cursor(jsonb::parse(header).payload);
  cursor.next();
  cursor.next();
  std::vector<std::int64_t> pairs;
  for (jsonb::Cursor child(cursor.next().payload); !child.done();) {
    pairs.push_back(*jsonb::integer(child.next()));
  }
  return pairs;
}

/// The body of a sound large list with its parts after the level replaced.
std::string body_with(const std::string& body, std::int64_t items, const std::string& tail) {
  jsonb::Cursor cursor(jsonb::parse(body).payload);
  cursor.next();
  cursor.next();
  return array(integer(1) + integer(items) + std::string(cursor.next().whole) + tail);
}

TEST_P(ContentDamage, TheItemsInPagesAreMiscounted) {
  const List list = large_list();
  const std::size_t pages = records(Space::kPage).size();
  rewrite(list, body_with(stored_node(db, list).body, 7, array("")));
  const CheckReport report = db.check();
  EXPECT_EQ(report.problems.size(), 1 + pages) << problems_of(report);
  EXPECT_EQ(report.problems.front().what,
            "its header is damaged: it counts 7 items in pages, its pages 896");
}

TEST_P(ContentDamage, TheTailOfALargeList) {
  const List list = large_list();
  const std::string body = stored_node(db, list).body;
  rewrite(list, body_with(body, 896, array(integer(1) + text("\xff"))));
  expect(list, "item 897 is damaged: a text is not valid UTF-8");
  NodeRecord node = stored_node(db, list);
  node.body = body_with(body, 896, text("no array"));
  plant(db, {saved(node)});
  EXPECT_EQ(db.check().problems.front().what,
            "its header is damaged: it does not end with an array of items");
}

TEST_P(ContentDamage, APageThatIsNamedTwice) {
  const List list = large_list();
  std::vector<std::int64_t> pairs = pairs_of(stored_node(db, list).body);
  pairs.push_back(pairs[0]);
  pairs.push_back(pairs[1]);
  rewrite(list, header_with(1, pairs));
  expect(list, "page " + std::to_string(pairs[0]) + " is there twice");
}

TEST_P(ContentDamage, ACountBelowOne) {
  const List list = large_list();
  std::vector<std::int64_t> pairs = pairs_of(stored_node(db, list).body);
  const std::size_t pages = pairs.size() / 2;
  pairs[1] = 0;
  rewrite(list, header_with(1, pairs));
  const CheckReport report = db.check();
  EXPECT_EQ(report.problems.size(), 1 + pages) << problems_of(report);
  EXPECT_EQ(report.problems.front().what,
            "its header is damaged: it counts 0 items in page " + std::to_string(pairs[0]));
}

TEST_P(ContentDamage, LeavesAtUnequalDepth) {
  const List list = made_list("texts", [] {
    Data items = Data::list();
    auto& container = items.container(std::get<Data::Index>(items.root()));
    for (int i = 0; i < 500; ++i) container.items.emplace_back("text " + std::to_string(i));
    return items;
  }());
  // The first leaf moves one level down; the others stay where only inner pages belong.
  expect_clean(db);
  const std::vector<std::int64_t> pairs = pairs_of(stored_node(db, list).body);
  std::vector<std::int64_t> upper = pairs;
  upper[0] = 7;
  plant(
      db,
      {{Key{.space = Space::kPage, .a = 7},
        Record{.integers = {id_of(list)}, .body = array(integer(pairs[0]) + integer(pairs[1]))}}});
  rewrite_unchecked(list, header_with(2, upper));
  std::vector<Expected> expected;
  for (std::size_t i = 2; i < pairs.size(); i += 2) {
    expected.push_back({list.uid(), "page " + std::to_string(pairs[i]) +
                                        " is damaged: it has items other than pages and counts"});
  }
  ASSERT_FALSE(expected.empty());
  expect(expected);
}

TEST_P(ContentDamage, InnerCountsAreLookedAtToo) {
  const List list = large_list(20'000);
  std::vector<std::int64_t> pairs = pairs_of(stored_node(db, list).body);
  ASSERT_EQ(jsonb::parse(stored_node(db, list).body).payload.substr(0, 2),
            "\x13"
            "2");
  ++pairs[3];
  rewrite(list, header_with(2, pairs));
  expect(list, "page " + std::to_string(pairs[2]) + " is counted as ");
}

TEST_P(ContentDamage, PagesThatPointAtEachOther) {
  const List list = large_list();
  const auto pages = records(Space::kPage);
  const NodeId page = pages.begin()->first.a;
  expect_clean(db);
  const auto itself = array(integer(page) + integer(128));
  std::vector<Change> changes;
  for (const auto& [key, record] : pages) changes.push_back(erased(key));
  changes.push_back({pages.begin()->first, Record{.integers = {id_of(list)}, .body = itself}});
  plant(db, changes);
  rewrite_unchecked(list, header_with(12, {page, 128}));
  expect(list, "page " + std::to_string(page) + " is counted as 128 items, it has 2");
}

// --- Large values

TEST_P(ContentDamage, ALargeValueIsMissing) {
  const Dict dict = made("d", {{"text", std::string(5000, 'x')}});
  const Key blob = records(Space::kBlob).begin()->first;
  change({erased(blob)});
  expect(dict, "the large value " + std::to_string(blob.a) + " is missing");
}

TEST_P(ContentDamage, LargeValuesThatNothingUses) {
  const Dict dict = made("d", {{"text", std::string(5000, 'x')}});
  change({{Key{.space = Space::kBlob, .a = 5}, Record{.integers = {id_of(dict)}, .body = "x"}},
          {Key{.space = Space::kBlob, .a = 6}, Record{.integers = {kAbsent}, .body = "x"}}});
  expect({{dict.uid(), "the large value 5 says it belongs here, but nothing uses it"},
          {"", "the large value 6 of " + absent() + ", which does not exist"}});
}

TEST_P(ContentDamage, ALargeValueThatIsUsedTwice) {
  const Dict dict = made("d", {{"text", std::string(5000, 'x')}});
  const std::int64_t blob = records(Space::kBlob).begin()->first.a;
  const std::string use = object(text("T") + integer(blob));
  rewrite(dict, object(text("text") + use + text("again") + use));
  expect(dict, "the large value " + std::to_string(blob) + " is used 2 times");
}

TEST_P(ContentDamage, ALargeValueOfAnother) {
  const Dict dict = made("d", {{"text", std::string(5000, 'x')}});
  const Key blob = records(Space::kBlob).begin()->first;
  alter(blob, [](Record& record) { record.integers[0] = kAbsent; });
  expect(dict, "the large value " + std::to_string(blob.a) + " says it belongs to " + absent());
}

TEST_P(ContentDamage, ALargeTextThatIsNoText) {
  const Dict dict = made("d", {{"text", std::string(5000, 'x')}});
  const Key blob = records(Space::kBlob).begin()->first;
  alter(blob, [](Record& record) { record.body[4000] = '\xff'; });
  expect(dict, "the large text " + std::to_string(blob.a) + " is not valid UTF-8");
}

}  // namespace
}  // namespace graven::test
