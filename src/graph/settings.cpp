// SPDX-License-Identifier: MIT
//
// Parses options from text. See settings.hpp.
#include "graph/settings.hpp"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <type_traits>

#include <fmt/format.h>

#include <graven/error.hpp>
#include <graven/option_fields.hpp>

namespace graven {
namespace {

/// Thrown for a bad value; says which values are allowed.
struct BadValue {
  std::string allowed;
};

template <class T>
T number(std::string_view text, T least, T most) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw BadValue{fmt::format("a number from {} to {}", least, most)};
  }
  return value;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

void read(std::string_view text, const OptionField& /*of*/, bool& value) {
  const bool yes = is_one_of(text, {"1", "true", "on", "yes", "True"});
  if (!yes && !is_one_of(text, {"0", "false", "off", "no", "False"})) throw BadValue{"on or off"};
  value = yes;
}

void read(std::string_view text, const OptionField& /*of*/, std::string& value) { value = text; }

void read(std::string_view text, const OptionField& /*of*/, std::chrono::milliseconds& value) {
  value =
      std::chrono::milliseconds(static_cast<std::int64_t>(number(text, 0.0, kMostSeconds) * 1000));
}

void read(std::string_view text, const OptionField& of, std::integral auto& value) {
  value = static_cast<std::remove_reference_t<decltype(value)>>(number(text, of.least, of.most));
}

template <class Enumeration>
requires std::is_enum_v<Enumeration>
void read(std::string_view text, const OptionField& /*of*/, Enumeration& value) {
  std::string allowed = "one of";
  for (std::size_t at = 0; at < kOptionNames<Enumeration>.size(); ++at) {
    const std::string_view name = kOptionNames<Enumeration>[at];
    if (text == name) {
      value = static_cast<Enumeration>(at);
      return;
    }
    allowed.append(at == 0 ? " " : ", ").append(name);
  }
  throw BadValue{allowed};
}

/// As in SQLite's URIs.
void read_mode(std::string_view text, Options& options) {
  if (!is_one_of(text, {"ro", "rw", "rwc"})) throw BadValue{"one of ro, rw, rwc"};
  options.read_only = text == "ro";
  options.create = text == "rwc";
}

[[noreturn]] void throw_unknown(std::string_view called) {
  std::string names = "mode";
  each_option(Options(),
              [&](const OptionField& of, const auto&) { names.append(", ").append(of.name); });
  throw UsageError(fmt::format("there is no setting '{}'; there are {}", called, names));
}

void set(Options& options, std::string_view name, std::string_view value, std::string_view called) {
  bool known = name == "mode";
  try {
    if (known) read_mode(value, options);
    each_option(options, [&](const OptionField& of, auto& option) {
      if (of.name != name) return;
      read(value, of, option);
      known = true;
    });
  } catch (const BadValue& bad) {
    throw UsageError(fmt::format("{} is '{}': give {}", called, value, bad.allowed));
  }
  if (!known) throw_unknown(called);
}

}  // namespace

void Options::set(Text name, Text value) { graven::set(*this, name, value, name); }

std::string from_environment(Options& options) {
  each_option(options, [&](const OptionField& of, const auto&) {
    const char* value = *of.variable == '\0' ? nullptr : std::getenv(of.variable);
    if (value != nullptr && *value != '\0') set(options, of.name, value, of.variable);
  });
  const char* url = std::getenv("DATABASE_URL");
  return url == nullptr ? std::string() : std::string(url);
}

void check_options(const Options& options) {
  if (options.flush_interval.count() <= 0) throw UsageError("flush_interval must be positive");
  each_option(options, [](const OptionField& of, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const int&>) {
      if (value >= of.least && value <= of.most) return;
      throw UsageError(
          fmt::format("{} is {}: give a number from {} to {}", of.name, value, of.least, of.most));
    }
  });
  if (!options.wal) {
    throw UsageError(
        "graven always keeps a write-ahead log: without it, readers and the writer would block "
        "each other, and reads could not be answered from memory; leave `wal` on");
  }
}

int readers(const Options& options) noexcept {
  constexpr int kLeastSeparate = 20;
  return options.separate_read_write ? std::max(kLeastSeparate, 2 * options.pool_size)
                                     : options.pool_size;
}

}  // namespace graven
