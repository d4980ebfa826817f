// SPDX-License-Identifier: MIT
//
// What the URL of a store says: a path or a store in memory, and options. Messages show a URL
// without its secrets (redacted(), in <graven/database.hpp>).
//
// Pure functions, except that map_place() follows symbolic links. Any thread.
#pragma once

#include <string>
#include <string_view>

#include <graven/database.hpp>

namespace graven {

/// A URL without its options; views of the URL.
struct SplitUrl {
  std::string_view url;       // all of it, for messages
  bool memory = false;        // it names a store in memory
  std::string_view scheme{};  // such as "sqlite://"; empty if the URL is a path
  std::string_view rest{};    // what follows the scheme
};

/// Splits a URL, and moves what it says after ? into the options. UsageError if graven has no such
/// stores, or for an unknown option or a wrong value. path_of() checks the rest.
SplitUrl split_url(std::string_view url, Options& options);

/// The path of the file; percent-decoded if the URL has a scheme. UsageError if it names no file.
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
