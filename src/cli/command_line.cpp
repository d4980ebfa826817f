// SPDX-License-Identifier: MIT
//
// Options and help. Only this file and generate.cpp use CLI11. Used by the main thread.
#include "cli/command_line.hpp"

#include <graven/version.hpp>

#include <algorithm>
#include <map>
#include <regex>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/generate.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

constexpr const char* kAbout =
    "Shows and changes graven databases: dicts and lists that are kept in a file.\n"
    "\n"
    "A DATABASE is a file (state.db) or a URL (sqlite:////abs/state.db, redis://host/0,\n"
    "postgresql://host/app). A PATH leads from its root dict down, one key or list index after the "
    "other: tasks/T1/status, queue/0, queue/-1.\n"
    "The empty path \"\" is the root. In a key '/' is written ~1, '~' is written ~0, and a "
    "control\n"
    "character ~xHH. Values are read and printed as JSON. What JSON lacks (bytes, NaN, shared and\n"
    "cyclic parts) is written as objects such as {\"$bytes\": \"aGk=\"}; see docs/format/json.md.";

constexpr const char* kStatuses =
    "Exit status: 0 done, 1 nothing at that path (or check found problems), 2 wrong usage or an "
    "error,\n"
    "3 a dump that left out damaged parts.\n"
    "'graven VERB --help' explains a verb.";

// In the order of the help.
constexpr void (*kVerbs[])(Verbs&) = {
    declare_get,     declare_set,     declare_del,   declare_ls,          declare_tree,
    declare_query,   declare_dump,    declare_load,  declare_check,       declare_repair,
    declare_backup,  declare_restore, declare_copy,  declare_maintenance, declare_doctor,
    declare_collect, declare_why,     declare_stats, declare_top,         declare_watch,
    declare_serve};

// CLI11 takes -5 for an option, so a negative value of `set` is moved behind "--".
std::vector<std::string> protect_negative_numbers(std::vector<std::string> arguments) {
  static const std::regex number(R"(-(\d.*|inf|nan))", std::regex::icase);
  if (arguments.empty() || arguments.front() != "set") return arguments;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (*argument == "--") return arguments;
    if (!std::regex_match(*argument, number)) continue;
    std::string value = std::move(*argument);
    arguments.erase(argument);
    arguments.emplace_back("--");
    arguments.push_back(std::move(value));
    return arguments;
  }
  return arguments;
}

// The same for the fields to sort by: `--sort -age` becomes `--sort=-age`.
std::vector<std::string> join_sort_fields(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "query") return arguments;
  std::vector<std::string> joined;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool sort = arguments[i] == "--sort" || arguments[i] == "-s";
    if (arguments[i] == "--") {
      joined.insert(joined.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i),
                    arguments.end());
      break;
    }
    if (sort && i + 1 < arguments.size()) {
      joined.push_back("--sort=" + arguments[++i]);
    } else {
      joined.push_back(std::move(arguments[i]));
    }
  }
  return joined;
}

/// The number of letters to insert, delete or change, or of neighbours to swap, to turn one word
/// into the other.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::vector<std::size_t>> steps(from.size() + 1,
                                              std::vector<std::size_t>(to.size() + 1));
  for (std::size_t i = 0; i <= from.size(); ++i) {
    for (std::size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        steps[i][j] = i + j;
        continue;
      }
      const std::size_t changed = from[i - 1] == to[j - 1] ? 0 : 1;
      steps[i][j] =
          std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1, steps[i - 1][j - 1] + changed});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
      }
    }
  }
  return steps[from.size()][to.size()];
}

bool has_verb(const CLI::App& app, const std::string& verb) {
  const auto verbs = app.get_subcommands({});
  return std::any_of(verbs.begin(), verbs.end(),
                     [&](const CLI::App* each) { return each->get_name() == verb; });
}

