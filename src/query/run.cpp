// SPDX-License-Identifier: MIT
//
// Pages, order, offset and limit. See run.hpp.
#include "query/run.hpp"

#include <algorithm>
#include <utility>

#include "graph/handles.hpp"

namespace graven::query {
namespace {

using graph::NodeRecord;
using port::View;

/// A hit with the fields it is ordered by.
struct Candidate {
  std::vector<Scalar> keys;  // a dict or list is kNode
  std::vector<char> nodes;   // whether the key is a dict or list
  std::uint64_t number = 0;  // in the container's order
  Hit hit;
};

Datum key_of(const Candidate& candidate, std::size_t i) {
  if (candidate.nodes[i] != 0) return {.kind = Kind::kDict, .there = true};
  return datum_of(candidate.keys[i]);
}

/// Orders candidates, and keeps the first of them.
class Sorter {
 public:
  Sorter(const std::vector<Order>& order, std::uint64_t most) : order_(order), most_(most) {}

  void offer(Reader& reader, const Row& row, const Datum& datum, std::uint64_t number) {
    if (most_ == 0) return;
    keys_.clear();
    for (const Order& order : order_) keys_.push_back(reader.field(datum, order.field));
    const bool full = kept_.size() >= most_;
    if (full && !before_worst()) return;
    Candidate candidate;
    for (const Datum& key : keys_) {
      candidate.nodes.push_back(key.is_node() ? 1 : 0);
      candidate.keys.push_back(key.is_node() ? Scalar(nullptr) : copy_of(key));
    }
    candidate.number = number;
    candidate.hit = {row.position, std::string(row.key), std::string(row.element.whole)};
    const auto before = [this](const Candidate& a, const Candidate& b) { return less(a, b); };
    if (full) {
      std::pop_heap(kept_.begin(), kept_.end(), before);
      kept_.back() = std::move(candidate);
      std::push_heap(kept_.begin(), kept_.end(), before);
    } else {
      kept_.push_back(std::move(candidate));
      if (kept_.size() == most_) std::make_heap(kept_.begin(), kept_.end(), before);
    }
  }

  std::vector<Hit> finish() {
    std::sort(kept_.begin(), kept_.end(),
              [this](const Candidate& a, const Candidate& b) { return less(a, b); });
    std::vector<Hit> hits;
    hits.reserve(kept_.size());
    for (Candidate& candidate : kept_) hits.push_back(std::move(candidate.hit));
    return hits;
  }

 private:
  /// Whether keys_ comes before the worst of the heap. A later row loses a tie.
  [[nodiscard]] bool before_worst() const {
    const Candidate& worst = kept_.front();
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const auto order = total_order(keys_[i], key_of(worst, i));
      if (order != 0) return (order < 0) != order_[i].descending;
    }
    return false;
  }
  [[nodiscard]] bool less(const Candidate& left, const Candidate& right) const {
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const auto order = total_order(key_of(left, i), key_of(right, i));
      if (order != 0) return (order < 0) != order_[i].descending;
    }
    return left.number < right.number;
  }

  const std::vector<Order>& order_;
  const std::uint64_t most_;
  std::vector<Datum> keys_{};
  std::vector<Candidate> kept_{};
};

std::uint64_t sum_of(std::uint64_t left, std::uint64_t right) noexcept {
  return left > UINT64_MAX - right ? UINT64_MAX : left + right;
}

}  // namespace

// --- Matches

Matches::Matches(const Plan& plan) : plan_(plan) { add(needs_, plan.condition.get()); }

bool Matches::page(View& view, const NodeRecord& node, Each each) {
  if (!scan_.next(view, node)) return false;
  Reader reader(view);
  rows_.clear();
  for (const Row& row : scan_.rows()) rows_.push_back(reader.read(row.element));
  fetch(reader, rows_, needs_);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (evaluate(reader, rows_[i], plan_.condition.get()) != Verdict::kTrue) continue;
    ++tally_.matches;
    each(reader, scan_.rows()[i], rows_[i]);
  }
  tally_.rows += rows_.size();
  // Only in a large dict is each child a record.
  if (node.kind() == NodeKind::kDict && node.large()) tally_.records += rows_.size();
  tally_.records += reader.records();
  return true;
}

