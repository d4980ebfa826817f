// SPDX-License-Identifier: MIT
//
// See optimistic_transaction.hpp. One thread at a time.
#include "store/optimistic_transaction.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "port/touched.hpp"

namespace graven::store {
namespace {

constexpr std::size_t kMostPredicates = 1000;  // more: it takes the lease

}  // namespace

using port::Change;
using port::Key;
using port::KeyShape;
using port::Predicate;
using port::Range;
using port::ReadOp;
using port::Record;
using port::Row;
using port::Space;

Optimistic::Transaction::Transaction(Parts parts, std::optional<Alone> alone,
                                     port::Deadline deadline)
    : of_(std::move(parts)),
      alone_(std::move(alone)),
      deadline_(deadline),
      patience_(deadline - std::chrono::steady_clock::now()),
      id_(of_.committer.next()),
      begun_(of_.followed.state()),
      read_(std::move(of_.known)),
      all_since_begun_(read_.empty()) {
  of_.of_retry.clear();
}

Optimistic::Transaction::~Transaction() {
  if (released_) released_(nullptr);
  if (alone_) alone_->release();
}

// --- What is read

/// The state of a key, as far as this transaction knows it.
const std::optional<Record>* Optimistic::Transaction::known(const Key& key) const {
  if (const auto it = written_.find(key); it != written_.end()) return &it->second;
  if (const auto it = read_.find(key); it != read_.end()) return &it->second;
  return nullptr;
}

void Optimistic::Transaction::relies_on(const Key& key, const State& record) {
  read_.try_emplace(key, record);
}

std::optional<Record> Optimistic::Transaction::load(const Key& key) {
  if (const State* state = known(key)) return *state;
  port::StateVersion at;
  std::optional<Record> record = of_.backend.find({}, key, at, deadline());
  of_.followed.reach(at);
  return read_.try_emplace(key, std::move(record)).first->second;
}

void Optimistic::Transaction::load_many(std::span<const Key> keys,
                                        const std::function<void(std::size_t, Record*)>& each) {
  std::vector<ReadOp> ops;
  ops.reserve(keys.size());
  for (const Key& key : keys) ops.push_back({.key = key});
  read(ops, [&](std::size_t i, std::span<Row> rows) {
    each(i, rows.empty() ? nullptr : &rows.front().record);
  });
}

void Optimistic::Transaction::read(std::span<const ReadOp> ops,
                                   base::FunctionRef<void(std::size_t, std::span<Row>)> each) {
  std::vector<ReadOp> missing;
  std::vector<std::size_t> places;
  std::vector<std::size_t> merged;  // ranges in whose space something was written
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const State* state = ops[i].key ? known(*ops[i].key) : nullptr;
    if (state != nullptr) {
      std::vector<Row> rows;
      if (*state) rows.push_back({*ops[i].key, **state});
      each(i, rows);
    } else if (!ops[i].key && written(ops[i].range.space)) {
      merged.push_back(i);
    } else {
      missing.push_back(ops[i]);
      places.push_back(i);
    }
  }
  if (!missing.empty()) {
    const port::StateVersion at = of_.backend.read(
        {}, missing,
        [&](std::size_t i, std::span<Row> rows, std::uint64_t) {
          if (missing[i].key) {
            read_.try_emplace(*missing[i].key, rows.empty() ? State() : State(rows.front().record));
          } else {
            saw(missing[i].range, missing[i].limit, rows);
          }
          each(places[i], rows);
        },
        deadline());
    of_.followed.reach(at);
  }
  for (const std::size_t i : merged) {
    std::vector<Row> rows = scan(ops[i].range, ops[i].limit);
    each(i, rows);
  }
}

/// Notes that the first records of a range, up to the limit, are these.
void Optimistic::Transaction::saw(const Range& range, std::size_t limit,
                                  std::span<const Row> rows) {
  for (const Row& row : rows) read_.try_emplace(row.key, row.record);
  if (rows.size() == limit && !rows.empty()) {
    ranges_.push_back({.kind = Predicate::Kind::kNth,
                       .key = rows.back().key,
                       .number = rows.size(),
                       .range = range});
  } else {
    ranges_.push_back({.kind = Predicate::Kind::kCount, .number = rows.size(), .range = range});
  }
}

bool Optimistic::Transaction::written(Space space) const {
  const auto at = written_.lower_bound({.space = space, .a = INT64_MIN, .b = INT64_MIN});
  return at != written_.end() && at->first.space == space;
}

