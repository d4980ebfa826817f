// SPDX-License-Identifier: MIT
//
// Counters: read and written, or, where the store can add for itself, added to at the commit. See
// work.hpp. One thread at a time.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "store/work.hpp"

namespace graven::store {
namespace {

[[noreturn]] void overflow(const Key& key) {
  throw LimitError(fmt::format("the counter '{}' would leave the range of 64 bits", key.name));
}

}  // namespace

/// Whether the state of a counter was read or written by this work.
bool Work::counter_known(const Key& key) {
  return overlaid(key) != nullptr || clean_.contains(key) || optimism_->knows(key);
}

void Work::add(const Key& key, std::int64_t by, std::int64_t& sum) {
  if (optimism_ != nullptr && optimism_->adds() && !counter_known(key)) {
    written_ = true;
    adds_.push_back({key, by, &sum});
    return;
  }
  Record record = load(key).value_or(Record{});
  if (__builtin_add_overflow(record.integers[0], by, &record.integers[0])) overflow(key);
  sum = record.integers[0];
  put(key, std::move(record));
}

/// Something asks for a counter, or sums are to be kept in another layer: reads each counter that
/// was added to, and writes the sum.
void Work::read_counters() {
  const std::vector<Add> adds = std::exchange(adds_, {});
  const std::size_t before = in_mutation_ ? std::exchange(adds_before_, 0) : 0;
  for (std::size_t i = 0; i < adds.size(); ++i) {
    const Add& one = adds[i];
    const bool of_ended = i < before;
    try {
      Record record = load(one.key).value_or(Record{});
      if (__builtin_add_overflow(record.integers[0], one.by, &record.integers[0])) {
        if (!of_ended) overflow(one.key);
        overflowed_ = true;  // not an error of the mutation that is running
      }
      *one.sum = record.integers[0];
      if (of_ended) {
        done_.insert_or_assign(one.key, std::move(record));
      } else {
        put(one.key, std::move(record));
      }
    } catch (...) {
      broken_ = broken_ || of_ended;  // what ended mutations have added is lost
      throw;
    }
  }
}

/// The last step before the commit.
void Work::hand_over_adds() {
  if (overflowed_) {
    throw LimitError("a counter would leave the range of 64 bits");
  }
  applied_records_ += adds_.size();
  if (!kept(adds_.size())) forget_changes();
  for (Add& one : adds_) {
    optimism_->add(one.key, one.by, *one.sum);
    const Record unknown;
    if (forgotten_) {
      touch(one.key, &unknown);
    } else {
      one.at = applied_.size();
      applied_.push_back({one.key, unknown});
    }
  }
}

void Work::take_sums() noexcept {
  if (forgotten_) return;
  for (const Add& one : adds_) applied_[one.at].record->integers[0] = *one.sum;
}

}  // namespace graven::store
