// SPDX-License-Identifier: MIT
//
// Pins: what has a handle is pinned, whoever else comes and goes; few nodes and many, so that they
// have slots of their own, share them, and take them from each other.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "graph/collector/pins.hpp"

namespace graven::graph {
namespace {

TEST(Pins, CountsEveryHandleOfEveryNode) {
  Pins pins;
  constexpr NodeId kNodes = 5000;  // ten to a slot
  std::vector<std::vector<Pins::Count*>> held(kNodes);
  for (int round = 0; round < 3; ++round) {
    for (NodeId id = 0; id < kNodes; ++id) {
      held[static_cast<std::size_t>(id)].push_back(&pins.pin(id));
    }
  }
  for (NodeId id = 0; id < kNodes; ++id) {
    auto& mine = held[static_cast<std::size_t>(id)];
    EXPECT_FALSE(Pins::unpin(*mine[0]));
    EXPECT_FALSE(Pins::unpin(*mine[1]));
    EXPECT_TRUE(pins.pinned(id));
    EXPECT_TRUE(Pins::unpin(*mine[2]));
    EXPECT_FALSE(pins.pinned(id));
  }
}

TEST(Pins, ANodeIsCountedInOnePlaceWhenItsSlotBecomesFree) {
  Pins pins;
  constexpr NodeId kNodes = 5000;
  std::vector<Pins::Count*> first;
  for (NodeId id = 0; id < kNodes; ++id) first.push_back(&pins.pin(id));
  // All but one go, so whoever had its slot is gone too.
  const NodeId kept = kNodes - 1;
  for (NodeId id = 0; id < kept; ++id) Pins::unpin(*first[static_cast<std::size_t>(id)]);
  Pins::Count& again = pins.pin(kept);
  EXPECT_EQ(&again, first.back());
  EXPECT_FALSE(Pins::unpin(again));
  EXPECT_TRUE(Pins::unpin(*first.back()));
  EXPECT_FALSE(pins.pinned(kept));
}

void run(NodeId nodes) {
  Pins pins;
  std::vector<std::thread> threads;
  std::atomic<bool> wrong{false};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      auto random = static_cast<std::uint64_t>(i) + 1;
      for (int step = 0; step < 20'000; ++step) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        const auto id =
            static_cast<NodeId>((random >> 33U) % static_cast<std::uint64_t>(nodes)) + 1;
        Pins::Count& mine = pins.pin(id);
        Pins::Count& twice = pins.pin(id);
        if (&mine != &twice) wrong = true;
        if (step % 4 == 0 && !pins.pinned(id)) wrong = true;
        if (Pins::unpin(twice)) wrong = true;
        Pins::unpin(mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  for (NodeId id = 1; id <= nodes; ++id) EXPECT_FALSE(pins.pinned(id)) << id;
}

TEST(PinsRace, AFewNodes) { run(4); }
TEST(PinsRace, MoreNodesThanSlots) { run(3000); }

}  // namespace
}  // namespace graven::graph
