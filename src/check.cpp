// SPDX-License-Identifier: MIT
//
// Database::check(): the graph's check, which proves the values of maps by what reads them.
//
// Any thread.
#include <graven/database.hpp>

#include "graph/check.hpp"
#include "graph/heap.hpp"
#include "graph/scope.hpp"
#include "map/value.hpp"

namespace graven {

CheckReport Database::check(
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
  return graph::check(scope_->session().heap().backend(), map::prove, progress);
}

}  // namespace graven
