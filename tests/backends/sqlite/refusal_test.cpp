// SPDX-License-Identifier: MIT
//
// What open() refuses, with which error and words, and that a refused file is left as it was,
// to the byte and with nothing beside it; and what it accepts.
#include <graven/error.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/network_file_system.hpp"

namespace graven::test {
namespace {

std::string contents(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void fill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Runs SQL on a file with no graven about it.
void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
      << (message != nullptr ? message : "");
  sqlite3_close(database);
}

class Refusals : public ::testing::Test {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      names.push_back(entry.path().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  /// Opening fails with Expected, a message that names the path and contains `words`, and
  /// changes nothing. (To look into a WAL database read-only, SQLite makes a -shm beside it.)
  template <typename Expected>
  void refused(const std::string& path, const std::string& words,
               const sqlite::Options& options = {}) {
    const auto files_before = files();
    const std::string bytes_before = contents(path);
    std::string message;
    try {
      sqlite::open(path, options);
      ADD_FAILURE() << path << " was opened";
    } catch (const Expected& error) {
      message = error.what();
    }
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    if (!options.read_only) {
      EXPECT_EQ(files(), files_before);
    }
    EXPECT_TRUE(contents(path) == bytes_before);
  }

  TemporaryFolder folder_;
};

TEST_F(Refusals, Folders) {
  refused<UsageError>(folder_.path().string(), "is a folder");
  refused<UsageError>(folder_ / "new/", "folder");
}

TEST_F(Refusals, WhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(sqlite::open(folder_ / "pipe"), UsageError);
  EXPECT_THROW(sqlite::open("/dev/null"), UsageError);
}

TEST_F(Refusals, PathsThatAreNone) {
  EXPECT_THROW(sqlite::open(""), UsageError);
  EXPECT_THROW(sqlite::open(std::string("a\0b", 3)), UsageError);
  refused<UnavailableError>(folder_ / (std::string(300, 'x') + ".db"), "cannot be reached");
}

TEST_F(Refusals, MissingFolders) {
  refused<UnavailableError>(folder_ / "missing/store.db", "does not exist");
  fill(folder_ / "file", "x");
  refused<UnavailableError>(folder_ / "file/store.db", "cannot be reached");
}

TEST_F(Refusals, DanglingLinks) {
  std::filesystem::create_symlink(folder_ / "nowhere.db", folder_ / "link.db");
  refused<UnavailableError>(folder_ / "link.db", "link to");
}

TEST_F(Refusals, FilesThatAreNotSqlite) {
  fill(folder_ / "text.db", "just some text\n");
  refused<ForeignFileError>(folder_ / "text.db", "not a SQLite database");
  fill(folder_ / "zeros.db", std::string(8192, '\0'));
  refused<ForeignFileError>(folder_ / "zeros.db", "not a SQLite database");
  fill(folder_ / "short.db", "S");
  refused<ForeignFileError>(folder_ / "short.db", "not a SQLite database");
}

TEST_F(Refusals, DatabasesOfOtherPrograms) {
  run_sql(folder_ / "app.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  refused<ForeignFileError>(folder_ / "app.db", "another program");
  refused<ForeignFileError>(folder_ / "app.db", "another program", {.read_only = true});
  run_sql(folder_ / "wal.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
  refused<ForeignFileError>(folder_ / "wal.db", "another program");
  run_sql(folder_ / "id.db", "PRAGMA application_id = 4711");
  refused<ForeignFileError>(folder_ / "id.db", "another program");
  run_sql(folder_ / "large.db", "PRAGMA page_size = 65536; CREATE TABLE t (x)");
  refused<ForeignFileError>(folder_ / "large.db", "another program");
}

TEST_F(Refusals, ADatabaseAnotherProgramHasJustLeftInTheMiddle) {
  // A hot journal: the other program crashed. Rolling it back is not ours to do.
  const std::string path = folder_ / "hot.db";
  run_sql(path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  fill(path + "-journal", std::string(1024, '\1'));
  EXPECT_THROW(sqlite::open(path), Error);
}

TEST_F(Refusals, NewerFormats) {
  const std::string path = folder_ / "store.db";
  sqlite::open(path);
  run_sql(path, "UPDATE meta SET value = 9 WHERE key = 'format'");
  refused<ForeignFileError>(path, "open it read-only");
  EXPECT_TRUE(sqlite::open(path, {.read_only = true})->facts().read_only);
  run_sql(path, "UPDATE meta SET value = 9 WHERE key = 'oldest_reader'");
  refused<ForeignFileError>(path, "use a newer graven");
  refused<ForeignFileError>(path, "use a newer graven", {.read_only = true});
}

TEST_F(Refusals, StoresThatLackSomething) {
  const std::string path = folder_ / "store.db";
  sqlite::open(path);
  run_sql(path, "DELETE FROM meta WHERE key = 'constant'");
  refused<CorruptionError>(path, "lacks");
  run_sql(path, "DROP TABLE meta");
  refused<CorruptionError>(path, "tables of a graven store");
}

TEST_F(Refusals, DamagedHeaders) {
  const std::string path = folder_ / "store.db";
  sqlite::open(path);
  const std::string sound = contents(path);
  const auto damaged = [&](std::size_t at, char value) {
    std::string bytes = sound;
    bytes[at] = value;
    fill(path, bytes);
  };
  damaged(3, 'x');
  refused<ForeignFileError>(path, "not a SQLite database");
  damaged(16, 3);  // the page size
  refused<CorruptionError>(path, "damaged");
  damaged(18, 9);  // the write version
  refused<CorruptionError>(path, "damaged");
  damaged(68, 'x');  // the application id
  refused<ForeignFileError>(path, "another program");
  fill(path, sound.substr(0, 5000));
  EXPECT_THROW(sqlite::open(path), CorruptionError);
  fill(path, sound.substr(0, 300));
  refused<CorruptionError>(path, "damaged");
  fill(path, sound);
  EXPECT_TRUE(Opened(sqlite::open(path))->check().empty());
}

TEST_F(Refusals, DamageWithinIsFoundByCheck) {
  const std::string path = folder_ / "store.db";
  {
    const Opened backend = sqlite::open(path);
    std::vector<port::Change> changes;
    for (std::int64_t id = 1; id < 2000; ++id) {
      changes.push_back({node_key(id), node_record(0, std::string(100, 'x'))});
    }
    write(*backend, changes);
  }
  std::string bytes = contents(path);
  for (std::size_t i = 0; i < 200; ++i) bytes[4096 * 30 + i] = static_cast<char>(i * 7);
  fill(path, bytes);
  const Opened backend = sqlite::open(path);
  EXPECT_FALSE(backend->check().empty());
}

TEST_F(Refusals, ReadOnlyNeverMakesAStore) {
  refused<UnavailableError>(folder_ / "none.db", "does not exist", {.read_only = true});
  fill(folder_ / "empty.db", "");
  refused<UnavailableError>(folder_ / "empty.db", "is empty", {.read_only = true});
}

TEST_F(Refusals, BadOptions) {
  EXPECT_THROW(sqlite::open(folder_ / "a.db", {.max_readers = 0}), UsageError);
  EXPECT_THROW(sqlite::open(folder_ / "a.db", {.vfs = "no such layer"}), UsageError);
  EXPECT_TRUE(files().empty());
}

TEST_F(Refusals, EmptyAndBlankFilesBecomeStores) {
  fill(folder_ / "empty.db", "");
  write(*sqlite::open(folder_ / "empty.db"), {{node_key(1), node_record(0, "x")}});
  EXPECT_EQ(Opened(sqlite::open(folder_ / "empty.db"))->load(node_key(1))->body, "x");
  run_sql(folder_ / "blank.db", "VACUUM");
  run_sql(folder_ / "blank.db", "CREATE TABLE t (x); DROP TABLE t");
  write(*sqlite::open(folder_ / "blank.db"), {{node_key(1), node_record(0, "x")}});
  EXPECT_EQ(Opened(sqlite::open(folder_ / "blank.db"))->load(node_key(1))->body, "x");
}

TEST_F(Refusals, PathsOfEveryKindWork) {
  std::filesystem::create_directory(folder_ / "ä b%20?#&'\"");
  for (const std::string name :
       {"plain.db", "no extension", ":memory:", "file:x.db", "ä b%20?#&'\"/nested;.db", "-wal"}) {
    const std::string path = folder_ / name;
    write(*sqlite::open(path), {{node_key(1), node_record(0, name)}});
    EXPECT_EQ(Opened(sqlite::open(path, {.read_only = true}))->load(node_key(1))->body, name);
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
  }
  std::filesystem::create_symlink(folder_ / "plain.db", folder_ / "link.db");
  const Opened linked = sqlite::open(folder_ / "link.db");
  const Opened direct = sqlite::open(folder_ / "plain.db");
  EXPECT_EQ(linked->facts().identity, direct->facts().identity);
  write(*linked, {{node_key(1), node_record(0, "through the link")}});
  EXPECT_EQ(direct->load(node_key(1))->body, "through the link");
}

TEST_F(Refusals, RelativePathsStayWhereTheyWere) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const Opened backend = sqlite::open("relative.db");
  std::filesystem::current_path(before);
  write(*backend, {{node_key(1), node_record(0, "x")}});
  EXPECT_EQ(backend->load(node_key(1))->body, "x");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "relative.db"));
}

TEST_F(Refusals, NewFilesBelongToTheirOwnerAlone) {
  const mode_t umask_before = ::umask(0);
  {
    const Opened backend = sqlite::open(folder_ / "store.db");
    write(*backend, {{node_key(1), node_record(0, "x")}});
    backend->load(node_key(1));
    backend->leases().announce(1);
    for (const char* suffix : {"", "-wal", "-shm", "-owners"}) {
      struct stat info {};
      ASSERT_EQ(::stat((folder_ / ("store.db" + std::string(suffix))).c_str(), &info), 0) << suffix;
      EXPECT_EQ(info.st_mode & 0777U, 0600U) << suffix;
    }
  }
  ::umask(umask_before);
  EXPECT_EQ(files(), (std::vector<std::string>{folder_ / "store.db"}));  // nothing is left over
}

TEST_F(Refusals, ADeletedOrReplacedFileIsNotWritten) {
  const std::string path = folder_ / "store.db";
  const Opened backend = sqlite::open(path);
  write(*backend, {{node_key(1), node_record(0, "x")}});
  std::filesystem::rename(path, folder_ / "moved.db");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it is not looked at every time
  EXPECT_THROW(write(*backend, {{node_key(1), node_record(0, "lost")}}), UnavailableError);
  fill(path, "something else");
  EXPECT_THROW(write(*backend, {{node_key(1), node_record(0, "lost")}}), UnavailableError);
  // A new connection would read the other file; it is refused. The old one reads on.
  EXPECT_EQ(backend->load(node_key(1))->body, "x");
  const auto view = backend->view();
  EXPECT_EQ(view->load(node_key(1))->body, "x");
  EXPECT_THROW(backend->load(node_key(1)), UnavailableError);
}

TEST_F(Refusals, NetworkFileSystemsByTheirNumbers) {
  using base::network_file_system;
  EXPECT_EQ(network_file_system(0x6969, ""), "NFS");
  EXPECT_EQ(network_file_system(0xFF534D42, "cifs"), "CIFS");
  EXPECT_EQ(network_file_system(0xFE534D42, ""), "SMB2");
  EXPECT_EQ(network_file_system(0x01021997, ""), "9P");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.sshfs"), "sshfs");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.gocryptfs"), "");
  EXPECT_EQ(network_file_system(0x65735546, "fuseblk"), "");
  EXPECT_EQ(network_file_system(0x65735546, ""), "");
  EXPECT_EQ(network_file_system(0xEF53, "ext4"), "");
  EXPECT_EQ(network_file_system(0x58465342, "xfs"), "");
  EXPECT_EQ(network_file_system(0x01021994, "tmpfs"), "");
  EXPECT_EQ(network_file_system(0x9123683E, "btrfs"), "");
}

// What follows needs a user who is refused something. Root gives up its rights in a child.
class Permissions : public Refusals {
 protected:
  static bool as_nobody(const std::function<bool()>& work) {
    Child child([&] {
      if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return false;
      return work();
    });
    return child.succeeded();
  }

