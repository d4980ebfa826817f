// SPDX-License-Identifier: MIT
//
// From uids back to names: the keys and indexes along a path of nodes. Any thread.
#pragma once

#include <graven/graven.hpp>

#include <string>
#include <vector>

#include "cli/path.hpp"

namespace graven::cli {

/// The key or index of a child in its parent, the first of several; "?" when it was unlinked
/// meanwhile. Looks through the parent until it is found.
std::string name_in(const Value& parent, const std::string& child_uid);

/// The segments of a path given as uids, root first, as Database::why_alive() gives it.
Path name_path(const Database& db, const std::vector<std::string>& uids);

}  // namespace graven::cli
