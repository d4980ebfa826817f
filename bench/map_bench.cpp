// SPDX-License-Identifier: MIT
//
// The hot table, maps, the graph's reads and counters in C++ against raw SQLite, LMDB, RocksDB and
// tables in memory. The table of cases is below; the contestants of a case take turns, and every
// turn's time goes to a JSON file, from which bench/run_map.py makes medians, ratios and verdicts.
//
//     build/release/bin/map_bench [--rounds N] [--only TEXT] [--json FILE] [--folder FOLDER]
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "map/contest.hpp"
#include "map/rivals.hpp"

namespace graven::bench {
namespace {

constexpr auto kOff = Synchronous::kOff;
constexpr auto kNormal = Synchronous::kNormal;
constexpr auto kFull = Synchronous::kFull;
constexpr auto kRising = Order::kRising;

// Name; bar; who contests; on what terms. All bars but kWithin compare with the fastest rival.
const std::vector<Case> kCases = {
    {"hot table: get, 100,000 entries", {Bar::kAtLeast, 1}, table_get, {.entries = 100'000}},
    {"hot table: get, 1,000,000 entries", {Bar::kAtLeast, 0.85}, table_get, {.entries = 1'000'000}},
    {"hot table: two threads against one, 100,000 entries",
     {Bar::kAtLeast, 1.8},
     table_threads,
     {.entries = 100'000, .threads = 2}},
    {"hot table: two threads against one, 1,000,000 entries",
     {Bar::kAtLeast, 1.8},
     table_threads,
     {.entries = 1'000'000, .threads = 2}},
    {"hot table: get, batched, 1,000,000 entries",
     {Bar::kAtLeast, 4},
     table_get_many,
     {.entries = 1'000'000}},
    {"hot table: get by handle, 1,000,000 entries",
     {},
     table_get_by_handle,
     {.entries = 1'000'000}},
    {"hot table: get by handle, batched, 2 threads, 100,000",
     {Bar::kWithin, 1e-8},
     table_get_many_by_handle,
     {.entries = 100'000, .threads = 2}},
    {"hot table: get by handle, batched, 2 threads, 1,000,000",
     {Bar::kAtLeast, 20},
     table_get_many_by_handle,
     {.entries = 1'000'000, .threads = 2}},
    {"hot table: half updates, 2 threads, 100,000 entries",
     {Bar::kAtLeast, 3},
     table_update,
     {.entries = 100'000, .threads = 2}},
    {"hot table: half updates, 2 threads, 1,000,000 entries",
     {Bar::kAtLeast, 3},
     table_update,
     {.entries = 1'000'000, .threads = 2}},
    {"hot table: updates in batches, 1,000,000 entries",
     {},
     table_update_many,
     {.entries = 1'000'000}},
    {"hot table: insert, growing to 1,000,000 entries", {}, table_insert, {.entries = 1'000'000}},
    {"hot hit: the coherence check, 1,000 entries",
     {Bar::kAtMost, 1.1},
     hot_hit,
     {.entries = 1000, .count = 1'000'000}},
    {"hot hit: the coherence check, 100,000 entries",
     {Bar::kAtMost, 1.1},
     hot_hit,
     {.entries = 100'000, .count = 500'000}},
    {"hot hit: the coherence check beside commits, 1,000 entries",
     {Bar::kAtMost, 2},
     hot_hit,
     {.entries = 1000, .count = 1'000'000, .busy = true}},
    {"hot hit: the coherence check beside commits, 100,000 entries",
     {Bar::kAtMost, 2},
     hot_hit,
     {.entries = 100'000, .count = 500'000, .busy = true}},
    {"hot hit beside tables in memory, 100,000 entries",
     {},
     hot_hit_in_memory_tables,
     {.entries = 100'000, .count = 500'000}},
    {"hot hit of a map: counting it",
     {Bar::kAtMost, 1.05},
     counted_map_hit,
     {.entries = 1000, .count = 1'000'000}},
    {"hot hit of the graph: counting it",
     {Bar::kAtMost, 1.05},
     counted_graph_hit,
     {.count = 500'000}},
    {"graph read at depth 3, small nodes", {Bar::kAtMost, 5}, graph_small, {.count = 200'000}},
    {"graph read at depth 3, dicts of 10,000 keys",
     {Bar::kAtMost, 8},
     graph_large,
     {.entries = 10'000, .count = 100'000}},
    {"put per call, append, synchronous=off",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 30'000, .order = kRising, .synchronous = kOff}},
    {"put per call, append, synchronous=normal",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 20'000, .order = kRising, .synchronous = kNormal}},
    {"put per call, append, synchronous=full",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 5000, .order = kRising, .synchronous = kFull}},
    {"put per call, random update of 100,000, synchronous=off",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 30'000, .synchronous = kOff}},
    {"put per call, random update of 100,000, synchronous=normal",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 20'000, .synchronous = kNormal}},
    {"put per call, random update of 100,000, synchronous=full",
     {Bar::kAtLeast, 0.75},
     put_per_call,
     {.entries = 100'000, .count = 5000, .synchronous = kFull}},
    {"8 threads, append, synchronous=full",
     {Bar::kAtLeast, 3},
     put_per_call,
     {.entries = 1'000'000, .count = 8000, .order = kRising, .synchronous = kFull, .threads = 8}},
    {"8 threads, random update of 1,000,000, synchronous=full",
     {Bar::kAtLeast, 1.7},
     put_per_call,
     {.entries = 1'000'000, .count = 8000, .synchronous = kFull, .threads = 8}},
    {"lazy puts and flush, rising keys",
     {Bar::kAtLeast, 0.7},
     put_lazily,
     {.count = 200'000, .order = kRising}},
    {"lazy puts and flush, random keys", {Bar::kAtLeast, 0.7}, put_lazily, {.count = 200'000}},
    {"uniform reads, data 10x hot_capacity",
     {Bar::kAtLeast, 0.8},
     larger_than_memory,
     {.entries = 1'000'000, .count = 200'000}},
    {"warm reads against cold ones, data 10x hot_capacity",
     {Bar::kAtLeast, 3},
     warm_against_cold,
     {.entries = 1'000'000, .count = 200'000}},
    {"import of 600,000 records, phases against transactions of 250 rows",
     {Bar::kAtLeast, 4},
     import_in_phases,
     {.count = 600'000}},
    {"import of 600,000 records against raw SQLite",
     {Bar::kAtMost, 1.6},
     import_beside_raw,
     {.count = 600'000}},
    {"batch_insert of 10,000 records, synchronous=normal",
     {Bar::kAtLeast, 10},
     batch_beside_single,
     {.count = 10'000, .synchronous = kNormal}},
    {"batch_insert of 10,000 records, synchronous=full",
     {Bar::kAtLeast, 20},
     batch_beside_single,
     {.count = 10'000, .synchronous = kFull}},
    {"random updates of a large store in batches of 250",
     {Bar::kAtLeast, 2},
     updates_of_a_large_store,
     {.entries = 130'000, .count = 250'000}},
    {"two processes, one counter", {Bar::kAtLeast, 1, 3}, shared_counter, {}},
    {"cold read p99 while another process commits",
     {Bar::kAtMost, 2},
     cold_read_p99,
     {.entries = 1'000'000, .count = 100'000}},
    {"hot read p99 of a map while this process commits",
     {Bar::kWithin, 1e-6},
     hot_map_read_p99,
     {.entries = 1000, .count = 500'000}},
    {"hot read p99 of the graph while this process commits",
     {Bar::kWithin, 1e-6},
     hot_graph_read_p99,
     {.entries = 1000, .count = 500'000}},
    {"write p99 beside a backup of 1 GiB",
     {Bar::kAtMost, 3},
     write_p99_beside_a_backup,
     {.entries = 65'536, .count = 1000}},
};

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string list(const std::vector<double>& values) {
  std::string result;
  for (const double value : values)
    result += fmt::format("{}{:.6g}", result.empty() ? "" : ", ", value);
  return "[" + result + "]";
}

/// Waits until what a contestant has left to the kernel is on the disk: the next one's turn is
/// not to pay for it.
void settle(const std::string& folder) {
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  ::syncfs(directory);
  ::close(directory);
}

/// The turns of one case as JSON. The first turn of each warms up and is not counted.
std::string contest(const Case& one, int rounds, const std::string& folder) {
  std::filesystem::create_directories(folder);
  static constexpr const char* kRoles[] = {"ours", "rival", "shown"};
  static constexpr const char* kKinds[] = {"none", "at least", "at most", "within"};
  std::string json;
  {
    const std::vector<Contestant> contestants = one.make(one.terms, folder);
    std::vector<std::vector<double>> seconds(contestants.size());
    std::vector<std::vector<double>> shares(contestants.size());
    for (int round = 0; round <= rounds; ++round) {
      for (std::size_t c = 0; c < contestants.size(); ++c) {
        settle(folder);
        const Turn turn = contestants[c].turn();
        if (round == 0) continue;
        seconds[c].push_back(turn.seconds);
        shares[c].push_back(turn.share);
      }
    }
    for (std::size_t c = 0; c < contestants.size(); ++c) {
      json +=
          fmt::format("{}\n      {{\"name\": {}, \"role\": \"{}\", \"times\": {}, \"shares\": {}}}",
                      c == 0 ? "" : ",", quoted(contestants[c].name),
                      kRoles[static_cast<std::size_t>(contestants[c].role)], list(seconds[c]),
                      one.bar.share > 0 ? list(shares[c]) : "[]");
    }
  }
  std::filesystem::remove_all(folder);
  return fmt::format(
      "    {{\"case\": {}, \"kind\": \"{}\", \"bar\": {}, \"share_bar\": {}, \"contestants\": "
      "[{}]}}",
      quoted(one.name), kKinds[one.bar.kind], one.bar.value, one.bar.share, json);
}

int run(int argc, char** argv) {
  int rounds = 5;
  std::string only;
  std::string file;
  std::string folder = std::filesystem::temp_directory_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--rounds") rounds = std::atoi(value.c_str());
    if (option == "--only") only = value;
    if (option == "--json") file = value;
    if (option == "--folder") folder = value;
  }
  folder += fmt::format("/graven-map-bench-{}", ::getpid());

  std::string rows;
  for (const Case& one : kCases) {
    if (one.name.find(only) == std::string::npos) continue;
    std::fprintf(stderr, "%s\n", one.name.c_str());
    rows += (rows.empty() ? "" : ",\n") + contest(one, rounds, folder);
  }
  std::string versions;
  std::string missing;
  for (const RivalVersion& rival : rival_versions()) {
    std::string& where = rival.there ? versions : missing;
    where +=
        fmt::format("{}{}: {}", where.empty() ? "" : ", ", quoted(rival.name), quoted(rival.text));
  }
  const std::string json = fmt::format(
      "{{\n  \"rounds\": {},\n  \"rivals\": {{{}}},\n  \"missing\": {{{}}},\n  \"cases\": [\n{}\n  "
      "]\n}}\n",
      rounds, versions, missing, rows);
  std::FILE* out = file.empty() ? stdout : std::fopen(file.c_str(), "w");
  if (out == nullptr) {
    std::perror(file.c_str());
    return 1;
  }
  std::fputs(json.c_str(), out);
  return std::fflush(out) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace graven::bench

int main(int argc, char** argv) {
  try {
    if (argc == 5 && std::string(argv[1]) == "--child") {
      return graven::bench::commit_in_child(argv[3], std::strtoul(argv[4], nullptr, 10));
    }
    if (argc == 6 && std::string(argv[1]) == "--child")
      return graven::bench::count_in_child(argv[2], argv[3], std::atof(argv[4]),
                                           std::atof(argv[5]));
    return graven::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "map_bench: %s\n", error.what());
    return 1;
  }
}
