// SPDX-License-Identifier: MIT
//
// The command line as a whole: takes what every verb declares, parses the arguments, runs the one
// verb that was asked for. The main thread's.
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

  /// Runs what the arguments (without the program's name) ask for. The exit status.
  int run(std::vector<std::string> arguments);
  /// Whether answers, and so errors too, are to be JSON.
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
