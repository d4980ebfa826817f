// SPDX-License-Identifier: MIT
//
// Dicts, small and large, against a vector of pairs: random puts, removals, look-ups, reading
// in pieces from either end, and emptying in steps; keys whose slots collide; and that nothing
// is left behind.
#include "graph/node/dict_content.hpp"

#include <algorithm>
#include <vector>

#include "base/random.hpp"
#include "graph/on_a_work.hpp"

namespace graven::test {
namespace {

namespace content = graph::dict_content;
using port::Space;

/// Insertion-ordered, and searched from end to end.
using Model = std::vector<std::pair<std::string, std::string>>;

Model::iterator find(Model& model, const std::string& key) {
  return std::find_if(model.begin(), model.end(),
                      [&](const auto& entry) { return entry.first == key; });
}

class DictContent : public OnAWork {
 protected:
  void SetUp() override { graph::save(work, node()); }

  [[nodiscard]] static NodeRecord node() {
    return {.id = 1, .prefix = 1, .anchor = 1, .body = empty_body(NodeKind::kDict)};
  }
  NodeRecord load() { return graph::load_node(work, 1); }

  std::optional<std::string> put(const std::string& key, const std::string& element) {
    NodeRecord node = load();
    return content::put(work, node, key, element);
  }
  std::optional<std::string> erase(const std::string& key) {
    NodeRecord node = load();
    return content::erase(work, node, key);
  }

  Model read(std::size_t limit, bool reverse) {
    Model all;
    const NodeRecord node = load();
    for (std::int64_t from = reverse ? content::kLast : content::kFirst;;) {
      const auto batch = content::entries(work, node, from, limit, reverse);
      for (const auto& entry : batch) all.emplace_back(entry.key, entry.element);
      if (batch.size() < limit) return all;
      from = batch.back().position + (reverse ? -1 : 1);
    }
  }

