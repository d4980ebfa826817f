// SPDX-License-Identifier: MIT
//
// See copy.hpp. One thread at a time.
#include "integrity/copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "base/interrupt.hpp"
#include "graph/collector/heap.hpp"
#include "integrity/check_state.hpp"
#include "integrity/tally.hpp"
#include "store/incomplete.hpp"

namespace graven::integrity {
namespace {

using checking::Stream;
using port::Change;
using port::Key;
using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Store;
using store::Work;

constexpr std::size_t kBatchRecords = 2'000;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20U;

constexpr std::size_t kMapOwner = 1;  // places of integers of kMap
constexpr std::size_t kMapProcess = 2;

/// Spaces whose records all else is found by: they are written last.
constexpr bool names(Space space) noexcept {
  return space == Space::kPrefix || space == Space::kMap;
}

/// Spaces that the last commit compares. Who had the target open when it was empty may still add to
/// a counter, for that proves nothing.
constexpr bool compared_last(Space space) noexcept {
  return names(space) || space == Space::kCounter;
}

/// Records of a store itself, not of what is in it.
bool own(const Key& key) { return key == port::clock_key() || key == store::incomplete_key(); }

/// What belongs to a process is not copied.
void forget_process(const Key& key, Record& record) {
  if (key.space != Space::kMap) return;
  record.integers[kMapOwner] = 0;
  record.integers[kMapProcess] = 0;
}

bool lies_under_own_id(Space space) noexcept {
  return space == Space::kNode || space == Space::kPage || space == Space::kBlob;
}

std::int64_t new_token() {
  std::random_device device;
  std::uniform_int_distribution<std::int64_t> any(1, (std::int64_t{1} << 46) - 1);
  return any(device);
}

/// Whether a node is an empty small dict without anything else to it.
bool is_empty_root(const Row& row) {
  if (row.record.integers[1] != static_cast<std::int64_t>(graph::Layout::kDict)) return false;
  const jsonb::Element whole = jsonb::parse(row.record.body);
  return whole.type == jsonb::Type::kObject && whole.payload.empty();
}

class Copying {
 public:
  Copying(Store& from, const std::shared_ptr<Store>& to, const CopyOptions& options)
      : from_(from), to_(to), options_(options), view_(from.view()) {}

  CopyReport run() {
    store::refuse_incomplete(*view_, from_.name());
    token_ = new_token();
    to_->backend().leases().announce(token_);
    const bool begun = take();
    try {
      if (begun) sweep();
      for (std::size_t i = 0; i < port::kSpaceCount; ++i) copy(static_cast<Space>(i));
      write_batch();
      compare();
      finish();
    } catch (...) {
      give_up();
      throw;
    }
    tell(read_.records(), read_.records());
    to_->sync(patience());
    return report();
  }

 private:
  [[nodiscard]] base::Deadline patience() const {
    return std::chrono::steady_clock::now() + options_.busy_timeout;
  }

  /// Makes the target one that is being copied into. Returns whether it has records of an earlier
  /// copy.
  bool take() {
    bool begun = false;
    to_->write_apart(
        [&](Work& work) {
          const std::optional<Record> mark = work.load(store::incomplete_key());
          begun = mark.has_value();
          if (begun) {
            const std::int64_t other = mark->integers[0];
            if (other != 0 && to_->backend().leases().alive(other)) {
              throw BusyError(to_->name() +
                              ": another process copies a store into it at this moment; wait until "
                              "it has ended");
            }
          } else {
            for (const Key& key : only_an_empty_root(work)) work.erase(key);
          }
          work.put(store::incomplete_key(), mark_of(token_));
        },
        patience());
    return begun;
  }

  static Record mark_of(std::int64_t token) {
    Record mark;
    mark.integers[0] = token;
    return mark;
  }

