// SPDX-License-Identifier: MIT
//
// Where the demo's package index comes from: apt's own lists, or a Packages file, unpacked by
// the tool its name asks for. One thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/input.hpp"

namespace graven::cli {

class PackageSource {
 public:
  /// A Packages file (also .gz, .xz, .bz2, .lz4, .zst); empty: `apt-cache dumpavail`.
  /// UnavailableError, which says what to do, when it cannot be started or opened.
  explicit PackageSource(const std::string& file);
  ~PackageSource();
  PackageSource(const PackageSource&) = delete;
  PackageSource& operator=(const PackageSource&) = delete;

  [[nodiscard]] Input& input() noexcept { return *input_; }
  /// What it is, for people.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Call at the end of the input: UnavailableError when the tool reported failure.
  void finish();

 private:
  void start(const std::vector<std::string>& command);
  int wait();

  std::string name_;
  std::string tool_{};
  std::unique_ptr<Input> input_{};
  pid_t child_ = -1;
};

}  // namespace graven::cli
