// SPDX-License-Identifier: MIT
//
// Splits URLs, decodes them and hides their secrets. See url.hpp. Any thread.
#include "url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <graven/error.hpp>
#include <graven/option_fields.hpp>

#include "base/text.hpp"

namespace graven {
namespace {

using Kind = SplitUrl::Kind;

struct Scheme {
  std::string_view text;
  Kind kind;
};
constexpr std::array kSchemes{
    Scheme{"sqlite://", Kind::kFile},         Scheme{"libsql://", Kind::kFile},
    Scheme{"redis://", Kind::kRedis},         Scheme{"rediss://", Kind::kRedis},
    Scheme{"unix://", Kind::kRedis},          Scheme{"redis+embedded://", Kind::kPrivateRedis},
    Scheme{"postgresql://", Kind::kPostgres}, Scheme{"postgres://", Kind::kPostgres},
};
constexpr std::string_view kMemory = "memory://";

const Scheme* scheme_of(std::string_view url) noexcept {
  const auto* found = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](const Scheme& one) { return url.starts_with(one.text); });
  return found == kSchemes.end() ? nullptr : found;
}

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
  if (letters == "key_prefix") return false;
  for (const char* word : {"pass", "pwd", "secret", "token", "auth", "key", "credential"}) {
    if (letters.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string decoded(std::string_view text, std::string_view url) {
  std::optional<std::string> bytes = base::percent_decoded(text);
  if (!bytes) throw_bad_url(url, "a '%' without two hexadecimal digits after it");
  return *std::move(bytes);
}

bool is_option(std::string_view name) {
  bool known = name == "mode";
  each_option(Options(),
              [&](const OptionField& of, const auto&) { known = known || of.name == name; });
  return known;
}

/// Moves ?name=value&… from the end of a URL into the options, or what they do not know into
/// `others` (nullptr: that is an error); returns the rest.
std::string_view take_query(std::string_view end, Options& options, std::string_view url,
                            decltype(SplitUrl::query)* others = nullptr) {
  const std::size_t mark = end.find('?');
  if (mark == std::string_view::npos) return end;
  std::string_view query = end.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    if (item.empty() && others != nullptr) continue;
    const std::string_view name = item.substr(0, item.find('='));
    const std::string_view value = item.substr(std::min(item.size(), name.size() + 1));
    if (others != nullptr && !is_option(name)) {
      others->emplace_back(decoded(name, url), decoded(value, url));
      continue;
    }
    try {
      options.set(name, decoded(value, url));
    } catch (const UsageError& error) {
      throw_bad_url(url, error.what());
    }
  }
  return end.substr(0, mark);
}

/// Where in a URL the part before the path ends.
std::size_t end_of_authority(std::string_view url, std::size_t begin) {
  return std::min(url.find_first_of("/?#", begin), url.size());
}

/// Hides what stands where a port should be and is no number: a password whose host is missing.
void hide_odd_port(std::string& url, std::size_t host, std::string_view hidden) {
  const std::size_t end = end_of_authority(url, host);
  const std::size_t bracket = url.rfind(']', end);
  const std::size_t colon =
      url.find(':', bracket != std::string::npos && bracket > host ? bracket : host);
  if (colon >= end || colon == std::string::npos) return;
  const std::string_view port = std::string_view(url).substr(colon + 1, end - colon - 1);
  if (port.find_first_not_of("0123456789") != port.npos)
    url.replace(colon + 1, port.size(), hidden);
}

}  // namespace

void throw_bad_url(std::string_view url, const std::string& why) {
  throw UsageError(
      fmt::format("cannot open '{}': {}; give a path, sqlite:///relative.db, "
                  "sqlite:////absolute.db, memory://, redis://host:6379/0 (rediss:// with TLS), "
                  "unix:///path/of.sock, redis+embedded:///path.rdb or postgresql://host/database",
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
    return {.url = url, .kind = Kind::kMemory};
  }
  if (names_memory(url)) return {.url = url, .kind = Kind::kMemory};
  if (const Scheme* scheme = scheme_of(url)) {
    SplitUrl split{.url = url, .kind = scheme->kind, .scheme = scheme->text};
    split.rest = take_query(url.substr(scheme->text.size()), options, url,
                            scheme->kind == Kind::kFile ? nullptr : &split.query);
    return split;
  }
  if (url.starts_with("redis+cluster://")) {
    throw_bad_url(
        url,
        "this version of graven supports no Redis Cluster; use redis:// and a server that "
        "is not part of a cluster");
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
  if (split.kind == Kind::kPrivateRedis) {
    if (rest.empty() || rest.ends_with('/')) throw_bad_url(url, "the path of its file is missing");
    return decoded(rest, url);
  }
  // sqlite:///rel.db has the path "rel.db", sqlite:////abs.db "/abs.db".
  if (!rest.starts_with('/') || rest.size() < 2) {
    throw_bad_url(url, rest.empty() || rest == "/"
                           ? "the path is missing"
                           : "it names a host, and graven opens files of this machine only");
  }
  return decoded(rest.substr(1), url);
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
    // A password may contain unescaped characters, even '@', so search for the last '@'.
    const std::size_t at = text.rfind('@');
    const Scheme* scheme = scheme_of(text);
    const bool path = scheme != nullptr && scheme->kind != Kind::kPostgres && text[host] == '/';
    if (at != std::string::npos && at >= host && !path) {
      text.replace(host, at - host, kHidden);
    } else if (!path) {
      hide_odd_port(text, host, kHidden);
    }
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
