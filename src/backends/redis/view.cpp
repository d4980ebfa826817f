// SPDX-License-Identifier: MIT
//
// See view.hpp. Used by one thread at a time.
#include "backends/redis/view.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using port::Key;
using port::Range;
using port::ReadOp;
using port::Record;
using port::Row;
using port::Space;
using port::StateVersion;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPage = 2'000;  // rows of one trip
constexpr std::size_t kFewest = 16;   // of a page that replaces what the overlay hides
constexpr std::chrono::seconds kPatience{30};

}  // namespace

SnapshotView::SnapshotView(std::shared_ptr<Core> core, std::shared_ptr<Holds> holds,
                           const port::Partition& partition)
    : core_(std::move(core)), holds_(std::move(holds)), partition_(partition) {
  holds_->add_view(partition_);
}

SnapshotView::~SnapshotView() { holds_->remove_view(partition_); }

void SnapshotView::fail_old() const {
  throw ConflictError(fmt::format(
      "the snapshot of {} is too old: what was changed since is no longer kept; take a new one",
      core_->name));
}

void SnapshotView::run(Reading& reading) {
  core_->require_open();
  const auto sent = Clock::now();
  const bool hold = core_->may_hold && holds_->due(partition_);
  if (hold) reading.ask_hold();
  if (state_) reading.ask_undone(newest_.clock);
  const StateVersion now = reading.run(deadline_.value_or(sent + kPatience));
  if (hold && reading.held()) holds_->renewed(partition_, sent);
  if (state_) {
    take(reading, now);
  } else {
    state_ = now;
  }
  newest_ = now;
}

void SnapshotView::take(const Reading& reading, const StateVersion& now) {
  if (now == newest_) return;
  if (now.clock <= newest_.clock) fail_old();  // the server has lost commits
  std::uint64_t clock = newest_.clock;
  for (Undone& undone : reading.undone()) {
    if (undone.piece == 0) {
      if (undone.clock != ++clock) fail_old();
      if (clock == newest_.clock + 1 && undone.previous != newest_.history) fail_old();
    } else if (undone.clock != clock) {
      fail_old();
    }
    for (auto& [key, record] : undone.changes) overlay_.emplace(key, std::move(record));
  }
  if (clock != now.clock) fail_old();
}

void SnapshotView::begin() {
  Reading reading(*core_, partition_);
  run(reading);
}

std::optional<Record> SnapshotView::load(const Key& key) {
  std::optional<Record> found;
  load_many({&key, 1}, [&](std::size_t, Record* record) {
    if (record != nullptr) found = std::move(*record);
  });
  return found;
}

void SnapshotView::load_many(std::span<const Key> keys,
                             const std::function<void(std::size_t, Record*)>& each) {
  core_->require_open();
  for (std::size_t from = 0; from < keys.size(); from += kPage) {
    const std::size_t to = std::min(from + kPage, keys.size());
    Reading reading(*core_, partition_);
    for (std::size_t i = from; i < to; ++i) reading.ask_record(keys[i]);
    run(reading);
    for (std::size_t i = from; i < to; ++i) {
      const auto was = overlay_.find(keys[i]);
      std::optional<Record> record = was != overlay_.end() ? was->second : reading.record(i - from);
      each(i, record ? &*record : nullptr);
    }
  }
}

const std::vector<Key>& SnapshotView::list(Space space) {
  const auto at = lists_.find(space);
  if (at != lists_.end()) return at->second;
  Reading reading(*core_, partition_);
  const std::size_t place = reading.ask_keys(port::whole(space));
  run(reading);
  return lists_[space] = reading.keys(place);
}

