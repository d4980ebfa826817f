// SPDX-License-Identifier: MIT
//
// A Debian package index becomes a graph:
//
//   root["packages"][name]  {name, version, ..., depends: {name: link}, recommends: {...},
//                            provides: {...}}
//   root["virtual"][name]   {name, providers: {package: link}}
//   root["about"]           where it came from and how many there are of what
//
// A link under `depends` leads to the dict of the package, or of the virtual package where no
// real one has the name, or is null where nobody has. These are dicts of links rather than lists,
// so that a dependency is found, followed and removed by its name.
#pragma once

#include <graven/graven.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

/// What is needed of a package besides what is stored.
struct Package {
  std::string version;
  std::string section;
  std::vector<std::string> depends;
  std::vector<std::string> recommends;
  std::vector<std::string> provides;
  graven::Dict stored;
};

struct Index {
  std::map<std::string, Package> packages{};
  std::unordered_map<std::string, graven::Dict> virtual_packages{};
  std::uint64_t stanzas = 0;
  std::uint64_t links = 0;
  std::uint64_t nowhere = 0;  // names that neither a package nor a provider has
  std::vector<graven::BulkImport::Phase> phases{};
};

/// Fills an empty database from a Packages file (also .gz .xz .bz2 .lz4 .zst), or from what
/// `apt-cache dumpavail` prints if `file` is empty. std::runtime_error, which says what to do,
/// where that cannot be read or is no index. What `options.progress` throws ends the import as
/// well.
Index import_packages(const graven::Database& db, const std::string& file,
                      const graven::BulkOptions& options);
