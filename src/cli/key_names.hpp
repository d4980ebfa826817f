// SPDX-License-Identifier: MIT
//
// Finds the keys and indexes along a path of nodes that is given as uids. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <string>
#include <vector>

#include "cli/path.hpp"

namespace graven::cli {

/// The key or index of a child in its parent, the first if there are several; "?" if it was
/// unlinked meanwhile. Searches the parent from its start.
std::string name_in(const Value& parent, const std::string& child_uid);

/// The segments of a path given as uids from the root, as Database::why_alive() returns it.
Path name_path(const Database& db, const std::vector<std::string>& uids);

}  // namespace graven::cli
