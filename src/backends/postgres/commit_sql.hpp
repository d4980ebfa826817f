// SPDX-License-Identifier: MIT
//
// The text of the functions that commit. Names in braces are filled in by Functions.
//
// Pure functions; any thread.
#pragma once

#include <string>

namespace graven::postgres {

/// Takes the partition's lock, until p_latest at most.
std::string lock_sql();
/// A commit to one partition; `full`: also with predicates on ranges and the state, and operations.
std::string commit_sql(bool full);
/// How many predicates on ranges do not hold.
std::string ranges_sql();
/// Does operations in their order; gives what each gives.
std::string operations_sql();

}  // namespace graven::postgres
