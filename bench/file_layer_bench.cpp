// SPDX-License-Identifier: MIT
//
// What gathering a commit's frames into one write saves, and, where each commit is synced, room
// ahead in a WAL that grows: the same one-row updates of several tables, hence pages, in one
// transaction, over SQLite's own file layer and over file_layer.cpp. Behind
// docs/design/file-layer.md. The files are in the folder for temporary ones (TMPDIR).
//
//     build/release/bin/file_layer_bench
#include <filesystem>
#include <stdexcept>
#include <string>

#include <unistd.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "backends/sqlite/vfs/file_layer.hpp"

namespace {

void run(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(db));
  }
}

/// range(0): whether the layer is there; range(1): pages a commit changes.
void commits(benchmark::State& state, const std::string& settings) {
  const std::string folder =
      std::filesystem::temp_directory_path() / fmt::format("graven-wal-bench-{}", ::getpid());
  std::filesystem::create_directory(folder);
  const char* vfs = state.range(0) != 0 ? graven::sqlite::file_layer_over("").c_str() : nullptr;
  sqlite3* db = nullptr;
  sqlite3_open_v2((folder + "/bench.db").c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                  vfs);
  run(db, "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL");
  run(db, settings);
  std::string update = "BEGIN IMMEDIATE;";
  for (int table = 0; table < state.range(1); ++table) {
    const std::string name = fmt::format("t{}", table);
    run(db, fmt::format("CREATE TABLE {0} (id INTEGER PRIMARY KEY, n INTEGER);"
                        "INSERT INTO {0} VALUES (1, 0)",
                        name));
    update += fmt::format("UPDATE {} SET n = n + 1 WHERE id = 1;", name);
  }
  update += "COMMIT";
  for (auto _ : state) run(db, update);
  sqlite3_close(db);
  std::filesystem::remove_all(folder);
}

BENCHMARK_CAPTURE(commits, normal, "PRAGMA synchronous = NORMAL")
    ->ArgsProduct({{0, 1}, {2, 4, 8}})
    ->ArgNames({"layer", "pages"})
    ->Repetitions(5)
    ->ReportAggregatesOnly(true);
BENCHMARK_CAPTURE(commits, full, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
    ->ArgsProduct({{0, 1}, {1, 4}})
    ->ArgNames({"layer", "pages"})
    ->Iterations(1000)
    ->UseRealTime()
    ->Repetitions(7)
    ->ReportAggregatesOnly(true);

}  // namespace

BENCHMARK_MAIN();
