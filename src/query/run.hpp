// SPDX-License-Identifier: MIT
//
// One execution of a query: reads the container page by page, keeps the rows that match, orders
// them, and leaves out those before the offset and behind the limit.
//
// Always holds: everything is read from one state. Where the reading thread may change that state,
// inside a transaction or a transactor, all rows are told at once, before it can. Elsewhere,
// without an order at most a page of rows is in memory; with an order and a limit, as many as the
// limit and the offset say; with an order only, the sorting keys of all matches.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/interrupt.hpp"
#include "query/evaluate.hpp"
#include "query/plan.hpp"
#include "query/reader.hpp"
#include "query/scan.hpp"

namespace graven::query {

/// A row that matches, on its own.
struct Hit {
  std::int64_t position = 0;
  std::string key{};
  std::string element{};
  [[nodiscard]] Row row() const { return {position, key, jsonb::parse(element)}; }
};

/// How much was looked at.
struct Tally {
  std::uint64_t rows = 0;
  std::uint64_t records = 0;
  std::uint64_t matches = 0;
};

/// Finds the matches in a state that it is shown; the caller has the views.
class Matches {
 public:
  explicit Matches(const Plan& plan);

  /// What is done with each match reads this besides.
  void also_needs(const Path& path, bool content = false) { add(needs_, path, content); }
  Needs& needs() noexcept { return needs_; }

  using Each = base::FunctionRef<void(Reader&, const Row&, const Datum&)>;
  /// Evaluates the next page and calls `each` for every match, before order, offset and limit.
  /// False at the end.
  bool page(port::View& view, const graph::NodeRecord& node, Each each);
  /// All pages.
  void all(port::View& view, const graph::NodeRecord& node, Each each, bool interruptible);
  /// The matches that the plan asks for.
  std::vector<Hit> hits(port::View& view, const graph::NodeRecord& node, bool interruptible);

  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

 private:
  const Plan& plan_;
  Needs needs_{};
  Scan scan_{};
  Tally tally_{};
  std::vector<Datum> rows_{};
};

/// Reads through the scope of the plan's container.
class Run {
 public:
  explicit Run(std::shared_ptr<const Plan> plan);

  /// Calls `each` for the next rows that the plan asks for, about a page of them, or all at once;
  /// false at the end.
  /// `needs` says what `each` reads of them.
  bool next(Matches::Each each, const Needs& needs);

  /// Reads the whole answer with `body(view, node)`; it may be called again after a failed try.
  void whole(base::FunctionRef<void(port::View&, const graph::NodeRecord&)> body);

  [[nodiscard]] const Plan& plan() const noexcept { return *plan_; }

 private:
  void begin();
  void with_view(base::FunctionRef<void(port::View&)> body);
  bool some(port::View& view, Matches::Each each, const Needs& needs);
  bool some_in_order_of_container(port::View& view, Matches::Each each);
  bool some_sorted(port::View& view, Matches::Each each, const Needs& needs);

  std::shared_ptr<const Plan> plan_;
  bool begun_ = false;
  bool done_ = false;
  bool at_once_ = false;                // the scope may be written between two calls
  std::unique_ptr<port::View> view_{};  // null: the scope itself is one state during a call
  graph::NodeRecord node_{};
  std::optional<Matches> matches_{};
  std::uint64_t seen_ = 0;  // matches so far
  std::optional<std::vector<Hit>> sorted_{};
  std::size_t at_ = 0;
  base::InterruptPoll poll_{};
};

}  // namespace graven::query