std::vector<Row> Optimistic::Transaction::scan_below(const Range& range, std::size_t limit) {
  const ReadOp op{.range = range, .limit = limit};
  std::vector<Row> found;
  const port::StateVersion at = of_.backend.read(
      {}, {&op, 1},
      [&](std::size_t, std::span<Row> rows, std::uint64_t) {
        saw(range, limit, rows);
        found.assign(std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
      },
      deadline());
  of_.followed.reach(at);
  return found;
}

std::vector<Row> Optimistic::Transaction::scan(const Range& range, std::size_t limit) {
  if (limit == 0) return {};
  if (!written(range.space)) return scan_below(range, limit);
  const auto below = [&](const Range& rest, std::size_t count) { return scan_below(rest, count); };
  const port::Overlay none;
  const auto itself = [](const State& record) { return &record; };
  const auto over = [&](const Range& rest, const Key* until, std::vector<Row>& page,
                        std::vector<Row>& rows) {
    port::merge(rest, until, written_, none, itself, page, limit, rows);
  };
  return port::scan_layers(range, limit, 1, below, over);
}

bool Optimistic::Transaction::any_orphans() {
  return !scan({.space = Space::kOrphan, .a = 0, .a_to = INT64_MAX}, 1).empty();
}

std::uint64_t Optimistic::Transaction::count_items(std::int64_t map) {
  const Range range{.space = Space::kItem, .a = map, .include_empty_name = true};
  if (written(Space::kItem)) return View::count_items(map);
  const ReadOp op{.range = range, .limit = SIZE_MAX, .count = true};
  std::uint64_t count = 0;
  const port::StateVersion at = of_.backend.read(
      {}, {&op, 1}, [&](std::size_t, std::span<Row>, std::uint64_t number) { count = number; },
      deadline());
  of_.followed.reach(at);
  ranges_.push_back({.kind = Predicate::Kind::kCount, .number = count, .range = range});
  return count;
}

// --- What is written

void Optimistic::Transaction::apply(std::span<const Change> changes) {
  for (const Change& change : changes) written_[change.key] = change.record;
}

void Optimistic::Transaction::savepoint(int depth) {
  savepoints_.resize(static_cast<std::size_t>(depth));
  savepoints_.push_back(written_);
}

void Optimistic::Transaction::rollback_to(int depth) {
  savepoints_.resize(static_cast<std::size_t>(depth) + 1);
  written_ = savepoints_.back();
}

void Optimistic::Transaction::release(int depth) {
  savepoints_.resize(static_cast<std::size_t>(depth));
}

void Optimistic::Transaction::when_released(std::function<void(const port::Mark*)> call) {
  released_ = std::move(call);
}

void Optimistic::Transaction::add(const Key& key, std::int64_t by, std::int64_t& sum) {
  operations_.push_back({.kind = port::Operation::Kind::kAdd, .key = key, .number = by});
  given_.push_back(&sum);
}

// --- The commit

/// A node, page or blob that is put without having been read is a new one.
bool Optimistic::Transaction::is_new(const Key& key, const State& record) const {
  return record && port::schema(key.space).shape == KeyShape::kId && !read_.contains(key);
}

bool Optimistic::Transaction::pending() {
  on_pending_ = true;
  return begun_.pending != 0;
}

std::vector<Predicate> Optimistic::Transaction::predicates() const {
  std::vector<Predicate> all = ranges_;
  if (on_pending_) all.push_back({.kind = Predicate::Kind::kPending, .number = begun_.pending});
  if (on_state_) all.push_back({.kind = Predicate::Kind::kUnmoved, .state = begun_});
  for (const auto& [key, record] : read_) {
    Predicate& one = all.emplace_back(Predicate{.kind = Predicate::Kind::kAbsent, .key = key});
    if (!record) continue;
    if (port::schema(key.space).has_version) {
      one.kind = Predicate::Kind::kVersion;
      one.number = record->version;
    } else {
      one.kind = Predicate::Kind::kSame;
      one.record = *record;
    }
  }
  for (const auto& [key, record] : written_) {
    if (is_new(key, record)) all.push_back({.kind = Predicate::Kind::kAbsent, .key = key});
  }
  return all;
}

/// No cache has what lies under the id of a new node, page or blob.
port::Told Optimistic::Transaction::told() const {
  std::unordered_set<std::int64_t> fresh;
  for (const auto& [key, record] : written_) {
    if (is_new(key, record)) fresh.insert(key.a);
  }
  port::Touched touched;
  for (const auto& [key, record] : written_) {
    const bool under_new = port::lies_under_id(key.space) && fresh.contains(key.a);
    if (under_new || (key.space == Space::kEdge && fresh.contains(key.b))) continue;
    touched.add(key, record ? &*record : nullptr);
  }
  const Record some;
  for (const port::Operation& operation : operations_) touched.add(operation.key, &some);
  return touched.told(port::ChangeFeed::kMost);
}

port::Batch Optimistic::Transaction::batch() const {
  port::Batch batch{.predicates = predicates(), .operations = operations_, .told = told()};
  for (const auto& [key, record] : written_) batch.changes.push_back({key, record});
  return batch;
}

std::vector<port::Batch> Optimistic::Transaction::as_one(port::Batch batch) const {
  if (alone_) batch.fence = alone_->fence;
  std::vector<port::Batch> batches;
  batches.push_back(std::move(batch));
  return batches;
}

/// Keeps what a conflict has told for the next attempt.
void Optimistic::Transaction::remember(std::vector<Change> fresh) {
  for (Change& change : fresh) {
    of_.of_retry.insert_or_assign(std::move(change.key), std::move(change.record));
  }
}

/// Larger ones do not go to the store in one commit.
void Optimistic::Transaction::require_room(const port::Batch& batch) const {
  const std::size_t count = batch.changes.size() + batch.operations.size();
  const port::Facts& facts = of_.backend.facts();
  if (count <= facts.most_changes) return;
  throw LimitError(
      fmt::format("the transaction has changed {} records, and {} takes at most {} in one commit; "
                  "nothing was written: write in several smaller transactions, or import with "
                  "bulk_import() in several phases",
                  count, facts.name, facts.most_changes));
}

bool Optimistic::Transaction::too_many(const std::vector<Predicate>& predicates) const {
  return predicates.size() > std::min(kMostPredicates, of_.backend.facts().most_predicates);
}

/// Takes the lease, unless it has it, and asks whether the predicates hold, some at a time. If they
/// do, there is one in their place: that nothing was committed since.
port::CommitResult Optimistic::Transaction::rely_on_many(std::vector<Predicate>& predicates) {
  if (!alone_) {
    alone_ = of_.whole.take_lease(deadline());
    const std::size_t most =
        std::max<std::size_t>(1, std::min(kMostPredicates, of_.backend.facts().most_predicates));
    for (std::size_t from = 0; from < predicates.size(); from += most) {
      const auto first = predicates.begin() + static_cast<std::ptrdiff_t>(from);
      const std::size_t count = std::min(most, predicates.size() - from);
      port::Batch some;
      some.predicates.assign(first, first + static_cast<std::ptrdiff_t>(count));
      port::CommitResult result = of_.committer.confirm(as_one(std::move(some)), deadline());
      if (result.outcome == port::Outcome::kConflict) return result;
    }
  }
  predicates = {{.kind = Predicate::Kind::kUnmoved, .state = alone_->state}};
  return {.outcome = port::Outcome::kDone};
}

/// Where the predicates are too many for the store, one may do: that nothing was committed since
/// the transaction began. If that does not hold, the lease keeps others out while all are asked.
port::CommitResult Optimistic::Transaction::send(port::Batch batch) {
  const bool changes = writes(batch);
  const auto ask = [&](port::Batch one) {
    return changes ? of_.committer.commit(id_, as_one(std::move(one)), {}, deadline())
                   : of_.committer.confirm(as_one(std::move(one)), deadline());
  };
  if (!too_many(batch.predicates)) return ask(std::move(batch));
  if (!alone_ && all_since_begun_) {
    port::Batch attempt = batch;
    attempt.predicates = {{.kind = Predicate::Kind::kUnmoved, .state = begun_}};
    port::CommitResult result = ask(std::move(attempt));
    if (result.outcome != port::Outcome::kConflict) return result;
  }
  port::CommitResult result = rely_on_many(batch.predicates);
  return result.outcome == port::Outcome::kDone ? ask(std::move(batch)) : result;
}

bool Optimistic::Transaction::holds() {
  if (sent_) return true;
  port::Batch batch{.predicates = predicates()};
  if (batch.predicates.empty()) return true;
  port::CommitResult result = send(std::move(batch));
  if (result.outcome == port::Outcome::kDone) return true;
  remember(std::move(result.fresh));
  if (!result.states.empty()) of_.followed.reach(result.states.front());
  return false;
}

void Optimistic::Transaction::commit(std::uint64_t) {
  port::Batch batch = this->batch();
  require_room(batch);
  sent_ = true;
  port::CommitResult result = send(std::move(batch));
  if (result.outcome == port::Outcome::kConflict) {
    remember(std::move(result.fresh));
    if (!result.states.empty()) of_.followed.reach(result.states.front());
    throw port::Conflict();
  }
  for (std::size_t i = 0; i < given_.size(); ++i) *given_[i] = result.given.at(i);
  taken(result.states.front());
}

/// The commit is done: the followed log takes it before anybody is told.
void Optimistic::Transaction::taken(const port::StateVersion& after) {
  const base::Uninterrupted it_is_done;
  const port::StateVersion before = of_.followed.state();
  if (history_after(before.history, id_) == after.history) {
    const port::Told told = this->told();
    of_.followed.own({.state = after,
                      .previous = before.history,
                      .id = id_,
                      .hashes = told.hashes,
                      .flags = told.flags()});
  } else {
    of_.followed.reach(after);
  }
  if (auto call = std::exchange(released_, nullptr)) {
    const port::Mark mark = of_.followed.mark_of(after);
    call(&mark);
  }
}

}  // namespace graven::store
