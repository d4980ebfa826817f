// SPDX-License-Identifier: MIT
//
// Reading Packages files. One thread.
#include "cli/deb822.hpp"

#include <graven/error.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"

namespace graven::cli {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlank) - start + 1);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// deb-version(7): '~' before the end of the text, that before letters, those before the rest.
int rank(std::string_view text, std::size_t at) {
  if (at >= text.size() || is_digit(text[at])) return 0;
  const char c = text[at];
  if (c == '~') return -1;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return c;
  return static_cast<unsigned char>(c) + 256;
}

int compare_part(std::string_view left, std::string_view right) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < left.size() || j < right.size()) {
    while ((i < left.size() && !is_digit(left[i])) || (j < right.size() && !is_digit(right[j]))) {
      const int difference = rank(left, i) - rank(right, j);
      if (difference != 0) return difference;
      ++i;
      ++j;
    }
    while (i < left.size() && left[i] == '0') ++i;
    while (j < right.size() && right[j] == '0') ++j;
    int first_difference = 0;
    while (i < left.size() && is_digit(left[i]) && j < right.size() && is_digit(right[j])) {
      if (first_difference == 0) first_difference = left[i] - right[j];
      ++i;
      ++j;
    }
    if (i < left.size() && is_digit(left[i])) return 1;
    if (j < right.size() && is_digit(right[j])) return -1;
    if (first_difference != 0) return first_difference;
  }
  return 0;
}

struct Version {
  std::string_view epoch;
  std::string_view upstream;
  std::string_view revision;
};

Version split(std::string_view text) {
  Version version{"0", text, "0"};
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    version.epoch = text.substr(0, colon);
    version.upstream = text.substr(colon + 1);
  }
  if (const std::size_t dash = version.upstream.rfind('-'); dash != std::string_view::npos) {
    version.revision = version.upstream.substr(dash + 1);
    version.upstream = version.upstream.substr(0, dash);
  }
  return version;
}

}  // namespace

std::string_view Stanza::get(std::string_view name) const noexcept {
  for (const auto& [field, value] : fields_) {
    if (same_name(field, name)) return value;
  }
  return {};
}

void Stanza::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(name, value);
}

void Stanza::fold(std::string_view line) {
  std::string& value = fields_.back().second;
  value += '\n';
  if (line != ".") value += line;  // a lone dot stands for an empty line
}

bool StanzaReader::next(Stanza& stanza) {
  stanza.clear();
  for (std::string_view line; input_.next_line(line);) {
    ++line_;
    if (const auto at = base::invalid_utf8(line)) {
      throw CorruptionError(
          fmt::format("{}: line {}: not valid UTF-8 at its byte {}", input_.name(), line_, *at));
    }
    if (trimmed(line).empty()) {
      if (stanza.empty()) continue;
      return true;
    }
    if (line.front() == '#') continue;
    if (line.front() == ' ' || line.front() == '\t') {
      if (!stanza.empty()) {
        stanza.fold(trimmed(line));
        continue;
      }
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      stanza.add(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
      continue;
    }
    throw CorruptionError(fmt::format(
        "{}: line {} is not of the form 'Field: value'; this wants a Debian Packages file",
        input_.name(), line_));
  }
  return !stanza.empty();
}

std::vector<std::string> related_names(std::string_view relations) {
  std::vector<std::string> names;
  while (!relations.empty()) {
    const std::size_t end = relations.find_first_of(",|");
    std::string_view name = trimmed(relations.substr(0, end));
    relations.remove_prefix(end == std::string_view::npos ? relations.size() : end + 1);
    name.remove_prefix(std::min(name.find_first_not_of("\n \t"), name.size()));
    name = name.substr(0, name.find_first_of(" \t\n([<:"));
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      names.emplace_back(name);
    }
  }
  return names;
}

int compare_versions(std::string_view left, std::string_view right) noexcept {
  const Version a = split(left);
  const Version b = split(right);
  if (const int order = compare_part(a.epoch, b.epoch)) return order;
  if (const int order = compare_part(a.upstream, b.upstream)) return order;
  return compare_part(a.revision, b.revision);
}

}  // namespace graven::cli
