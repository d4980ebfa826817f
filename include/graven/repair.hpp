// SPDX-License-Identifier: MIT
//
// Repair (Database::repair): what check() finds wrong and what of it can be put right, put right
// in two transactions. docs/operations.md says what becomes of each kind of damage.
//
// Always holds: links are the truth, and whatever can be derived from them and from contents is
// derived anew; what was not damaged stays as it is; nothing is dropped without being told of.
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
  /// Tell what would be done, and change nothing.
  bool dry_run = false;
  /// Copy the file, as damaged as it is, to `<file>.before-repair` before it is changed; with a
  /// number behind that where there is one already.
  bool backup = true;
  /// Called now and then, with records looked at; what it throws ends the repair, of which only
  /// what concerns SQLite's tables and the types in their rows may have been done.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
};

/// One thing that a repair did, or could not do.
struct Repaired {
  std::string node{};   ///< uid of the node concerned, or empty
  std::string what{};   ///< in words
  std::string bytes{};  ///< of what was lost: the record as it was stored, its first MiB
};

struct RepairReport {
  std::vector<Repaired> mended{};  ///< put right, nothing lost
  std::vector<Repaired> lost{};    ///< what could not be read or told apart, and is gone
  std::vector<Repaired> left{};    ///< what check() still finds
  std::string backup{};            ///< the copy made before; empty: none
  bool dry_run = false;

  /// Whether there was nothing to repair.
  [[nodiscard]] bool sound() const { return mended.empty() && lost.empty() && left.empty(); }
};

/// Database::check() of the store in a file, which needs no prefix in it. Reads only, also while
/// others write; opening throws what Database's does.
CheckReport check(
    std::string_view path,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

/// Everything reachable from a node as plain data, as materialize() gives it, but around what is
/// damaged: null is in the place of a value that cannot be read, an empty dict or list in that of
/// one that cannot be found; `left_out` tells of each. Of one state; any thread.
Data salvage(const Node& node, std::vector<Repaired>& left_out);

}  // namespace graven
