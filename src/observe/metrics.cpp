// SPDX-License-Identifier: MIT
//
// The bucket of a time, and percentiles from buckets. Any thread.
#include "observe/metrics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>

namespace graven::observe {
namespace {

constexpr std::uint64_t kUnit = 64;  // nanoseconds: smaller differences are not measured
constexpr std::uint64_t kSplit = 8;  // buckets to each power of two
constexpr unsigned kSplitBits = 3;
constexpr double kNanosecond = 1e-9;

// The bounds that a snapshot shows: 1024 ns, and multiples of it by powers of four.
constexpr std::size_t kShown = 14;
constexpr std::uint64_t kLeastShown = 1024;

static_assert(1U << kSplitBits == kSplit);

}  // namespace

// A bucket's bounds are (lower, upper], as Prometheus defines `le`; so a time of exactly 64 ns is
// in the first one.
std::size_t Latency::bucket_of(std::uint64_t nanoseconds) noexcept {
  const std::uint64_t units = nanoseconds == 0 ? 0 : (nanoseconds - 1) / kUnit;
  if (units < kSplit) return static_cast<std::size_t>(units);
  const auto power = static_cast<unsigned>(std::bit_width(units)) - 1;
  const std::uint64_t within = (units >> (power - kSplitBits)) - kSplit;
  const std::uint64_t bucket = (power - kSplitBits + 1) * kSplit + within;
  return static_cast<std::size_t>(std::min<std::uint64_t>(bucket, kBuckets - 1));
}

std::uint64_t Latency::longest_in(std::size_t bucket) noexcept {
  if (bucket < kSplit) return (bucket + 1) * kUnit;
  const std::size_t power = bucket / kSplit - 1 + kSplitBits;
  const std::uint64_t within = bucket % kSplit;
  return ((kSplit + within + 1) << (power - kSplitBits)) * kUnit;
}

Latency::~Latency() {
  for (const std::atomic<Stripe*>& stripe : stripes_) delete stripe.load();
}

Latency::Stripe* Latency::own_stripe() noexcept {
  std::atomic<Stripe*>& own = stripes_[own_line() % kStripes];
  Stripe* stripe = own.load(std::memory_order_acquire);
  if (stripe != nullptr) return stripe;
  auto* made = new (std::nothrow) Stripe;
  if (own.compare_exchange_strong(stripe, made, std::memory_order_acq_rel)) return made;
  delete made;
  return stripe;
}

void Latency::record(std::chrono::nanoseconds took) noexcept {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0));
  Stripe* stripe = own_stripe();
  if (stripe == nullptr) return;
  stripe->counts[bucket_of(nanoseconds)].fetch_add(1, std::memory_order_relaxed);
  stripe->sum.fetch_add(nanoseconds, std::memory_order_relaxed);
  std::uint64_t max = stripe->max.load(std::memory_order_relaxed);
  while (nanoseconds > max &&
         !stripe->max.compare_exchange_weak(max, nanoseconds, std::memory_order_relaxed)) {
  }
}

Histogram Latency::snapshot() const {
  std::array<std::uint64_t, kBuckets> counts{};
  std::uint64_t sum = 0;
  std::uint64_t max = 0;
  for (const std::atomic<Stripe*>& each : stripes_) {
    const Stripe* stripe = each.load(std::memory_order_acquire);
    if (stripe == nullptr) continue;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts[i] += stripe->counts[i].load(std::memory_order_relaxed);
    }
    sum += stripe->sum.load(std::memory_order_relaxed);
    max = std::max(max, stripe->max.load(std::memory_order_relaxed));
  }
  Histogram shown;
  for (const std::uint64_t count : counts) shown.count += count;
  shown.sum = static_cast<double>(sum) * kNanosecond;
  shown.max = static_cast<double>(max) * kNanosecond;
  const auto percentile = [&](double share) {
    const auto rank =
        static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(shown.count)));
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      before += counts[i];
      if (before >= std::max<std::uint64_t>(rank, 1)) {
        // The last bucket has no upper bound, and the largest time may be counted a moment later.
        const std::uint64_t bound = i + 1 < kBuckets ? longest_in(i) : UINT64_MAX;
        return static_cast<double>(max == 0 ? bound : std::min(bound, max)) * kNanosecond;
      }
    }
    return 0.0;
  };
  shown.p50 = percentile(0.5);
  shown.p90 = percentile(0.9);
  shown.p99 = percentile(0.99);
  shown.p999 = percentile(0.999);
  std::size_t next = 0;
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < kShown; ++i) {
    const std::uint64_t le = kLeastShown << (2 * i);
    while (next < kBuckets && longest_in(next) <= le) so_far += counts[next++];
    shown.buckets.push_back({static_cast<double>(le) * kNanosecond, so_far});
  }
  return shown;
}

}  // namespace graven::observe
