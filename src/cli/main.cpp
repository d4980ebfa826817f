// SPDX-License-Identifier: MIT
//
// The graven command: options, help, and what exceptions become. Everything else is in the
// verbs, which do not know how they were called.
//
// Single-threaded.
#include <graven/graven.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <new>
#include <regex>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

constexpr const char* kAbout =
    "Looks into and changes graven databases: dicts and lists kept alive in a file.\n"
    "\n"
    "A DATABASE is a file (state.db) or a URL (sqlite:////abs/state.db). A PATH leads from its\n"
    "root dict down, one key or list index after the other: tasks/T1/status, queue/0, queue/-1.\n"
    "The empty path \"\" is the root. In a key '/' is written ~1, '~' is written ~0, and a "
    "control\n"
    "character ~xHH. Values go in and come out as JSON; what JSON lacks (bytes, NaN, shared and\n"
    "cyclic parts) is written as objects such as {\"$bytes\": \"aGk=\"}; see docs/format/json.md.";

constexpr const char* kStatuses =
    "Exit status: 0 done, 1 nothing at that path (or check found problems), 2 wrong usage or an "
    "error.\n'graven VERB --help' explains a verb.";

class CommandLine {
 public:
  explicit CommandLine(std::string program) : app_(kAbout, "graven"), program_(std::move(program)) {
    app_.footer(kStatuses);
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(26);
    app_.set_version_flag("--version", std::string("graven ") + std::string(version()));
    add_get();
    add_set();
    add_del();
    add_ls();
    add_tree();
    add_dump();
    add_load();
    add_check();
    add_backup();
    add_restore();
    add_maintenance();
    add_doctor();
    add_collect();
    add_why();
    add_stats();
    add_top();
    add_serve();
    add_demo();
  }

  int run(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kDone : kFailed;
    }
    return run_();
  }

 private:
  CLI::App* verb(const char* name, const char* about, const char* examples) {
    CLI::App* verb = app_.add_subcommand(name, about);
    verb->footer(examples);
    return verb;
  }
  static void add_where(CLI::App* verb, Where& where) {
    verb->add_option("DATABASE", where.database, "File or URL of the database")->required();
    verb->add_option("-p,--prefix", where.prefix,
                     "Keyspace in the database (default: the one used last)")
        ->type_name("NAME");
  }
  template <class Options>
  void on_run(CLI::App* verb, int (*function)(const Options&), Options& options) {
    verb->callback(
        [this, function, &options] { run_ = [function, &options] { return function(options); }; });
  }

  void add_get();
  void add_set();
  void add_del();
  void add_ls();
  void add_tree();
  void add_dump();
  void add_load();
  void add_check();
  void add_backup();
  void add_restore();
  void add_maintenance();
  void add_doctor();
  void add_collect();
  void add_why();
  void add_stats();
  void add_top();
  void add_serve();
  void add_demo();

  CLI::App app_;
  std::string program_;
  std::function<int()> run_{};
  GetOptions get_{};
  SetOptions set_{};
  DelOptions del_{};
  LsOptions ls_{};
  TreeOptions tree_{};
  DumpOptions dump_{};
  LoadOptions load_{};
  CheckOptions check_{};
  BackupVerb backup_{};
  RestoreVerb restore_{};
  MaintenanceOptions maintenance_{};
  DoctorOptions doctor_{};
  CollectOptions collect_{};
  WhyOptions why_{};
  StatsOptions stats_{};
  TopOptions top_{};
  ServeOptions serve_{};
  DemoOptions demo_{};
};

void CommandLine::add_get() {
  CLI::App* get = verb("get", "Print what is at a path, as JSON",
                       "Examples:\n"
                       "  graven get state.db tasks/T1\n"
                       "  graven get state.db tasks/T1/title --raw\n"
                       "  graven get state.db --depth 1          # the root and its scalars\n"
                       "  graven get state.db 'odd~1key'         # the key is odd/key");
  add_where(get, get_.where);
  get->add_option("PATH", get_.path, "Where to look (default: the root)");
  get->add_flag("-r,--raw", get_.raw, "Print a string without quotes, bytes as they are");
  get->add_flag("-c,--compact", get_.compact, "On one line");
  get->add_option("-d,--depth", get_.depth,
                  "Levels to print; dicts and lists below them as {\"$node\": uid}")
      ->type_name("N");
  on_run(get, run_get, get_);
}

