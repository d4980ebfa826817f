// SPDX-License-Identifier: MIT
//
// The verbs of the command line: plain options in, an exit status out. main.cpp fills the
// options and turns exceptions into messages.
//
// Statuses: 0 done, 1 nothing there (or check found problems), 2 wrong usage or an error, which
// is an exception here.
//
// Called from the main thread, one verb per process.
#pragma once

#include <graven/graven.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace graven::cli {

inline constexpr int kDone = 0;
inline constexpr int kNotFound = 1;
inline constexpr int kFailed = 2;

/// Which database, and which keyspace in it (empty: the one used last).
struct Where {
  std::string database{};
  std::string prefix{};
};

enum class Access {
  kRead,    // changes nothing, not even the store's bookkeeping
  kChange,  // the database must be there
  kCreate,  // a new one is made when it is not
};

/// UnavailableError when it must be there and is not; NotFound for a prefix that must.
Database open_database(const Where& where, Access access,
                       std::chrono::milliseconds slow_operation = std::chrono::milliseconds(0));
/// The file of a URL; empty where it names none.
std::string file_of(const std::string& url);

/// For storing at a path: a new database cannot have what lies on the way to a long one.
inline Access access_to(const std::vector<std::string>& path, bool parents) {
  return path.size() <= 1 || parents ? Access::kCreate : Access::kChange;
}

struct GetOptions {
  Where where{};
  std::string path{};
  bool raw = false;
  bool compact = false;
  std::optional<std::uint64_t> depth{};
};
int run_get(const GetOptions& options);

struct SetOptions {
  Where where{};
  std::string path{};
  std::string value{};
  bool string = false;
  bool parents = false;
};
int run_set(const SetOptions& options);

struct DelOptions {
  Where where{};
  std::string path{};
};
int run_del(const DelOptions& options);

struct LsOptions {
  Where where{};
  std::string path{};
  bool details = false;
  bool json = false;
};
int run_ls(const LsOptions& options);

struct TreeOptions {
  Where where{};
  std::string path{};
  std::uint64_t depth = 3;
  std::uint64_t width = 20;
};
int run_tree(const TreeOptions& options);

struct DumpOptions {
  Where where{};
  std::string path{};
  std::string output{};
  bool ndjson = false;
  int indent = 0;
};
int run_dump(const DumpOptions& options);

struct LoadOptions {
  Where where{};
  std::string path{};
  std::string file{};
  std::string key{};
  bool ndjson = false;
  bool plain = false;
  bool parents = false;
  bool quiet = false;
  std::uint64_t batch = 10'000;
};
int run_load(const LoadOptions& options);

struct CheckOptions {
  Where where{};
  bool json = false;
};
int run_check(const CheckOptions& options);

struct CollectOptions {
  Where where{};
};
int run_collect(const CollectOptions& options);

// The library has a BackupOptions and a RestoreOptions.
struct BackupVerb {
  Where where{};
  std::string target{};
  bool overwrite = false;
  bool json = false;
  double every = 0;  // seconds; 0: once
  std::uint64_t keep = 24;
};
int run_backup(const BackupVerb& options);

struct RestoreVerb {
  std::string backup{};
  std::string database{};
  bool discard = false;
  bool json = false;
};
int run_restore(const RestoreVerb& options);

struct MaintenanceOptions {
  Where where{};
};
int run_maintenance(const MaintenanceOptions& options);

struct DoctorOptions {
  std::string database{};
  bool json = false;
};
int run_doctor(const DoctorOptions& options);

struct WhyOptions {
  Where where{};
  std::string node{};
};
int run_why(const WhyOptions& options);

struct StatsOptions {
  Where where{};
  bool json = false;
};
int run_stats(const StatsOptions& options);

struct TopOptions {
  Where where{};
  double interval = 1;
  std::uint64_t count = 0;  // 0: until interrupted
};
int run_top(const TopOptions& options);

struct ServeOptions {
  Where where{};
  std::string host = "127.0.0.1";
  int port = 9464;
  std::string token_file{};
  std::string tls_cert{};
  std::string tls_key{};
  std::string log_level = "warning";
  std::uint64_t slow_ms = 0;
  std::uint64_t most_wal_mb = 256;
  std::uint64_t least_free_mb = 100;
  bool expect_writable = false;
};
int run_serve(const ServeOptions& options);

struct DemoOptions {
  std::string input{};
  std::string output = "build/demo/packages.db";
  std::string program = "graven";  // as it was called, for the commands to try next
};
int run_demo(const DemoOptions& options);

}  // namespace graven::cli
