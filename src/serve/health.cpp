// SPDX-License-Identifier: MIT
//
// The checks of /readyz. Any thread.
#include "serve/health.hpp"

#include <fmt/format.h>

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "serve/status.hpp"

namespace graven::serve {
namespace {

/// Runs `found`, which fills in the result; an exception makes the check fail.
template <class Found>
Check check(const char* name, const Found& found) {
  try {
    Check result{.name = name, .ok = true, .what = {}};
    found(result);
    return result;
  } catch (const std::exception& error) {
    return {.name = name, .ok = false, .what = error.what()};
  }
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::vector<Check> check_readiness(const Database& db, const std::string& path,
                                   const Limits& limits) {
  std::vector<Check> checks;
  checks.push_back(check("open", [&](Check& result) {
    result.ok = !db.closed();
    result.what = result.ok ? "open" : "closed";
  }));
  checks.push_back(check("read", [&](Check& result) {
    const Snapshot now = db.snapshot();  // a snapshot always reads the store
    if (db.prefix_in_use(db.prefix())) {
      result.what =
          fmt::format("{} entries in the root of the prefix '{}'", now.root().size(), db.prefix());
    } else {
      result.what = fmt::format("no prefix '{}', and {} others", db.prefix(), db.prefixes().size());
    }
  }));
  if (path.empty()) return checks;
  checks.push_back(check("wal", [&](Check& result) {
    const std::uint64_t bytes = db.stats().file.wal_bytes;
    result.ok = bytes <= limits.most_wal;
    result.what =
        shown_bytes(bytes) +
        (result.ok ? ""
                   : ", more than " + shown_bytes(limits.most_wal) +
                         ": a reader has been open for too long, or no process runs checkpoints");
  }));
  checks.push_back(check("disk", [&](Check& result) {
    struct statvfs disk {};
    if (::statvfs(folder_of(path).c_str(), &disk) != 0) {
      result.ok = false;
      result.what = std::strerror(errno);
      return;
    }
    const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    result.ok = free >= limits.least_free;
    result.what = shown_bytes(free) + " free" +
                  (result.ok ? "" : ", less than " + shown_bytes(limits.least_free));
  }));
  if (limits.expect_writable) {
    checks.push_back(check("write", [&](Check& result) {
      result.ok = ::access(path.c_str(), W_OK) == 0 && ::access(folder_of(path).c_str(), W_OK) == 0;
      result.what = result.ok ? "the file and its folder can be written" : std::strerror(errno);
    }));
  }
  return checks;
}

}  // namespace graven::serve
