// SPDX-License-Identifier: MIT
//
// A store with something of everything in it, and damage at random to its records. One thread.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "graph/graph_under_test.hpp"

namespace graven::test {

/// Something of everything that can be stored.
inline void fill(const Database& db) {
  const Dict root = db.root();
  root.set("scalars", Data::list({nullptr, true, false, 0, -5, INT64_MIN, 1.5, -0.0, "", "text",
                                  std::string("nul\0l", 5), "\"quoted\"\n", Bytes{"\xff\x00raw"},
                                  BigInt{"8000000000000000"}, BigInt{"-123456789abcdef01"},
                                  std::numeric_limits<double>::infinity(),
                                  -std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::quiet_NaN()}));
  root.set("blobs", Data::list({std::string(5000, 'x'), Bytes{std::string(3000, '\xfe')}}));
  Data many = Data::dict();
  for (int i = 0; i < 300; ++i) {
    auto& container = many.container(std::get<Data::Index>(many.root()));
    container.keys.push_back("key " + std::to_string(i));
    container.items.emplace_back(i % 7 == 0 ? Data::Item(std::string(400, 'y'))
                                            : Data::Item(std::int64_t{i}));
  }
  root.set("large dict", many);
  Data items = Data::list();
  for (int i = 0; i < 20'000; ++i) {
    items.container(std::get<Data::Index>(items.root())).items.emplace_back(std::int64_t{i});
  }
  root.set("large list", items);
  const Dict shared = db.new_dict({{"name", "shared"}});
  root.set("a", {{"one", shared}, {"two", shared}, {"deep", {{"list", {1, 2, {3, 4}}}}}});
  root.set("b", Data::list({shared, shared, shared}));
  root["large dict"].as_dict().set("link", shared);
  root["large list"].as_list().set(12'345, shared);
  shared.set("self", shared);
  shared.set("up", root);
  db.incr("counter");
}

/// A record changed at random: bytes of its body, its numbers, its length.
inline Record damaged(Random& random, Record record) {
  for (std::size_t n = 1 + random.below(4); n > 0; --n) {
    switch (random.below(5)) {
      case 0:
        record.integers[random.below(4)] =
            static_cast<std::int64_t>(random.bits() >> random.below(64));
        break;
      case 1:
        record.integers[random.below(4)] += static_cast<std::int64_t>(random.below(3)) - 1;
        break;
      case 2:
        record.body.resize(random.below(record.body.size() + 3), static_cast<char>(random.bits()));
        break;
      default:
        if (record.body.empty()) break;
        record.body[random.below(record.body.size())] = static_cast<char>(random.bits());
    }
  }
  return record;
}

struct RandomDamage {
  std::vector<Change> damage;
  std::vector<Change> undo;
};

/// A few records of a store changed, moved or taken away. `keys` are those of `sound`.
inline RandomDamage random_damage(Random& random, const Records& sound,
                                  const std::vector<Key>& keys) {
  RandomDamage plan;
  for (std::size_t n = 1 + random.below(4); n > 0; --n) {
    // Nodes and prefixes are few among the records, and the most interesting.
    Key key = keys[random.one_in(2) ? random.below(keys.size())
                                    : random.below(std::min<std::size_t>(keys.size(), 20))];
    const Record& record = sound.at(key);
    plan.undo.push_back({key, record});
    if (random.one_in(5)) {
      plan.damage.push_back(erased(key));
      continue;
    }
    if (random.one_in(5)) {
      std::int64_t& part = random.one_in(2) ? key.a : key.b;
      const auto by = static_cast<std::int64_t>(random.below(5)) - 2;
      if (__builtin_add_overflow(part, by, &part)) part = 0;  // ids lie at both ends of the range
      const port::Schema& schema = port::schema(key.space);
      if (schema.a.empty()) key.a = 0;
      if (schema.shape != port::KeyShape::kPair) key.b = 0;
      const auto was = sound.find(key);
      plan.undo.push_back({key, was == sound.end() ? std::nullopt : std::optional(was->second)});
    }
    plan.damage.push_back({key, damaged(random, record)});
  }
  return plan;
}

}  // namespace graven::test
