// SPDX-License-Identifier: MIT
//
// The demo's import: a Debian package index becomes a graph.
//
//   root["packages"][name]  {name, version, section, …, description,
//                            depends: {name: link}, recommends: {…}, provides: {…}}
//   root["virtual"][name]   {name, providers: {package: link}}
//   root["about"]           where it came from and how many there are of what
//
// A link under `depends` leads to the dict of the package, or of the virtual package where no
// real one has the name, or is null where nobody has. Dicts of links, rather than lists, so
// that a dependency is found, followed and removed by its name.
//
// Always holds: memory grows with the names and relations, not with the index; every batch is
// one transaction. One thread.
#pragma once

#include <graven/graven.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/console.hpp"
#include "cli/package_source.hpp"

namespace graven::cli {

/// What the import keeps in memory of one package.
struct PackageNote {
  std::string name;
  std::string version;
  std::string section;
  std::vector<std::string> depends;
  std::vector<std::string> recommends;
  std::vector<std::string> provides;
  std::uint64_t linked = 0;  // how often others depend on or recommend it
};

struct ImportReport {
  std::vector<PackageNote> packages{};
  std::unordered_map<std::string, std::size_t> by_name{};
  std::uint64_t stanzas = 0;
  std::uint64_t older_versions = 0;  // stanzas that lost to a newer (or an earlier equal) version
  std::uint64_t virtual_packages = 0;
  std::uint64_t links = 0;
  std::uint64_t nowhere = 0;  // names that neither a package nor a provider has
  double reading_seconds = 0;
  double linking_seconds = 0;
};

/// Fills an empty database. CorruptionError for an index that is not one.
ImportReport import_packages(const Database& db, PackageSource& source);

}  // namespace graven::cli
