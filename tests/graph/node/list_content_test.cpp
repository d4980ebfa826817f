// SPDX-License-Identifier: MIT
//
// Lists, small and large, against a vector: random insertions, removals, assignments and
// reading at any place; the tree of pages keeps its counts and its shape; nothing is left
// behind; and one change touches few pages.
#include "graph/node/list_content.hpp"

#include <algorithm>
#include <vector>

#include "base/random.hpp"
#include "graph/on_a_work.hpp"

namespace graven::test {
namespace {

namespace content = graph::list_content;
using port::Space;

using Model = std::vector<std::string>;

std::ptrdiff_t at(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

class ListContent : public OnAWork {
 protected:
  void SetUp() override { graph::save(work, node()); }

  [[nodiscard]] static NodeRecord node() {
    return {.id = 1,
            .prefix = 1,
            .layout = graph::Layout::kList,
            .anchor = 1,
            .body = empty_body(NodeKind::kList)};
  }
  NodeRecord load() { return graph::load_node(work, 1); }

  void insert(std::size_t index, Model elements) {
    NodeRecord node = load();
    content::insert(work, node, index, std::move(elements));
  }
  Model erase(std::size_t start, std::size_t count) {
    NodeRecord node = load();
    return content::erase(work, node, start, count);
  }
  std::string set(std::size_t index, const std::string& element) {
    NodeRecord node = load();
    return content::set(work, node, index, element);
  }
  Model items(std::size_t start, std::size_t count) {
    return content::items(work, load(), start, count);
  }

  /// The pages are one tree: counts right, none empty, all reached, leaves at one depth.
  void inspect_pages() {
    const NodeRecord node = load();
    if (!node.large()) {
      EXPECT_EQ(count(Space::kPage), 0U);
      return;
    }
    jsonb::Cursor header(jsonb::parse(node.body).payload);
    const std::int64_t level = *jsonb::integer(header.next());
    const std::int64_t in_pages = *jsonb::integer(header.next());
    std::size_t pages = 0;
    EXPECT_EQ(inspect_level(header.next(), level, pages), in_pages);
    EXPECT_EQ(count(Space::kPage), pages);
    const std::size_t tail = jsonb::count(header.next());
    EXPECT_LE(tail, 128U);
    EXPECT_EQ(static_cast<std::size_t>(in_pages) + tail, content::size(node));
    EXPECT_TRUE(header.done());
  }

  /// The pages an inner page names; returns how many items are below it.
  std::int64_t inspect_level(jsonb::Element children, std::int64_t level, std::size_t& pages) {
    std::int64_t total = 0;
    EXPECT_FALSE(children.payload.empty());
    for (jsonb::Cursor cursor(children.payload); !cursor.done();) {
      const std::int64_t page = *jsonb::integer(cursor.next());
      const std::int64_t counted = *jsonb::integer(cursor.next());
      const auto record = work.load({.space = Space::kPage, .a = page});
      EXPECT_TRUE(record);
      if (!record) return 0;
      ++pages;
      EXPECT_EQ(record->integers[0], 1);
      const jsonb::Element body = jsonb::parse(record->body);
      EXPECT_FALSE(body.payload.empty());
      const std::int64_t found = level > 1 ? inspect_level(body, level - 1, pages)
                                           : static_cast<std::int64_t>(jsonb::count(body));
      EXPECT_EQ(counted, found);
      total += found;
    }
    return total;
  }

  void compare(const Model& model) {
    ASSERT_EQ(content::size(load()), model.size());
    ASSERT_EQ(items(0, SIZE_MAX), model);
    ASSERT_NO_FATAL_FAILURE(inspect_pages());
  }

  static Model numbers(std::size_t count, std::int64_t first = 0) {
    Model model;
    for (std::size_t i = 0; i < count; ++i) {
      model.push_back(int_element(first + static_cast<std::int64_t>(i)));
    }
    return model;
  }
};

TEST_F(ListContent, AgreesWithAVector) {
  Random random;
  Model model;
  const auto element = [&] {
    return random.one_in(30)
               ? text_element(std::string(random.below(230), 'x'))
               : int_element(static_cast<std::int64_t>(random.bits() >> random.below(64)));
  };
  for (int round = 0; round < 2500; ++round) {
    const bool growing = round / 400 % 2 == 0;
    const std::size_t index = random.below(model.size() + 1);
    switch (random.below(growing ? 4 : 8)) {
      case 0: {
        Model more(1 + random.below(growing && random.one_in(10) ? 3000 : 5));
        for (std::string& one : more) one = element();
        model.insert(model.begin() + at(index), more.begin(), more.end());
        insert(index, std::move(more));
        break;
      }
      case 1: {
        const std::size_t where = random.one_in(2) ? model.size() : 0;
        const std::string one = element();
        model.insert(model.begin() + at(where), one);
        insert(where, {one});
        break;
      }
      case 2: {
        if (index == model.size()) break;
        const std::string one = element();
        ASSERT_EQ(set(index, one), model[index]);
        model[index] = one;
        break;
      }
      case 3: {
        const std::size_t start = random.below(model.size() + 1);
        const std::size_t count = random.below(400);
        const std::size_t end = std::min(model.size(), start + count);
        ASSERT_EQ(items(start, count), Model(model.begin() + at(start), model.begin() + at(end)));
        break;
      }
      default: {
        const std::size_t most = random.one_in(6) ? 600 : 3;
        const std::size_t count = std::min(random.below(most), model.size() - index);
        const Model gone = erase(index, count);
        ASSERT_EQ(gone, Model(model.begin() + at(index), model.begin() + at(index + count)));
        model.erase(model.begin() + at(index), model.begin() + at(index + count));
        break;
      }
    }
    if (random.one_in(25)) {
      ASSERT_NO_FATAL_FAILURE(compare(model));
    }
  }
  ASSERT_NO_FATAL_FAILURE(compare(model));
  erase(0, model.size());
  ASSERT_NO_FATAL_FAILURE(compare({}));
  EXPECT_FALSE(load().large());
  EXPECT_EQ(count(Space::kPage), 0U);
}

TEST_F(ListContent, GrowsAtEitherEndAndInTheMiddle) {
  for (int place = 0; place < 3; ++place) {
    Model model;
    for (int i = 0; i < 3000; ++i) {
      const std::size_t index = place == 0 ? 0 : place == 1 ? model.size() : model.size() / 2;
      model.insert(model.begin() + at(index), int_element(i));
      insert(index, {int_element(i)});
    }
    ASSERT_NO_FATAL_FAILURE(compare(model));
    erase(0, model.size());
  }
}

TEST_F(ListContent, AppendingLeavesFullPagesBehind) {
  for (int i = 0; i < 12'800; ++i) insert(static_cast<std::size_t>(i), {int_element(i % 10)});
  EXPECT_LE(count(Space::kPage), 12'800U / 128 + 4);
  ASSERT_NO_FATAL_FAILURE(inspect_pages());
}

TEST_F(ListContent, ShrinksFromEitherEnd) {
  for (const bool front : {true, false}) {
    Model model = numbers(3000);
    insert(0, model);
    while (!model.empty()) {
      const std::size_t index = front ? 0 : model.size() - 1;
      ASSERT_EQ(erase(index, 1), Model{model[index]});
      model.erase(model.begin() + at(index));
      if (model.size() % 500 == 0) {
        ASSERT_NO_FATAL_FAILURE(compare(model));
      }
    }
    EXPECT_EQ(count(Space::kPage), 0U);
  }
}

TEST_F(ListContent, SparsePagesAreMerged) {
  insert(0, numbers(12'800));
  const std::size_t pages = count(Space::kPage);
  // Nine of ten go, one by one, from the front on.
  for (std::size_t i = 0; i < 1280; ++i) {
    for (int n = 0; n < 9; ++n) erase(i, 1);
  }
  EXPECT_EQ(content::size(load()), 1280U);
  EXPECT_LT(count(Space::kPage), pages / 2);
  ASSERT_NO_FATAL_FAILURE(inspect_pages());
}

TEST_F(ListContent, IsMadeAnewOfItsElements) {
  for (const std::size_t size : {0U, 50U, 5000U, 20U, 30'000U, 0U}) {
    const Model model = numbers(size, 7);
    NodeRecord node = load();
    content::assign(work, node, model);
    ASSERT_NO_FATAL_FAILURE(compare(model));
    EXPECT_EQ(load().large(), size > 128);
  }
  EXPECT_EQ(count(Space::kPage), 0U);
}

TEST_F(ListContent, IsFilledAsLargeOrSmallAsItIs) {
  for (const std::size_t size : {0U, 128U, 129U, 13'000U}) {
    const Model model = numbers(size);
    std::string array;
    const std::size_t mark = jsonb::open(array);
    for (const std::string& one : model) array += one;
    jsonb::close(array, jsonb::Type::kArray, mark);
    NodeRecord fresh = node();
    content::fill(work, fresh, array);
    EXPECT_EQ(load().large(), size > 128) << size;
    ASSERT_NO_FATAL_FAILURE(compare(model));
    erase(0, size);
  }
}

TEST_F(ListContent, IsEmptiedInSteps) {
  const Model model = numbers(5000);
  insert(0, model);
  Model drained;
  for (int steps = 0;; ++steps) {
    NodeRecord node = load();
    const bool done = content::drain(
        work, node, 1000, [&](std::string_view element) { drained.emplace_back(element); });
    ASSERT_NO_FATAL_FAILURE(compare(Model(model.begin() + at(drained.size()), model.end())));
    if (done) break;
    ASSERT_LT(steps, 10);
  }
  EXPECT_EQ(drained, model);
  EXPECT_EQ(count(Space::kPage), 0U);
}

TEST_F(ListContent, LongTextsMoveOutOfPages) {
  Model model = numbers(300);
  model[50] = text_element(std::string(900, 'x'));
  insert(0, model);
  ASSERT_TRUE(load().large());
  insert(10, {text_element(std::string(900, 'y'))});
  EXPECT_EQ(count(Space::kBlob), 2U);
  const auto text = [&](std::size_t index) {
    const std::string element = items(index, 1).at(0);
    return std::get<std::string>(graph::read(jsonb::parse(element), work));
  };
  EXPECT_EQ(text(10), std::string(900, 'y'));
  EXPECT_EQ(text(51), std::string(900, 'x'));
  ASSERT_NO_FATAL_FAILURE(inspect_pages());
}

TEST_F(ListContent, AChangeInTheMiddleTouchesFewPages) {
  insert(0, numbers(100'000));
  work.finish();
  store::Work after(*transaction, ids);
  const auto touched = [&] {
    std::size_t pages = 0;
    for (const port::Row& row : after.scan({.space = Space::kPage}, SIZE_MAX)) {
      pages += row.record.version == after.commit_id() ? 1 : 0;
    }
    return pages;
  };
  NodeRecord node = graph::load_node(after, 1);
  content::insert(after, node, 50'000, {int_element(-1)});
  EXPECT_LE(touched(), 5U);  // a full leaf and a full page above it are split
  content::erase(after, node, 25'000, 1);
  EXPECT_LE(touched(), 7U);
  content::set(after, node, 75'000, int_element(-1));
  EXPECT_LE(touched(), 8U);
  EXPECT_EQ(content::items(after, node, 50'000 - 1, 1).at(0), int_element(-1));
}

TEST_F(ListContent, AppendingTouchesTheNodeAlone) {
  insert(0, numbers(1001));
  work.finish();
  store::Work after(*transaction, ids);
  const auto touched = [&] {
    const auto rows = after.scan({.space = Space::kPage}, SIZE_MAX);
    return std::count_if(rows.begin(), rows.end(), [&](const port::Row& row) {
      return row.record.version == after.commit_id();
    });
  };
  NodeRecord node = graph::load_node(after, 1);
  const std::size_t tail = 1001 % 128;
  for (std::size_t i = tail; i < 128; ++i) {
    content::insert(after, node, content::size(node), {int_element(-1)});
    EXPECT_EQ(content::erase(after, node, content::size(node) - 1, 1), Model{int_element(-1)});
    content::insert(after, node, content::size(node), {int_element(-1)});
  }
  EXPECT_EQ(touched(), 0);
  content::insert(after, node, content::size(node), {int_element(-1)});
  EXPECT_EQ(touched(), 1);
}

TEST_F(ListContent, AMissingPageIsCorruption) {
  insert(0, numbers(1000));
  const auto pages = work.scan({.space = Space::kPage}, SIZE_MAX);
  work.erase(pages[3].key);
  EXPECT_THROW(static_cast<void>(items(0, SIZE_MAX)), CorruptionError);
  EXPECT_EQ(items(0, 10), numbers(10));
}

}  // namespace
}  // namespace graven::test
