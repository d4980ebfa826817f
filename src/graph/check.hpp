// SPDX-License-Identifier: MIT
//
// check(): the proof that a store is whole, on one consistent view, while others write.
// What it looks for is listed in check.cpp. Reads only; any thread.
#pragma once

#include <cstdint>
#include <functional>

#include <graven/database.hpp>

#include "store/backend.hpp"

namespace graven::graph {

CheckReport check(store::Backend& backend,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace graven::graph
