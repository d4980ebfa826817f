// SPDX-License-Identifier: MIT
//
// Database::check(), and check() of a file: run the graph's check, and check the values of maps
// with the code that reads them. check() of a file needs no prefix, because prefixes may be
// damaged.
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
#include "store/open.hpp"

namespace graven {

CheckReport Database::check(
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
  return integrity::check(scope_->session().heap().backend(), map::prove, progress);
}

CheckReport check(std::string_view path,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  if (path.find("://") != std::string_view::npos) {
    const store::Opened opened = store::open(path, {.read_only = true, .create = false});
    return integrity::check(opened.store->backend(), map::prove, progress);
  }
  const auto backend = sqlite::open(std::string(path), {.read_only = true});
  return integrity::check(*backend, map::prove, progress);
}

}  // namespace graven
