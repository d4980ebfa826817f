// SPDX-License-Identifier: MIT
//
// Opening a database for a verb: who only reads opens it read-only, and a mistyped file name or
// prefix is an error, not a new, empty database. The main thread's.
#include <sys/stat.h>

#include <chrono>

#include <fmt/format.h>

#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {

std::string file_of(const std::string& url) {
  std::string path = url;
  if (path.starts_with("sqlite:///")) path.erase(0, 10);
  if (path.find("://") != std::string::npos || path == ":memory:") return {};
  // What follows '?' is options, in a URL only: a plain path may contain one.
  if (url != path) path.resize(std::min(path.size(), path.find('?')));
  return path;
}

namespace {

void require_file(const Where& where) {
  const std::string path = file_of(where.database);
  struct stat status {};
  if (path.empty() || stat(path.c_str(), &status) == 0 || errno != ENOENT) return;
  throw UnavailableError(
      fmt::format("there is no database {}; 'graven set' and 'graven load' make one", path));
}

void require_prefix(const Where& where, const Options& options) {
  Options looking = options;
  looking.read_only = true;
  looking.prefix.clear();
  const Database db(where.database, looking);
  if (db.prefix_in_use(where.prefix)) return;
  std::string names;
  for (const std::string& name : db.prefixes()) names += (names.empty() ? "" : ", ") + name;
  throw NotFound(fmt::format("{} has no prefix '{}'; it has: {}", where.database, where.prefix,
                             names.empty() ? "none" : names));
}

}  // namespace

Database open_database(const Where& where, Access access,
                       std::chrono::milliseconds slow_operation) {
  Options options;
  options.slow_operation = slow_operation;
  options.read_only = access == Access::kRead;
  // A person watches, and a verb is one piece of work: no limit but their patience.
  options.transaction_limit = std::chrono::hours(24);
  if (access != Access::kCreate) {
    require_file(where);
    if (!where.prefix.empty()) require_prefix(where, options);
  }
  options.prefix = where.prefix;
  return Database(where.database, options);
}

}  // namespace graven::cli
