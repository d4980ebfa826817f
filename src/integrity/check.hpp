// SPDX-License-Identifier: MIT
//
// check(): the proof that a store is whole, on one consistent view, while others write.
// What it looks for is listed in check.cpp. Reads only; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include <graven/database.hpp>

#include "port/backend.hpp"

namespace graven::graph {

/// Proves the value of a map's item, of which the graph knows nothing: CorruptionError where it
/// cannot be read.
using ItemProof = void (*)(std::int64_t kind, std::string_view body);

CheckReport check(store::Backend& backend, ItemProof prove_item,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace graven::graph
