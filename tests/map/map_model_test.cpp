// SPDX-License-Identifier: MIT
//
// Random operations on maps against std::map: in every mode, with room for next to nothing, so
// that all is evicted all the time, with other openings of the file that write too (to each other
// they are as other processes), with reopening in between. GRAVEN_SEED repeats a run.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

struct Mode {
  const char* name;
  Persist persist;
  bool many;  // openings that write
};

class MapModel : public ::testing::TestWithParam<Mode> {
 protected:
  MapModel() {
    const char* seed = std::getenv("GRAVEN_SEED");
    seed_ = seed != nullptr ? std::stoul(seed) : std::random_device{}();
    random_.seed(seed_);
    RecordProperty("seed", std::to_string(seed_));
  }

  std::size_t below(std::size_t n) { return random_() % n; }
  std::string key() {
    const std::size_t i = below(40);
    if (i == 0) return "";
    if (i == 1) return std::string("nul\0", 4);
    if (i == 2) return std::string(300, 'k');
    return "key " + std::to_string(i);
  }
  Data value() {
    switch (below(9)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return static_cast<std::int64_t>(random_());
      case 3:
        return static_cast<double>(random_()) / 7;
      case 4:
        return BigInt{"1" + std::string(16 + below(3), 'a')};
      case 5:
        return Bytes{std::string(below(200), '\xfe')};
      case 6:
        return Data::dict({{"a", static_cast<std::int64_t>(below(9))}, {"$b", Data::list({1})}});
      default:
        return std::string(below(3) == 0 ? 5000 : below(30), 'v');
    }
  }

  static bool is_number(const Data& data) {
    return std::holds_alternative<std::int64_t>(data.root()) ||
           std::holds_alternative<double>(data.root()) ||
           std::holds_alternative<BigInt>(data.root());
  }

  void open() {
    maps_.clear();
    const int count = GetParam().many ? 3 : 1;
    for (int i = 0; i < count; ++i) {
      MapOptions options;
      options.persist = GetParam().persist;
      options.hot_capacity = 1 + below(6);
      options.flush_interval = std::chrono::milliseconds(3);
      // Openings that differ in this share nothing.
      options.synchronous = static_cast<Synchronous>(i);
      maps_.emplace_back(folder_ / "m.db", options);
    }
  }

  std::unique_ptr<Map> any() { return std::make_unique<Map>(maps_[below(maps_.size())]); }

  void check_all(const Map& map) {
    ASSERT_EQ(map.size(), model_.size());
    std::map<std::string, Data> found;
    const auto cursor = map.cursor();
    std::string last;
    std::string key;
    Data value;
    for (bool first = true; cursor->next(key, &value); first = false) {
      if (!first) {
        ASSERT_LT(last, key);
      }
      last = key;
      found.emplace(key, value);
    }
    ASSERT_TRUE(found == model_);
  }

