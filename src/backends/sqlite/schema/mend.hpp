// SPDX-License-Identifier: MIT
//
// What SQLite can mend of a store: its schema, its indexes, rows that are no records.
// In the lane, with no transaction open on the connection.
#pragma once

#include <vector>

#include "backends/sqlite/pool/connection.hpp"
#include "base/function_ref.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

/// In one transaction of its own, in which `before_commit` is called first; tells what could not be
/// kept.
std::vector<store::Backend::Loss> mend(Connection& connection, store::Deadline deadline,
                                       base::FunctionRef<void()> before_commit);

}  // namespace graven::sqlite
