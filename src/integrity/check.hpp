// SPDX-License-Identifier: MIT
//
// check(): proves that a store is undamaged, on one consistent view, while others may write.
// check.cpp lists what it checks. Always holds: it reads only. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include <graven/database.hpp>

#include "port/backend.hpp"

namespace graven::integrity {

/// Checks the value of a map's item, because the graph does not know the format of maps.
/// CorruptionError if the value cannot be read.
using ItemProof = void (*)(std::int64_t kind, std::string_view body);

CheckReport check(port::Backend& backend, ItemProof prove_item,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace graven::integrity
