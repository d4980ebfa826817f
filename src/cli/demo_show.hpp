// SPDX-License-Identifier: MIT
//
// What the demo shows on the imported graph, step by step, each with the time it took: every
// figure is measured or counted in the run that prints it. One thread.
#pragma once

#include <graven/graven.hpp>

#include <string>

#include "cli/console.hpp"
#include "cli/demo_import.hpp"

namespace graven::cli {

/// Lines of text with a time at their right.
class DemoPage {
 public:
  explicit DemoPage(Output& out) : out_(out) {}
  void heading(std::string_view text);
  void line(std::string_view text);
  void line(std::string_view text, double seconds);

 private:
  Output& out_;
};

/// The packages the steps are about: those everybody knows where they are there.
struct DemoCast {
  std::string hub;     // many depend on it
  std::string shown;   // printed
  std::string victim;  // unlinked
  std::string first;   // these two depend on each other (empty when no two do)
  std::string second;
};
DemoCast choose_cast(const ImportReport& report);

void show_counts(DemoPage& page, const Database& db, const ImportReport& report);
void show_dependents(DemoPage& page, const Database& db, const std::string& hub);
void show_package(DemoPage& page, const Database& db, const std::string& name);
void show_rollback(DemoPage& page, const Database& db, const std::string& name);
void show_collection(DemoPage& page, const Database& db, const std::string& victim);
void show_cycle(DemoPage& page, const Database& db, const DemoCast& cast);
/// Whether the file is sound.
bool show_check(DemoPage& page, const Database& db);

}  // namespace graven::cli
