// SPDX-License-Identifier: MIT
//
// Ten times the data that the hot table holds, uniform reads, against LMDB and RocksDB. What a
// store keeps for itself is limited alike: graven's hot table and SQLite's page cache, RocksDB's
// block cache of as many bytes; LMDB has no cache of its own. None of them is denied the
// kernel's page cache, where LMDB's map and graven's warm file lie. And what that warm file is
// worth.
#include <memory>

#include "contest.hpp"
#include "rivals.hpp"

namespace graven::bench {

namespace {

constexpr std::size_t kValueSize = 100;
/// The page cache of each of graven's reading connections (src/backends/sqlite/backend.cpp).
constexpr std::size_t kPageCache = std::size_t{8} << 20U;

std::function<Turn()> reading(const std::function<std::size_t(std::string_view)>& read,
                              const Terms& terms) {
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  return [=, at = std::make_shared<std::size_t>(0)] {
    return Turn{elapsed([&] {
                  std::size_t sum = 0;
                  for (std::size_t i = 0; i < terms.count; ++i) sum += read((*keys)[(*at)++]);
                  keep(sum);
                }) /
                static_cast<double>(terms.count)};
  };
}

std::function<std::size_t(std::string_view)> reader(const Map& map) {
  return [map](std::string_view key) {
    std::size_t sum = 0;
    map.read(key, [&](const MapValue& value) {
      sum = value.bytes.size() + static_cast<unsigned char>(value.bytes[0]);
    });
    return sum;
  };
}

/// A warm file that holds everything: what a record takes is its key, value and 16 bytes, rounded
/// up, and the shards are not filled evenly.
std::size_t room_for(const Terms& terms) { return terms.entries * (kValueSize + 64); }

/// Filled, and everything read once: what falls out of the hot table is then in the warm file.
Map opened(const std::string& path, const Terms& terms, std::size_t warm_bytes) {
  MapOptions options;
  options.hot_capacity = terms.entries / 10;
  options.warm_bytes = warm_bytes;
  Map map(path, options);
  fill(map, terms.entries, kValueSize);
  const auto read = reader(map);
  for (std::size_t i = 0; i < terms.entries; ++i) keep(read(key(i)));
  return map;
}

}  // namespace

std::vector<Contestant> larger_than_memory(const Terms& terms, const std::string& folder) {
  const Map map = opened(folder + "/map.db", terms, room_for(terms));
  std::vector<Contestant> contestants{{Role::kOurs, "graven", reading(reader(map), terms)}};
  const std::size_t cache = map.stats().hot_bytes + kPageCache;
  for (const RivalKind& kind : {lmdb(), rocksdb(cache)}) {
    if (!kind.open) continue;
    const std::shared_ptr<Rival> rival = kind.open(folder + "/" + kind.name, Synchronous::kNormal);
    rival->fill(terms.entries, kValueSize);
    contestants.push_back(
        {Role::kRival, kind.name,
         reading([rival](std::string_view key) { return rival->read(key); }, terms)});
  }
  return contestants;
}

std::vector<Contestant> warm_against_cold(const Terms& terms, const std::string& folder) {
  const Map warm = opened(folder + "/warm.db", terms, room_for(terms));
  const Map cold = opened(folder + "/cold.db", terms, 0);
  return {{Role::kOurs, "graven, warm file", reading(reader(warm), terms)},
          {Role::kRival, "graven, no warm file", reading(reader(cold), terms)}};
}

}  // namespace graven::bench
