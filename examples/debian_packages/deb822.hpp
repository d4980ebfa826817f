// SPDX-License-Identifier: MIT
//
// The format of Debian's Packages files: stanzas of fields (deb822(5)), relations between packages,
// and the order of versions (deb-version(7)). Nothing here knows graven.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// One stanza: its fields in order, the lines of a folded one joined by newlines.
struct Stanza {
  std::vector<std::pair<std::string, std::string>> fields{};
  /// The value of a field, whose name may be in upper or lower case; empty if there is none.
  [[nodiscard]] std::string_view get(const char* name) const;
};

/// Hands each stanza of a file to `use`, until that returns false or the file ends, be it by an
/// error or a signal. std::runtime_error, which names the line, for one that is no field.
void read_stanzas(std::FILE* file, const std::function<bool(const Stanza&)>& use);

/// The names in a relation field ("a (>= 1), b:any | c <!nocheck>"), each once, in order;
/// alternatives are names like the others.
std::vector<std::string> related_names(std::string_view relations);

/// Below, at or above zero as one version is older, equal or newer.
int compare_versions(std::string_view left, std::string_view right);