  static bool says(const std::function<void()>& work, const std::string& words) {
    try {
      work();
    } catch (const UnavailableError& error) {
      if (std::string(error.what()).find(words) != std::string::npos) return true;
      std::cerr << error.what() << '\n';
      return false;
    }
    std::cerr << "nothing was thrown\n";
    return false;
  }

  void set_mode(const std::string& path, unsigned mode) {
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
  }
};

TEST_F(Permissions, MissingOnesAreNamed) {
  const std::string path = folder_ / "store.db";
  write(*sqlite::open(path), {{node_key(1), node_record(0, "x")}});
  set_mode(folder_.path().string(), 0777);
  set_mode(path, 0000);
  EXPECT_TRUE(
      as_nobody([&] { return says([&] { sqlite::open(path); }, "no permission to read"); }));
  set_mode(path, 0444);
  EXPECT_TRUE(
      as_nobody([&] { return says([&] { sqlite::open(path); }, "no permission to write"); }));
  set_mode(path, 0666);
  set_mode(folder_.path().string(), 0555);
  EXPECT_TRUE(
      as_nobody([&] { return says([&] { sqlite::open(path); }, "no permission to make files"); }));
  EXPECT_TRUE(as_nobody([&] {
    return says([&] { sqlite::open(folder_ / "new.db"); }, "no permission to make files");
  }));
  set_mode(folder_.path().string(), 0700);
}

TEST_F(Permissions, AReadOnlyFolderCanBeRead) {
  const std::string path = folder_ / "store #1.db";
  write(*sqlite::open(path), {{node_key(1), node_record(0, "x")}});
  set_mode(path, 0444);
  set_mode(folder_.path().string(), 0555);
  EXPECT_TRUE(as_nobody([&] {
    const Opened backend = sqlite::open(path, {.read_only = true});
    bool reclaiming = true;
    return backend->load(node_key(1))->body == "x" &&
           backend->view()->load(node_key(1))->body == "x" &&
           backend->view()->scan({.space = port::Space::kNode}, 10).size() == 1 &&
           backend->load_node(1, reclaiming)->body == "x" && !reclaiming &&
           !backend->leases().alive(1) && backend->check().empty();
  }));
  set_mode(folder_.path().string(), 0755);
}

TEST_F(Permissions, AFileReadWithoutLocksMustNotChange) {
  const std::string path = folder_ / "store.db";
  write(*sqlite::open(path), {{node_key(1), node_record(0, "x")}});
  set_mode(path, 0644);
  set_mode(folder_.path().string(), 0755);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  Child reader([&](const Reporter& reporter) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return false;
    const Opened backend = sqlite::open(path, {.read_only = true});
    const auto view = backend->view();
    if (view->load(node_key(1))->body != "x") return false;
    reporter.say("read");
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) return false;
    return says([&] { backend->load(node_key(1)); }, "was changed") &&
           says([&] { view->load(node_key(1)); }, "was changed");
  });
  EXPECT_EQ(reader.line(), "read");
  const Opened backend = sqlite::open(path);  // root may write here
  write(*backend, {{node_key(1), node_record(0, "y")}});
  ASSERT_EQ(::write(ready[1], "x", 1), 1);
  EXPECT_TRUE(reader.succeeded());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(Permissions, AWriterMakesAReadOnlyFolderReadable) {
  // The writer's -wal and -shm are there to be shared.
  const std::string path = folder_ / "store.db";
  const Opened backend = sqlite::open(path);
  write(*backend, {{node_key(1), node_record(0, "x")}});
  for (const char* suffix : {"", "-wal", "-shm"}) set_mode(path + suffix, 0666);
  set_mode(folder_.path().string(), 0555);
  EXPECT_TRUE(as_nobody([&] {
    return Opened(sqlite::open(path, {.read_only = true}))->load(node_key(1))->body == "x";
  }));
  set_mode(folder_.path().string(), 0700);
}

