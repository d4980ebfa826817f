// SPDX-License-Identifier: MIT
//
// What SQLite derives, made anew: indexes, and the table of large values beside that of items.
// In the lane, with no transaction open on the connection.
#pragma once

#include <vector>

#include "sqlite/connection.hpp"
#include "store/backend.hpp"

namespace graven::sqlite {

/// In one transaction of its own; tells what could not be kept.
std::vector<store::Backend::Loss> mend(Connection& connection, store::Deadline deadline);

}  // namespace graven::sqlite