/// A page of a space whose keys are not ordered. Keys that came after the list came after the
/// view's state; those that have gone since stand in the overlay.
std::vector<Row> SnapshotView::listed_page(const Range& range, std::size_t count) {
  const std::vector<Key>& keys = list(range.space);
  const auto begin = std::lower_bound(keys.begin(), keys.end(), port::first_key(range));
  const auto end = std::upper_bound(begin, keys.end(), port::last_key(range));
  const bool back = port::backwards(range);
  std::size_t left = static_cast<std::size_t>(end - begin);
  std::size_t taken = 0;
  std::vector<Row> rows;
  while (rows.size() < count && left != 0) {
    const std::size_t some = std::min({left, count - rows.size(), kPage});
    Reading reading(*core_, partition_);
    const auto key_at = [&](std::size_t i) {
      const auto offset = static_cast<std::ptrdiff_t>(taken + i);
      return back ? *(end - 1 - offset) : *(begin + offset);
    };
    for (std::size_t i = 0; i < some; ++i) reading.ask_record(key_at(i));
    run(reading);
    for (std::size_t i = 0; i < some; ++i) {
      if (auto record = reading.record(i)) rows.push_back({key_at(i), *std::move(record)});
    }
    taken += some;
    left -= some;
  }
  return rows;
}

/// The newest rows of a range.
std::vector<Row> SnapshotView::page(const Range& range, std::size_t count) {
  if (!ordered(range.space) && !narrow(range)) return listed_page(range, count);
  std::vector<Row> rows;
  std::optional<Range> rest = range;
  while (rest && rows.size() < count) {
    const std::size_t some = std::min(count - rows.size(), kPage);
    Reading reading(*core_, partition_);
    const std::size_t place = reading.ask_rows(*rest, some);
    run(reading);
    std::vector<Row> next = reading.rows(place);
    rest = next.size() < some ? std::nullopt : port::behind(*std::move(rest), next.back().key);
    std::move(next.begin(), next.end(), std::back_inserter(rows));
  }
  return rows;
}

std::vector<Row> SnapshotView::merged(const Range& range, std::size_t limit,
                                      std::optional<std::vector<Row>> first) {
  const port::Overlay none;
  const auto itself = [](const std::optional<Record>& record) { return &record; };
  return port::scan_layers(
      range, limit, kFewest,
      [&](const Range& rest, std::size_t count) {
        if (first) return *std::exchange(first, std::nullopt);
        return page(rest, count);
      },
      [&](const Range& rest, const Key* until, std::vector<Row>& rows, std::vector<Row>& all) {
        port::merge(rest, until, overlay_, none, itself, rows, limit, all);
      });
}

std::vector<Row> SnapshotView::scan(const Range& range, std::size_t limit) {
  core_->require_open();
  return merged(range, limit, std::nullopt);
}

void SnapshotView::read(std::span<const ReadOp> ops,
                        base::FunctionRef<void(std::size_t, std::span<Row>)> each) {
  core_->require_open();
  Reading reading(*core_, partition_);
  std::vector<std::optional<std::size_t>> places(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].key) {
      places[i] = reading.ask_record(*ops[i].key);
    } else if (narrow(ops[i].range) || (ordered(ops[i].range.space) && ops[i].limit <= kPage)) {
      places[i] = reading.ask_rows(ops[i].range, ops[i].limit);
    }
  }
  run(reading);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    std::vector<Row> rows;
    if (!ops[i].key) {
      rows = merged(ops[i].range, ops[i].limit,
                    places[i] ? std::optional(reading.rows(*places[i])) : std::nullopt);
    } else {
      const auto was = overlay_.find(*ops[i].key);
      std::optional<Record> record =
          was != overlay_.end() ? was->second : reading.record(*places[i]);
      if (record) rows.push_back({*ops[i].key, *std::move(record)});
    }
    each(i, rows);
  }
}

std::uint64_t SnapshotView::count_items(std::int64_t map) {
  core_->require_open();
  const Range range{.space = Space::kItem, .a = map, .include_empty_name = true};
  Reading reading(*core_, partition_);
  const std::size_t place = reading.ask_count(range);
  run(reading);
  const auto changed = overlay_.lower_bound(port::first_key(range));
  if (changed == overlay_.end() || !port::in_range(range, changed->first)) {
    return reading.count(place);
  }
  return View::count_items(map);
}

}  // namespace graven::redis
