// SPDX-License-Identifier: MIT
#include "import.hpp"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include "deb822.hpp"

using graven::Data;
using graven::Dict;

namespace {

/// The shell command that prints the index; "$PACKAGES" is the file.
std::string command_for(const std::string& file) {
  if (file.empty()) return "apt-cache dumpavail";
  if (access(file.c_str(), R_OK) != 0) {
    throw std::runtime_error(std::string("cannot open it: ") + std::strerror(errno));
  }
  static const std::map<std::string, std::string> unpackers = {
      {".gz", "gzip"}, {".xz", "xz"}, {".bz2", "bzip2"}, {".lz4", "lz4"}, {".zst", "zstd"}};
  const auto unpacker = unpackers.find(std::filesystem::path(file).extension());
  return (unpacker == unpackers.end() ? "cat" : unpacker->second + " -dc") + " <\"$PACKAGES\"";
}

/// Adds an entry to a Data that is a dict.
void put(Data& dict, std::string_view key, Data value) {
  Data::Item item = dict.adopt(std::move(value));
  Data::Container& entries = dict.container(std::get<Data::Index>(dict.root()));
  entries.keys.emplace_back(key);
  entries.items.push_back(std::move(item));
}

void put_number(Data& dict, std::string_view key, std::string_view text) {
  std::int64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc{}) {
    put(dict, key, number);
  }
}

void add_package(const Dict& packages, Index& index, const Stanza& stanza) {
  const std::string name(stanza.get("Package"));
  const std::string version(stanza.get("Version"));
  if (name.empty() || version.empty()) {
    throw std::runtime_error("stanza " + std::to_string(index.stanzas) + " lacks " +
                             (name.empty() ? "Package" : "Version"));
  }
  const auto known = index.packages.find(name);
  if (known != index.packages.end() && compare_versions(version, known->second.version) <= 0) {
    return;
  }
  Data package = Data::dict({{"name", name}});
  for (const char* field : {"Version", "Section", "Priority", "Architecture", "Maintainer",
                            "Homepage", "Description"}) {
    std::string key(field);
    key[0] = static_cast<char>(std::tolower(key[0]));
    if (const auto text = stanza.get(field); !text.empty()) put(package, key, text);
  }
  put_number(package, "installed_size", stanza.get("Installed-Size"));
  put_number(package, "download_size", stanza.get("Size"));
  packages.set(name, package);  // an older version that was there is collected
  index.packages.insert_or_assign(
      name, Package{.version = version,
                    .section = std::string(stanza.get("Section")),
                    .depends = related_names(std::string(stanza.get("Pre-Depends")) + ", " +
                                             std::string(stanza.get("Depends"))),
                    .recommends = related_names(stanza.get("Recommends")),
                    .provides = related_names(stanza.get("Provides")),
                    .stored = packages.at(name).as_dict()});
}

void add_virtual_packages(const Dict& all, Index& index) {
  std::map<std::string, Data> providers;
  for (const auto& [name, package] : index.packages) {
    for (const std::string& provided : package.provides) {
      put(providers.try_emplace(provided, Data::dict()).first->second, name, package.stored);
      ++index.links;
    }
  }
  for (const auto& [name, links] : providers) {
    all.set(name, {{"name", name}, {"providers", links}});
    index.virtual_packages.emplace(name, all.at(name).as_dict());
  }
}

/// What a dependency leads to. A handle that is stored is a link.
Data target(Index& index, const std::string& name) {
  const auto real = index.packages.find(name);
  const auto provided = index.virtual_packages.find(name);
  if (real == index.packages.end() && provided == index.virtual_packages.end()) {
    ++index.nowhere;
    return nullptr;
  }
  ++index.links;
  return real != index.packages.end() ? real->second.stored : provided->second;
}

void link_package(Index& index, const Package& package) {
  Data depends = Data::dict();
  Data recommends = Data::dict();
  Data provides = Data::dict();
  for (const std::string& name : package.depends) put(depends, name, target(index, name));
  for (const std::string& name : package.recommends) put(recommends, name, target(index, name));
  for (const std::string& name : package.provides) {
    put(provides, name, index.virtual_packages.at(name));
    ++index.links;
  }
  Data relations = Data::dict();
  if (depends.size() != 0) put(relations, "depends", std::move(depends));
  if (recommends.size() != 0) put(relations, "recommends", std::move(recommends));
  if (provides.size() != 0) put(relations, "provides", std::move(provides));
  package.stored.update(relations);
}

}  // namespace

Index import_packages(const graven::Database& db, const std::string& file,
                      const graven::BulkOptions& options) try {
  setenv("PACKAGES", file.c_str(), 1);
  const std::string command = command_for(file);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) throw std::runtime_error("cannot run " + command + ": " + std::strerror(errno));
  db["packages"] = Data::dict();
  db["virtual"] = Data::dict();

  Index index;
  const graven::BulkImport bulk(db, options);
  bulk.phase("packages", [&] {  // a phase is one transaction
    const Dict packages = db["packages"].as_dict();
    read_stanzas(pipe.get(), [&](const Stanza& stanza) {
      ++index.stanzas;
      add_package(packages, index, stanza);
      return bulk.advance(index.stanzas);
    });
    options.progress("packages", index.stanzas, 0);  // asks for Ctrl-C, which ends the tool too
    if (pclose(pipe.release()) != 0) {
      throw std::runtime_error("'" + command.substr(0, command.find(" <")) +
                               "' failed; is it installed? --input takes other Packages files");
    }
    if (index.packages.empty()) {
      throw std::runtime_error(
          "it holds no packages; run 'apt-get update' as root, or give a "
          "Packages file of a Debian mirror with --input");
    }
  });
  bulk.phase("links", [&] {
    add_virtual_packages(db["virtual"].as_dict(), index);
    std::uint64_t done = 0;
    for (const auto& [name, package] : index.packages) {
      if (bulk.advance(++done, index.packages.size())) link_package(index, package);
    }
  });
  std::map<std::string, std::uint64_t> sections;
  for (const auto& [name, package] : index.packages) ++sections[package.section];
  db["about"].as_dict().update({{"source", file.empty() ? command : file},
                                {"packages", index.packages.size()},
                                {"virtual_packages", index.virtual_packages.size()},
                                {"links", index.links},
                                {"sections", sections}});
  bulk.finish();
  index.phases = bulk.phases();
  return index;
} catch (const std::exception& error) {
  options.progress("packages", 0, 0);  // throws if Ctrl-C cut the input short
  throw std::runtime_error("cannot import " + (file.empty() ? "apt's index" : file) + ": " +
                           error.what());
}