void CommandLine::add_set() {
  CLI::App* set =
      verb("set", "Store a JSON value at a path",
           "A new database is made where there is none. In a list, '-' as the last\n"
           "segment appends.\n"
           "Examples:\n"
           "  graven set state.db tasks '{\"T1\": {\"title\": \"write\", \"done\": false}}'\n"
           "  graven set state.db tasks/T1/done true\n"
           "  graven set state.db tasks/T1/title --string 'write it down'\n"
           "  graven set state.db a/b/c 1 --parents\n"
           "  graven set state.db queue/- '\"last\"'\n"
           "  date +%s | graven set state.db seen -");
  add_where(set, set_.where);
  set->add_option("PATH", set_.path, "Where to store it")->required();
  set->add_option("VALUE", set_.value, "JSON, or - to read it from standard input")->required();
  set->add_flag("-s,--string", set_.string, "VALUE is a string as it stands, not JSON");
  set->add_flag("--parents", set_.parents, "Make dicts that are missing on the way");
  on_run(set, run_set, set_);
}

void CommandLine::add_del() {
  CLI::App* del = verb("del", "Delete what is at a path",
                       "What nothing links any more is reclaimed with it, cycles included.\n"
                       "Examples:\n"
                       "  graven del state.db tasks/T1\n"
                       "  graven del state.db queue/0");
  add_where(del, del_.where);
  del->add_option("PATH", del_.path, "What to delete")->required();
  on_run(del, run_del, del_);
}

void CommandLine::add_ls() {
  CLI::App* ls = verb("ls", "List the keys of a dict, or the indexes of a list",
                      "Examples:\n"
                      "  graven ls state.db\n"
                      "  graven ls state.db tasks -l            # kinds and sizes too\n"
                      "  graven ls state.db tasks --json        # exact keys, for programs");
  add_where(ls, ls_.where);
  ls->add_option("PATH", ls_.path, "Where to look (default: the root)");
  CLI::Option* details =
      ls->add_flag("-l,--long", ls_.details,
                   "Kinds and sizes: entries of containers, bytes of strings and bytes");
  ls->add_flag("--json", ls_.json, "One JSON list of keys")->excludes(details);
  on_run(ls, run_ls, ls_);
}

void CommandLine::add_tree() {
  CLI::App* tree = verb("tree", "Outline what is below a path",
                        "What was shown before is named by its path, so cycles end.\n"
                        "Examples:\n"
                        "  graven tree state.db\n"
                        "  graven tree state.db tasks --depth 2 --width 0");
  add_where(tree, tree_.where);
  tree->add_option("PATH", tree_.path, "Where to start (default: the root)");
  tree->add_option("-d,--depth", tree_.depth, "Levels to show (default 3)")
      ->type_name("N")
      ->check(CLI::Range(0, 200));
  tree->add_option("-w,--width", tree_.width,
                   "Entries to show of each container (default 20, 0: all)")
      ->type_name("N");
  on_run(tree, run_tree, tree_);
}

void CommandLine::add_dump() {
  CLI::App* dump = verb("dump", "Write everything below a path as JSON that load restores exactly",
                        "Examples:\n"
                        "  graven dump state.db > state.json\n"
                        "  graven dump state.db tasks --ndjson -o tasks.ndjson\n"
                        "  graven dump state.db | ssh host graven load state.db");
  add_where(dump, dump_.where);
  dump->add_option("PATH", dump_.path, "What to write (default: the root)");
  dump->add_option("-o,--output", dump_.output,
                   "File to write, which appears when it is complete (default: standard output)")
      ->type_name("FILE");
  dump->add_flag("--ndjson", dump_.ndjson, "One line per entry of the dict or list");
  dump->add_option("--indent", dump_.indent, "Spaces a level (default: all on one line)")
      ->type_name("N")
      ->check(CLI::Range(0, 16));
  on_run(dump, run_dump, dump_);
}

