// SPDX-License-Identifier: MIT
//
// The settings of a store: from a URL and its options, and for libpq. Pure functions; any thread.
#include "backends/postgres/settings.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <random>
#include <string_view>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/postgres/libpq.hpp"

namespace graven::postgres {
namespace {

using Free = void (*)(PQconninfoOption*);

[[noreturn]] void refuse() {
  throw UsageError(
      "the URL of the PostgreSQL store is malformed; it must be like "
      "postgresql://user@host:5432/database, with special characters %-encoded");
}

/// libpq would take what is before a '/' in a password for a host and a port, and what is after an
/// '@' in it for the begin of the host.
void require_encoded_password(std::string_view url) {
  url = url.substr(0, url.find('?'));
  const std::size_t authority = url.find("://") + 3;
  const std::size_t at = url.find('@', authority);
  if (at != url.npos && url.find('@', at + 1) != url.npos) refuse();
  const std::size_t slash = url.find('/', authority);
  if (slash != url.npos && url.find('@', slash) != url.npos) refuse();
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (auto end = list.find(','); end != list.npos; end = list.find(',', begin)) {
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(list.substr(begin));
  return parts;
}

std::string value_of(const Options& options, std::string_view name) {
  const auto at = std::find_if(options.begin(), options.end(),
                               [&](const auto& one) { return one.first == name; });
  return at != options.end() ? at->second : std::string();
}

Options with(Options options, std::string_view name, const std::string& value) {
  std::erase_if(options, [&](const auto& one) { return one.first == name; });
  options.emplace_back(name, value);
  return options;
}

std::unique_ptr<PQconninfoOption, Free> parsed(const std::string& url) {
  char* why = nullptr;
  PQconninfoOption* const options = libpq().PQconninfoParse(url.c_str(), &why);
  if (options == nullptr) {
    libpq().PQfreemem(why);  // it may quote a password
    refuse();
  }
  return {options, [](PQconninfoOption* all) { libpq().PQconninfoFree(all); }};
}

bool is_name_of_libpq(const std::string& name) {
  const auto options = parsed("postgresql://");
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (name == one->keyword) return true;
  }
  return false;
}

std::string names_of_libpq() {
  const auto options = parsed("postgresql://");
  std::string names;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    names += fmt::format(", {}", one->keyword);
  }
  return names;
}

std::string encoded(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || c == '-' || c == '_' || c == '.') {
      safe += c;
    } else {
      safe += fmt::format("%{:02X}", byte);
    }
  }
  return safe;
}

}  // namespace

void require_schema_name(const std::string& name) {
  constexpr std::size_t kLongest = 63;
  // '$', '{' and '}' stand for something in the text of the functions.
  if (name.empty() || name.size() > kLongest || name.starts_with("pg_") ||
      name == "information_schema" ||
      name.find_first_of(std::string_view("\0${}", 4)) != name.npos) {
    throw UsageError(
        "schema must be the name of a PostgreSQL schema: 1 to 63 bytes, not pg_…, without $, { "
        "and }");
  }
}

void require_url(const std::string& url) {
  require_encoded_password(url);
  const auto all = parsed(url);
  for (const PQconninfoOption* one = all.get(); one->keyword != nullptr; ++one) {
    if (one->val == nullptr || std::string_view(one->keyword) != "host") continue;
    for (const std::string& host : split(one->val)) {
      // A socket in the abstract namespace begins with '@'.
      if (host.find('@', 1) != host.npos) refuse();
    }
  }
}

Settings settings_of(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& query) {
  Settings settings;
  settings.url = url.substr(0, url.find('?'));
  char before = '?';
  for (const auto& [name, value] : query) {
    if (name == "schema") {
      require_schema_name(value);
      settings.schema = value;
    } else if (name == "synchronous_commit") {
      if (value != "on" && value != "off") throw UsageError("synchronous_commit must be on or off");
      settings.durable = value == "on";
    } else if (is_name_of_libpq(name)) {
      settings.url += before + name + "=" + encoded(value);
      before = '&';
    } else {
      throw UsageError(
          fmt::format("a PostgreSQL store has no option {}; it has: schema, synchronous_commit{}",
                      name, names_of_libpq()));
    }
  }
  require_url(settings.url);
  return settings;
}

