// SPDX-License-Identifier: MIT
//
// Splits URLs, decodes them and hides their secrets. See url.hpp. Any thread.
#include "url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <graven/error.hpp>

namespace graven {
namespace {

constexpr std::string_view kSqlite = "sqlite://";
constexpr std::string_view kLibsql = "libsql://";
constexpr std::string_view kMemory = "memory://";

/// Whether the name of a setting says that its value is secret.
bool is_secret(std::string_view name) {
  std::string letters;
  for (std::size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    int code = 0;
    if (c == '%' && i + 2 < name.size() &&
        std::from_chars(&name[i + 1], &name[i + 3], code, 16).ptr == &name[i + 3]) {
      c = static_cast<char>(code);
      i += 2;
    }
    letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  for (const char* word : {"pass", "pwd", "secret", "token", "auth", "key", "credential"}) {
    if (letters.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string percent_decoded(std::string_view text, std::string_view url) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto digit = [&](char c) -> int {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) {
      throw_bad_url(url, "a '%' without two hexadecimal digits after it");
    }
    out.push_back(static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])));
    i += 2;
  }
  return out;
}

/// Moves ?name=value&… from the end of a URL into the options; returns the rest.
std::string_view take_query(std::string_view end, Options& options, std::string_view url) {
  const std::size_t mark = end.find('?');
  if (mark == std::string_view::npos) return end;
  std::string_view query = end.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    const std::string_view name = item.substr(0, item.find('='));
    const std::string_view value = item.substr(std::min(item.size(), name.size() + 1));
    try {
      options.set(name, percent_decoded(value, url));
    } catch (const UsageError& error) {
      throw_bad_url(url, error.what());
    }
  }
  return end.substr(0, mark);
}

}  // namespace

void throw_bad_url(std::string_view url, const std::string& why) {
  throw UsageError(
      fmt::format("cannot open '{}': {}; give a path, sqlite:///relative.db, "
                  "sqlite:////absolute.db or memory://",
                  redacted(url), why));
}

bool names_memory(std::string_view url) noexcept {
  return url == "memory://" || url == ":memory:" || url == "sqlite:///:memory:";
}

SplitUrl split_url(std::string_view url, Options& options) {
  if (url.empty()) throw_bad_url(url, "the path is empty");
  if (url.starts_with(kMemory)) {
    const std::string_view rest = take_query(url.substr(kMemory.size()), options, url);
    if (!rest.empty())
      throw_bad_url(url, "memory:// takes no path: each opening is a store of its own");
    return {.url = url, .memory = true};
  }
  if (names_memory(url)) return {.url = url, .memory = true};
  for (const std::string_view scheme : {kSqlite, kLibsql}) {
    if (!url.starts_with(scheme)) continue;
    return {
        .url = url, .scheme = scheme, .rest = take_query(url.substr(scheme.size()), options, url)};
  }
  const std::size_t colon = url.find("://");
  if (colon != std::string_view::npos && url.find('/') == colon + 1) {
    throw_bad_url(url, fmt::format("graven has no kind of store named '{}'", url.substr(0, colon)));
  }
  return {.url = url, .rest = url};
}

std::string path_of(const SplitUrl& split) {
  const std::string_view url = split.url;
  const std::string_view rest = split.rest;
  if (split.scheme.empty()) return std::string(rest);
  // sqlite:///rel.db has the path "rel.db", sqlite:////abs.db "/abs.db".
  if (!rest.starts_with('/') || rest.size() < 2) {
    throw_bad_url(url, rest.empty() || rest == "/"
                           ? "the path is missing"
                           : "it names a host, and graven opens files of this machine only");
  }
  return percent_decoded(rest.substr(1), url);
}

std::string map_place(std::string_view url) {
  if (url.starts_with("memory://") || names_memory(url)) return {};
  for (const std::string_view scheme : {"sqlite:///", "libsql:///"}) {
    if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  }
  std::error_code unknown;
  return std::filesystem::weakly_canonical(url.substr(0, url.find('?')), unknown);
}

// If in doubt whether a part is a password, hides it.
std::string redacted(Text url) {
  constexpr std::string_view kHidden = "***";
  std::string text(url);
  if (const std::size_t colon = text.find("://"); colon != std::string::npos) {
    const std::size_t host = colon + 3;
    const std::string_view scheme = std::string_view(text).substr(0, host);
    // A password may contain unescaped characters, even '@', so search for the last '@'.
    const std::size_t at = text.rfind('@');
    const bool file = (scheme == kSqlite || scheme == kLibsql) && text[host] == '/';
    if (at != std::string::npos && at >= host && !file) text.replace(host, at - host, kHidden);
  }
  std::string shown;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find_first_of("?&;# \t\r\n"));
    const std::string_view name = item.substr(0, item.find('='));
    const bool secret = name.size() < item.size() && is_secret(name);
    shown += secret ? fmt::format("{}={}", name, kHidden) : std::string(item);
    rest.remove_prefix(item.size());
    shown += rest.substr(0, 1);
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 1));
  }
  return shown;
}

}  // namespace graven
