// SPDX-License-Identifier: MIT
//
// Stores the Debian package index as a graph, closes the file and opens it again, and shows on it
// what graven is for, step by step, with the time that each took. See README.md.
#include <graven/graven.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <stdexcept>

#include "import.hpp"

namespace fs = std::filesystem;
using graven::Database;
using graven::Dict;
using Names = std::vector<std::string>;

namespace {

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

void say(const std::string& text) { std::printf("%s\n", text.c_str()); }

void say(const std::string& text, double seconds) {
  std::printf("  %-66s %9.2f ms\n", text.c_str(), seconds * 1000);
}

/// Carries out a step, which returns what there is to say of it.
template <class Step>
void timed(Step step) {
  const auto start = std::chrono::steady_clock::now();
  const std::string text = step();
  say(text, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

// --- Ctrl-C: the transaction that is under way is rolled back, and the file stays whole

volatile std::sig_atomic_t signal_received = 0;
struct Interrupted {};

void stop_if_asked() {
  if (signal_received != 0) throw Interrupted();
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int number) { signal_received = number; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second one ends the program at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  graven::set_interrupt_check(stop_if_asked);  // for what waits or works for long in graven
}

void clear_progress() {
  if (isatty(STDERR_FILENO) == 1) std::fputs("\r\x1b[K", stderr);
}

void show_progress(std::string_view what, std::uint64_t done, std::uint64_t total) {
  stop_if_asked();
  if (isatty(STDERR_FILENO) == 0) return;
  clear_progress();
  const std::string of = total == 0 ? "" : " of " + grouped(total);
  std::fprintf(stderr, "%s: %s%s", std::string(what).c_str(), grouped(done).c_str(), of.c_str());
}

// --- The steps

void show_reads(const Dict& packages) {
  const Names names = packages.keys();
  std::mt19937_64 random(1);
  timed([&] {
    int read = 0;
    for (; read < 50'000; ++read) {
      const std::string& name = names[random() % names.size()];
      if (packages[name]["version"].get<std::string>().empty()) break;
    }
    return grouped(read) + " random packages[name][\"version\"] read";
  });
}

void show_package(const Dict& package) {
  say("\nA package in one line, and as plain data with all that it needs");
  say("  " + package.repr());
  timed([&] {
    const graven::Data copy = package.materialize();
    return "materialize(), cycles kept: " + grouped(copy.container_count()) + " dicts and lists";
  });
}

void show_dependents(const Database& db, const Dict& package) {
  say("\nWhat depends on " + package["name"].get<std::string>() + "? Its back-references know.");
  timed([&] { return grouped(package.refcount()) + " parents link it"; });
  timed([&] {
    int dependents = 0;  // the parents are dicts of links, and their parents packages
    for (const auto& [uid, times] : package.backrefs()) {
      const Dict links = db.get_via_uid(uid).value().as_dict();
      for (const auto& [owner, once] : links.backrefs()) {
        const auto depends = db.get_via_uid(owner).value()["depends"];
        dependents += depends.exists() && depends.as_dict() == links ? 1 : 0;
      }
    }
    return grouped(dependents) + " depend on it";
  });
}

void show_rollback(const Database& db, const Dict& packages) {
  say("\nA transaction that does not work out");
  struct ChangedMyMind {};
  const std::size_t before = packages.size();
  timed([&] {
    std::size_t erased = 0;
    try {
      db.transaction([&] {
        while (erased < 1000 && packages.popitem()) ++erased;
        throw ChangedMyMind();
      });
    } catch (const ChangedMyMind&) {
    }
    return grouped(erased) + " packages deleted, then an exception: " + grouped(packages.size()) +
           " packages, " + (packages.size() == before ? "as before" : "NOT as before");
  });
}

/// What why_alive() answers, in keys instead of uids.
std::string path_to(const Database& db, const Dict& package) {
  const Names uids = db.why_alive(package);
  graven::Path path;
  for (std::size_t i = 0; i + 1 < uids.size(); ++i) {
    for (const auto& [key, value] : db.get_via_uid(uids[i]).value().as_dict()) {
      if (!value.is<Dict>() || value.as_dict().uid() != uids[i + 1]) continue;
      path.push_back(key);
      break;
    }
  }
  return graven::format_path(path);
}

/// Takes packages out of every dict that links them, but for their links to each other.
void show_collection(const Database& db, const Names& names) {
  say("\n" + names.front() +
      (names.size() > 1 ? " and " + names[1] + ", which depend on each other, are" : " is") +
      " unlinked from everything that links it");
  const Dict packages = db["packages"].as_dict();
  std::vector<Dict> held;
  Names parts;  // the uids of them and of the dicts that only they have
  for (const std::string& name : names) {
    held.push_back(packages[name].as_dict());
    parts.push_back(held.back().uid());
    for (const auto& [key, value] : held.back()) {
      if (value.is<Dict>()) parts.push_back(value.as_dict().uid());
    }
  }
  timed([&] {
    int unlinked = 0;
    db.transaction([&] {
      for (std::size_t i = 0; i < names.size(); ++i) {
        for (const auto& [uid, times] : held[i].backrefs()) {
          if (std::find(parts.begin(), parts.end(), uid) != parts.end()) continue;
          unlinked += db.get_via_uid(uid).value().as_dict().erase(names[i]) ? 1 : 0;
        }
      }
    });
    return grouped(unlinked) + " links removed in one transaction";
  });
  say("    this program still holds it: refcount " + grouped(held[0].refcount()) + ", version " +
      held[0]["version"].get<std::string>());
  const Names needed = held[0]["depends"].exists() ? held[0]["depends"].as_dict().keys() : Names();
  held.clear();
  timed([&] {
    return "the handle is dropped: the collector reclaims " + grouped(db.collect()) + " nodes";
  });
  const auto gone = std::count_if(parts.begin(), parts.end(),
                                  [&](const std::string& uid) { return !db.get_via_uid(uid); });
  say("    gone: " + grouped(gone) + " of " + grouped(parts.size()) + " dicts");
  for (const std::string& name : needed) {
    const auto other = packages.get(name);
    if (other) return timed([&] { return name + " lives: " + path_to(db, other->as_dict()); });
  }
}

/// Two packages that depend on each other, or none.
Names find_cycle(const Index& index) {
  for (const auto& [name, package] : index.packages) {
    for (const std::string& other : package.depends) {
      const auto found = index.packages.find(other);
      if (found == index.packages.end() || other == name) continue;
      const Names& back = found->second.depends;
      if (std::find(back.begin(), back.end(), name) != back.end()) return {name, other};
    }
  }
  return {};
}

void show_check(const Database& db) {
  say("\ncheck() proves the file: every link both ways, every node reachable");
  graven::CheckReport report;
  timed([&] {
    report = db.check([](auto done, auto total) { show_progress("checking", done, total); });
    clear_progress();
    return grouped(report.nodes) + " dicts and lists, " + grouped(report.links) +
           " links: " + (report.ok() ? "sound" : "NOT sound");
  });
  for (const graven::Problem& problem : report.problems) {
    say("  " + problem.node + ": " + problem.what);
  }
  if (!report.ok()) throw std::runtime_error("this is a fault in graven: please report the above");
}

void show(const std::string& file, const Index& index) {
  say("\nThe file, opened again");
  std::optional<Database> db;
  timed([&] {
    db.emplace(file);
    return "open";
  });
  const Dict packages = (*db)["packages"].as_dict();
  show_reads(packages);
  if (packages.contains("bash")) show_package(packages["bash"].as_dict());
  if (packages.contains("libc6")) show_dependents(*db, packages["libc6"].as_dict());
  show_rollback(*db, packages);
  if (packages.contains("python3")) show_collection(*db, {"python3"});
  if (const Names cycle = find_cycle(index); !cycle.empty()) show_collection(*db, cycle);
  show_check(*db);
  const std::string shown =
      index.packages.contains("bash") ? "bash" : index.packages.begin()->first;
  say("\nNext, try (graven is build/release/graven where it is not installed)");
  say("  graven ls " + file + " packages/" + shown);
  say("  graven get " + file + " packages/" + shown + " --depth 1");
  say("  graven why " + file + " packages/" + shown);
}

// --- The file

constexpr const char* kMadeBy = "graven demo";

/// Whether an earlier run made it.
bool is_ours(const std::string& file) {
  try {
    const Database db(file, {.read_only = true});
    return db["about"]["made_by"].get<std::string>() == kMadeBy;
  } catch (const graven::Error&) {
    return false;
  }
}

Index store(const std::string& file, const std::string& input) {
  if (fs::exists(file) && !is_ours(file)) {
    throw std::runtime_error(
        file + " exists and was not made by this program; name another file with --out");
  }
  for (const char* suffix : {"", "-wal", "-shm", "-owners"}) fs::remove(file + suffix);
  if (fs::path(file).has_parent_path()) fs::create_directories(fs::path(file).parent_path());
  say("Importing " + (input.empty() ? "apt's index" : input) + " into " + file);
  const Database db(file);
  db["about"] = {{"made_by", kMadeBy}};  // first of all: known also if this run is interrupted
  Index index = import_packages(db, input, {.progress = show_progress});
  clear_progress();
  say(grouped(index.packages.size()) + " packages of " + grouped(index.stanzas) +
          " stanzas stored, the newest version of each",
      index.phases[0].seconds);
  say(grouped(index.links) + " links made between packages, " + grouped(index.nowhere) +
          " names nobody has",
      index.phases[1].seconds);
  timed([&] {
    db.close();
    return "closed; the file has " + grouped(fs::file_size(file) / 1000) + " kB";
  });
  return index;
}

}  // namespace

int main(int count, char** arguments) {
  std::string file = "build/demo/packages.db";
  std::string input;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name(arguments[i]);
    if (i + 1 < count && name == "--input") {
      input = arguments[i + 1];
    } else if (i + 1 < count && name == "--out") {
      file = arguments[i + 1];
    } else {
      std::fprintf(stderr, "Usage: %s [--input PACKAGES-FILE] [--out DATABASE]\n", arguments[0]);
      return 2;
    }
  }
  catch_signals();
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // each step as it is done, also in a pipe
  try {
    show(file, store(file, input));
    return 0;
  } catch (const Interrupted&) {
    clear_progress();
    std::fprintf(stderr, "interrupted; run it again to start afresh\n");
    std::raise(signal_received);
  } catch (const std::exception& error) {
    clear_progress();
    std::fprintf(stderr, "debian_packages: %s\n", error.what());
  }
  return 2;
}
