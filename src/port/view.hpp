// SPDX-License-Identifier: MIT
//
// A view: one state of a store, to read from. It sees that state from its first read until it is
// destroyed.
//
// Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/function_ref.hpp"
#include "port/range.hpp"
#include "port/record.hpp"
#include "port/sql.hpp"
#include "port/state_version.hpp"

namespace graven::port {

/// One unchanging state of the store. Records are returned as copies, so results stay valid across
/// further calls. A store that cannot keep a state as long as it is wanted throws ConflictError
/// from the second read on, which says to take another snapshot; reads that were done stay right.
class View {
 public:
  virtual ~View() = default;

  /// The record under the key, or nothing.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Loads many records of one space. Calls `each(i, record)` once per key, in any order, with
  /// nullptr where there is none. The record may be moved from. Cheaper than calling `load` for
  /// each key when keys lie together or each trip to the store costs; by default it does that.
  /// `each` must not use this view.
  virtual void load_many(std::span<const Key> keys,
                         const std::function<void(std::size_t, Record*)>& each);

  /// Up to `limit` records of the range, in key order (or its reverse).
  virtual std::vector<Row> scan(const Range& range, std::size_t limit) = 0;

  /// Does several reads, in one trip where each trip to the store costs. Calls `each(i, rows)` once
  /// per read, in any order; a read of one key that has no record gives no row. The rows may be
  /// moved from. `each` must not use this view.
  virtual void read(std::span<const ReadOp> ops,
                    base::FunctionRef<void(std::size_t, std::span<Row>)> each);

  /// Whether kOrphan has any record.
  virtual bool any_orphans();

  /// Runs an SQL statement of the program's own on this state; UsageError where the store has no
  /// SQL, or this view does not allow it.
  virtual std::unique_ptr<SqlRows> sql(std::string_view text, const SqlParameters& parameters);

  /// The state it sees, once something was read, where the store tells.
  [[nodiscard]] virtual std::optional<StateVersion> state() const { return std::nullopt; }

  /// How many items a map has. O(items), but items are not transferred where the store can count.
  virtual std::uint64_t count_items(std::int64_t map);
};

}  // namespace graven::port
