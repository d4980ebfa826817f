// SPDX-License-Identifier: MIT
//
// Randomness for tests of the base layer: a generator that prints its seed at once (a test
// that crashes has no other chance) and takes it back from GRAVEN_SEED. One generator
// belongs to one test and one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace graven::test {

class Random {
 public:
  Random() : Random(choose()) {}
  /// For a part of a test whose own seed was announced: a thread, a child.
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  /// 0 <= result < limit.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  static std::uint64_t choose() {
    const char* given = std::getenv("GRAVEN_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "repeat with GRAVEN_SEED=" << seed << std::endl;
    return seed;
  }

  std::mt19937_64 engine_;
};

}  // namespace graven::test
