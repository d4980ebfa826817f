// SPDX-License-Identifier: MIT
//
// Checks the predicates of batches against a view, and works out the changes that their operations
// make. For stores that hold a lock while they commit: such a store needs a View of its newest
// state, and a way to apply changes.
//
// Any thread; the caller makes sure that the view's state is the newest one until the changes are
// applied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "port/batch.hpp"
#include "port/merge.hpp"
#include "port/view.hpp"

namespace graven::port {

/// Whether a node is listed as pending deletion.
bool any_pending(View& view);

/// Whether the predicate holds in a view of this state.
bool holds(const Predicate& predicate, View& view, const StateVersion& state);

/// Whether the predicate is one of a single record, which a conflict then tells (fresh).
bool on_key(const Predicate& predicate) noexcept;

/// What a commit comes to.
struct Plan {
  CommitResult result{};  ///< without states. Only if it is kDone are there changes
  Overlay changes{};      ///< of operations and changes, as they are to be stored
};

/// Plans batches for the partition that the view is of; a store that is one partition passes all
/// batches of a commit.
Plan plan(std::span<const Batch> batches, View& view, const StateVersion& state);

/// The state after a commit; `after` already sees its changes.
StateVersion state_after(const StateVersion& before, const CommitId& id, const Overlay& changes,
                         View& after);

}  // namespace graven::port