TEST_F(Permissions, ACrashedStoreInAReadOnlyFolderIsRefused) {
  const std::string path = folder_ / "store.db";
  Child child([&](const Reporter& reporter) {
    const Opened backend = sqlite::open(path);
    write(*backend, {{node_key(1), node_record(0, "x")}});
    reporter.say("written");
    ::pause();
    return true;
  });
  EXPECT_EQ(child.line(), "written");
  child.kill();
  std::filesystem::remove(path + "-shm");
  for (const char* suffix : {"", "-wal"}) set_mode(path + suffix, 0644);
  set_mode(folder_.path().string(), 0555);
  EXPECT_TRUE(as_nobody([&] {
    return says([&] { sqlite::open(path, {.read_only = true}); }, "was not closed cleanly");
  }));
  set_mode(folder_.path().string(), 0700);
}

TEST_F(Refusals, ReadOnlyStoresReadWhatAWriterWrites) {
  const std::string path = folder_ / "store.db";
  const Opened writer = sqlite::open(path);
  const Opened reader = sqlite::open(path, {.read_only = true});
  write(*writer, {{node_key(1), node_record(0, "x")}});
  EXPECT_EQ(reader->load(node_key(1))->body, "x");
  EXPECT_TRUE(reader->facts().read_only);
  EXPECT_EQ(reader->facts().constant, writer->facts().constant);
  EXPECT_THROW(reader->begin(soon()), UsageError);
  EXPECT_NO_THROW(reader->maintain());
  EXPECT_TRUE(reader->check().empty());
}

}  // namespace
}  // namespace graven::test