Options options_of(const Settings& settings) {
  Options options;
  const auto all = parsed(settings.url);
  for (const PQconninfoOption* one = all.get(); one->keyword != nullptr; ++one) {
    if (one->val != nullptr) options.emplace_back(one->keyword, one->val);
  }
  const auto by_default = [&](const char* name, const char* value) {
    const bool given = std::any_of(options.begin(), options.end(),
                                   [&](const auto& one) { return one.first == name; });
    if (!given) options.emplace_back(name, value);
  };
  by_default("fallback_application_name", "graven");
  by_default("client_encoding", "UTF8");
  if (!settings.read_only) by_default("target_session_attrs", "read-write");
  return options;
}

bool keeps_order(const Options& options) {
  return value_of(options, "target_session_attrs") == "prefer-standby";
}

std::vector<Options> hosts_of(const Options& options) {
  const std::string names = value_of(options, "host");
  const std::string addresses = value_of(options, "hostaddr");
  const std::string ports = value_of(options, "port");
  const std::vector<std::string> name = split(names);
  const std::vector<std::string> address = split(addresses);
  const std::vector<std::string> port = split(ports);
  const std::size_t count = std::max(name.size(), address.size());
  const auto fits = [&](const std::string& list, const std::vector<std::string>& parts) {
    return list.empty() || parts.size() == count;
  };
  const bool lists =
      fits(names, name) && fits(addresses, address) && (port.size() == 1 || port.size() == count);
  if (count == 1 || !lists) return {options};  // libpq says what is wrong with it
  std::vector<Options> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    Options one = options;
    if (!names.empty()) one = with(std::move(one), "host", name[i]);
    if (!addresses.empty()) one = with(std::move(one), "hostaddr", address[i]);
    if (port.size() == count) one = with(std::move(one), "port", port[i]);
    hosts.push_back(std::move(one));
  }
  if (value_of(options, "load_balance_hosts") == "random") {
    std::shuffle(hosts.begin(), hosts.end(), std::random_device());
  }
  if (keeps_order(options)) {
    for (std::size_t i = 0; i < count; ++i) {
      hosts.push_back(with(hosts[i], "target_session_attrs", "any"));
      hosts[i] = with(hosts[i], "target_session_attrs", "standby");
    }
  }
  return hosts;
}

std::optional<std::chrono::seconds> connect_timeout_of(const Options& options) {
  constexpr int kLeast = 2;  // as libpq takes it
  const std::string text = value_of(options, "connect_timeout");
  if (text.empty()) return std::chrono::seconds(kLeast);
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (seconds <= 0) return std::nullopt;
  return std::chrono::seconds(std::max(seconds, kLeast));
}

std::string session_of(const Settings& settings, int server_version) {
  constexpr int kOldest = 130'000;
  constexpr int kIdleSessionTimeout = 140'000;
  constexpr int kTransactionTimeout = 170'000;
  if (server_version < kOldest) {
    throw UsageError(fmt::format("{}: the server is PostgreSQL {}; graven needs 13 or later",
                                 name_of(settings), server_version / 10'000));
  }
  std::string sql =
      "SET search_path = pg_catalog; SET standard_conforming_strings = on;"
      "SET plan_cache_mode = force_generic_plan;"
      "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
      "SET enable_material = off; SET enable_bitmapscan = off; SET enable_sort = off; SET jit = "
      "off; SET max_parallel_workers_per_gather = 0;"
      "SET statement_timeout = 0; SET lock_timeout = 0;"
      "SET idle_in_transaction_session_timeout = 0;"
      "SET default_transaction_isolation = 'read committed';"
      "SET client_min_messages = warning;";
  if (server_version >= kIdleSessionTimeout) sql += "SET idle_session_timeout = 0;";
  if (server_version >= kTransactionTimeout) sql += "SET transaction_timeout = 0;";
  // The defaults of server, database or role may promise less, or more.
  sql += settings.durable ? "SELECT set_config('synchronous_commit', 'on', false) WHERE "
                            "current_setting('synchronous_commit') IN ('off', 'local');"
                          : "SET synchronous_commit = off;";
  if (settings.read_only) sql += "SET default_transaction_read_only = on;";
  return sql;
}

std::string name_of(const Settings& settings) {
  std::string host;
  std::string port;
  std::string database;
  const auto all = parsed(settings.url);
  for (const PQconninfoOption* one = all.get(); one->keyword != nullptr; ++one) {
    if (one->val == nullptr) continue;
    const std::string name = one->keyword;
    if (name == "host") host = one->val;
    if (name == "port") port = one->val;
    if (name == "dbname") database = one->val;
  }
  return fmt::format("postgresql://{}{}{}/{}?schema={}", host, port.empty() ? "" : ":", port,
                     database, settings.schema);
}

}  // namespace graven::postgres
