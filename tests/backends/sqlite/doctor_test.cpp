// SPDX-License-Identifier: MIT
//
// What examine() says of surroundings that are not at hand everywhere: a network file system, a
// full disk, another SQLite in the process, a SQLite that loses data. What can be had in a folder
// of one's own, tests/cli/test_doctor.py plants.
#include "backends/sqlite/doctor.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <graven/database.hpp>

#include <algorithm>
#include <filesystem>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

class Doctor : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

  Doctor() {
    Database db(path_);
    db.root().set("x", 1);
    db.close();
    around_.network_file_system = [](const std::string&) { return std::string(); };
    around_.free_bytes = [](const std::string&) { return std::uint64_t{1} << 40U; };
    around_.sqlite_libraries = [] { return std::set<std::string>(); };
    around_.sqlite_version = 3'054'001;
  }

  /// The one finding of a kind; nothing when there is none.
  std::optional<Finding> found(const std::string& code) {
    std::optional<Finding> one;
    for (Finding& finding : sqlite::examine(path_, around_)) {
      if (finding.code != code) continue;
      EXPECT_FALSE(one) << code << " is found twice";
      one = std::move(finding);
    }
    return one;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "test.db";
  sqlite::Surroundings around_ = sqlite::real_surroundings();
};

TEST_F(Doctor, InSoundSurroundingsNothingIsFound) {
  for (const char* code : {"network_file_system", "disk_space", "sqlite_mixed", "sqlite_vulnerable",
                           "before_repair"}) {
    EXPECT_FALSE(found(code)) << code;
  }
}

TEST_F(Doctor, ANetworkFileSystem) {
  std::string asked;
  around_.network_file_system = [&asked](const std::string& path) {
    asked = path;
    return std::string("NFS");
  };
  const auto finding = found("network_file_system");
  ASSERT_TRUE(finding);
  EXPECT_EQ(asked, path_);
  EXPECT_EQ(finding->severity, Severity::kError);
  EXPECT_NE(finding->what.find("lies on NFS"), std::string::npos) << finding->what;
  EXPECT_NE(finding->remedy.find("local disk"), std::string::npos) << finding->remedy;
}

TEST_F(Doctor, ADiskThatIsNearlyFull) {
  around_.free_bytes = [](const std::string&) { return 99 * kMiB; };
  const auto finding = found("disk_space");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->severity, Severity::kError);
  EXPECT_NE(finding->what.find("99 MiB are free"), std::string::npos) << finding->what;
}

TEST_F(Doctor, ADiskThatACopyWouldNotFitOn) {
  std::filesystem::resize_file(path_, 300 * kMiB);  // a hole: it takes no room
  around_.free_bytes = [](const std::string&) { return 299 * kMiB; };
  const auto finding = found("disk_space");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->severity, Severity::kWarning);
  EXPECT_NE(finding->what.find("299 MiB are free"), std::string::npos) << finding->what;
  EXPECT_NE(finding->what.find("300 MiB"), std::string::npos) << finding->what;
  around_.free_bytes = [](const std::string&) { return 300 * kMiB; };
  EXPECT_FALSE(found("disk_space"));
}

TEST_F(Doctor, ADiskOfWhichNothingIsKnown) {
  around_.free_bytes = [](const std::string&) { return std::nullopt; };
  EXPECT_FALSE(found("disk_space"));
}

TEST_F(Doctor, AnotherSqliteInTheProcess) {
  around_.sqlite_libraries = [] { return std::set<std::string>{"/usr/lib/libsqlite3.so.0.8.6"}; };
  const auto finding = found("sqlite_mixed");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->severity, Severity::kNote);
  EXPECT_TRUE(finding->what.starts_with("/usr/lib/libsqlite3.so.0.8.6 is loaded"));
  EXPECT_NE(finding->remedy.find(path_), std::string::npos) << finding->remedy;
}

TEST_F(Doctor, AnotherSqliteThatIsReallyThere) {
  void* library = ::dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) GTEST_SKIP() << "no libsqlite3.so.0 here";
  const std::vector<Finding> findings = examine(path_);
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.code == "sqlite_mixed" &&
           finding.what.find("libsqlite3.so") != std::string::npos;
  }));
  ::dlclose(library);
}

TEST_F(Doctor, ASqliteThatLosesData) {
  for (const int bad : {3'040'001, 3'050'006, 3'051'002}) {
    around_.sqlite_version = bad;
    const auto finding = found("sqlite_vulnerable");
    ASSERT_TRUE(finding) << bad;
    EXPECT_EQ(finding->severity, Severity::kError);
  }
  for (const int good : {3'044'006, 3'050'007, 3'051'003, 3'054'001}) {
    around_.sqlite_version = good;
    EXPECT_FALSE(found("sqlite_vulnerable")) << good;
  }
}

TEST_F(Doctor, WhatARepairHasKept) {
  std::filesystem::copy_file(path_, path_ + ".before-repair");
  const auto finding = found("before_repair");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->severity, Severity::kNote);
}

TEST_F(Doctor, TheRealSurroundingsAnswer) {
  const sqlite::Surroundings real = sqlite::real_surroundings();
  EXPECT_TRUE(real.free_bytes("/"));
  EXPECT_FALSE(real.free_bytes("/no such folder"));
  EXPECT_EQ(real.network_file_system(path_), "");
  EXPECT_GT(real.sqlite_version, 3'040'000);
}

}  // namespace
}  // namespace graven::test
