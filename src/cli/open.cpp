// SPDX-License-Identifier: MIT
//
// Opens a database for a verb. A verb that only reads opens it read-only. A mistyped file name or
// prefix is an error and does not create an empty database. Used by the main thread.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>

#include <fmt/format.h>

#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {

namespace {

/// Decodes %20 and the like. Leaves a wrong escape as it is; then the file or option will not
/// exist.
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

/// UsageError if opening the URL would refuse its options. A server's store knows others, too.
void check_options(const std::string& url) {
  const std::size_t mark = url.find('?');
  const bool file = url.starts_with("sqlite://") || url.starts_with("libsql://");
  if (!file || mark == std::string::npos) return;
  Options options;
  for (std::string_view rest = std::string_view(url).substr(mark + 1); !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::string_view name = item.substr(0, item.find('='));
    try {
      options.set(name, unescaped(item.substr(std::min(item.size(), name.size() + 1))));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("cannot open '{}': {}", redacted(url), error.what()));
    }
  }
}

}  // namespace

std::string file_of(const std::string& url) {
  for (const std::string_view scheme : {"sqlite:///", "libsql:///"}) {
    if (!url.starts_with(scheme)) continue;
    // In a URL, options follow '?'; a plain path may contain '?' itself.
    return unescaped(std::string_view(url).substr(0, url.find('?')).substr(scheme.size()));
  }
  return url.find("://") != std::string::npos || url == ":memory:" ? std::string() : url;
}

void require_file(const std::string& database) {
  const std::string path = file_of(database);
  struct stat status {};
  if (path.empty() || stat(path.c_str(), &status) == 0 || errno != ENOENT) return;
  throw UnavailableError(
      fmt::format("there is no database {}; 'graven set' and 'graven load' make it", path));
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

/// What the descriptor's file is to a database, or empty.
std::string store_file_at(int descriptor, const std::string& file) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return store_file(fmt::format("/proc/self/fd/{}", descriptor), file);
}

}  // namespace

void require_other_output(const std::string& file) {
  const std::string out = store_file_at(1, file);
  const std::string errors = store_file_at(2, file);
  if (!errors.empty()) {
    // The message of the exception must not be written into that file either.
    const int other = out.empty() ? ::dup(1) : ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (other < 0 || ::dup2(other, 2) < 0) ::close(2);
    if (other >= 0) ::close(other);
  }
  if (out.empty() && errors.empty()) return;
  throw UsageError(fmt::format("{} is {}: redirect it to another file",
                               errors.empty() ? "standard output" : "standard error",
                               errors.empty() ? out : errors));
}

bool on_server(const std::string& url) {
  return file_of(url).empty() && url.find("memory:") == std::string::npos;
}

void require_in_file(const std::string& database, const char* verb) {
  if (!on_server(database)) return;
  const bool postgres = database.starts_with("postgres");
  throw UsageError(fmt::format(
      "'graven {}' is for files, and {} is none: 'graven copy' copies a store into a file and from "
      "a file, 'graven dump' writes it as JSON, 'graven check' checks it{}",
      verb, redacted(database), postgres ? ", and pg_dump backs up a PostgreSQL database" : ""));
}

std::string require_named_file(const std::string& database) {
  std::string file = file_of(database);
  if (file.empty()) throw UsageError(redacted(database) + " names no file");
  check_options(database);
  require_other_output(file);
  return file;
}

Database open_database(const Where& where, Access access,
                       std::chrono::milliseconds slow_operation) {
  Options options;
  options.slow_operation = slow_operation;
  options.read_only = access == Access::kRead;
  // A verb is one piece of work and a user waits for it, so there is practically no time limit.
  options.transaction_limit = std::chrono::hours(24);
  if (access != Access::kCreate) {
    require_file(where.database);
    if (!where.prefix.empty()) require_prefix(where, options);
  }
  if (const std::string file = file_of(where.database); !file.empty()) require_other_output(file);
  // For files, require_file() has said so.
  if (on_server(where.database)) options.create = access == Access::kCreate;
  options.prefix = where.prefix;
  return Database(where.database, options);
}

}  // namespace graven::cli
