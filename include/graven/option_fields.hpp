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
  GRAVEN_OPTION(
      prefix,
      "the keyspace, made where the store lacks it; by default \"main\". Without one, a store that "
      "has other prefixes but no \"main\" raises KeyNotFound, which names them");
  GRAVEN_OPTION(link_field, "repr() shows a nested dict by this field of its, instead of its uid");
  GRAVEN_OPTION(name, "which map of the file");
  GRAVEN_OPTION(
      persist,
      "\"writethrough\": a write is in the file when it returns; \"lazy\": writes are flushed in "
      "the background, in order and whole, at the latest by flush() and close(), and this process "
      "is the only writer; \"memory\": nothing is stored, the path is a name");
  GRAVEN_OPTION(hot_capacity, "how many keys are kept in memory for reading", .unit = "keys",
                .least = 1);
  GRAVEN_OPTION(flush_interval, "the time between two flushes of what is lazy");
  GRAVEN_OPTION(pending_limit,
                "from so many unflushed writes on, writers of what is lazy wait for the disk",
                .unit = "bytes");
  GRAVEN_OPTION(
      warm_bytes,
      "room on the disk, beside the file, for what falls out of memory: it is found there sooner "
      "than in the store. Taken when it is first needed, given back with the process; at least "
      "64 KB, or 0: none",
      .unit = "bytes");
  GRAVEN_OPTION(
      memory_mb,
      "what everything of this file may take in this process's memory, at least 16: what is kept "
      "for reading (of its maps too), page caches and unflushed writes. Mapped files come on top. "
      "The last one given counts; 0: each has a limit of its own",
      .unit = "MiB", .most = kMebibytes);
  GRAVEN_OPTION(read_only, "nothing can be written through this object");
  GRAVEN_OPTION(create, "make a store where there is none; if not, that is UnavailableError");
  GRAVEN_OPTION(new_prefix,
                "start in a prefix of its own, under a new name; `prefix` is not looked at");
  GRAVEN_OPTION(
      synchronous,
      "a commit survives a crash of the process (\"normal\"), a loss of power too (\"full\"), or "
      "an orderly exit only (\"off\")",
      .variable = "DB_SYNCHRONOUS");
  GRAVEN_OPTION(busy_timeout, "how long a write waits for other writers before BusyError",
                .variable = "DB_BUSY_TIMEOUT");
  GRAVEN_OPTION(transaction_limit, "after how long a transaction() is rolled back");
  GRAVEN_OPTION(
      slow_operation,
      "a commit, read from the file, flush, checkpoint or collection that takes longer is logged, "
      "of the whole file; 0: none is");
  GRAVEN_OPTION(allow_network_file_system,
                "open a file on NFS, SMB and the like, which is refused otherwise");
  GRAVEN_OPTION(pool_size, "read connections at a time; who finds none free waits",
                .unit = "connections", .least = 1, .most = 1000, .variable = "DB_POOL_SIZE",
                .of_file = true);
  GRAVEN_OPTION(separate_read_write,
                "more readers, twice `pool_size` and at least 20; there is one writer",
                .variable = "DB_SEPARATE_READ_WRITE", .of_file = true);
  GRAVEN_OPTION(keep_alive, "after how long an idle connection is closed",
                .variable = "DB_KEEP_ALIVE_TIMEOUT", .of_file = true);
  GRAVEN_OPTION(
      reader_limit,
      "after how long a snapshot or an iteration is ended, so that it does not keep the WAL from "
      "being cleaned up; its next use is TransactionExpiredError. 0: never",
      .of_file = true);
  GRAVEN_OPTION(wal, "cannot be switched off; here so that a program that tries is told",
                .variable = "DB_ENABLE_WAL", .of_file = true);
  GRAVEN_OPTION(
      wal_autocheckpoint,
      "from so many in the WAL on they are moved to the database in the background, and from four "
      "times as many on by the commit; 0: by maintenance() only",
      .unit = "pages", .most = 1 << 30, .of_file = true);
  GRAVEN_OPTION(checkpoint, "how far maintenance() goes", .of_file = true);
  GRAVEN_OPTION(cache_mb, "of the page caches of all connections together; 0: 96", .unit = "MiB",
                .most = kMebibytes, .of_file = true);
  GRAVEN_OPTION(mmap_mb, "of the file that each connection maps for reading", .unit = "MiB",
                .most = kMebibytes, .of_file = true);
  GRAVEN_OPTION(temp_store, "where SQLite keeps what does not fit into a page cache",
                .of_file = true);
}

#undef GRAVEN_OPTION

}  // namespace graven
