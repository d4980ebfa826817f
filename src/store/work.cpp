// SPDX-License-Identifier: MIT
//
// The overlays, ids, and the read set. See work.hpp for what always holds. One thread at a time.
#include "store/work.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <random>
#include <utility>

#include <graven/error.hpp>

#include "base/hash.hpp"
#include "base/of_thread.hpp"
#include "cache/cache.hpp"

namespace graven::store {

using port::ReadOp;

namespace {

constexpr std::size_t kCleanRecords = 8'192;
// The same limit in bytes, for large values:
constexpr std::size_t kCleanBytes = std::size_t{4} << 20U;
constexpr std::size_t kSpillBytes = std::size_t{4} << 20U;

std::size_t bytes_of(const std::optional<Record>& record) noexcept {
  return record ? record->body.size() : 0;
}

std::uint64_t digest(Space space, const std::optional<Record>& record) {
  if (!record) return 0;
  if (port::schema(space).has_version) return record->version;
  std::uint64_t sum = base::hash(record->body, 1);
  for (const std::int64_t integer : record->integers) {
    sum = sum * 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(integer) + 1;
  }
  return sum | 1;
}

std::uint64_t digest(const std::vector<Row>& rows) {
  std::uint64_t sum = 0x2545f4914f6cdd1dULL + rows.size();
  for (const Row& row : rows) {
    for (const std::uint64_t part :
         {static_cast<std::uint64_t>(row.key.a), static_cast<std::uint64_t>(row.key.b),
          base::hash(row.key.name, 2), digest(row.key.space, row.record)}) {
      sum = (sum ^ part) * 0x9e3779b97f4a7c15ULL;
      sum ^= sum >> 29;
    }
  }
  return sum;
}

/// The first id of this millisecond, with a random part, so that a commit that was lost and the one
/// made in its place do not have the same id. `spread`: anywhere in the millisecond, because
/// several processes give out ids at once.
std::int64_t id_of_now(bool spread = false) {
  struct Start {
    std::minstd_rand random{std::random_device{}()};
  };
  std::minstd_rand& random = base::of_thread<Start>().random;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  return (std::int64_t{now} << Ids::kSequenceBits) |
         static_cast<std::int64_t>(random() & (spread ? 0x7fffU : 0x3ffU));
}

}  // namespace

// --- ReadSet

void ReadSet::saw(const Key& key, const std::optional<Record>& record) {
  points_.try_emplace(key, digest(key.space, record));
}

void ReadSet::saw(const Range& range, std::size_t limit, const std::vector<Row>& rows) {
  scans_.push_back({range, limit, digest(rows)});
}

bool ReadSet::holds_in(View& now) const {
  for (const auto& [key, seen] : points_) {
    if (digest(key.space, now.load(key)) != seen) return false;
  }
  if (state_ && now.state() != state_) return false;
  return std::all_of(scans_.begin(), scans_.end(), [&](const Scan& scan) {
    return digest(now.scan(scan.range, scan.limit)) == scan.digest;
  });
}

void ReadSet::clear() {
  points_.clear();
  scans_.clear();
  state_.reset();
}

// --- Work

std::size_t Work::KeyHash::operator()(const Key& key) const noexcept {
  std::uint64_t sum = static_cast<std::uint64_t>(key.a) * 0x9e3779b97f4a7c15ULL;
  sum ^= static_cast<std::uint64_t>(key.b) * 0xc2b2ae3d27d4eb4fULL;
  sum ^= static_cast<std::uint64_t>(key.space) << 56U;
  if (!key.name.empty()) sum ^= base::hash(key.name, 3);
  return sum ^ (sum >> 32U);
}

Work::Work(WriteTransaction& sink, Ids& ids, cache::Cache* cache, std::size_t spill_records)
    : below_(sink),
      sink_(&sink),
      optimism_(sink.optimism()),
      cache_(cache),
      ids_(ids),
      recording_(false),
      spill_records_(spill_records) {
  forget_all_clean();
  start_clock();
}

Work::Work(View& snapshot, Ids& ids)
    : below_(snapshot),
      sink_(nullptr),
      optimism_(nullptr),
      cache_(nullptr),
      ids_(ids),
      recording_(true),
      spill_records_(SIZE_MAX) {
  forget_all_clean();
  start_clock();
}

void Work::start_clock() {
  if (optimism_ != nullptr) {
    last_id_ = ids_.next_beside_others(id_of_now(true));
    commit_id_ = optimism_->version();
    given_from_ = static_cast<std::uint64_t>(last_id_) + 1;
    return;
  }
  // A store that was never written has no clock yet. (Not by load(): an optimistic work must not
  // depend on the clock.)
  const Record clock = load_apart(port::clock_key()).value_or(Record{});
  // If damaged, the clock is ignored here; check() reports it, and repair() corrects it.
  const bool sound = clock.integers[0] >= 0 && clock.integers[0] < port::kMostId;
  last_id_ = ids_.next(std::max(sound ? clock.integers[0] + 1 : 0, id_of_now()));
  last_prefix_ = clock.integers[1];
  commit_id_ = static_cast<std::uint64_t>(last_id_);
  given_from_ = commit_id_ + 1;
}

std::uint64_t Work::state_before() {
  if (optimism_ != nullptr) return optimism_->state_before();
  const std::optional<Record> clock = load(port::clock_key());
  return clock ? clock->version : 0;
}

std::uint64_t Work::state_after() const noexcept {
  return optimism_ != nullptr ? optimism_->state_after() : commit_id_;
}

std::unique_ptr<port::SqlRows> Work::sql(std::string_view text,
                                         const port::SqlParameters& parameters) {
  if (sink_ == nullptr) return below_.sql(text, parameters);
  spill();
  write_deferred();
  bring(Space::kEdge);
  bring(Space::kSlot);
  orphan_known_.reset();
  marks_.clear();
  std::unique_ptr<port::SqlRows> rows = sink_->sql(text, parameters);
  if (rows->writes()) {
    written_ = true;
    clocked_ = true;  // so that it can be found out whether the commit is durable
  }
  return rows;
}

std::int64_t Work::next_id(Space space) {
  clocked_ = true;
  if (!recording_) return last_id_ = ids_.next(last_id_ + 1);
  // Nobody holds the clock for an optimistic work. It takes an id that is unused in its snapshot;
  // because it has looked, the commit fails if another writer takes that id first.
  for (;;) {
    last_id_ = ids_.next(std::max(last_id_ + 1, id_of_now()));
    if (!load({.space = space, .a = last_id_})) return last_id_;
  }
}

const std::optional<Record>* Work::overlaid(const Key& key) {
  if (!mutation_.empty()) {
    if (const auto it = mutation_.find(key); it != mutation_.end()) return &it->second;
  }
  if (const std::optional<Record>* found = in_runs(key)) return found;
  if (!done_.empty()) {
    if (const auto it = done_.find(key); it != done_.end()) return &it->second;
  }
  if (key.space == Space::kSlot) {
    if (const NewPair* slot = slots_.find(key.a, key.b)) {
      shown_ = Record{.integers = {slot->value}};
      return &shown_;
    }
  }
  return nullptr;
}

/// Whether the overlays or the runs have any record of the space.
bool Work::any_overlaid(Space space) const {
  const auto in_overlay = [space](const Overlay& overlay) {
    const auto at = overlay.lower_bound({.space = space, .a = INT64_MIN, .b = INT64_MIN});
    return at != overlay.end() && at->first.space == space;
  };
  return in_overlay(mutation_) || in_overlay(done_) || in_runs(space);
}

/// The state of a key that is in memory: what an optimistic transaction has read stays as it was,
/// even if the cache has another state by now.
std::optional<std::optional<Record>> Work::cached(const Key& key) {
  if (optimism_ != nullptr && optimism_->knows(key)) return below_.load(key);
  if (cache_ == nullptr) return std::nullopt;
  std::optional<std::optional<Record>> found = cache_->look(key);
  if (found && optimism_ != nullptr) optimism_->relies_on(key, *found);
  return found;
}

/// A record below the overlays, not recorded as read and not kept in clean_.
std::optional<Record> Work::load_apart(const Key& key) {
  if (std::optional<std::optional<Record>> found = cached(key)) return *std::move(found);
  if (optimism_ != nullptr) {
    if (cache_ == nullptr) return below_.load(key);
    const cache::Cache::Before before = cache_->before();
    std::optional<Record> record = below_.load(key);
    const bool to_be_made = !record && port::under_given_id(key.space, key.a, key.b, given_from());
    if (!to_be_made) cache_->fill(before, key, record);
    return record;
  }
  std::optional<Record> record = below_.load(key);
  const bool to_be_made = !record && port::under_given_id(key.space, key.a, key.b, given_from());
  if (cache_ != nullptr && !to_be_made) cache_->fill_own(key, record);
  return record;
}

/// A record below the overlays, from clean_ if it was read before.
const std::optional<Record>& Work::clean(const Key& key) {
  if (const auto it = clean_.find(key); it != clean_.end()) return it->second;
  std::optional<Record> record = load_apart(key);
  if (recording_) reads_.saw(key, record);
  clean_bytes_ += bytes_of(record);
  if (clean_.size() >= kCleanRecords || clean_bytes_ >= kCleanBytes) {
    forget_all_clean();
    clean_bytes_ = bytes_of(record);
  }
  std::int64_t& most = clean_most_[static_cast<std::size_t>(key.space)];
  most = std::max(most, key.a);
  return clean_.emplace(key, std::move(record)).first->second;
}

/// The same in bulk writing, from working_set_.
const std::optional<Record>& Work::from_working_set(const Key& key) {
  if (!WorkingSet::keeps(key.space)) {
    shown_ = load_apart(key);
  } else if (!working_set_.find(key, shown_)) {
    if (working_set_.outlived()) {
      write_deferred();
      working_set_.clear();
    }
    shown_ = load_apart(key);
    working_set_.read(key, shown_, below_);
  }
  return shown_;
}

/// Drops what was read of the key. `record`: the new state; nullptr: not known.
void Work::wrote(const Key& key, const Record* record) {
  if (bulk_bytes_ != 0) {
    working_set_.wrote(key, record);
  } else if (key.a <= clean_most_[static_cast<std::size_t>(key.space)]) {
    clean_.erase(key);  // rarely needed: most keys are of new nodes, greater than all read
  }
}

void Work::forget_all_clean() {
  if (bulk_bytes_ != 0) working_set_.clear();
  clean_.clear();
  clean_most_.fill(std::numeric_limits<std::int64_t>::min());
}

std::optional<Record> Work::load(const Key& key) {
  const Record* found = look(key);
  if (found == nullptr) return std::nullopt;
  if (shown_ && found == &*shown_) return std::move(shown_);
  return *found;
}

const Record* Work::look(const Key& key) {
  before_look(key.space);
  const std::optional<Record>* record = overlaid(key);
  if (record == nullptr) record = bulk_bytes_ != 0 ? &from_working_set(key) : &clean(key);
  return *record ? &**record : nullptr;
}

void Work::mark(std::int64_t node, std::int64_t as) {
  if (as != marked_as_) marks_.clear();
  marked_as_ = as;
  marks_.add(node);
}

bool Work::any_orphan(std::int64_t owner) {
  if (recording_ || !orphan_known_ || orphan_known_->first != owner) {
    const bool none_written = !any_overlaid(Space::kOrphan) && applied_.empty() && !forgotten_;
    if (optimism_ != nullptr && owner == 0 && none_written) return optimism_->pending();
    orphan_known_ = {owner, !scan({.space = Space::kOrphan, .a = owner}, 1).empty()};
  }
  return orphan_known_->second;
}

/// The state of a record (there is one, or there is none) without asking the store; nullptr: not
/// known. Valid until the next call.
const std::optional<Record>* Work::at_hand(const Key& key) {
  if (const std::optional<Record>* record = overlaid(key)) return record;
  if (bulk_bytes_ != 0) return working_set_.find(key, shown_) ? &shown_ : nullptr;
  if (const auto it = clean_.find(key); it != clean_.end()) return &it->second;
  if (std::optional<std::optional<Record>> found = cached(key)) {
    shown_ = *std::move(found);
    return &shown_;
  }
  return nullptr;
}

void Work::load_many(std::span<const Key> keys,
                     const std::function<void(std::size_t, Record*)>& each) {
  if (!keys.empty()) before_look(keys.front().space);
  const auto known = [this](const Key& key) -> port::Known {
    if (const std::optional<Record>* record = at_hand(key))
      return port::Known(std::in_place, *record);
    return std::nullopt;
  };
  port::load_layers(keys, each, known, [this](std::span<const Key> missing, const auto& found) {
    below_.load_many(missing, [&](std::size_t i, Record* record) {
      if (recording_) {
        reads_.saw(missing[i], record != nullptr ? std::optional<Record>(*record) : std::nullopt);
      }
      found(i, record);
    });
  });
}

void Work::read(std::span<const ReadOp> ops,
                base::FunctionRef<void(std::size_t, std::span<Row>)> each) {
  std::vector<ReadOp> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const ReadOp& op = ops[i];
    if (!op.key) before_scan(op.range.space);
    if (recording_ || (!op.key && any_overlaid(op.range.space))) {
      View::read({&op, 1}, [&](std::size_t, std::span<Row> rows) { each(i, rows); });
      continue;
    }
    if (op.key) {
      before_look(op.key->space);
      if (const std::optional<Record>* record = at_hand(*op.key)) {
        std::vector<Row> rows;
        if (*record) rows.push_back({*op.key, **record});
        each(i, rows);
        continue;
      }
    }
    missing.push_back(op);
    places.push_back(i);
  }
  if (missing.empty()) return;
  below_.read(missing, [&](std::size_t i, std::span<Row> rows) { each(places[i], rows); });
}