void CommandLine::add_load() {
  CLI::App* load = verb(
      "load", "Store JSON or NDJSON from a file or standard input",
      "JSON replaces what is at the path, in one transaction. NDJSON adds to the dict or list\n"
      "there, in batches of lines, a transaction each; it is made when it is missing.\n"
      "Examples:\n"
      "  graven load state.db users users.json\n"
      "  graven load state.db \"\" state.json     # the whole root\n"
      "  graven load state.db events events.ndjson\n"
      "  graven load state.db users users.ndjson --key email\n"
      "  curl -s https://example.org/data.json | graven load state.db data --plain");
  add_where(load, load_.where);
  load->add_option("PATH", load_.path, "Where to store it (default, and \"\": the root)");
  load->add_option("FILE", load_.file, "What to read (default, and -: standard input)");
  load->add_flag("--ndjson", load_.ndjson,
                 "One JSON value a line (also when FILE ends in .ndjson or .jsonl)");
  load->add_option("-k,--key", load_.key,
                   "NDJSON: make a dict, with this field of each object as its key")
      ->type_name("FIELD");
  load->add_option("-b,--batch", load_.batch, "NDJSON: lines a transaction (default 10000)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000));
  load->add_flag("--plain", load_.plain,
                 "Take objects such as {\"$bytes\": ...} literally, as other programs' data");
  load->add_flag("--parents", load_.parents, "Make dicts that are missing on the way");
  load->add_flag("-q,--quiet", load_.quiet, "No progress bar and no summary");
  on_run(load, run_load, load_);
}

void CommandLine::add_check() {
  CLI::App* check = verb("check", "Prove a database: structure, links both ways, reachability",
                         "Reads only, also while others write. Status 1 when there are problems.\n"
                         "Examples:\n"
                         "  graven check state.db\n"
                         "  graven check state.db --json");
  check->add_option("DATABASE", check_.where.database, "File or URL of the database")->required();
  check->add_flag("--json", check_.json, "The report as JSON");
  on_run(check, run_check, check_);
}

void CommandLine::add_backup() {
  CLI::App* backup = verb(
      "backup", "Copy a database while programs write it, and prove the copy",
      "With --every TARGET is a folder, which gets a file named after the database and the time\n"
      "each time, until SIGTERM or Ctrl-C; see docs/operations.md.\n"
      "Examples:\n"
      "  graven backup state.db /backups/state.db\n"
      "  graven backup state.db /backups --every 1h --keep 24");
  backup->add_option("DATABASE", backup_.where.database, "File or URL of the database")->required();
  backup->add_option("TARGET", backup_.target, "File to make, or with --every a folder")
      ->required();
  CLI::Option* overwrite =
      backup->add_flag("--overwrite", backup_.overwrite, "Replace a file that is there");
  CLI::Option* every =
      backup->add_option("--every", backup_.every, "Again and again: 30s, 15m, 1h, 1d")
          ->type_name("TIME")
          ->transform(CLI::AsNumberWithUnit(
              std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
          ->check(CLI::Range(0.1, 366.0 * 86400))
          ->excludes(overwrite);
  backup->add_option("--keep", backup_.keep, "Files to keep, the newest (default 24)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->needs(every);
  backup->add_flag("--json", backup_.json, "The report as JSON");
  on_run(backup, run_backup, backup_);
}

void CommandLine::add_restore() {
  CLI::App* restore =
      verb("restore", "Put a backup in a database's place",
           "Refuses a backup that is not whole and a database that any program has open. What was\n"
           "there is kept as DATABASE.before-restore.\n"
           "Examples:\n"
           "  graven restore /backups/state.db state.db\n"
           "  graven restore /backups/state.db state.db --discard");
  restore->add_option("BACKUP", restore_.backup, "What 'graven backup' has made")->required();
  restore->add_option("DATABASE", restore_.database, "File of the database")->required();
  restore->add_flag("--discard", restore_.discard, "Do not keep what is replaced");
  restore->add_flag("--json", restore_.json, "The report as JSON");
  on_run(restore, run_restore, restore_);
}

void CommandLine::add_maintenance() {
  CLI::App* maintenance =
      verb("maintenance", "Collect, give back free pages, shorten the WAL, where due",
           "Programs that use a database do most of it by themselves.\nExample:\n"
           "  graven maintenance state.db");
  add_where(maintenance, maintenance_.where);
  on_run(maintenance, run_maintenance, maintenance_);
}

void CommandLine::add_doctor() {
  CLI::App* doctor = verb("doctor", "Look for what is wrong around a database: disk, modes, WAL",
                          "Reads only. Status 1 when there are warnings or errors.\nExample:\n"
                          "  graven doctor state.db --json");
  doctor->add_option("DATABASE", doctor_.database, "File or URL of the database")->required();
  doctor->add_flag("--json", doctor_.json, "The findings as JSON");
  on_run(doctor, run_doctor, doctor_);
}

void CommandLine::add_collect() {
  CLI::App* collect = verb("collect", "Reclaim what dead programs left behind",
                           "Collection happens by itself; this only does at once what is left to "
                           "do.\nExample:\n  graven collect state.db");
  add_where(collect, collect_.where);
  on_run(collect, run_collect, collect_);
}

void CommandLine::add_why() {
  CLI::App* why = verb("why", "Show what keeps a dict or list: a path from the root",
                       "A uid is what 'graven get --depth' prints. A path that looks like one is\n"
                       "given with a leading slash.\n"
                       "Examples:\n"
                       "  graven why state.db tasks/T1\n"
                       "  graven why state.db main:D01HZX3K9GQ8M2V6T4B7N5C1RJW");
  add_where(why, why_.where);
  why->add_option("NODE", why_.node, "A path or a uid")->required();
  on_run(why, run_why, why_);
}

void CommandLine::add_stats() {
  CLI::App* stats = verb("stats", "Show how a database's file stands",
                         "What programs do with it they tell themselves: Database::stats().\n"
                         "Examples:\n"
                         "  graven stats state.db\n"
                         "  graven stats state.db --json");
  add_where(stats, stats_.where);
  stats->add_flag("--json", stats_.json, "As JSON, times in seconds");
  on_run(stats, run_stats, stats_);
}

void CommandLine::add_top() {
  CLI::App* top = verb("top", "Watch a database: commits a second, WAL, size",
                       "On a terminal the screen is drawn anew; elsewhere a line each time.\n"
                       "Examples:\n"
                       "  graven top state.db\n"
                       "  graven top state.db --interval 5 --count 12 > hour.log");
  add_where(top, top_.where);
  top->add_option("-i,--interval", top_.interval, "Seconds between two looks (default 1)")
      ->type_name("S")
      ->check(CLI::Range(0.05, 86400.0));
  top->add_option("-n,--count", top_.count, "Looks (default: until Ctrl-C)")->type_name("N");
  on_run(top, run_top, top_);
}

void CommandLine::add_serve() {
  CLI::App* serve = verb(
      "serve", "Serve metrics and health of a database over HTTP",
      "/metrics (Prometheus), /healthz, /readyz?verbose and /status (JSON), until SIGTERM or\n"
      "Ctrl-C. Another address than a loopback one needs a token; see docs/operations.md.\n"
      "Examples:\n"
      "  graven serve state.db\n"
      "  graven serve state.db --host 0.0.0.0 --token-file token --tls-cert c.pem --tls-key k.pem");
  add_where(serve, serve_.where);
  serve->add_option("--host", serve_.host, "Address to listen on (default 127.0.0.1)");
  serve->add_option("--port", serve_.port, "Port (default 9464; 0: any that is free, printed)")
      ->check(CLI::Range(0, 65535));
  serve
      ->add_option("--token-file", serve_.token_file,
                   "File with the bearer token that all but /healthz then needs")
      ->type_name("FILE");
  serve->add_option("--tls-cert", serve_.tls_cert, "Certificate chain, PEM")->type_name("FILE");
  serve->add_option("--tls-key", serve_.tls_key, "Its key, PEM")->type_name("FILE");
  serve
      ->add_option("--log-level", serve_.log_level,
                   "From debug, info, warning, error or off on, to standard error")
      ->type_name("LEVEL");
  serve
      ->add_option("--slow-ms", serve_.slow_ms, "Log operations that take longer (default 0: none)")
      ->type_name("MS");
  serve->add_option("--max-wal", serve_.most_wal_mb, "MiB of WAL above which it is not ready")
      ->type_name("MIB");
  serve->add_option("--min-free", serve_.least_free_mb, "MiB of disk below which it is not ready")
      ->type_name("MIB");
  serve->add_flag("--expect-writable", serve_.expect_writable,
                  "Not ready where the file cannot be written");
  on_run(serve, run_serve, serve_);
}

void CommandLine::add_demo() {
  CLI::App* demo =
      verb("demo", "Load the Debian package index and show what graven does with it",
           "Reads 'apt-cache dumpavail', about 64,000 packages on Debian 12, and needs "
           "no network.\nExamples:\n"
           "  graven demo\n"
           "  graven demo --input Packages.xz --out /tmp/packages.db");
  demo->add_option("-i,--input", demo_.input,
                   "A Packages file instead, also .gz .xz .bz2 .lz4 .zst")
      ->type_name("FILE");
  demo->add_option("-o,--out", demo_.output, "The database (default build/demo/packages.db)")
      ->type_name("FILE");
  demo_.program = program_;
  on_run(demo, run_demo, demo_);
}

// CLI11 takes -5 for an option; as a value it goes behind a "--".
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

int end_by_signal(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  return kFailed;
}

int run(int count, char** values) {
  prepare_descriptors();
  const std::string program = count > 0 ? values[0] : "graven";
  std::vector<std::string> arguments(values + std::min(count, 1), values + count);
  const auto complain = [](const std::exception& error) {
    note(fmt::format("graven: {}", error.what()));
  };
  try {
    CommandLine line(program);
    return line.run(protect_negative_numbers(std::move(arguments)));
  } catch (const OutputClosed&) {
    return end_by_signal(SIGPIPE);
  } catch (const Interrupted& interrupted) {
    complain(interrupted);
    return end_by_signal(interrupted.signal());
  } catch (const NotFound& error) {
    complain(error);
    return kNotFound;
  } catch (const KeyNotFound& error) {
    complain(error);
    return kNotFound;
  } catch (const IndexOutOfRange& error) {
    complain(error);
    return kNotFound;
  } catch (const std::bad_alloc&) {
    note("graven: out of memory");
  } catch (const std::exception& error) {
    complain(error);
  }
  return kFailed;
}

}  // namespace
}  // namespace graven::cli

int main(int count, char** values) { return graven::cli::run(count, values); }
