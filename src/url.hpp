// SPDX-License-Identifier: MIT
//
// What the URL of a store says: which kind of store, where it is, and options. Messages show a URL
// without its secrets (redacted(), in <graven/database.hpp>).
//
// Pure functions, except that map_place() follows symbolic links. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <graven/database.hpp>

namespace graven {

/// A URL without the options that graven knows; its views are of the URL.
struct SplitUrl {
  enum class Kind : std::uint8_t {
    kFile,          ///< a path, sqlite:// or libsql://
    kMemory,        ///< memory:// and its like
    kRedis,         ///< redis://, rediss:// or unix://
    kPrivateRedis,  ///< redis+embedded://, then the path of an .rdb file
    kPostgres,      ///< postgresql:// or postgres://
  };

  std::string_view url;  // all of it, for messages
  Kind kind = Kind::kFile;
  std::string_view scheme{};  // such as "sqlite://"; empty if the URL is a path
  std::string_view rest{};    // what follows the scheme, without options
  /// The options of the server's store, name and value, decoded: those that graven does not know.
  std::vector<std::pair<std::string, std::string>> query{};
};

/// Splits a URL, and moves what it says after ? into the options. UsageError if graven has no such
/// stores, or for a wrong value; an unknown option of a store on a server is kept for that store,
/// any other is a UsageError. path_of() checks the path.
SplitUrl split_url(std::string_view url, Options& options);

/// The path of the file, of kFile or kPrivateRedis; percent-decoded if the URL has a scheme.
/// UsageError if it names no file.
std::string path_of(const SplitUrl& split);

/// Whether a URL is a name of SQLite or graven for a database in memory. No file must get such a
/// name by accident.
bool names_memory(std::string_view url) noexcept;

/// The absolute path that was given as the name of a map in memory; empty for memory://.
std::string map_place(std::string_view url);

/// UsageError that shows the URL without its secrets, says why it cannot be opened and what a good
/// one looks like.
[[noreturn]] void throw_bad_url(std::string_view url, const std::string& why);

}  // namespace graven
