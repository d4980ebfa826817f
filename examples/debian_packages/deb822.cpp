// SPDX-License-Identifier: MIT
#include "deb822.hpp"

#include <strings.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <stdexcept>

namespace {

constexpr std::string_view kBlank = " \t\r\n";

/// Takes off a text what stands before the first of `ends`, and that character, which is dropped.
std::string_view take(std::string_view& text, std::string_view ends) {
  const std::size_t size = std::min(text.find_first_of(ends), text.size());
  const std::string_view front = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  return front;
}

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

/// A text that sorts as a part of a version does: '~' comes before the end, that before letters,
/// those before all else, and numbers are compared by value.
std::string sort_key(std::string_view part) {
  std::string key;
  do {
    for (; !part.empty(); part.remove_prefix(1)) {
      const auto c = static_cast<unsigned char>(part[0]);
      if (std::isdigit(c) != 0) break;
      key += static_cast<char>(c == '~' ? 1 : std::isalpha(c) != 0 ? c : c | 0x80);
    }
    part.remove_prefix(std::min(part.find_first_not_of('0'), part.size()));
    const std::string_view number = part.substr(0, part.find_first_not_of("0123456789"));
    part.remove_prefix(number.size());
    key += '\2';
    key += static_cast<char>(number.size());
    key += number;
  } while (!part.empty());
  return key + '\2';
}

std::string version_key(std::string_view version) {
  const bool has_epoch = version.find(':') != std::string_view::npos;
  const std::string epoch = sort_key(has_epoch ? take(version, ":") : "");
  const std::size_t dash = std::min(version.rfind('-'), version.size());
  const std::string upstream = sort_key(version.substr(0, dash));
  return epoch + upstream + sort_key(version.substr(std::min(dash + 1, version.size())));
}

bool next_line(std::FILE* file, std::string& line) {
  line.clear();
  int c = 0;
  while ((c = getc_unlocked(file)) != EOF && c != '\n') line += static_cast<char>(c);
  return c == '\n' || !line.empty();
}

}  // namespace

std::string_view Stanza::get(const char* name) const {
  for (const auto& [field, value] : fields) {
    if (strcasecmp(field.c_str(), name) == 0) return value;
  }
  return {};
}

void read_stanzas(std::FILE* file, const std::function<bool(const Stanza&)>& use) {
  Stanza stanza;
  std::string line;
  for (std::uint64_t number = 1; next_line(file, line); ++number) {
    const std::string_view text = trimmed(line);
    const bool folded = line[0] == ' ' || line[0] == '\t';
    if (line[0] == '#') continue;
    if (text.empty()) {
      if (!stanza.fields.empty() && !use(stanza)) return;
      stanza.fields.clear();
    } else if (folded && !stanza.fields.empty()) {
      std::string& value = stanza.fields.back().second;
      value += '\n';
      if (text != ".") value += text;  // a lone dot stands for an empty line
    } else if (!folded && text.find(':') != std::string_view::npos) {
      std::string_view value = text;
      const std::string_view name = take(value, ":");
      stanza.fields.emplace_back(trimmed(name), trimmed(value));
    } else {
      throw std::runtime_error("line " + std::to_string(number) +
                               " is not of the form 'Field: "
                               "value'; this wants a Debian Packages file");
    }
  }
  if (!stanza.fields.empty()) use(stanza);
}

std::vector<std::string> related_names(std::string_view relations) {
  std::vector<std::string> names;
  while (!relations.empty()) {
    std::string_view relation = trimmed(take(relations, ",|"));
    const std::string_view name = take(relation, " \t\n([<:");
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      names.emplace_back(name);
    }
  }
  return names;
}

int compare_versions(std::string_view left, std::string_view right) {
  return version_key(left).compare(version_key(right));
}
