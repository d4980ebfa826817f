// SPDX-License-Identifier: MIT
//
// Database::check() and check() of a file: the graph's check, which proves the values of maps by
// what reads them. The file's needs no prefix, which may be what is damaged.
//
// Any thread.
#include <string>
#include <string_view>

#include <graven/database.hpp>
#include <graven/repair.hpp>

#include "backends/sqlite/backend.hpp"
#include "graph/collector/heap.hpp"
#include "graph/scope.hpp"
#include "integrity/check.hpp"
#include "map/value.hpp"

namespace graven {

CheckReport Database::check(
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
  return graph::check(scope_->session().heap().backend(), map::prove, progress);
}

CheckReport check(std::string_view path,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const auto backend = sqlite::open(std::string(path), {.read_only = true});
  return graph::check(*backend, map::prove, progress);
}

}  // namespace graven
