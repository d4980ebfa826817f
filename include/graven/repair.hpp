// SPDX-License-Identifier: MIT
//
// Repair (Database::repair) fixes what check() finds, as far as possible, in two transactions.
// docs/operations.md says what happens to each kind of damage.
//
// Always holds: links and contents are taken as correct, and everything that can be derived from
// them is rebuilt; undamaged data is not changed; everything that is dropped is reported.
//
// Plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace graven {

class Data;
class Node;
struct CheckReport;

struct RepairOptions {
  /// Reports what would be done, and changes nothing.
  bool dry_run = false;
  /// Copies the damaged file to `<file>.before-repair` first; if that exists, a number is appended.
  bool backup = true;
  /// Called now and then, with numbers of records. An exception from it ends the repair; the first
  /// transaction (SQLite's tables and the types in their rows) may then be committed.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
};

/// One thing that a repair did, or could not do.
struct Repaired {
  std::string node{};   ///< uid of the node concerned, or empty
  std::string what{};   ///< what it is, as a text
  std::string bytes{};  ///< of what was lost: the record as it was stored, its first MiB
};

struct RepairReport {
  std::vector<Repaired> mended{};  ///< repaired without loss
  std::vector<Repaired> lost{};    ///< what could not be read or placed, and was removed
  std::vector<Repaired> left{};    ///< what check() still finds
  std::string backup{};            ///< the copy made before; empty: none
  bool dry_run = false;

  /// Whether there was nothing to repair.
  [[nodiscard]] bool sound() const { return mended.empty() && lost.empty() && left.empty(); }
};

/// Runs Database::check() on the store at `path`, without a prefix. Reads only; others may write
/// meanwhile. Throws what the constructor of Database throws.
CheckReport check(
    std::string_view path,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

/// Like Node::materialize(), for a damaged store: null replaces a value that cannot be read, and an
/// empty dict or list one that cannot be found. Each of these is added to `left_out`. From one
/// state; any thread.
Data salvage(const Node& node, std::vector<Repaired>& left_out);

}  // namespace graven
