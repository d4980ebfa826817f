// SPDX-License-Identifier: MIT
//
// New stores on the servers that all tests of this process share.
#pragma once

#include <string>
#include <vector>

namespace graven::test {

/// The names of the stores for which there is a server to start here: "redis", "postgres".
std::vector<std::string> server_stores();

/// The URL of a new store of that name; empty for other names. Starts the server if none runs. Call
/// it first from the main thread.
std::string url_of_new_store(const std::string& name);

}  // namespace graven::test