void Work::load_own(std::span<const Key> keys,
                    const std::function<void(std::size_t, Record*)>& each) {
  const bool none = slots_.empty() && !any_overlaid(Space::kSlot);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::optional<Record>* record = none ? nullptr : overlaid(keys[i]);
    std::optional<Record> copy = record != nullptr ? *record : std::nullopt;
    each(i, copy ? &*copy : nullptr);
  }
}

std::vector<Row> Work::scan(const Range& range, std::size_t limit) {
  before_scan(range.space);
  const auto below = [this](const Range& rest, std::size_t count) {
    std::vector<Row> rows = below_.scan(rest, count);
    if (recording_) reads_.saw(rest, count, rows);
    return rows;
  };
  if (!any_overlaid(range.space)) return below(range, limit);
  const auto itself = [](const std::optional<Record>& record) { return &record; };
  const auto over = [&](const Range& rest, const Key* until, std::vector<Row>& page,
                        std::vector<Row>& rows) {
    port::merge(rest, until, mutation_, done_, itself, page, limit, rows);
  };
  // Reads no more rows below than asked for, because they would count as read.
  return port::scan_layers(range, limit, 1, below, over);
}

void Work::write(const Key& key, std::optional<Record> record) {
  bring(key.space);
  if (key.space == Space::kOrphan) orphan_known_.reset();
  if (key.space == Space::kNode && marks_.has(key.a)) marks_.clear();
  written_ = true;
  clocked_ = clocked_ || port::clocked(key.space);
  Overlay& overlay = in_mutation_ ? mutation_ : done_;
  unspilled_bytes_ += bytes_of(record);
  const auto [at, fresh] = overlay.try_emplace(key);
  if (!fresh) forget_bytes(bytes_of(at->second));
  at->second = std::move(record);
  if (!recording_ && (overlay.size() >= spill_records_ || unspilled_bytes_ >= kSpillBytes)) {
    spill();
  }
}

void Work::put(const Key& key, Record record) {
  record.version = port::schema(key.space).has_version ? commit_id_ : 0;
  write(key, std::move(record));
}

void Work::erase(const Key& key) { write(key, std::nullopt); }

void Work::replay_into(Work& target) {
  for (auto& [key, record] : done_) {
    if (record) {
      target.put(key, *record);
    } else {
      target.erase(key);
    }
  }
  target.last_id_ = std::max(target.last_id_, last_id_);
  target.clocked_ = target.clocked_ || clocked_;
  target.prefixes_.insert(prefixes_.begin(), prefixes_.end());
  target.suspects_.insert(suspects_.begin(), suspects_.end());
  target.effects_.insert(target.effects_.end(), effects_.begin(), effects_.end());
}

}  // namespace graven::store
