// SPDX-License-Identifier: MIT
//
// `graven serve`: metrics and health of a database over HTTP, until a signal ends it.
//
// Call from the main thread before any other thread is started: it blocks the signals that end it,
// and threads started later inherit that.
#pragma once

#include <graven/database.hpp>

#include <functional>
#include <string>

#include "serve/health.hpp"
#include "serve/http.hpp"

namespace graven::serve {

struct ServeOptions {
  std::string path{};  ///< the database file; empty: none
  HttpOptions http{};
  std::string token_file{};  ///< its content, without surrounding white space, is the token
  Limits limits{};
  std::string log_level = "warning";
  /// Called with the URL as soon as requests are accepted.
  std::function<void(const std::string&)> listening{};
};

/// Serves the database that `open` opens. Returns after SIGTERM; also after SIGINT or SIGHUP,
/// unless they are ignored.
void serve(const ServeOptions& options, const std::function<Database()>& open);

}  // namespace graven::serve
