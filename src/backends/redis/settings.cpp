// SPDX-License-Identifier: MIT
//
// Reads the URL of a Redis store. See settings.hpp.
#include "backends/redis/settings.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include <graven/database.hpp>
#include <graven/error.hpp>

#include "base/text.hpp"

namespace graven::redis {
namespace {

constexpr std::string_view kOptions =
    "db, username, password, key_prefix, connect_timeout, ssl_cert_reqs, ssl_ca_certs, "
    "ssl_certfile, ssl_keyfile";

/// Reads one URL; its messages show nothing that may be a password.
class Reading {
 public:
  explicit Reading(const std::string& url) : url_(url) {}

  Settings run(const std::vector<std::pair<std::string, std::string>>& query) {
    std::string_view rest = url_;
    rest = rest.substr(0, rest.find('?'));
    if (take(rest, "unix://")) {
      const std::size_t path = rest.find('/');
      if (path == rest.npos) refuse("it names no socket: unix:///path/of.sock");
      sign_in(rest.substr(0, path));
      settings_.socket = decoded(rest.substr(path));
    } else {
      settings_.tls.on = take(rest, "rediss://");
      if (!settings_.tls.on && !take(rest, "redis://")) refuse("it names no Redis server");
      const std::size_t path = rest.find('/');
      place(sign_in(rest.substr(0, path)));
      if (path != rest.npos && path + 1 < rest.size()) database(rest.substr(path + 1));
    }
    for (const auto& [name, value] : query) option(name, value);
    check();
    return std::move(settings_);
  }

 private:
  [[noreturn]] static void refuse(const std::string& why) { throw UsageError(why); }

  static bool take(std::string_view& from, std::string_view what) {
    if (!from.starts_with(what)) return false;
    from.remove_prefix(what.size());
    return true;
  }

  [[nodiscard]] std::string decoded(std::string_view text) const {
    std::optional<std::string> bytes = base::percent_decoded(text);
    if (!bytes) refuse("a '%' without two hexadecimal digits after it");
    if (bytes->find('\0') != bytes->npos) refuse("there is a NUL character in it");
    return *std::move(bytes);
  }

  template <class T>
  static std::optional<T> number(std::string_view text, T least, T most) {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = code == std::errc() && end == text.data() + text.size();
    if (!whole || !(value >= least && value <= most)) return std::nullopt;
    return value;
  }

  /// Takes "user:password@" from the beginning; returns the rest.
  std::string_view sign_in(std::string_view authority) {
    const std::size_t at = authority.rfind('@');
    if (at == authority.npos) return authority;
    const std::string_view who = authority.substr(0, at);
    const std::size_t colon = who.find(':');
    settings_.user = decoded(who.substr(0, colon));
    if (colon != who.npos) settings_.password = decoded(who.substr(colon + 1));
    return authority.substr(at + 1);
  }

  void place(std::string_view place) {
    std::size_t colon = place.find(':');
    if (place.starts_with('[')) {
      const std::size_t end = place.find(']');
      if (end == place.npos) refuse("a ']' is missing");
      settings_.host = place.substr(1, end - 1);
      colon = end + 1;
    } else if (colon != 0 && !place.empty()) {
      settings_.host = decoded(place.substr(0, colon));
    }
    if (settings_.host.empty()) refuse("it names no host");
    if (colon >= place.size()) return;
    const auto port = number(place.substr(colon + 1), 1, 65535);
    if (place[colon] != ':' || !port) refuse("the port is no number from 1 to 65535");
    settings_.port = *port;
  }

  void database(std::string_view text) {
    const auto number = Reading::number(text, 0, 1'000'000);
    // What is there may be a part of a password that was not encoded.
    if (!number) refuse("the database is no number from 0 to 1000000");
    settings_.database = *number;
  }

  void option(const std::string& name, const std::string& value) {
    Tls& tls = settings_.tls;
    if (name == "db") {
      database(value);
    } else if (name == "username") {
      settings_.user = value;
    } else if (name == "password") {
      settings_.password = value;
    } else if (name == "key_prefix") {
      settings_.key_prefix = value;
    } else if (name == "connect_timeout") {
      constexpr double kMost = 86'400;
      const auto seconds = number(value, 0.001, kMost);
      if (!seconds) refuse(fmt::format("connect_timeout is '{}': give seconds", value));
      settings_.connect_timeout = std::chrono::milliseconds(std::lround(*seconds * 1000));
    } else if (name == "ssl_cert_reqs") {
      if (value != "none" && value != "required") {
        refuse(fmt::format("ssl_cert_reqs is '{}': give none or required", value));
      }
      tls.verify = value == "required";
    } else if (name == "ssl_ca_certs") {
      tls.authorities = value;
    } else if (name == "ssl_certfile") {
      tls.certificate = value;
    } else if (name == "ssl_keyfile") {
      tls.key = value;
    } else {
      const bool shown = std::all_of(name.begin(), name.end(),
                                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
      refuse(fmt::format("a Redis store has no such setting{}; it has {}",
                         shown ? fmt::format(" as '{}'", name) : std::string(), kOptions));
    }
    tls_named_ = tls_named_ || name.starts_with("ssl_");
  }

  void check() const {
    if (!base::is_name(settings_.key_prefix)) {
      refuse("key_prefix must be 1 to 200 bytes of UTF-8 without control characters");
    }
    if (tls_named_ && !settings_.tls.on) refuse("the settings ssl_… are for rediss://");
    if (!settings_.tls.key.empty() && settings_.tls.certificate.empty()) {
      refuse("ssl_keyfile needs ssl_certfile");
    }
  }

  const std::string& url_;
  Settings settings_{};
  bool tls_named_ = false;
};

}  // namespace

Settings settings_of(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& query) {
  return Reading(url).run(query);
}

std::string name_of(const Settings& settings) {
  if (!settings.shown.empty()) return settings.shown;
  if (!settings.socket.empty()) {
    return fmt::format("unix://{}{}", settings.socket,
                       settings.database == 0 ? "" : fmt::format("?db={}", settings.database));
  }
  const bool brackets = settings.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}/{}", settings.tls.on ? "rediss" : "redis", brackets ? "[" : "",
                     settings.host, brackets ? "]" : "", settings.port, settings.database);
}

}  // namespace graven::redis
