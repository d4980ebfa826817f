// SPDX-License-Identifier: MIT
//
// The verb doctor: prints what examine() finds around a database, with advice. Used by the main
// thread.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/json_writer.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct DoctorOptions {
  std::string database{};
  bool json = false;
};

std::string name_of(Severity severity) {
  constexpr std::array kNames = {"note", "warning", "error"};
  return kNames[static_cast<std::size_t>(severity)];
}

Data as_data(const std::vector<Finding>& findings, bool well) {
  Data list = Data::list();
  for (const Finding& finding : findings) {
    append(list, Data::dict({{"severity", name_of(finding.severity)},
                             {"code", finding.code},
                             {"what", finding.what},
                             {"remedy", finding.remedy}}));
  }
  return Data::dict({{"ok", well}, {"sqlite", std::string(sqlite_version())}, {"findings", list}});
}

int run_doctor(const DoctorOptions& options) {
  require_in_file(options.database, "doctor");
  const std::vector<Finding> findings = examine(require_named_file(options.database));
  const bool well = std::all_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::kNote;
  });
  Output out;
  if (options.json) {
    out.line(to_json_text(as_data(findings, well)));
  } else {
    for (const Finding& finding : findings) {
      const std::string name = fmt::format("{:<8}", name_of(finding.severity));
      out.line(fmt::format("{} {}",
                           finding.severity == Severity::kNote ? name
                           : finding.severity == Severity::kWarning
                               ? coloured(Colour::kYellow, name)
                               : coloured(Colour::kRed, name),
                           finding.what));
      if (!finding.remedy.empty()) out.line(fmt::format("{:<8} -> {}", "", finding.remedy));
    }
    out.line(fmt::format("{}: {}, SQLite {}", redacted(options.database),
                         well ? "nothing to do" : "see above", sqlite_version()));
  }
  out.flush();
  return well ? kDone : kNotFound;
}

}  // namespace

void declare_doctor(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("doctor", "Look for problems around a database: disk, file modes, WAL",
                "Only reads. Status 1 if there are warnings or errors.\n"
                "Example:\n"
                "  graven doctor state.db --json",
                run_doctor);
  verb.database(options.database);
  verb.json(options.json, "The findings as JSON");
}

}  // namespace graven::cli
