// SPDX-License-Identifier: MIT
//
// Reads fields of rows from the records of one state, where they lie, without decoding whole
// values. Nodes that will be needed are fetched many at once; others are loaded one by one.
//
// Always holds: what a Datum of it refers to is valid until the next clear(). A link to a node that
// is missing is a CorruptionError.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/function_ref.hpp"
#include "graph/node/node.hpp"
#include "query/datum.hpp"
#include "query/expression.hpp"

namespace graven::query {

class Reader {
 public:
  explicit Reader(port::View& view) : view_(view) {}

  /// Forgets what was read.
  void clear() {
    nodes_.clear();
    kept_.clear();
  }

  Datum read(const jsonb::Element& element);
  Datum field(Datum from, const Path& path);
  Datum step(const Datum& from, const Step& step);

  /// Of a dict or list.
  bool empty(const Datum& container);
  /// Whether a dict has the key.
  bool has_key(const Datum& dict, std::string_view key);
  /// The items of a list, in order, in batches; stops when `each` returns false. The items are
  /// valid during the call.
  void items(const Datum& list, base::FunctionRef<bool(std::span<const jsonb::Element>)> each);

  /// The node of a dict or list.
  const graph::NodeRecord& node(const Datum& container);
  void fetch(std::span<const graph::NodeId> ids);

  [[nodiscard]] port::View& view() noexcept { return view_; }
  /// How many records were loaded, also before clear().
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  void add_records(std::uint64_t count) noexcept { records_ += count; }

 private:
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  port::View& view_;
  std::unordered_map<graph::NodeId, graph::NodeRecord> nodes_{};
  std::deque<std::string> kept_{};  // decoded texts and elements
  std::vector<port::Key> keys_{};
  std::uint64_t records_ = 0;
};

}  // namespace graven::query
