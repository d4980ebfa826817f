// SPDX-License-Identifier: MIT
//
// What a query asks for. Immutable; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "graph/scope.hpp"
#include "query/expression.hpp"

namespace graven::query {

struct Order {
  Path field{};
  bool descending = false;
};

struct Plan {
  std::shared_ptr<const graph::Pin> pin{};  // the container
  ExpressionPtr condition{};
  std::vector<Order> order{};
  std::uint64_t offset = 0;
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace graven::query