  void compare(const Model& model) {
    const NodeRecord node = load();
    ASSERT_EQ(content::size(work, node), model.size());
    ASSERT_EQ(read(7, false), model);
    ASSERT_EQ(read(1000, true), Model(model.rbegin(), model.rend()));
    for (const auto& [key, element] : model) ASSERT_EQ(content::find(work, node, key), element);
    if (node.large()) {
      ASSERT_EQ(count(Space::kEntry), model.size() + 1);  // and the header
      ASSERT_LE(count(Space::kSlot), model.size());
    } else {
      ASSERT_EQ(count(Space::kEntry) + count(Space::kSlot), 0U);
    }
  }
};

TEST_F(DictContent, AgreesWithAVectorOfPairs) {
  Random random;
  Model model;
  for (int round = 0; round < 3000; ++round) {
    // Grows and shrinks in turns, so that it is small and large several times.
    const std::size_t keys = round / 500 % 2 == 0 ? 200 : 12;
    std::string key = "key " + std::to_string(random.below(keys));
    if (random.one_in(50)) key = std::string(random.below(300), 'k');
    const auto at = find(model, key);
    const std::optional<std::string> before =
        at == model.end() ? std::nullopt : std::optional(at->second);
    if (random.below(5) < (keys > 100 ? 3U : 1U)) {
      const std::string element = random.one_in(20)
                                      ? text_element(std::string(300, 'v'))
                                      : int_element(static_cast<std::int64_t>(random.bits()));
      ASSERT_EQ(put(key, element), before);
      if (at == model.end()) {
        model.emplace_back(key, element);
      } else {
        at->second = element;
      }
      // The step to a large dict makes long texts records of their own.
      if (const NodeRecord now = load(); now.large()) {
        for (auto& [name, value] : model) {
          if (value.size() > 300) value = *content::find(work, now, name);
        }
      }
    } else {
      ASSERT_EQ(erase(key), before);
      if (at != model.end()) model.erase(at);
    }
    if (random.one_in(10)) {
      ASSERT_NO_FATAL_FAILURE(compare(model));
    }
    if (model.empty() || random.one_in(400)) {
      std::vector<std::string> drained;
      NodeRecord node = load();
      ASSERT_TRUE(content::drain(work, node, SIZE_MAX,
                                 [&](std::string_view element) { drained.emplace_back(element); }));
      ASSERT_EQ(drained.size(), model.size());
      for (std::size_t i = 0; i < model.size(); ++i) ASSERT_EQ(drained[i], model[i].second);
      model.clear();
      ASSERT_EQ(load().layout, graph::Layout::kDict);
      ASSERT_NO_FATAL_FAILURE(compare(model));
    }
  }
}

TEST_F(DictContent, AnOverwrittenKeyKeepsItsPlaceAndARemovedOneLosesIt) {
  for (const int size : {5, 500}) {
    Model model;
    for (int i = 0; i < size; ++i) {
      model.emplace_back("key " + std::to_string(i), int_element(i));
      put(model.back().first, model.back().second);
    }
    put("key 2", int_element(-2));
    model[2].second = int_element(-2);
    erase("key 1");
    put("key 1", int_element(-1));
    model.erase(model.begin() + 1);
    model.emplace_back("key 1", int_element(-1));
    ASSERT_NO_FATAL_FAILURE(compare(model));
  }
}

TEST_F(DictContent, KeysOfEveryKind) {
  Model model;
  for (int size = 0; size < 2; ++size) {
    for (const std::string& key : {std::string(), std::string("\0", 1), std::string("a\0b", 3),
                                   std::string("\"\\\n"), std::string("\xf0\x9f\x98\x80"),
                                   std::string("01"), std::string("1"), std::string(65'535, 'k')}) {
      put(key, int_element(1));
      ASSERT_EQ(content::find(work, load(), key), int_element(1)) << key.size();
    }
    for (int i = 0; i < 200; ++i) put("filler " + std::to_string(i), int_element(i));
    ASSERT_TRUE(load().large());
  }
  EXPECT_EQ(content::size(work, load()), 208U);
}

// Pairs of keys with the same slot in node 1, found by looking at 40,000,000 of them. That they
// still collide is part of what is tested: the slot is part of the file format.
const std::vector<std::pair<std::string, std::string>> kColliding{
    {"2817230", "14350754"},  {"19183181", "20466425"}, {"4805668", "10034643"},
    {"20474754", "32062071"}, {"15136700", "17923788"}, {"15203510", "16033596"}};

TEST_F(DictContent, KeysWhoseSlotsCollideAreKeptApart) {
  Model model;
  for (int i = 0; i < 100; ++i) {
    model.emplace_back("filler " + std::to_string(i), int_element(i));
    put(model.back().first, model.back().second);
  }
  ASSERT_TRUE(load().large());
  for (const auto& [one, other] : kColliding) {
    ASSERT_EQ(content::slot_of(1, one), content::slot_of(1, other));
    EXPECT_EQ(put(one, int_element(1)), std::nullopt);
    EXPECT_EQ(content::find(work, load(), other), std::nullopt);
    EXPECT_EQ(erase(other), std::nullopt);
    EXPECT_EQ(put(other, int_element(2)), std::nullopt);
    EXPECT_EQ(put(one, int_element(3)), int_element(1));
    EXPECT_EQ(put(other, int_element(4)), int_element(2));
    model.emplace_back(one, int_element(3));
    model.emplace_back(other, int_element(4));
  }
  ASSERT_NO_FATAL_FAILURE(compare(model));
  EXPECT_EQ(count(Space::kSlot), 100 + kColliding.size());
  // The first of a pair goes, then the second, and the other way round.
  bool first = true;
  for (const auto& [one, other] : kColliding) {
    const auto& gone = first ? one : other;
    const auto& left = first ? other : one;
    EXPECT_EQ(erase(gone), first ? int_element(3) : int_element(4));
    EXPECT_EQ(content::find(work, load(), gone), std::nullopt);
    EXPECT_EQ(content::find(work, load(), left), first ? int_element(4) : int_element(3));
    EXPECT_EQ(erase(left), first ? int_element(4) : int_element(3));
    first = !first;
  }
  EXPECT_EQ(count(Space::kSlot), 100U);
}

TEST_F(DictContent, CollidingKeysPutTogether) {
  // Where slots wait, and where they do not.
  for (const std::size_t much : {std::size_t{1} << 20U, std::size_t{0}}) {
    work.expect_much(much);
    NodeRecord fresh = node();
    graph::save(work, fresh);
    Model model;
    const auto put_many = [&](const std::vector<std::pair<std::string, std::string>>& entries) {
      std::vector<std::string> keys;
      graph::Elements elements;
      for (const auto& [key, element] : entries) {
        keys.push_back(key);
        elements.bytes() += element;
        elements.end_one();
        if (const auto at = find(model, key); at != model.end()) {
          at->second = element;
        } else {
          model.emplace_back(key, element);
        }
      }
      NodeRecord to = load();
      content::put_many(work, to, keys, elements);
    };
    Model filler;
    for (int i = 0; i < 100; ++i) filler.emplace_back(std::to_string(i), int_element(i));
    put_many(filler);
    const auto slots = [&] { return work.slots_waiting(1); };
    EXPECT_EQ(slots(), much == 0 ? 0U : 100U);
    put_many({{kColliding[0].first, int_element(1)}, {"a", int_element(2)}});
    EXPECT_EQ(slots(), much == 0 ? 0U : 102U);
    put_many({{kColliding[0].second, int_element(3)}, {"a", int_element(4)}});  // one that waits
    put_many({{"b", int_element(5)},
              {kColliding[1].first, int_element(6)},
              {"c", int_element(7)},
              {kColliding[1].second, int_element(8)}});  // with each other
    put_many({{kColliding[1].first, int_element(9)}, {kColliding[0].first, int_element(10)}});
    ASSERT_NO_FATAL_FAILURE(compare(model));
    EXPECT_EQ(count(Space::kSlot), model.size() - 2);
    NodeRecord full = load();
    content::drain(work, full, SIZE_MAX, [](std::string_view) {});
    EXPECT_EQ(count(Space::kSlot), 0U);
  }
}

TEST_F(DictContent, CollidingKeysFromAListOfRandomOperations) {
  Random random;
  Model model;
  for (int i = 0; i < 80; ++i) {
    model.emplace_back("filler " + std::to_string(i), int_element(i));
    put(model.back().first, model.back().second);
  }
  for (int round = 0; round < 500; ++round) {
    const auto& pair = kColliding[random.below(kColliding.size())];
    const std::string& key = random.one_in(2) ? pair.first : pair.second;
    const auto at = find(model, key);
    const std::optional<std::string> before =
        at == model.end() ? std::nullopt : std::optional(at->second);
    if (random.one_in(2)) {
      const std::string element = int_element(round);
      ASSERT_EQ(put(key, element), before);
      if (at == model.end()) {
        model.emplace_back(key, element);
      } else {
        at->second = element;
      }
    } else {
      ASSERT_EQ(erase(key), before);
      if (at != model.end()) model.erase(at);
    }
    if (random.one_in(20)) {
      ASSERT_NO_FATAL_FAILURE(compare(model));
    }
  }
}

TEST_F(DictContent, IsEmptiedInSteps) {
  Model model;
  for (int i = 0; i < 1000; ++i) {
    model.emplace_back(std::to_string(i), int_element(i));
    put(model.back().first, model.back().second);
  }
  std::vector<std::string> drained;
  for (std::size_t steps = 0;; ++steps) {
    NodeRecord node = load();
    const bool done = content::drain(
        work, node, 300, [&](std::string_view element) { drained.emplace_back(element); });
    const Model rest(model.begin() + static_cast<std::ptrdiff_t>(drained.size()), model.end());
    ASSERT_NO_FATAL_FAILURE(compare(rest));
    if (done) break;
    ASSERT_LT(steps, 10U);
  }
  ASSERT_EQ(drained.size(), model.size());
  for (std::size_t i = 0; i < model.size(); ++i) EXPECT_EQ(drained[i], model[i].second);
}

TEST_F(DictContent, IsFilledAsLargeOrSmallAsItIs) {
  for (const int size : {0, 10, 64, 65, 2000}) {
    std::string object;
    Model model;
    const std::size_t mark = jsonb::open(object);
    for (int i = 0; i < size; ++i) {
      model.emplace_back("key " + std::to_string(i), int_element(i));
      object += text_element(model.back().first) + model.back().second;
    }
    jsonb::close(object, jsonb::Type::kObject, mark);
    NodeRecord fresh = node();
    content::fill(work, fresh, object);
    EXPECT_EQ(load().large(), size > 64) << size;
    ASSERT_NO_FATAL_FAILURE(compare(model));
    NodeRecord again = load();
    content::drain(work, again, SIZE_MAX, [](std::string_view) {});
  }
}

TEST_F(DictContent, LongTextsMoveOutWhenItGrows) {
  put("text", text_element(std::string(800, 'x')));
  put("bytes", [] {
    std::string out;
    const std::size_t mark = jsonb::open(out);
    jsonb::put_text(out, "b");
    jsonb::put_text(out, std::string(400, 'A'));
    jsonb::close(out, jsonb::Type::kObject, mark);
    return out;
  }());
  for (int i = 0; i < 64; ++i) put("filler " + std::to_string(i), int_element(i));
  ASSERT_TRUE(load().large());
  EXPECT_EQ(count(Space::kBlob), 2U);
  const std::string element = *content::find(work, load(), "text");
  EXPECT_EQ(std::get<std::string>(graph::read(jsonb::parse(element), work)), std::string(800, 'x'));
  const std::string bytes = *content::find(work, load(), "bytes");
  EXPECT_EQ(std::get<Bytes>(graph::read(jsonb::parse(bytes), work)).data, std::string(300, '\0'));
}

TEST_F(DictContent, AChangeOfALargeDictTouchesFewRecords) {
  for (int i = 0; i < 5000; ++i) put(std::to_string(i), int_element(i));
  work.finish();
  store::Work after(*transaction, ids);
  const std::string other = text_element("other");
  // What one put writes: an entry; for a new key also its slot and the header.
  const auto versions = [&](port::Space space) {
    std::size_t changed = 0;
    for (const port::Row& row : after.scan(port::whole(space), SIZE_MAX)) {
      changed += row.record.version == after.commit_id() ? 1 : 0;
    }
    return changed;
  };
  NodeRecord node = graph::load_node(after, 1);
  content::put(after, node, "2500", other);
  EXPECT_EQ(versions(Space::kEntry), 1U);
  EXPECT_EQ(versions(Space::kNode), 0U);
  content::put(after, node, "new", other);
  EXPECT_EQ(versions(Space::kEntry), 3U);
  EXPECT_EQ(versions(Space::kNode), 0U);
}

}  // namespace
}  // namespace graven::test
