// SPDX-License-Identifier: MIT
//
// The table of options by name. See settings.hpp.
#include "graph/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven {
namespace {

/// Says what a value may be.
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

std::chrono::milliseconds seconds(std::string_view text) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(number(text, 0.0, 1e9) * 1000));
}

std::size_t mebibytes(std::string_view text) {
  return number<std::size_t>(text, 0, std::size_t{1} << 30U);
}

bool truth(std::string_view text) {
  for (const std::string_view yes : {"1", "true", "on", "yes", "True"})
    if (text == yes) return true;
  for (const std::string_view no : {"0", "false", "off", "no", "False"})
    if (text == no) return false;
  throw BadValue{"on or off"};
}

template <class T, std::size_t N>
T one_of(std::string_view text, const std::array<std::pair<std::string_view, T>, N>& values) {
  std::string names;
  for (const auto& [name, value] : values) {
    if (text == name) return value;
    names += names.empty() ? "" : ", ";
    names += name;
  }
  throw BadValue{"one of " + names};
}

struct Mode {
  bool read_only;
  bool create;
};
// As in SQLite's URIs.
constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes{
    {{"ro", {true, false}}, {"rw", {false, false}}, {"rwc", {false, true}}}};
constexpr std::array<std::pair<std::string_view, Synchronous>, 3> kSynchronous{
    {{"off", Synchronous::kOff}, {"normal", Synchronous::kNormal}, {"full", Synchronous::kFull}}};
constexpr std::array<std::pair<std::string_view, Persist>, 3> kPersist{
    {{"writethrough", Persist::kWritethrough},
     {"lazy", Persist::kLazy},
     {"memory", Persist::kMemory}}};
constexpr std::array<std::pair<std::string_view, TempStore>, 2> kTempStores{
    {{"file", TempStore::kFile}, {"memory", TempStore::kMemory}}};
constexpr std::array<std::pair<std::string_view, Checkpoint>, 4> kCheckpoints{
    {{"passive", Checkpoint::kPassive},
     {"full", Checkpoint::kFull},
     {"restart", Checkpoint::kRestart},
     {"truncate", Checkpoint::kTruncate}}};

struct Setting {
  std::string_view name;
  void (*set)(Options&, std::string_view);
};

constexpr int kMostConnections = 1000;
constexpr int kMostPages = 1 << 30;

constexpr std::array kSettings{
    Setting{"mode",
            [](Options& o, std::string_view v) {
              const Mode mode = one_of(v, kModes);
              o.read_only = mode.read_only;
              o.create = mode.create;
            }},
    Setting{"create", [](Options& o, std::string_view v) { o.create = truth(v); }},
    Setting{"prefix", [](Options& o, std::string_view v) { o.prefix = v; }},
    Setting{"new_prefix", [](Options& o, std::string_view v) { o.new_prefix = truth(v); }},
    Setting{"link_field", [](Options& o, std::string_view v) { o.link_field = v; }},
    Setting{"persist", [](Options& o, std::string_view v) { o.persist = one_of(v, kPersist); }},
    Setting{"synchronous",
            [](Options& o, std::string_view v) { o.synchronous = one_of(v, kSynchronous); }},
    Setting{"flush_interval",
            [](Options& o, std::string_view v) { o.flush_interval = seconds(v); }},
    Setting{"memory_mb", [](Options& o, std::string_view v) { o.memory_mb = mebibytes(v); }},
    Setting{"busy_timeout", [](Options& o, std::string_view v) { o.busy_timeout = seconds(v); }},
    Setting{"transaction_limit",
            [](Options& o, std::string_view v) { o.transaction_limit = seconds(v); }},
    Setting{"slow_operation",
            [](Options& o, std::string_view v) { o.slow_operation = seconds(v); }},
    Setting{"pool_size",
            [](Options& o, std::string_view v) { o.pool_size = number(v, 1, kMostConnections); }},
    Setting{"separate_read_write",
            [](Options& o, std::string_view v) { o.separate_read_write = truth(v); }},
    Setting{"keep_alive", [](Options& o, std::string_view v) { o.keep_alive = seconds(v); }},
    Setting{"reader_limit", [](Options& o, std::string_view v) { o.reader_limit = seconds(v); }},
    Setting{"wal", [](Options& o, std::string_view v) { o.wal = truth(v); }},
    Setting{
        "wal_autocheckpoint",
        [](Options& o, std::string_view v) { o.wal_autocheckpoint = number(v, 0, kMostPages); }},
    Setting{"checkpoint",
            [](Options& o, std::string_view v) { o.checkpoint = one_of(v, kCheckpoints); }},
    Setting{"cache_mb", [](Options& o, std::string_view v) { o.cache_mb = mebibytes(v); }},
    Setting{"mmap_mb", [](Options& o, std::string_view v) { o.mmap_mb = mebibytes(v); }},
    Setting{"temp_store",
            [](Options& o, std::string_view v) { o.temp_store = one_of(v, kTempStores); }},
};

/// What other programs call some of them.
constexpr std::array<std::pair<const char*, std::string_view>, 6> kVariables{
    {{"DB_POOL_SIZE", "pool_size"},
     {"DB_ENABLE_WAL", "wal"},
     {"DB_SEPARATE_READ_WRITE", "separate_read_write"},
     {"DB_KEEP_ALIVE_TIMEOUT", "keep_alive"},
     {"DB_BUSY_TIMEOUT", "busy_timeout"},
     {"DB_SYNCHRONOUS", "synchronous"}}};

void set(Options& options, std::string_view name, std::string_view value, std::string_view called) {
  const auto* const setting = std::find_if(kSettings.begin(), kSettings.end(),
                                           [name](const Setting& one) { return one.name == name; });
  if (setting == kSettings.end()) {
    std::string names;
    for (const Setting& one : kSettings) {
      names += names.empty() ? "" : ", ";
      names += one.name;
    }
    throw UsageError(fmt::format("there is no setting '{}'; there are {}", called, names));
  }
  try {
    setting->set(options, value);
  } catch (const BadValue& bad) {
    throw UsageError(fmt::format("{} is '{}': give {}", called, value, bad.allowed));
  }
}

}  // namespace

void Options::set(Text name, Text value) { graven::set(*this, name, value, name); }

std::string from_environment(Options& options) {
  for (const auto& [variable, name] : kVariables) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') set(options, name, value, variable);
  }
  const char* url = std::getenv("DATABASE_URL");
  return url == nullptr ? std::string() : std::string(url);
}

void check_options(const Options& options) {
  if (options.flush_interval.count() <= 0) throw UsageError("flush_interval must be positive");
  if (options.pool_size < 1 || options.pool_size > kMostConnections) {
    throw UsageError(fmt::format("pool_size is {}: give a number from 1 to {}", options.pool_size,
                                 kMostConnections));
  }
  if (!options.wal) {
    throw UsageError(
        "graven always keeps a write-ahead log: without it readers and the writer would stop each "
        "other, and nothing could be served from memory; leave `wal` on");
  }
}

int readers(const Options& options) noexcept {
  constexpr int kLeastSeparate = 20;
  return options.separate_read_write ? std::max(kLeastSeparate, 2 * options.pool_size)
                                     : options.pool_size;
}

}  // namespace graven
