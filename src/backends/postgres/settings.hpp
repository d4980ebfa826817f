// SPDX-License-Identifier: MIT
//
// What a store's settings (backend.hpp) mean for libpq and for a session.
//
// Pure functions; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/connection.hpp"

namespace graven::postgres {

/// Options for libpq, the password among them.
Options options_of(const Settings& settings);
/// The same for each host alone, in order. A host may be in it twice: with what is preferred, and
/// without. libpq would wait for one that does not answer until there is no time for the next.
std::vector<Options> hosts_of(const Options& options);
/// Whether a host is to be tried in that order even if another was reached last.
bool keeps_order(const Options& options);
/// How long one of several hosts may take to answer; nothing: as long as there is.
std::optional<std::chrono::seconds> connect_timeout_of(const Options& options);
/// SQL that a session begins with, on a server of that version. The plans of graven's statements
/// must not depend on statistics: every one reads by index. UsageError if the server is too old.
std::string session_of(const Settings& settings, int server_version);
/// UsageError for a schema's name that graven does not take.
void require_schema_name(const std::string& name);
/// UsageError for a URL that libpq does not take, or takes for another host than was meant.
void require_url(const std::string& url);
/// The store in messages: a URL without user and password.
std::string name_of(const Settings& settings);

}  // namespace graven::postgres
