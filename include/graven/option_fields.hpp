// SPDX-License-Identifier: MIT
//
// The options of Options and MapOptions by name, declared once. URLs, the environment, Python's
// keyword arguments and help, and docs/options.md are derived from this. A member that both
// structures have is an option of both; the default is the value in a new structure.
//
//     graven::each_option(options, [&](const OptionField& field, auto& value) { ... });
//
// A value is a bool, an integer, a std::string, a std::chrono::milliseconds (as text: in seconds),
// or an enumeration (as text: by name).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <graven/database.hpp>
#include <graven/map.hpp>

namespace graven {

struct OptionField {
  const char* name;
  const char* help;
  const char* unit = "";  ///< of an integer
  /// The range of an integer.
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const char* variable = "";  ///< the environment variable, a name that other programs use too
  bool of_file = false;       ///< the first Database that a process opens on a file decides
};

/// The names of the enumerators of an option, in their order.
template <class Enumeration>
inline constexpr std::array<std::string_view, 0> kOptionNames{};
template <>
inline constexpr std::array<std::string_view, 3> kOptionNames<Synchronous>{"off", "normal", "full"};
template <>
inline constexpr std::array<std::string_view, 3> kOptionNames<Persist>{"writethrough", "lazy",
                                                                       "memory"};
template <>
inline constexpr std::array<std::string_view, 4> kOptionNames<Checkpoint>{"passive", "full",
                                                                          "restart", "truncate"};
template <>
inline constexpr std::array<std::string_view, 2> kOptionNames<TempStore>{"file", "memory"};

template <class Enumeration>
constexpr std::string_view option_name(Enumeration value) noexcept {
  return kOptionNames<Enumeration>[static_cast<std::size_t>(value)];
}

/// The largest time, in seconds.
inline constexpr double kMostSeconds = 1e9;

#define GRAVEN_OPTION(member, about, ...) \
  if constexpr (requires { of.member; })  \
  visit(OptionField{.name = #member, .help = about, __VA_ARGS__}, of.member)

/// `Of` is Options or MapOptions, const or not.
template <class Of, class Visit>
void each_option(Of&& of, const Visit& visit) {
  constexpr std::int64_t kMebibytes = std::int64_t{1} << 30U;
  GRAVEN_OPTION(prefix,
                "the prefix; it is made if the store lacks it. Without one it is \"main\"; if the "
                "store has other prefixes but no \"main\", calls that need a prefix raise "
                "KeyNotFound, which names the others");
  GRAVEN_OPTION(link_field,
                "repr() shows a nested dict by the value of this field, instead of its uid");
  GRAVEN_OPTION(name, "which map of the store");
  GRAVEN_OPTION(persist,
                "\"writethrough\": a write is in the file when it returns; \"lazy\": writes are "
                "flushed in the background, in order, each commit as a whole, at the latest by "
                "flush() and close(), and this process is the only writer; \"memory\": nothing is "
                "stored, and the path is only a name");
  GRAVEN_OPTION(hot_capacity, "the largest number of entries that are cached in memory",
                .unit = "keys", .least = 1);
  GRAVEN_OPTION(flush_interval, "with persist=\"lazy\", the time between two flushes");
  GRAVEN_OPTION(
      pending_limit,
      "with persist=\"lazy\" and more unflushed writes than this, writers wait for the disk",
      .unit = "bytes");
  GRAVEN_OPTION(warm_bytes,
                "the size of the warm file, a file beside the store for entries that the memory "
                "has no room for; reading from it is faster than from the store. It is reserved "
                "when it is first needed and removed with the process; at least 64 KB, or 0: none",
                .unit = "bytes");
  GRAVEN_OPTION(memory_mb,
                "the memory budget for all of this file in this process, at least 16: caches (also "
                "those of its maps), page caches and unflushed writes. Mapped files are not "
                "included. The last value given counts; 0: each part has its own limit",
                .unit = "MiB", .most = kMebibytes);
  GRAVEN_OPTION(read_only, "nothing can be written through this object");
  GRAVEN_OPTION(
      create, "make the store if it is missing; if false, a missing store raises UnavailableError");
  GRAVEN_OPTION(
      new_prefix,
      "start in a new prefix, with a name that no prefix of the store has; `prefix` is ignored");
  GRAVEN_OPTION(synchronous,
                "what a commit survives. \"normal\": a crash of the process; \"full\": also a "
                "power failure; \"off\": neither, only an orderly exit",
                .variable = "DB_SYNCHRONOUS");
  GRAVEN_OPTION(busy_timeout, "how long a write waits for other writers before it raises BusyError",
                .variable = "DB_BUSY_TIMEOUT");
  GRAVEN_OPTION(transaction_limit, "a transaction() that takes longer is rolled back");
  GRAVEN_OPTION(slow_operation,
                "a commit, read from the file, flush, checkpoint or collection that takes longer "
                "is logged. This holds for the whole file; 0: none is logged");
  GRAVEN_OPTION(allow_network_file_system,
                "allow a file on NFS, SMB and the like; without this, opening it is refused");
  GRAVEN_OPTION(pool_size, "read connections at a time; further readers wait",
                .unit = "connections", .least = 1, .most = 1000, .variable = "DB_POOL_SIZE",
                .of_file = true);
  GRAVEN_OPTION(separate_read_write,
                "more read connections: twice `pool_size`, at least 20. There is one writer",
                .variable = "DB_SEPARATE_READ_WRITE", .of_file = true);
  GRAVEN_OPTION(keep_alive, "a connection that has been idle for this time is closed",
                .variable = "DB_KEEP_ALIVE_TIMEOUT", .of_file = true);
  GRAVEN_OPTION(reader_limit,
                "a snapshot or an iteration that lasts longer is ended, so that the WAL does not "
                "grow because of it; its next use raises TransactionExpiredError. 0: no limit",
                .of_file = true);
  GRAVEN_OPTION(wal, "the WAL cannot be switched off: a false value is an error",
                .variable = "DB_ENABLE_WAL", .of_file = true);
  GRAVEN_OPTION(wal_autocheckpoint,
                "with more pages in the WAL a checkpoint runs in the background, and with four "
                "times as many the commit runs it; 0: only maintenance() does",
                .unit = "pages", .most = 1 << 30, .of_file = true);
  GRAVEN_OPTION(checkpoint, "the mode of maintenance()'s checkpoint", .of_file = true);
  GRAVEN_OPTION(
      cache_mb,
      "memory for the page caches of all connections together; 0: 96. `memory_mb` overrides it",
      .unit = "MiB", .most = kMebibytes, .of_file = true);
  GRAVEN_OPTION(mmap_mb, "how much of the file each connection maps for reading; 0: none",
                .unit = "MiB", .most = kMebibytes, .of_file = true);
  GRAVEN_OPTION(temp_store, "where SQLite keeps temporary tables and indexes", .of_file = true);
}

#undef GRAVEN_OPTION

}  // namespace graven
