// SPDX-License-Identifier: MIT
//
// What counting costs a read that finds what it wants in memory. Counting cannot be switched off,
// so a read that counts is compared with one that counts everything once more: what the second
// count adds to a read is what the first one has added, or a little more than that, relative to a
// read that counts not at all. Times are of the reading thread's processor time.
#include <memory>

#include "contest.hpp"
#include "observe/hit_counter.hpp"

namespace graven::bench {

std::vector<Contestant> counted_map_hit(const Terms& terms, const std::string& folder) {
  const Map map(folder + "/map.db");
  fill(map, terms.entries, 12);
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto counter = std::make_shared<observe::HitCounter>();
  const std::size_t count = terms.count;
  const auto turn = [=](const auto& also) {
    const auto read = [&](std::size_t number) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) {
        map.read((*keys)[i], [&](const MapValue& value) { sum += value.bytes.size(); });
        also();
      }
      keep(sum);
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  return {{Role::kOurs, "graven, counting twice", [=] { return turn([&] { counter->add(); }); }},
          {Role::kRival, "graven, counting", [=] { return turn([] {}); }}};
}

std::vector<Contestant> counted_graph_hit(const Terms& terms, const std::string& folder) {
  const Database db(folder + "/graph.db");
  db["a"] = 7;
  const auto counter = std::make_shared<observe::HitCounter>();
  const std::size_t count = terms.count;
  const auto turn = [=](const auto& also) {
    const auto read = [&](std::size_t number) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) {
        sum += db["a"].get<std::int64_t>();
        also();
      }
      keep(static_cast<std::uint64_t>(sum));
    };
    read(1000);
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  return {{Role::kOurs, "graven, counting twice", [=] { return turn([&] { counter->add(); }); }},
          {Role::kRival, "graven, counting", [=] { return turn([] {}); }}};
}

}  // namespace graven::bench
