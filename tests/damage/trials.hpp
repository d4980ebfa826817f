// SPDX-License-Identifier: MIT
//
// Trials in child processes: many to a child, each with a limit of time, so that one that crashes
// or hangs is told by its number and the others go on in the next child.
//
// For the main thread of a process that has no others.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace graven::test {

/// Whoever runs a trial says here what it does, for the case that it does not come back.
class Trial {
 public:
  virtual ~Trial() = default;
  virtual void note(const std::string& what) = 0;
  /// What is wrong; the trial may go on.
  virtual void fail(const std::string& what) = 0;
};

/// Runs trials 0 to `count` - 1; how many of them failed, which is told on standard output.
std::size_t run_trials(std::size_t count, unsigned seconds,
                       const std::function<void(std::size_t, Trial&)>& trial);

}  // namespace graven::test
