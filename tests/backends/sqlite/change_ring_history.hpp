// SPDX-License-Identifier: MIT
//
// A made-up history for tests of the change ring: mark i is the state after i commits, and what
// commit i changed follows from i alone, so that every process can tell what a follower should
// have been told. Pure; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/sqlite/change_ring.hpp"
#include "base/hash.hpp"
#include "port/mark.hpp"

namespace graven::test {

/// A ring with its file; nullptr where there cannot be one.
inline std::unique_ptr<sqlite::ChangeRing> open_ring(
    const std::string& database, bool read_only,
    std::chrono::milliseconds longest_sleep = sqlite::ChangeRing::kLongestSleep) {
  auto ring = std::make_unique<sqlite::ChangeRing>(database, read_only, longest_sleep);
  return ring->attach() ? std::move(ring) : nullptr;
}

struct Commit {
  std::vector<std::uint64_t> hashes;
  std::uint64_t flags = 0;
  friend bool operator==(const Commit&, const Commit&) = default;
};

inline std::uint64_t drawn(std::uint64_t number, std::uint64_t seed) {
  return base::hash({reinterpret_cast<const char*>(&number), sizeof number}, seed);
}

/// Marks differ in few words, as those of a store do.
inline port::Mark mark(std::uint64_t number) {
  return {{0x2de218, drawn(number, 1), 0x1000, drawn(number, 2), 7, drawn(number, 3)}};
}

/// Leads from mark `number` to the next one. One in 200 has more hashes than an entry takes.
inline Commit commit(std::uint64_t number) {
  const std::size_t most = sqlite::ChangeRing::kMost;
  const std::size_t count =
      drawn(number, 4) % 200 == 0 ? most + 1 + drawn(number, 5) % 3 : drawn(number, 5) % (most + 1);
  Commit made{std::vector<std::uint64_t>(count), drawn(number, 6)};
  for (std::size_t i = 0; i < count; ++i) made.hashes[i] = drawn(number, 100 + i);
  return made;
}

/// One that an entry can tell.
inline Commit small_commit(std::uint64_t number) {
  Commit made = commit(number);
  if (made.hashes.size() > sqlite::ChangeRing::kMost) made.hashes.resize(3);
  return made;
}

inline void publish(sqlite::ChangeRing& ring, std::uint64_t number, const Commit& made) {
  ring.publish(mark(number), mark(number + 1), made.hashes, made.flags);
}
inline void publish(sqlite::ChangeRing& ring, std::uint64_t number) {
  publish(ring, number, small_commit(number));
}

/// What a follower was told on its way.
struct Told {
  bool whole = false;
  std::vector<Commit> commits;
};

inline Told follow(sqlite::ChangeRing& ring, const port::Mark& from, const port::Mark& to) {
  Told told;
  told.whole = ring.follow(from, to, [&](sqlite::ChangeRing::Hashes hashes, std::uint64_t flags) {
    told.commits.push_back({{hashes.begin(), hashes.end()}, flags});
  });
  return told;
}
inline Told follow(sqlite::ChangeRing& ring, std::uint64_t from, std::uint64_t to) {
  return follow(ring, mark(from), mark(to));
}

/// What is wrong with what a follower of commits `from` to `to` was told: nothing if it is all of
/// them, or if the chain was broken and it is some of the first. `made` is the history.
template <class History>
std::string wrong(const Told& told, std::uint64_t from, std::uint64_t to, const History& made) {
  if (told.whole && told.commits.size() != to - from) return "the wrong number of commits";
  if (told.commits.size() > to - from) return "too many commits";
  for (std::size_t i = 0; i < told.commits.size(); ++i) {
    if (told.commits[i] != made(from + i)) return "another commit " + std::to_string(from + i);
  }
  return {};
}

}  // namespace graven::test
