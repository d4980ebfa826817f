// SPDX-License-Identifier: MIT
//
// The schema that holds a store: makes it, and recognises it. docs/format/postgres.md describes it.
//
// Any thread.
#pragma once

#include "backends/postgres/store.hpp"

namespace graven::postgres {

/// The version of the format; a schema of a later one is refused.
inline constexpr int kFormat = 1;

/// Finds the store or makes it, and its functions; returns its constant. Throws errors.
std::uint64_t prepare_schema(const Store& store, Connection& connection, Deadline deadline);

}  // namespace graven::postgres
