// SPDX-License-Identifier: MIT
//
// The format of Debian's Packages files (deb822(5)): stanzas of fields, folded lines, relations
// between packages, and the order of versions (deb-version(7)).
//
// Pure but for StanzaReader, which reads one input; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/input.hpp"

namespace graven::cli {

/// One stanza: fields in order, folded lines joined by newlines.
class Stanza {
 public:
  /// The value of a field (names do not care for case), or empty.
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept;
  void add(std::string_view name, std::string_view value);
  void fold(std::string_view line);
  void clear() noexcept { fields_.clear(); }
  [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_{};
};

class StanzaReader {
 public:
  explicit StanzaReader(Input& input) : input_(input) {}
  /// The next stanza; false at the end. CorruptionError, naming the line, for a line that is no
  /// field, or for text that is not UTF-8.
  bool next(Stanza& stanza);

 private:
  Input& input_;
  std::uint64_t line_ = 0;
};

/// The names in a relation field ("a (>= 1), b:any | c <!nocheck>"), each once, in order;
/// alternatives are names like the others.
std::vector<std::string> related_names(std::string_view relations);

/// Below, at or above zero as one version is older, equal or newer.
int compare_versions(std::string_view left, std::string_view right) noexcept;

}  // namespace graven::cli
