// SPDX-License-Identifier: MIT
//
// The verbs check, which verifies a database, and why, which shows the path that keeps a node
// alive. Used by the main thread.
#include <algorithm>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/key_names.hpp"
#include "cli/partial.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct CheckOptions {
  Where where{};
  bool json = false;
};

struct WhyOptions {
  Where where{};
  std::string node{};
  bool json = false;
};

Data report_as_data(const CheckReport& report) {
  const auto number = [](std::uint64_t count) { return Data(count); };
  Data problems = Data::list();
  for (const Problem& problem : report.problems) {
    append(problems, Data::dict({{"node", problem.node}, {"what", problem.what}}));
  }
  return Data::dict({{"ok", report.ok()},
                     {"nodes", number(report.nodes)},
                     {"links", number(report.links)},
                     {"held", number(report.held)},
                     {"reclaiming", number(report.reclaiming)},
                     {"problems", problems}});
}

void print_report(Output& out, const std::string& name, const CheckReport& report, bool server) {
  const std::size_t count = report.problems.size();
  out.line(report.ok() ? name + ": sound"
                       : fmt::format("{}: {} {}", name, grouped(count),
                                     count == 1 ? "problem" : "problems"));
  out.line(
      fmt::format("  {} dicts and lists, {} links", grouped(report.nodes), grouped(report.links)));
  if (report.held != 0) {
    out.line(fmt::format("  {} kept only by handles of running programs", grouped(report.held)));
  }
  if (report.reclaiming != 0) {
    out.line(fmt::format("  {} pending deletion", grouped(report.reclaiming)));
  }
  if (server) {
    out.line("  all of graven's records were checked; how it keeps them, the server checks itself");
  }
  for (const Problem& problem : report.problems) {
    out.line(fmt::format("  {}: {}", problem.node.empty() ? "store" : problem.node, problem.what));
  }
  if (!report.ok() && server) {
    out.line(
        "'graven copy' copies it into a file as it is; there 'graven repair --dry-run' shows what "
        "can be repaired.");
  } else if (!report.ok()) {
    out.line(
        "Keep a copy of the file as it is; 'graven repair --dry-run' shows what can be repaired.");
  }
}

// Whether a text looks like a uid: prefix, colon, D or L, 26 characters of a ULID.
bool looks_like_uid(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() != colon + 28) return false;
  if (text[colon + 1] != 'D' && text[colon + 1] != 'L') return false;
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(colon) + 2, text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

Value find_node(const Database& db, const std::string& name) {
  if (looks_like_uid(name)) {
    if (std::optional<Value> value = db.get_via_uid(name)) return *std::move(value);
    throw NotFound(fmt::format("no node {} in {}, prefix {}", name, db.name(), db.prefix()));
  }
  const Path path = parse_path(name);
  Value value = walk(db.root(), path);
  if (node_of(value) == nullptr) {
    throw UsageError(
        fmt::format("{} is {}: it is kept as long as the dict or list that contains it",
                    format_path(path), kind_of(value)));
  }
  return value;
}

int run_check(const CheckOptions& options) {
  // Does not open a Database: that needs its prefix, which may be damaged.
  const bool server = on_server(options.where.database);
  const std::string store =
      server ? options.where.database : require_named_file(options.where.database);
  require_file(options.where.database);
  CheckReport report;
  {
    Progress progress("checking", 0, Progress::Unit::kItems);
    report = check(store,
                   [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  }
  Output out;
  if (options.json) {
    out.line(to_json_text(report_as_data(report)));
  } else {
    print_report(out, redacted(options.where.database), report, server);
  }
  out.flush();
  return report.ok() ? kDone : kNotFound;
}

int run_why(const WhyOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Value value = find_node(db, options.node);
  const Node& node = *node_of(value);
  const std::vector<std::string> uids = db.why_alive(node);
  if (options.json) {
    Data parts = Data::list();
    const Path path = name_path(db, uids);
    for (std::size_t at = 0; at < uids.size(); ++at) {
      append(parts, Data::dict({{"key", at == 0 ? Data(nullptr) : Data(path[at - 1])},
                                {"uid", uids[at]}}));
    }
    answer(Data::dict({{"uid", node.uid()},
                       {"reached", !uids.empty()},
                       {"path", exact_path(path)},
                       {"nodes", parts},
                       {"parents", Data(std::uint64_t{node.refcount()})}}));
    return kDone;
  }
  Output out;
  if (uids.empty()) {
    out.line(
        fmt::format("{}: no path from the root leads here; a handle of a running program "
                    "keeps it",
                    node.uid()));
  } else {
    const Path path = name_path(db, uids);
    out.line(path.empty() ? "the root is kept as long as its prefix" : format_path(path));
    for (std::size_t at = 0; at < uids.size(); ++at) {
      out.line(
          fmt::format("  {:<28}  {}", at == 0 ? "(root)" : format_segment(path[at - 1]), uids[at]));
    }
    const std::size_t parents = node.refcount();
    if (parents > 1) {
      out.line(fmt::format("{} other {} it too", grouped(parents - 1),
                           parents == 2 ? "node links" : "nodes link"));
    }
  }
  out.flush();
  return kDone;
}

}  // namespace

void declare_check(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("check", "Check a database: structure, links in both directions, reachability",
                "Only reads, also while others write. Status 1 if there are problems.\n"
                "Examples:\n"
                "  graven check state.db\n"
                "  graven check state.db --json",
                run_check);
  verb.database(options.where.database);
  verb.json(options.json, "The report as JSON");
}

void declare_why(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("why", "Show why a dict or list is kept: a path from the root",
                "'graven get --depth' prints uids. Write a leading slash before a path that looks\n"
                "like a uid.\n"
                "Examples:\n"
                "  graven why state.db tasks/T1\n"
                "  graven why state.db main:D01HZX3K9GQ8M2V6T4B7N5C1RJW",
                run_why);
  verb.where(options.where);
  verb.value("NODE", options.node, "A path or a uid").required();
  verb.json(options.json, "The path as JSON");
}

}  // namespace graven::cli
