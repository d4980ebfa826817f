// SPDX-License-Identifier: MIT
//
// Keys, clocks and filled maps for the cases of map_bench.
#include "contest.hpp"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <random>
#include <utility>

namespace graven::bench {

namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double measured(clockid_t clock, const std::function<void()>& body) {
  const double begin = seconds_of(clock);
  body();
  return seconds_of(clock) - begin;
}

std::atomic<std::uint64_t> kept;

}  // namespace

std::string key(std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "key_%08zu", number);
  return {text, Keys::kSize};
}

Keys::Keys(std::size_t first, std::size_t count, Order order) {
  std::vector<std::size_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = first + i;
  if (order == Order::kRandom) {
    std::mt19937_64 random(11);
    std::shuffle(numbers.begin(), numbers.end(), random);
  }
  text_.reserve(count * kSize);
  for (const std::size_t number : numbers) text_ += key(number);
}

Keys Keys::sample(std::size_t among, std::size_t count, std::uint64_t seed) {
  Keys keys;
  std::mt19937_64 random(seed);
  keys.text_.reserve(count * kSize);
  for (std::size_t i = 0; i < count; ++i) keys.text_ += key(random() % among);
  return keys;
}

double elapsed(const std::function<void()>& body) { return measured(CLOCK_MONOTONIC, body); }
double processor_time(const std::function<void()>& body) {
  return measured(CLOCK_THREAD_CPUTIME_ID, body);
}
double monotonic_seconds() { return seconds_of(CLOCK_MONOTONIC); }

void keep(std::uint64_t value) { kept.fetch_add(value, std::memory_order_relaxed); }

void fill(const Map& map, std::size_t entries, std::size_t value_size) {
  constexpr std::size_t kAtOnce = 50'000;
  std::vector<std::pair<std::string, Data>> batch;
  for (std::size_t i = 0; i < entries; ++i) {
    batch.emplace_back(key(i), Data(std::string(value_size, 'v')));
    if (batch.size() == kAtOnce || i + 1 == entries) {
      map.update(batch);
      batch.clear();
    }
  }
  map.flush();
}

}  // namespace graven::bench
