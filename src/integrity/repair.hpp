// SPDX-License-Identifier: MIT
//
// repair(): what check() finds, mended within one work. Links and what containers hold are the
// truth; back-references, anchors, counts, slots, pages and the clock are made to agree with them.
// What that means for each kind of damage: docs/operations.md.
//
// Always holds: a node that nothing is wrong with is not written. In the lane.
#pragma once

#include <cstdint>
#include <functional>

#include <graven/repair.hpp>

#include "base/function_ref.hpp"
#include "integrity/check.hpp"
#include "store/work.hpp"

namespace graven::graph {

/// Fills the report with what was lost and what is left; `mended` is for who knows what was found
/// before. `alive` says whether a process that holds nodes still runs.
void repair(store::Work& work, store::Ids& ids, std::uint64_t store_constant,
            base::FunctionRef<bool(std::int64_t owner)> alive, ItemProof prove_item,
            const std::function<void(std::uint64_t, std::uint64_t)>& progress,
            RepairReport& report);

}  // namespace graven::graph
