// SPDX-License-Identifier: MIT
//
// Reads that find what they want in memory: what the coherence check of a map costs, beside
// tables that are nothing but memory, and a path of three steps through the graph. Times are of
// the reading thread's processor time.
#include <atomic>
#include <memory>
#include <thread>

#include "contest.hpp"
#include "memory_tables.hpp"

namespace graven::bench {

namespace {

constexpr std::size_t kValueSize = 12;

MapOptions with(Persist persist, Synchronous synchronous = Synchronous::kNormal) {
  MapOptions options;
  options.persist = persist;
  options.synchronous = synchronous;
  return options;
}

/// Reads every key once first: the table must know them, and the processor's caches be as warm
/// as they get.
std::function<Turn()> reading(Map map, std::shared_ptr<const Keys> keys, std::size_t count) {
  return [map, keys, count] {
    const auto read = [&](std::size_t number) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) {
        map.read((*keys)[i], [&](const MapValue& value) {
          sum += value.bytes.size() + static_cast<unsigned char>(value.bytes[0]);
        });
      }
      keep(sum);
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
}

/// Commits to one key of a map in a thread of its own while a body runs.
Turn beside_commits(const Map& map, const std::function<Turn()>& body) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> commits{0};
  std::thread writer([&] {
    for (std::int64_t i = 0; !stop; ++i, ++commits) map.set("written all the time", i);
  });
  while (commits == 0) std::this_thread::yield();
  const Turn turn = body();
  stop = true;
  writer.join();
  return turn;
}

}  // namespace

std::vector<Contestant> hot_hit(const Terms& terms, const std::string& folder) {
  const Map checked(folder + "/checked.db", with(Persist::kWritethrough, Synchronous::kOff));
  const Map unchecked("in memory", with(Persist::kMemory));
  fill(checked, terms.entries, kValueSize);
  fill(unchecked, terms.entries, kValueSize);
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto with_check = reading(checked, keys, terms.count);
  const auto without = reading(unchecked, keys, terms.count);
  if (!terms.busy) {
    return {{Role::kOurs, "graven, writethrough", with_check},
            {Role::kRival, "graven, memory only", without}};
  }
  return {{Role::kOurs, "graven, writethrough, beside commits",
           [=] { return beside_commits(checked, with_check); }},
          {Role::kRival, "graven, memory only, quiet", without},
          {Role::kShown, "graven, memory only, beside commits",
           [=] { return beside_commits(checked, without); }}};
}

std::vector<Contestant> hot_hit_in_memory_tables(const Terms& terms, const std::string& folder) {
  const Map map(folder + "/map.db", with(Persist::kWritethrough));
  fill(map, terms.entries, kValueSize);
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const std::size_t count = terms.count;

  const auto flat = std::make_shared<FlatTable>();
  const auto concurrent = std::make_shared<ConcurrentTable>();
  for (std::size_t i = 0; i < terms.entries; ++i) {
    flat->emplace(key(i), std::string(kValueSize, 'v'));
    concurrent->emplace(key(i), std::string(kValueSize, 'v'));
  }
  const auto flat_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) {
        if (const std::string* const value = find(*flat, (*keys)[i])) {
          sum += value->size() + static_cast<unsigned char>((*value)[0]);
        }
      }
      keep(sum);
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  const auto concurrent_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::uint64_t sum = 0;
      std::string name;
      for (std::size_t i = 0; i < number; ++i) {
        name.assign((*keys)[i]);
        ConcurrentTable::const_accessor found;
        if (concurrent->find(found, name))
          sum += found->second.size() + static_cast<unsigned char>(found->second[0]);
      }
      keep(sum);
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  return {{Role::kOurs, "graven, writethrough", reading(map, keys, count)},
          {Role::kRival, "tbb::concurrent_hash_map", concurrent_turn},
          {Role::kShown, "absl::flat_hash_map, unsynchronised", flat_turn}};
}

std::vector<Contestant> graph_small(const Terms& terms, const std::string& folder) {
  const Database db(folder + "/graph.db");
  db["a"] = {{"b", {{"c", 7}, {"d", 1}}}, {"e", 2}};
  const Map map(folder + "/map.db", with(Persist::kWritethrough));
  map.set("c", 7);
  const std::size_t count = terms.count;
  const auto graph_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) sum += db["a"]["b"]["c"].get<std::int64_t>();
      keep(static_cast<std::uint64_t>(sum));
    };
    read(100);
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  const auto map_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) sum += map.get("c")->get<std::int64_t>();
      keep(static_cast<std::uint64_t>(sum));
    };
    read(100);
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  return {{Role::kOurs, "graven, db[\"a\"][\"b\"][\"c\"]", graph_turn},
          {Role::kRival, "graven, Map::get", map_turn}};
}

std::vector<Contestant> graph_large(const Terms& terms, const std::string& folder) {
  const Database db(folder + "/graph.db");
  const auto entries = [&](const std::string& more, Data child) {
    Data dict = Data::dict();
    Data::Index root = std::get<Data::Index>(dict.root());
    for (std::size_t i = 0; i < terms.entries; ++i) {
      dict.container(root).keys.push_back(key(i));
      dict.container(root).items.emplace_back(static_cast<std::int64_t>(i));
    }
    if (!more.empty()) {
      const Data::Item adopted = dict.adopt(std::move(child));
      dict.container(root).keys.push_back(more);
      dict.container(root).items.push_back(adopted);
    }
    return dict;
  };
  db["a"] = entries("b", entries("", Data()));
  const Map map(folder + "/map.db", with(Persist::kWritethrough));
  for (std::size_t i = 0; i < terms.entries; ++i) map.set(key(i), static_cast<std::int64_t>(i));
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const std::size_t count = terms.count;
  const auto graph_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) sum += db["a"]["b"][(*keys)[i]].get<std::int64_t>();
      keep(static_cast<std::uint64_t>(sum));
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  const auto map_turn = [=] {
    const auto read = [&](std::size_t number) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < number; ++i) sum += map.get((*keys)[i])->get<std::int64_t>();
      keep(static_cast<std::uint64_t>(sum));
    };
    read(keys->size());
    return Turn{processor_time([&] { read(count); }) / static_cast<double>(count)};
  };
  return {{Role::kOurs, "graven, db[\"a\"][\"b\"][key]", graph_turn},
          {Role::kRival, "graven, Map::get", map_turn}};
}

}  // namespace graven::bench