/// The message for an unknown verb.
std::string unknown_verb(const CLI::App& app, const std::string& verb) {
  std::string nearest;
  std::size_t least = verb.size() / 3 + 2;  // ignore verbs that are further away
  for (const CLI::App* each : app.get_subcommands({})) {
    const std::string& name = each->get_name();
    const std::size_t far = name.starts_with(verb) ? 0 : distance(verb, name);
    if (far >= least) continue;
    least = far;
    nearest = name;
  }
  return "there is no verb '" + verb + "'; " +
         (nearest.empty() ? "'graven --help' lists them" : "did you mean '" + nearest + "'?");
}

}  // namespace

// --- Option

Option Option::required() {
  option_->required();
  return *this;
}
Option Option::named(const char* value) {
  option_->type_name(value);
  return *this;
}
Option Option::within(std::int64_t least, std::int64_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}
Option Option::between(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}
Option Option::as_time() {
  option_->transform(CLI::AsNumberWithUnit(
      std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}));
  return *this;
}
Option Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}
Option Option::needs(Option other) {
  option_->needs(other.option_);
  return *this;
}

// --- Verb

Option Verb::flag(const char* names, bool& target, const char* about) {
  return Option(app_->add_flag(names, target, about));
}
Option Verb::value(const char* names, std::string& target, const char* about) {
  return Option(app_->add_option(names, target, about));
}
Option Verb::value(const char* names, int& target, const char* about) {
  return Option(app_->add_option(names, target, about));
}
Option Verb::value(const char* names, double& target, const char* about) {
  return Option(app_->add_option(names, target, about));
}
Option Verb::value(const char* names, std::uint64_t& target, const char* about) {
  return Option(app_->add_option(names, target, about));
}
Option Verb::value(const char* names, std::optional<std::uint64_t>& target, const char* about) {
  return Option(app_->add_option(names, target, about));
}

Option Verb::database(std::string& target, const char* about) {
  return value("DATABASE", target, about).required();
}
void Verb::where(Where& target) {
  database(target.database);
  value("-p,--prefix", target.prefix,
        "Prefix: one of the independent roots of the database (default: main)")
      .named("NAME");
}
Option Verb::json(bool& target, const char* about) { return flag("--json", target, about); }

Option Verb::json(const char* about) {
  const std::string text(about);  // const: else CLI11 takes it for a target
  return Option(app_->add_flag("--json", text));
}

// --- CommandLine

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>(kAbout, "graven")) {
  app_->footer(kStatuses);
  app_->require_subcommand(1);
  app_->get_formatter()->column_width(26);
  app_->set_version_flag("--version", std::string("graven ") + std::string(version()));
  for (const auto declare_verb : kVerbs) declare_verb(*this);
}

CommandLine::~CommandLine() = default;

Verb CommandLine::declare(const char* name, const char* about, const char* more,
                          std::function<int()> run) {
  CLI::App* verb = app_->add_subcommand(name, about);
  verb->footer(more);
  verb->callback([this, run = std::move(run)] { run_ = run; });
  return Verb(verb);
}

int CommandLine::run(std::vector<std::string> arguments) {
  // Not in the help: for the build.
  if (arguments.size() == 2 && arguments.front() == "--generate") {
    Output out;
    out.put(generate(*app_, arguments.back()));
    out.flush();
    return kDone;
  }
  arguments = join_sort_fields(protect_negative_numbers(std::move(arguments)));
  const auto plain = std::find(arguments.begin(), arguments.end(), "--");
  const bool asked_for_json = std::find(arguments.begin(), plain, "--json") != plain;
  json_ = asked_for_json;
  require_other_output();
  if (!arguments.empty() && !arguments.front().starts_with('-') &&
      !has_verb(*app_, arguments.front())) {
    complain("usage", unknown_verb(*app_, arguments.front()), json_);
    return kFailed;
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the end
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0 && asked_for_json) {
      complain("usage", error.what(), json_);
      return kFailed;
    }
    return app_->exit(error) == 0 ? kDone : kFailed;
  }
  json_ = app_->get_subcommands().front()->get_option("--json")->count() > 0;
  return run_();
}

}  // namespace graven::cli
