// SPDX-License-Identifier: MIT
//
// A SQLite file layer that fails when told to: every call that changes something on disk is
// counted, and the nth one, or every one from the nth on, returns an error instead; a write
// may leave half of its bytes behind, or all of them. Everything else goes to the system's
// layer. One plan for the process; the tests that use it run one after the other.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace graven::test {

struct FaultPlan {
  enum class Leave { kNothing, kHalf, kAll };

  int at = 0;             // the call that fails, counted from 1; 0: none
  bool for_good = false;  // and every later one
  int code = 0;           // SQLITE_IOERR, as the kind of call gives it, or SQLITE_FULL
  Leave leave = Leave::kNothing;

  bool after_commit = false;        // instead: fail what SQLite asks when a commit is done
  std::function<void()> between{};  // called once, after the fault and with the lock given up
  std::chrono::milliseconds sync_takes{};  // at least
};

/// Registers the layer, once, and gives its name.
const std::string& faulty_vfs();

/// Starts to count anew.
void arm(const FaultPlan& plan);
/// Ends it; the calls there were since arm().
int disarm();
/// How many of them were to wait for the disk.
int syncs();
/// Whether a call has failed since arm().
bool fault_happened();

}  // namespace graven::test