  void step() {
    const auto map = any();
    const std::string at = key();
    const auto there = model_.find(at);
    switch (below(20)) {
      case 0:
      case 1:
      case 2: {
        const Data data = value();
        map->set(at, data);
        model_[at] = data;
        break;
      }
      case 3:
        ASSERT_EQ(map->erase(at), model_.erase(at) != 0);
        break;
      case 4: {
        const auto popped = map->pop(at);
        ASSERT_EQ(popped.has_value(), there != model_.end());
        if (popped) {
          ASSERT_EQ(*popped, there->second);
          model_.erase(there);
        }
        break;
      }
      case 5: {
        const Data data = value();
        const Data result = map->setdefault(at, data);
        ASSERT_EQ(result, model_.emplace(at, data).first->second);
        break;
      }
      case 6: {
        std::vector<std::pair<std::string, Data>> entries;
        for (std::size_t i = below(20); i > 0; --i) entries.emplace_back(key(), value());
        map->update(entries);
        for (const auto& [name, data] : entries) model_[name] = data;
        break;
      }
      case 7: {
        std::vector<std::string> names;
        for (std::size_t i = below(4); i > 0; --i) names.push_back(key());
        const std::vector<Map::Key> keys(names.begin(), names.end());
        std::size_t erased = 0;
        for (const auto& name : names) erased += model_.erase(name);
        ASSERT_EQ(map->erase_many(keys), erased);
        break;
      }
      case 8: {
        std::vector<std::string> names;
        for (std::size_t i = below(70); i > 0; --i) names.push_back(key());
        const std::vector<Map::Key> keys(names.begin(), names.end());
        const auto values = map->get_many(keys);
        for (std::size_t i = 0; i < names.size(); ++i) {
          const auto expected = model_.find(names[i]);
          ASSERT_EQ(values[i].has_value(), expected != model_.end()) << names[i];
          if (values[i]) {
            ASSERT_EQ(*values[i], expected->second);
          }
        }
        break;
      }
      case 9:
        if (below(30) == 0) {
          map->clear();
          model_.clear();
        } else if (const auto item = map->popitem()) {
          const auto expected = model_.find(item->first);
          ASSERT_NE(expected, model_.end());
          ASSERT_EQ(item->second, expected->second);
          model_.erase(expected);
        } else {
          ASSERT_TRUE(model_.empty());
        }
        break;
      case 10:
        ASSERT_EQ(map->size(), model_.size());
        break;
      case 11:
        if (below(4) == 0) check_all(*map);
        break;
      case 12: {
        const Data data = value();
        ASSERT_EQ(map->add(at, data), model_.emplace(at, data).second);
        break;
      }
      case 13: {
        const bool number = there == model_.end() || is_number(there->second);
        const auto by = static_cast<std::int64_t>(below(1000)) - 500;
        if (!number) {
          ASSERT_THROW(map->incr(at, by), WrongTypeError);
          break;
        }
        const Data sum = map->incr(at, by, 7);
        if (there == model_.end()) {
          ASSERT_EQ(sum, Data(7 + by));
        } else if (std::holds_alternative<std::int64_t>(there->second.root())) {
          ASSERT_EQ(sum, Data(there->second.get<std::int64_t>() + by));
        } else if (std::holds_alternative<double>(there->second.root())) {
          ASSERT_EQ(sum, Data(there->second.get<double>() + static_cast<double>(by)));
        }
        model_[at] = map->decr(at, 1);
        ASSERT_EQ(map->get(at), model_[at]);
        if (std::holds_alternative<std::int64_t>(sum.root())) {
          ASSERT_EQ(model_[at], Data(sum.get<std::int64_t>() - 1));
        }
        break;
      }
      case 14: {
        const Data data = value();
        const auto pair = [&](const Data& old) { return Data::list({old.is_list(), data}); };
        const Data made = map->update_with(at, pair, nullptr);
        ASSERT_EQ(made, pair(there == model_.end() ? Data() : there->second));
        model_[at] = made;
        break;
      }
      case 15: {
        MapRange range;
        const auto bound = [&] { return below(2) == 0 ? std::optional(key()) : std::nullopt; };
        if (below(3) == 0) range.prefix = key().substr(0, below(7));
        range.start = bound();
        range.stop = bound();
        if (below(3) == 0) range.limit = below(9);
        range.reverse = below(2) == 0;
        std::vector<std::pair<std::string, Data>> expected;
        for (const auto& [name, data] : model_) {
          if (name.rfind(range.prefix, 0) == 0 && (!range.start || *range.start <= name) &&
              (!range.stop || name < *range.stop)) {
            expected.emplace_back(name, data);
          }
        }
        if (range.reverse) std::reverse(expected.begin(), expected.end());
        if (expected.size() > range.limit) expected.resize(range.limit);
        std::vector<std::pair<std::string, Data>> found;
        std::pair<std::string, Data> entry;
        const auto cursor = map->cursor(range);
        while (cursor->next(entry.first, &entry.second)) found.push_back(entry);
        ASSERT_TRUE(found == expected);
        break;
      }
      case 16:
        ASSERT_EQ(map->first().has_value(), !model_.empty());
        if (model_.empty()) break;
        ASSERT_TRUE(*map->first() == std::pair(model_.begin()->first, model_.begin()->second));
        ASSERT_TRUE(*map->last() == std::pair(model_.rbegin()->first, model_.rbegin()->second));
        break;
      case 17: {
        std::optional<std::chrono::milliseconds> ttl;
        if (below(2) == 0) ttl = std::chrono::hours(1 + below(9));
        ASSERT_EQ(map->touch(at, ttl), there != model_.end());
        if (there == model_.end()) {
          ASSERT_THROW((void)map->ttl(at), KeyNotFound);
          break;
        }
        const auto left = map->ttl(at);
        ASSERT_EQ(left.has_value(), ttl.has_value());
        if (left) {
          ASSERT_LE(*left, *ttl);
        }
        break;
      }
      case 18: {
        std::vector<std::string> names;
        for (std::size_t i = below(4); i > 0; --i) names.push_back(key());
        const auto values = map->pop_many(std::vector<Map::Key>(names.begin(), names.end()));
        ASSERT_EQ(values.size(), names.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
          const auto expected = model_.find(names[i]);
          ASSERT_EQ(values[i].has_value(), expected != model_.end());
          if (!values[i]) continue;
          ASSERT_EQ(*values[i], expected->second);
          model_.erase(expected);
        }
        break;
      }
      default: {
        const auto got = map->get(at);
        ASSERT_EQ(got.has_value(), there != model_.end()) << at;
        ASSERT_EQ(map->contains(at), there != model_.end());
        if (got) {
          ASSERT_EQ(*got, there->second);
        }
        break;
      }
    }
  }

  unsigned long seed_ = 0;
  std::mt19937_64 random_;
  TemporaryFolder folder_;
  std::map<std::string, Data> model_;
  std::vector<Map> maps_;
};

TEST_P(MapModel, DoesWhatADictDoes) {
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed_));
  for (int round = 0; round < 6; ++round) {
    open();
    if (GetParam().persist == Persist::kMemory) model_.clear();
    for (const Map& map : maps_) check_all(map);
    for (int i = 0; i < 700 && !HasFatalFailure(); ++i) {
      SCOPED_TRACE(i);
      step();
    }
    for (const Map& map : maps_) check_all(map);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, MapModel,
                         ::testing::Values(Mode{"Writethrough", Persist::kWritethrough, false},
                                           Mode{"Shared", Persist::kWritethrough, true},
                                           Mode{"Lazy", Persist::kLazy, false},
                                           Mode{"Memory", Persist::kMemory, false}),
                         [](const auto& mode) { return mode.param.name; });

}  // namespace
}  // namespace graven::test
