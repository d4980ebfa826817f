// SPDX-License-Identifier: MIT
//
// The command line: collects the verbs' declarations, parses the arguments, and runs the chosen
// verb. Used by the main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/verb.hpp"

namespace graven::cli {

class CommandLine final : public Verbs {
 public:
  CommandLine();
  ~CommandLine() override;

  /// Runs what the arguments (without the program name) ask for. Returns the exit status.
  int run(std::vector<std::string> arguments);
  /// Whether answers and errors are written as JSON.
  [[nodiscard]] bool json() const noexcept { return json_; }

 protected:
  Verb declare(const char* name, const char* about, const char* more,
               std::function<int()> run) override;

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<int()> run_{};
  bool json_ = false;
};

}  // namespace graven::cli
