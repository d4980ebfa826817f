// SPDX-License-Identifier: MIT
//
// Opening a database for a verb: who only reads opens it read-only, and a mistyped file name or
// prefix is an error, not a new, empty database. The main thread's.
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <string_view>

#include <fmt/format.h>

#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {

namespace {

/// With %20 and the like as the bytes they stand for; where they are wrong, as it is: opening it
/// says so.
std::string unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned code = 0;
    const char* digits = text.data() + at + 1;
    if (text[at] == '%' && text.size() - at > 2 &&
        std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
      bytes += static_cast<char>(code);
      at += 2;
    } else {
      bytes += text[at];
    }
  }
  return bytes;
}

}  // namespace

std::string file_of(const std::string& url) {
  for (const std::string_view scheme : {"sqlite:///", "libsql:///"}) {
    if (!url.starts_with(scheme)) continue;
    // What follows '?' is options, in a URL only: a plain path may contain one.
    return unescaped(std::string_view(url).substr(0, url.find('?')).substr(scheme.size()));
  }
  return url.find("://") != std::string::npos || url == ":memory:" ? std::string() : url;
}

void require_file(const std::string& database) {
  const std::string path = file_of(database);
  struct stat status {};
  if (path.empty() || stat(path.c_str(), &status) == 0 || errno != ENOENT) return;
  throw UnavailableError(
      fmt::format("there is no database {}; 'graven set' and 'graven load' make one", path));
}

namespace {

void require_prefix(const Where& where, const Options& options) {
  Options looking = options;
  looking.read_only = true;
  looking.prefix.clear();
  const Database db(where.database, looking);
  if (db.prefix_in_use(where.prefix)) return;
  std::string names;
  for (const std::string& name : db.prefixes()) names += (names.empty() ? "" : ", ") + name;
  throw NotFound(fmt::format("{} has no prefix '{}'; it has: {}", redacted(where.database),
                             where.prefix, names.empty() ? "none" : names));
}

/// Who redirects to a file of the database would destroy it.
void require_other_output(const std::string& file) {
  for (const int descriptor : {1, 2}) {
    struct stat info {};
    if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const std::string what = store_file(fmt::format("/proc/self/fd/{}", descriptor), file);
    if (what.empty()) continue;
    throw UsageError(fmt::format("{} is {}: redirect it to another file",
                                 descriptor == 1 ? "standard output" : "standard error", what));
  }
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
    require_file(where.database);
    if (!where.prefix.empty()) require_prefix(where, options);
  }
  if (const std::string file = file_of(where.database); !file.empty()) require_other_output(file);
  options.prefix = where.prefix;
  return Database(where.database, options);
}

}  // namespace graven::cli