void Matches::all(View& view, const NodeRecord& node, Each each, bool interruptible) {
  base::InterruptPoll poll;
  while (page(view, node, each)) {
    if (interruptible) poll();
  }
}

std::vector<Hit> Matches::hits(View& view, const NodeRecord& node, bool interruptible) {
  const std::uint64_t end = sum_of(plan_.offset, plan_.limit);
  base::InterruptPoll poll;
  std::vector<Hit> hits;
  if (plan_.order.empty()) {
    std::uint64_t seen = 0;
    const auto take = [&](Reader&, const Row& row, const Datum&) {
      const std::uint64_t number = seen++;
      if (number < plan_.offset || number >= end) return;
      hits.push_back({row.position, std::string(row.key), std::string(row.element.whole)});
    };
    while (seen < end && page(view, node, take)) {
      if (interruptible) poll();
    }
    return hits;
  }
  for (const Order& order : plan_.order) add(needs_, order.field);
  Sorter sorter(plan_.order, end);
  std::uint64_t number = 0;
  all(
      view, node,
      [&](Reader& reader, const Row& row, const Datum& datum) {
        sorter.offer(reader, row, datum, number++);
      },
      interruptible);
  hits = sorter.finish();
  const auto left_out = std::min<std::uint64_t>(plan_.offset, hits.size());
  hits.erase(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(left_out));
  return hits;
}

// --- Run

Run::Run(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

void Run::begin() {
  const graph::Pin& pin = *plan_->pin;
  graph::Scope& scope = pin.scope();
  graph::using_pin(pin, [&] {
    (void)graph::current(pin);  // decides whether the node is alive
    view_ = scope.lasting_view();
    if (view_) node_ = graph::load_node(*view_, pin);
  });
  const bool writes = scope.live() || dynamic_cast<graph::TransactorScope*>(&scope) != nullptr;
  at_once_ = !view_ && writes;
  matches_.emplace(*plan_);
  begun_ = true;
}

void Run::with_view(base::FunctionRef<void(View&)> body) {
  (void)plan_->pin->scope().session().heap();  // ClosedError
  if (view_) return body(*view_);
  plan_->pin->scope().read([&](View& view) {
    node_ = graph::load_node(view, *plan_->pin);
    body(view);
  });
}

void Run::whole(base::FunctionRef<void(View&, const NodeRecord&)> body) {
  begin();
  with_view([&](View& view) { body(view, node_); });
}

bool Run::next(Matches::Each each, const Needs& needs) {
  if (done_) return false;
  if (!begun_) {
    begin();
    if (plan_->order.empty()) {
      matches_->needs() = needs;
      add(matches_->needs(), plan_->condition.get());
    }
  }
  poll_();
  bool told = false;
  with_view([&](View& view) {
    told = some(view, each, needs);
    while (at_once_ && some(view, each, needs)) poll_();
  });
  done_ = !told || at_once_;
  if (done_) view_.reset();
  return told;
}

bool Run::some(View& view, Matches::Each each, const Needs& needs) {
  return plan_->order.empty() ? some_in_order_of_container(view, each)
                              : some_sorted(view, each, needs);
}

bool Run::some_in_order_of_container(View& view, Matches::Each each) {
  const std::uint64_t end = sum_of(plan_->offset, plan_->limit);
  bool told = false;
  const auto tell = [&](Reader& reader, const Row& row, const Datum& datum) {
    const std::uint64_t number = seen_++;
    if (number < plan_->offset || number >= end) return;
    told = true;
    each(reader, row, datum);
  };
  while (!told && seen_ < end && matches_->page(view, node_, tell)) poll_();
  return told;
}

bool Run::some_sorted(View& view, Matches::Each each, const Needs& needs) {
  if (!sorted_) sorted_ = matches_->hits(view, node_, true);
  if (at_ == sorted_->size()) return false;
  const std::size_t stop = std::min(sorted_->size(), at_ + Scan::kPage);
  Reader reader(view);
  std::vector<Datum> rows;
  for (std::size_t i = at_; i < stop; ++i) rows.push_back(reader.read((*sorted_)[i].row().element));
  fetch(reader, rows, needs);
  for (std::size_t i = at_; i < stop; ++i) each(reader, (*sorted_)[i].row(), rows[i - at_]);
  at_ = stop;
  return true;
}

}  // namespace graven::query