  /// UsageError if there is more than that; else its records.
  std::vector<Key> only_an_empty_root(Work& work) const {
    std::vector<Key> keys;
    const std::vector<Row> prefixes = work.scan({.space = Space::kPrefix}, 2);
    if (prefixes.size() > 1) refuse("prefixes");
    const std::int64_t root = prefixes.empty() ? 0 : prefixes.front().record.integers[1];
    for (const Row& row : prefixes) keys.push_back(row.key);
    for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
      const auto space = static_cast<Space>(i);
      if (space == Space::kPrefix) continue;
      for (const Row& row : work.scan(port::whole(space), 2)) {
        if (space == Space::kNode && row.key.a == root && is_empty_root(row)) {
          keys.push_back(row.key);
        } else {
          refuse(space == Space::kMap       ? "maps"
                 : space == Space::kCounter ? "counters"
                                            : "dicts or lists");
        }
      }
    }
    return keys;
  }

  [[noreturn]] void refuse(const char* what) const {
    throw UsageError(fmt::format(
        "{} has {} already: a copy needs a store that is missing or empty; name another one",
        to_->name(), what));
  }

  /// The mark must still be the one that take() wrote.
  void require_taken(Work& work) const {
    const std::optional<Record> mark = work.load(store::incomplete_key());
    if (mark && mark->integers[0] == token_) return;
    throw BusyError(to_->name() +
                    ": another process has begun to copy into it; this copy has ended");
  }

  void write(base::FunctionRef<void(Work&)> body) {
    to_->write_apart(
        [&](Work& work) {
          require_taken(work);
          body(work);
        },
        patience());
  }

  /// Erases what an interrupted copy has left. Nobody else writes there.
  void sweep() {
    const std::unique_ptr<View> left = to_->view();
    std::vector<Key> keys;
    const auto erase = [&] {
      tell(0, 0);
      write([&](Work& work) {
        for (const Key& key : keys) work.erase(key);
      });
      keys.clear();
    };
    for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
      Stream stream(*left, static_cast<Space>(i));
      for (; Row* row = stream.peek(); stream.pop()) {
        if (!own(row->key)) keys.push_back(std::move(row->key));
        if (keys.size() >= most()) erase();
      }
    }
    if (!keys.empty()) erase();
  }

  void copy(Space space) {
    Stream stream(*view_, space);
    for (; Row* row = stream.peek(); stream.pop()) {
      if (own(row->key)) {
        if (row->key == port::clock_key()) newest_prefix_ = row->record.integers[1];
        continue;
      }
      forget_process(row->key, row->record);
      read_.add(row->key, row->record);
      if (lies_under_own_id(space)) greatest_ = std::max(greatest_, row->key.a);
      if (names(space)) {
        names_.push_back({std::move(row->key), std::move(row->record)});
        continue;
      }
      bytes_ += sizeof(Row) + row->key.name.size() + row->record.body.size();
      batch_.push_back({std::move(row->key), std::move(row->record)});
      if (batch_.size() >= most() || bytes_ >= kBatchBytes) write_batch();
    }
  }

  [[nodiscard]] std::size_t most() const {
    return std::min(kBatchRecords, to_->backend().facts().most_changes);
  }

  void write_batch() {
    tell(read_.records(), 0);
    if (batch_.empty()) return;
    // A copy of the batch, for it may be tried again.
    write([&](Work& work) { work.write_many(batch_); });
    batch_.clear();
    bytes_ = 0;
  }

