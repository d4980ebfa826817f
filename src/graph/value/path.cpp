// SPDX-License-Identifier: MIT
//
// Parses and writes paths. Pure functions; any thread.
#include <graven/path.hpp>

#include <fmt/format.h>

#include <charconv>

#include <graven/error.hpp>

namespace graven {
namespace {

std::string unescape(std::string_view segment, std::string_view whole) {
  std::string key;
  for (std::size_t at = 0; at < segment.size(); ++at) {
    if (segment[at] != '~') {
      key += segment[at];
      continue;
    }
    const std::string_view rest = segment.substr(at + 1);
    unsigned code = 0;
    if (rest.starts_with('0') || rest.starts_with('1')) {
      key += rest.front() == '0' ? '~' : '/';
      at += 1;
    } else if (rest.size() >= 3 && rest.front() == 'x' &&
               std::from_chars(rest.data() + 1, rest.data() + 3, code, 16).ptr == rest.data() + 3 &&
               code < 0x80) {
      key += static_cast<char>(code);
      at += 3;
    } else {
      throw UsageError(fmt::format(
          "path '{}': '~' in a key is written ~0, '/' is written ~1, and a control character ~xHH",
          whole));
    }
  }
  return key;
}

}  // namespace

Path parse_path(Text text) {
  Path path;
  if (text.empty()) return path;
  std::string_view rest = text;
  if (rest.front() == '/') rest.remove_prefix(1);
  while (true) {
    const std::size_t slash = rest.find('/');
    path.push_back(unescape(rest.substr(0, slash), text));
    if (slash == std::string_view::npos) return path;
    rest.remove_prefix(slash + 1);
  }
}

std::string format_segment(Text segment) {
  std::string text;
  for (const char c : segment) {
    if (c == '~') {
      text += "~0";
    } else if (c == '/') {
      text += "~1";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += fmt::format("~x{:02x}", static_cast<unsigned>(c));
    } else {
      text += c;
    }
  }
  return text;
}

std::string format_path(const Path& path, std::size_t count) {
  if (count == 0) return "the root";
  // An empty first key needs a leading slash; without it the text would mean the root.
  std::string text = path.front().empty() ? "/" : "";
  for (std::size_t at = 0; at < count; ++at) {
    if (at != 0) text += '/';
    text += format_segment(path[at]);
  }
  return text;
}

std::optional<std::int64_t> parse_index(Text segment) {
  std::int64_t index = 0;
  const char* end = segment.data() + segment.size();
  const auto result = std::from_chars(segment.data(), end, index);
  if (segment.empty() || result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return index;
}

}  // namespace graven
