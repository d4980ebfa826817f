// SPDX-License-Identifier: MIT
//
// A store's files are recognised, however a path leads to them, and nothing else is taken for one;
// backup() and restore() never write onto one of them.
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/files/whose_file.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

namespace fs = std::filesystem;

class WhoseFile : public ::testing::Test {
 protected:
  static void put(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  /// The store and what lies beside it while it is open and was written.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> all{path_};
    for (const char* suffix : sqlite::kBesideStore) {
      if (fs::exists(path_ + suffix)) all.push_back(path_ + suffix);
    }
    return all;
  }

  /// Calls `look` with every way to each of the files.
  void each_way(const std::function<void(const std::string&)>& look) {
    fs::create_directory(folder_ / "sub");
    const fs::path before = fs::current_path();
    for (const std::string& file : files()) {
      SCOPED_TRACE(file);
      look(file);
      const std::string name = fs::path(file).filename();
      look((folder_ / "sub/../") + name);
      fs::current_path(folder_.path());
      look("./" + name);
      fs::current_path(before);
      const std::string symbolic = folder_ / "sub/symbolic";
      fs::create_symlink(file, symbolic);
      look(symbolic);
      fs::create_symlink(symbolic, folder_ / "sub/twice");
      look(folder_ / "sub/twice");
      fs::remove(symbolic);
      fs::remove(folder_ / "sub/twice");
      // A descriptor of another process: this one's locks on the store go with it.
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      const pid_t child = ::fork();
      if (child == 0) {
        const int descriptor = ::open(file.c_str(), O_RDONLY);
        ::close(ends[1]);
        char end = 0;
        (void)::dup2(descriptor, 100);
        (void)::read(ends[0], &end, 1);
        ::_exit(0);
      }
      ::close(ends[0]);
      const std::string other = "/proc/" + std::to_string(child) + "/fd/100";
      while (!fs::exists(other)) ::usleep(1000);
      look(other);
      ::close(ends[1]);
      ::waitpid(child, nullptr, 0);
    }
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "s.db";
};

TEST_F(WhoseFile, WhereNoMoreFilesCanBeOpenNoneIsTakenForAnother) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's own look at an object takes descriptors";
#endif
  { const Database db(path_); }
  const std::string copy = folder_ / "copy";
  fs::copy_file(path_, copy);
  Child child([&] {
    const struct rlimit files { 0, 0 };
    ::setrlimit(RLIMIT_NOFILE, &files);
    try {
      static_cast<void>(store_file(copy));
    } catch (const UnavailableError&) {
      return true;
    }
    return false;
  });
  EXPECT_TRUE(child.succeeded());
}

TEST_F(WhoseFile, AreRecognisedHoweverAPathLeadsThere) {
  const Database db(path_);
  db["k"] = 1;
  ASSERT_GE(files().size(), 4U);
  each_way([](const std::string& way) { EXPECT_NE(store_file(way), "") << way; });
  each_way([&](const std::string& way) { EXPECT_NE(store_file(way, path_), "") << way; });
}

TEST_F(WhoseFile, AreRecognisedUnderAnotherHardLink) {
  {
    const Database db(path_);
    db["k"] = 1;
    for (const std::string& file : files()) {
      if (file == path_) continue;  // of which a second link is refused anyway
      for (const std::string& link : {folder_ / "link", folder_ / "elsewhere/link"}) {
        fs::create_directory(folder_ / "elsewhere");
        fs::create_hard_link(file, link);
        EXPECT_NE(store_file(link, path_), "") << file << " as " << link;
        if (link == folder_ / "link") {
          EXPECT_NE(store_file(link), "") << file;
        }
        fs::remove(link);
      }
    }
  }
  fs::create_hard_link(path_, folder_ / "link");
  EXPECT_NE(store_file(folder_ / "link"), "");
  EXPECT_NE(store_file(folder_ / "link", path_), "");
}

TEST_F(WhoseFile, BesideAStoreCountThoughTheyAreNotThere) {
  { const Database db(path_); }
  EXPECT_NE(store_file(path_ + "-wal"), "");
  EXPECT_NE(store_file(path_ + "-journal"), "");
  EXPECT_NE(store_file(path_ + "-owners"), "");
}

TEST_F(WhoseFile, AreNotWhatOnlyLooksLikeThem) {
  { const Database db(path_); }
  put(folder_ / "text-wal", "text");
  put(folder_ / "other.db", "text");
  put(folder_ / "other.db-wal", "text");
  fs::create_directory(folder_ / "s.db-folder");
  for (const char* name : {"text-wal", "other.db", "other.db-wal", "none", "s.db-folder",
                           "s.db.json", "none/none", "s.db-wal.json"}) {
    EXPECT_EQ(store_file(folder_ / name), "") << name;
    EXPECT_EQ(store_file(folder_ / name, path_), "") << name;
  }
  EXPECT_EQ(store_file("/dev/null"), "");
  EXPECT_EQ(store_file(""), "");
}

TEST_F(WhoseFile, AreNeverOverwrittenByABackup) {
  const Database db(path_);
  db["k"] = 1;
  std::vector<std::string> names = files();
  names.push_back(path_ + "-journal");
  for (const std::string& file : names) {
    // Not read: this process's locks would go with the descriptor.
    const auto before = fs::exists(file) ? fs::file_size(file) : 0;
    for (const bool overwrite : {false, true}) {
      EXPECT_THROW(db.backup(file, {.overwrite = overwrite}), UsageError) << file;
    }
    EXPECT_EQ(fs::exists(file) ? fs::file_size(file) : 0, before) << file;
  }
  db["k"] = 2;
  EXPECT_TRUE(db.check().ok());
}

TEST_F(WhoseFile, AreNeverOverwrittenByARestore) {
  {
    const Database db(path_);
    db["k"] = 1;
    db.backup(folder_ / "copy.db");
  }
  for (const std::string& store : {path_, folder_ / "copy.db"}) {
    for (const char* suffix : sqlite::kBesideStore) {
      EXPECT_THROW(restore(folder_ / "copy.db", store + suffix), UsageError) << store << suffix;
      EXPECT_FALSE(fs::exists(store + suffix));
    }
  }
  const Database other(folder_ / "open.db");
  other["k"] = 1;
  for (const char* suffix : {"-wal", "-shm", "-owners", "-changes"}) {
    EXPECT_THROW(restore(folder_ / "copy.db", (folder_ / "open.db") + suffix), UsageError)
        << suffix;
  }
  EXPECT_TRUE(other.check().ok());
}

}  // namespace
}  // namespace graven::test
