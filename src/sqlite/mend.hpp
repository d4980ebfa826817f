// SPDX-License-Identifier: MIT
//
// What SQLite can mend of a store: its schema, its indexes, rows that are no records.
// In the lane, with no transaction open on the connection.
#pragma once

#include <vector>

#include "sqlite/connection.hpp"
#include "store/backend.hpp"

namespace graven::sqlite {

/// In one transaction of its own; tells what could not be kept.
std::vector<store::Backend::Loss> mend(Connection& connection, store::Deadline deadline);

}  // namespace graven::sqlite
