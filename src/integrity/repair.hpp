// SPDX-License-Identifier: MIT
//
// repair(): repairs within one work what check() finds. Links and the contents of containers are
// taken as correct; back-references, anchors, counts, slots, pages and the clock are changed to
// agree with them. docs/operations.md says what that means for each kind of damage.
//
// Always holds: a node without a problem is not written. Runs under the writer lock (Lane).
#pragma once

#include <cstdint>
#include <functional>

#include <graven/repair.hpp>

#include "base/function_ref.hpp"
#include "integrity/check.hpp"
#include "store/work.hpp"

namespace graven::integrity {

/// Adds to the report what was lost, what was kept in another form, and which problems are left.
/// The caller, which knows the problems found before, adds the other repaired ones to `mended`.
/// `alive` says whether a process that holds nodes still runs.
void repair(store::Work& work, store::Ids& ids, std::uint64_t store_constant,
            base::FunctionRef<bool(std::int64_t owner)> alive, ItemProof prove_item,
            const std::function<void(std::uint64_t, std::uint64_t)>& progress,
            RepairReport& report);

}  // namespace graven::integrity
