// SPDX-License-Identifier: MIT
//
// `graven serve`: metrics and health of a database over HTTP, until a signal ends it.
//
// Called from the main thread before any other thread is started: the signals that end it are
// blocked in all of them.
#pragma once

#include <graven/database.hpp>

#include <functional>
#include <string>

#include "serve/health.hpp"
#include "serve/http.hpp"

namespace graven::console {

struct ServeOptions {
  std::string path{};  ///< of the file; empty where there is none
  HttpOptions http{};
  std::string token_file{};  ///< what is in it, without white space around it, is the token
  Limits limits{};
  std::string log_level = "warning";
  /// Told the URL once requests are accepted.
  std::function<void(const std::string&)> listening{};
};

/// Opens by `open` what it serves. Returns after SIGTERM, and after SIGINT or SIGHUP where those
/// are not ignored.
void serve(const ServeOptions& options, const std::function<Database()>& open);

}  // namespace graven::console
