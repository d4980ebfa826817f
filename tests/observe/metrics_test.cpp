// SPDX-License-Identifier: MIT
//
// Histograms against the naive way (sort and count), counters and histograms under threads, and
// the text they become.
#include "observe/metrics.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "observe/prometheus.hpp"

namespace graven::test {
namespace {

using observe::Exposition;
using observe::Latency;

constexpr double kNanosecond = 1e-9;

TEST(Latency, BucketsFollowEachOtherWithoutAGap) {
  for (std::size_t bucket = 0; bucket + 1 < Latency::kBuckets; ++bucket) {
    const std::uint64_t last = Latency::longest_in(bucket);
    EXPECT_EQ(Latency::bucket_of(last), bucket);
    EXPECT_EQ(Latency::bucket_of(last + 1), bucket + 1);
    const std::uint64_t first = bucket == 0 ? 0 : Latency::longest_in(bucket - 1) + 1;
    EXPECT_LE(last - first, first / 8 + 64) << bucket;
  }
  EXPECT_EQ(Latency::bucket_of(0), 0U);
  EXPECT_EQ(Latency::bucket_of(UINT64_MAX), Latency::kBuckets - 1);
}

double naive_percentile(const std::vector<std::uint64_t>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]) * kNanosecond;
}

TEST(Latency, PercentilesAsByCounting) {
  Random random;
  for (int round = 0; round < 60; ++round) {
    const auto latency = std::make_unique<Latency>();
    std::vector<std::uint64_t> times;
    std::uint64_t sum = 0;
    const std::size_t count = 1 + random.below(3000);
    const std::size_t widest = 1 + random.below(36);  // bits of the longest
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t time = random.bits() >> (63 - random.below(widest));
      times.push_back(time);
      sum += time;
      latency->record(std::chrono::nanoseconds(time));
    }
    std::sort(times.begin(), times.end());
    const Histogram shown = latency->snapshot();
    ASSERT_EQ(shown.count, count);
    EXPECT_NEAR(shown.sum, static_cast<double>(sum) * kNanosecond, 1e-6 * shown.sum + 1e-12);
    EXPECT_DOUBLE_EQ(shown.max, static_cast<double>(times.back()) * kNanosecond);
    const auto close = [&](double told, double share) {
      const double exact = naive_percentile(times, share);
      EXPECT_GE(told, exact * (1 - 1e-12)) << share;
      EXPECT_LE(told, exact * 1.125 + 65 * kNanosecond) << share;
    };
    close(shown.p50, 0.5);
    close(shown.p90, 0.9);
    close(shown.p99, 0.99);
    close(shown.p999, 0.999);
    for (const Histogram::Bucket& bucket : shown.buckets) {
      const auto le = static_cast<std::uint64_t>(std::llround(bucket.le / kNanosecond));
      const auto within = std::upper_bound(times.begin(), times.end(), le) - times.begin();
      EXPECT_EQ(bucket.count, static_cast<std::uint64_t>(within)) << bucket.le;
    }
  }
}

TEST(Latency, EmptyAndNegative) {
  const auto latency = std::make_unique<Latency>();
  EXPECT_EQ(latency->snapshot().p99, 0.0);
  latency->record(std::chrono::nanoseconds(-5));
  const Histogram shown = latency->snapshot();
  EXPECT_EQ(shown.count, 1U);
  EXPECT_EQ(shown.max, 0.0);
}

enum class Which : std::uint8_t { kOne, kOther };

TEST(Counters, ExactUnderThreads) {
  const auto counters = std::make_unique<observe::Counters<Which, 2>>();
  const auto latency = std::make_unique<Latency>();
  constexpr std::uint64_t kThreads = 80;  // more than there are lines
  constexpr std::uint64_t kEach = 3000;
  std::atomic<std::uint64_t> ready{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      counters->add(Which::kOne, 0);
      ready.fetch_add(1);
      while (ready.load() < kThreads) std::this_thread::yield();
      for (std::uint64_t i = 0; i < kEach; ++i) {
        counters->add(Which::kOne);
        if (i % 3 == 0) counters->add(Which::kOther, 5);
        latency->record(std::chrono::nanoseconds(1000 * t + i));
      }
    });
  }
  std::uint64_t last = 0;
  while (last < kThreads * kEach) {
    const std::uint64_t sum = counters->sum(Which::kOne);
    ASSERT_GE(sum, last);
    last = sum;
    const Histogram shown = latency->snapshot();
    ASSERT_GE(shown.count, shown.buckets.back().count);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters->sum(Which::kOther), kThreads * kEach / 3 * 5);
  const Histogram shown = latency->snapshot();
  EXPECT_EQ(shown.count, kThreads * kEach);
  EXPECT_DOUBLE_EQ(shown.max, static_cast<double>(1000 * (kThreads - 1) + kEach - 1) * 1e-9);
}

TEST(Exposition, EscapesLabelsAndOrdersBuckets) {
  Exposition out(Exposition::Labels{{"store", "a\"b\\c\nd"}});
  out.counter("graven_x_total", "How many.", 7);
  Histogram histogram;
  histogram.count = 3;
  histogram.sum = 0.5;
  histogram.buckets = {{0.25, 2}};
  out.histogram("graven_y_seconds", "How long.", histogram);
  EXPECT_EQ(out.take(),
            "# HELP graven_x_total How many.\n"
            "# TYPE graven_x_total counter\n"
            "graven_x_total{store=\"a\\\"b\\\\c\\nd\"} 7\n"
            "# HELP graven_y_seconds How long.\n"
            "# TYPE graven_y_seconds histogram\n"
            "graven_y_seconds_bucket{store=\"a\\\"b\\\\c\\nd\",le=\"0.25\"} 2\n"
            "graven_y_seconds_bucket{store=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 3\n"
            "graven_y_seconds_sum{store=\"a\\\"b\\\\c\\nd\"} 0.500000000\n"
            "graven_y_seconds_count{store=\"a\\\"b\\\\c\\nd\"} 3\n");
}

TEST(Exposition, LabelsAreUtf8WhateverAPathIs) {
  const auto label = [](std::string_view value) {
    Exposition out(Exposition::Labels{});
    out.sample("x", {{"store", value}}, std::uint64_t{1});
    return out.take();
  };
  EXPECT_EQ(label("h\xc3\xa9\t\x7f"), "x{store=\"h\xc3\xa9\t\x7f\"} 1\n");
  EXPECT_EQ(label("h\xc3\xa9\xff\n"), "x{store=\"h\\\\xc3\\\\xa9\\\\xff\\n\"} 1\n");
}

}  // namespace
}  // namespace graven::test
