// SPDX-License-Identifier: MIT
//
// The demo's steps, in terms of the public interface only. One thread.
#include "cli/demo_show.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/names.hpp"
#include "cli/partial.hpp"

namespace graven::cli {
namespace {

constexpr std::size_t kTextWidth = 66;
constexpr std::size_t kNamed = 5;  // of many names, so many are printed

Dict packages_of(const Database& db) { return db["packages"].as_dict(); }

std::string joined(const std::vector<std::string>& names, std::size_t limit) {
  std::string text;
  for (std::size_t at = 0; at < std::min(limit, names.size()); ++at) {
    text += (at == 0 ? "" : ", ") + names[at];
  }
  if (names.size() > limit) text += fmt::format(" and {} more", grouped(names.size() - limit));
  return text;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

bool is_node(const std::optional<Value>& value, const Node& node) {
  const Node* held = value ? node_of(*value) : nullptr;
  return held != nullptr && *held == node;
}

// Who links a package, found upwards from it: its parents are dicts of links, whose parents
// are packages.
struct Dependents {
  std::vector<std::string> depends{};
  std::vector<std::string> recommends{};
  std::uint64_t others = 0;
  std::uint64_t parents = 0;
};

Dependents dependents_of(const Database& db, const Dict& package) {
  Dependents result;
  const auto parents = package.backrefs();
  result.parents = parents.size();
  for (const auto& [uid, times] : parents) {
    const std::optional<Value> parent = db.get_via_uid(uid);
    if (!parent) continue;
    const Node& links = *node_of(*parent);
    bool known = false;
    for (const auto& [owner_uid, owner_times] : links.backrefs()) {
      const std::optional<Value> owner = db.get_via_uid(owner_uid);
      if (!owner || !owner->is<Dict>()) continue;
      const Dict dict = owner->as_dict();
      for (const auto& [key, names] :
           {std::pair{"depends", &result.depends}, std::pair{"recommends", &result.recommends}}) {
        if (!is_node(dict.get(key), links)) continue;
        names->push_back(dict.at("name").get<std::string>());
        known = true;
      }
    }
    if (!known) ++result.others;
  }
  std::sort(result.depends.begin(), result.depends.end());
  std::sort(result.recommends.begin(), result.recommends.end());
  return result;
}

// Takes a package out of every dict that links it, in one transaction; `except` keeps its link.
std::uint64_t unlink_everywhere(const Database& db, const Dict& package, const std::string& name,
                                const std::set<std::string>& except = {}) {
  std::uint64_t unlinked = 0;
  db.transaction([&] {
    for (const auto& [uid, times] : package.backrefs()) {
      if (except.contains(uid)) continue;
      if (const auto parent = db.get_via_uid(uid))
        unlinked += parent->as_dict().erase(name) ? 1 : 0;
    }
  });
  return unlinked;
}

// The package and the dicts that only it has: what its end should take along.
std::vector<std::string> parts_of(const Dict& package) {
  std::vector<std::string> uids{package.uid()};
  for (const char* key : {"depends", "recommends", "provides"}) {
    const std::optional<Value> part = package.get(key);
    if (part && part->is<Dict>()) uids.push_back(part->as_dict().uid());
  }
  return uids;
}

std::size_t gone(const Database& db, const std::vector<std::string>& uids) {
  return static_cast<std::size_t>(std::count_if(
      uids.begin(), uids.end(), [&](const auto& uid) { return !db.get_via_uid(uid).has_value(); }));
}

std::vector<std::string> dependency_names(const Dict& package) {
  const std::optional<Value> depends = package.get("depends");
  if (!depends || !depends->is<Dict>()) return {};
  return depends->as_dict().keys();
}

}  // namespace

void DemoPage::heading(std::string_view text) {
  out_.put("\n");
  line(text);
}

void DemoPage::line(std::string_view text) {
  out_.line(text);
  out_.flush();
}

void DemoPage::line(std::string_view text, double seconds) {
  line(fmt::format("  {:<{}}  {:>8}", text, kTextWidth, human_time(seconds)));
}

DemoCast choose_cast(const ImportReport& report) {
  const auto pick = [&](std::string_view wished, const std::string& taken) {
    const auto found = report.by_name.find(std::string(wished));
    if (found != report.by_name.end() && wished != taken) return std::string(wished);
    const PackageNote* best = nullptr;
    for (const PackageNote& note : report.packages) {
      if (note.name != taken && (best == nullptr || note.linked > best->linked)) best = &note;
    }
    return best != nullptr ? best->name : std::string();
  };
  DemoCast cast;
  cast.hub = pick("libc6", "");
  cast.shown = pick("bash", "");
  cast.victim = pick("python3", cast.hub);
  for (const PackageNote& note : report.packages) {
    if (note.name == cast.hub || note.name == cast.victim || note.name == cast.shown) continue;
    for (const std::string& name : note.depends) {
      const auto other = report.by_name.find(name);
      if (other == report.by_name.end() || name == note.name || name == cast.hub ||
          name == cast.victim || name == cast.shown) {
        continue;
      }
      const auto& back = report.packages[other->second].depends;
      if (std::find(back.begin(), back.end(), note.name) == back.end()) continue;
      cast.first = note.name;
      cast.second = name;
      return cast;
    }
  }
  return cast;
}

void show_counts(DemoPage& page, const Database& db, const ImportReport& report) {
  const Stopwatch counting;
  const std::size_t packages = packages_of(db).size();
  const std::size_t virtuals = db["virtual"].as_dict().size();
  page.line(fmt::format("{}, {}, {} nobody has", counted(packages, "package", "packages"),
                        counted(virtuals, "virtual one", "virtual ones"),
                        counted(report.nowhere, "name", "names")),
            counting.seconds());
  const Dict all = packages_of(db);
  std::mt19937_64 random(1);
  constexpr std::size_t kReads = 50'000;
  std::size_t read = 0;
  const Stopwatch reading;
  for (std::size_t i = 0; i < kReads && !report.packages.empty(); ++i) {
    const PackageNote& note = report.packages[random() % report.packages.size()];
    read += all[note.name]["version"].get<std::string>() == note.version ? 1 : 0;
  }
  const double seconds = reading.seconds();
  page.line(fmt::format("{} random packages[name][\"version\"] read: {} a second", grouped(read),
                        grouped(static_cast<std::uint64_t>(static_cast<double>(read) /
                                                           std::max(seconds, 1e-9)))),
            seconds);
}

void show_dependents(DemoPage& page, const Database& db, const std::string& hub) {
  page.heading(fmt::format("What depends on {}? Its back-references know.", hub));
  const Stopwatch finding;
  const Dict package = packages_of(db).at(hub).as_dict();
  const std::size_t parents = package.refcount();
  page.line(fmt::format("refcount: {}", counted(parents, "parent links it", "parents link it")),
            finding.seconds());
  const Stopwatch naming;
  const Dependents dependents = dependents_of(db, package);
  page.line(fmt::format("{} on it, {} it", counted(dependents.depends.size(), "depends", "depend"),
                        counted(dependents.recommends.size(), "recommends", "recommend")),
            naming.seconds());
  if (!dependents.depends.empty()) page.line("  " + joined(dependents.depends, kNamed));
}

void show_package(DemoPage& page, const Database& db, const std::string& name) {
  page.heading(fmt::format("packages[\"{}\"] as plain data; links further down by uid", name));
  const Stopwatch shallow;
  const Value package = packages_of(db).at(name);
  const Data data = read_to_depth(package, 2);
  const double seconds = shallow.seconds();
  std::string text = to_json_text(data, 2);
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    page.line("  " + text.substr(start, end - start));
    start = end + 1;
  }
  page.line("read two levels deep", seconds);
  const Stopwatch deep;
  const Data everything = package.as_dict().materialize();
  page.line(fmt::format("materialize(): all it needs, cycles kept: {} dicts and lists",
                        grouped(everything.container_count())),
            deep.seconds());
}

void show_rollback(DemoPage& page, const Database& db, const std::string& name) {
  page.heading("A transaction that does not work out");
  struct ChangedMyMind {};
  const Dict packages = packages_of(db);
  const std::size_t before = packages.size();
  const auto version = packages[name]["version"].get<std::string>();
  const Stopwatch watch;
  std::size_t inside = 0;
  try {
    db.transaction([&] {
      std::size_t erased = 0;
      for (const std::string& key : packages.keys()) {
        if (key != name && erased++ < 1000) packages.erase(key);
      }
      packages[name]["version"] = "0";
      inside = packages.size();
      throw ChangedMyMind();
    });
  } catch (const ChangedMyMind&) {
  }
  const bool same =
      packages.size() == before && packages[name]["version"].get<std::string>() == version;
  page.line(fmt::format("{} deleted, {} set to version 0, then an exception",
                        counted(before - inside, "package", "packages"), name),
            watch.seconds());
  page.line(fmt::format(
      "  afterwards: {}, {} is version {}: {}", counted(packages.size(), "package", "packages"),
      name, packages[name]["version"].get<std::string>(), same ? "as before" : "NOT as before"));
}

void show_collection(DemoPage& page, const Database& db, const std::string& victim) {
  page.heading(fmt::format("{} is unlinked from everything that links it", victim));
  std::optional<Dict> package = packages_of(db).at(victim).as_dict();
  const std::vector<std::string> parts = parts_of(*package);
  const std::vector<std::string> needed = dependency_names(*package);
  const Stopwatch unlinking;
  const std::uint64_t unlinked = unlink_everywhere(db, *package, victim);
  page.line(fmt::format("{} removed in one transaction", counted(unlinked, "link", "links")),
            unlinking.seconds());
  page.line(fmt::format("  this program still holds it: refcount {}, version {}",
                        package->refcount(), package->at("version").get<std::string>()));
  const Stopwatch collecting;
  package.reset();
  const std::uint64_t reclaimed = db.collect();
  page.line(fmt::format("the handle is dropped, the collector reclaims {}",
                        counted(reclaimed, "node", "nodes")),
            collecting.seconds());
  page.line(fmt::format("  gone: {} of its {} dicts (itself and its tables of links)",
                        gone(db, parts), parts.size()));
  const Dict packages = packages_of(db);
  std::size_t shown = 0;
  for (const std::string& name : needed) {
    const std::optional<Value> value = packages.get(name);
    if (!value || shown++ == kNamed) continue;
    const Stopwatch asking;
    const auto path = db.why_alive(value->as_dict());
    const double seconds = asking.seconds();
    page.line(fmt::format("{} lives: {}", name, format_path(name_path(db, path))), seconds);
  }
}

void show_cycle(DemoPage& page, const Database& db, const DemoCast& cast) {
  if (cast.first.empty()) return;
  page.heading(fmt::format("{} and {} depend on each other: a cycle", cast.first, cast.second));
  std::uint64_t unlinked = 0;
  std::vector<std::string> parts;
  const Stopwatch watch;
  db.transaction([&] {
    const Dict packages = packages_of(db);
    const Dict first = packages.at(cast.first).as_dict();
    const Dict second = packages.at(cast.second).as_dict();
    parts = parts_of(first);
    for (const std::string& uid : parts_of(second)) parts.push_back(uid);
    const std::set<std::string> cycle{first["depends"].as_dict().uid(),
                                      second["depends"].as_dict().uid()};
    unlinked += unlink_everywhere(db, first, cast.first, cycle);
    unlinked += unlink_everywhere(db, second, cast.second, cycle);
  });
  page.line(
      fmt::format("{} from outside removed in one transaction", counted(unlinked, "link", "links")),
      watch.seconds());
  page.line(fmt::format("  each still links the other, but no path from the root leads there:"));
  page.line(
      fmt::format("  gone with the commit: {} of their {} dicts", gone(db, parts), parts.size()));
}

bool show_check(DemoPage& page, const Database& db) {
  page.heading("check() proves the file: every link both ways, every node reachable");
  const Stopwatch watch;
  CheckReport report;
  {
    Progress progress("checking", 0, Progress::Unit::kItems);
    report =
        db.check([&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  }
  page.line(
      fmt::format("{} dicts and lists, {} links: {}", grouped(report.nodes), grouped(report.links),
                  report.ok() ? "sound" : counted(report.problems.size(), "problem", "problems")),
      watch.seconds());
  for (const Problem& problem : report.problems) {
    page.line(fmt::format("  {}: {}", problem.node, problem.what));
  }
  return report.ok();
}

}  // namespace graven::cli