  /// Reads back all but what the last commit looks at.
  void compare() {
    const std::unique_ptr<View> view = to_->view();
    std::uint64_t untold = 0;
    for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
      const auto space = static_cast<Space>(i);
      if (compared_last(space)) continue;
      Stream stream(*view, space);
      for (; Row* row = stream.peek(); stream.pop()) {
        there_.add(row->key, row->record);
        if (++untold % kBatchRecords == 0) tell(there_.records(), read_.records());
      }
    }
  }

  /// The names, and no mark, make it a whole store.
  void finish() {
    // The store's clock goes beyond every id.
    if (greatest_ >= port::kMostId) {
      throw CorruptionError(
          fmt::format("{} has the id {}, which graven did not give; `graven "
                      "check` lists all problems",
                      from_.name(), greatest_));
    }
    static_cast<void>(to_->ids().next(greatest_ + 1));
    for (auto from = names_.begin(); from != names_.end();) {
      const auto left = static_cast<std::size_t>(names_.end() - from);
      const auto end = from + static_cast<std::ptrdiff_t>(std::min(left, most()));
      write([&](Work& work) { work.write_many({from, end}); });
      from = end;
    }
    write([&](Work& work) {
      Tally all = there_;
      for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
        const auto space = static_cast<Space>(i);
        if (!compared_last(space)) continue;
        port::each_row(work, port::whole(space), kBatchRecords, [&](const Row& row) {
          if (!own(row.key)) all.add(row.key, row.record);
          return true;
        });
      }
      require_same(read_.difference(all));
      if (newest_prefix_ != 0) work.remember_last_prefix(newest_prefix_);
      work.erase(store::incomplete_key());
    });
  }

  void require_same(const std::string& difference) const {
    if (difference.empty()) return;
    throw CorruptionError(fmt::format(
        "{} was read back and does not hold the same as {}: {}; the copy is of no use: try again",
        to_->name(), from_.name(), difference));
  }

  /// Nobody copies any more: the next copy need not wait until this process has ended.
  void give_up() noexcept {
    const base::Uninterrupted to_the_end;
    try {
      write([&](Work& work) { work.put(store::incomplete_key(), mark_of(0)); });
    } catch (const std::exception&) {
      // The mark remains as it is.
    }
  }

  void tell(std::uint64_t done, std::uint64_t total) const {
    base::check_interrupt();
    if (options_.progress) options_.progress(done, total);
  }

  CopyReport report() {
    CopyReport report;
    report.from = from_.name();
    report.to = to_->name();
    report.records = read_.records();
    report.bytes = read_.bytes();
    report.prefixes = read_.records(Space::kPrefix);
    report.nodes = read_.records(Space::kNode);
    report.maps = read_.records(Space::kMap);
    report.items = read_.records(Space::kItem);
    report.counters = read_.records(Space::kCounter);
    report.digest = read_.digest();
    report.same_uids = from_.backend().facts().constant == to_->backend().facts().constant;
    if (read_.records(Space::kOrphan) != 0) {
      try {
        report.collected = graph::Heap::of(to_)->collect(options_.busy_timeout);
      } catch (const BusyError&) {
        // A program writes to the copy already: it collects too.
      }
    }
    return report;
  }

  Store& from_;
  const std::shared_ptr<Store>& to_;
  const CopyOptions& options_;
  std::unique_ptr<View> view_;  // the state that is copied
  std::int64_t token_ = 0;
  Tally read_;
  Tally there_;  // what was read back, but for what is compared last
  std::vector<Change> batch_;
  std::size_t bytes_ = 0;      // of batch_
  std::vector<Change> names_;  // of prefixes and maps
  std::int64_t greatest_ = 0;  // of the ids
  std::int64_t newest_prefix_ = 0;
};

}  // namespace

bool is_new(store::Store& store) {
  const std::unique_ptr<View> view = store.view();
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    if (!view->scan(port::whole(static_cast<Space>(i)), 1).empty()) return false;
  }
  return true;
}

CopyReport copy(store::Store& from, const std::shared_ptr<store::Store>& to,
                const CopyOptions& options) {
  if (options.busy_timeout.count() < 0) throw UsageError("busy_timeout must not be negative");
  if (from.in_transaction() || to->in_transaction()) {
    throw UsageError("a copy inside a transaction: make it before or after");
  }
  if (from.backend().facts().identity == to->backend().facts().identity) {
    throw UsageError(to->name() + " is the store itself; name another one for the copy");
  }
  return Copying(from, to, options).run();
}

}  // namespace graven::integrity
