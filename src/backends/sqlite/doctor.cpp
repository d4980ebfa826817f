// SPDX-License-Identifier: MIT
//
// The examinations of <graven/doctor.hpp>, one function each. Locks are read from /proc: closing a
// descriptor of ours on the store would drop the locks that another SQLite of this process has on
// it.
//
// Any thread.
#include "backends/sqlite/doctor.hpp"

#include <array>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/sqlite/backup/raw_file.hpp"
#include "backends/sqlite/backup/whole_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/vfs/wal_lock.hpp"
#include "base/network_file_system.hpp"

namespace graven::sqlite {
namespace {

constexpr std::uint64_t kLargeWal = std::uint64_t{64} << 20U;
constexpr std::uint64_t kLeastSpace = std::uint64_t{100} << 20U;

class Examination {
 public:
  Examination(const Target& target, const Surroundings& around)
      : target_(target), around_(around) {}

  void libraries();
  void file_system();
  void permissions();
  void space();
  void processes();
  void wal();
  void free_pages();
  void leftovers();

  std::vector<Finding> findings{};

 private:
  void add(Severity severity, std::string code, std::string what, std::string remedy) {
    findings.push_back({severity, std::move(code), std::move(what), std::move(remedy)});
  }
  [[nodiscard]] std::string folder() const {
    return target_.path.substr(0, target_.path.rfind('/') + 1);
  }

  const Target& target_;
  const Surroundings& around_;
};

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string((bytes + (1U << 20U) - 1) >> 20U) + " MiB";
}

std::string names_of(const std::set<long>& processes) {
  std::string text;
  for (const long process : processes) {
    text += (text.empty() ? "" : ", ") + process_name(process);
  }
  return text;
}

/// Whether this SQLite version has the WAL-reset bug; the same rule as in cmake/sqlite.cmake.
bool vulnerable(int version) {
  return version < 3051003 && version != 3044006 && version != 3050007;
}

void Examination::libraries() {
  if (vulnerable(around_.sqlite_version)) {
    add(Severity::kError, "sqlite_vulnerable",
        "this graven uses SQLite " + std::string(sqlite3_libversion()) +
            ", which can lose committed data when a checkpoint races a writer",
        "build graven with the SQLite it brings (GRAVEN_SQLITE=bundled), or update SQLite");
  }
  for (const std::string& library : around_.sqlite_libraries()) {
    add(Severity::kNote, "sqlite_mixed",
        library + " is loaded in this process too, beside graven's SQLite " +
            std::string(sqlite3_libversion()),
        "it may read " + target_.name + " in this process; only graven should write it");
  }
}

void Examination::file_system() {
  const std::string type = around_.network_file_system(target_.path);
  if (type.empty()) return;
  add(Severity::kError, "network_file_system", target_.name + " lies on " + type,
      "move it to a local disk; locks and shared memory do not work well enough there");
}

void Examination::permissions() {
  struct stat info {};
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string path = target_.path + suffix;
    if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 0077U) == 0) continue;
    add((info.st_mode & 0022U) != 0 ? Severity::kWarning : Severity::kNote, "file_mode",
        path + (info.st_mode & 0022U ? " can be written" : " can be read") + " by others",
        "chmod 600 " + path + ", unless they may do so");
  }
  if (::stat(folder().c_str(), &info) == 0 && (info.st_mode & 0022U) != 0 &&
      (info.st_mode & S_ISVTX) == 0) {
    add(Severity::kWarning, "folder_mode",
        folder() + " can be written by others, who can replace " + target_.name,
        "chmod go-w " + folder());
  }
}

void Examination::space() {
  const std::optional<std::uint64_t> there = around_.free_bytes(folder());
  if (!there) return;
  const std::uint64_t free = *there;
  const std::uint64_t size = file_state(target_.path).size;
  if (free < kLeastSpace) {
    add(Severity::kError, "disk_space", mebibytes(free) + " are free on the disk",
        "free some space: commits fail once it is full");
  } else if (free < size) {
    add(Severity::kWarning, "disk_space",
        mebibytes(free) + " are free on the disk, and " + target_.name + " has " + mebibytes(size),
        "a restore or a backup there would not fit; free some space, or back up elsewhere");
  }
}

void Examination::processes() {
  const std::set<long> users = lock_holders(target_.path, 0x40000000, 0x40000200);
  if (users.empty()) return;
  add(Severity::kNote, "in_use", target_.name + " is open in " + names_of(users), "");
}

void Examination::wal() {
  const std::uint64_t size = file_state(target_.path + "-wal").size;
  const std::set<long> users = lock_holders(target_.path, 0x40000000, 0x40000200);
  if (users.empty() && size > 0) {
    add(Severity::kNote, "wal_left",
        target_.name + "-wal has " + mebibytes(size) + " and no process has the store open",
        "commits are in it: keep it beside the store; open the store for writing once to move them "
        "into it");
  }
  if (users.empty() || size < kLargeWal) return;
  const std::set<long> readers = wal_readers(target_.path);
  add(Severity::kWarning, "wal_large",
      target_.name + "-wal has " + mebibytes(size) +
          (readers.empty() ? ", and nobody reads at the moment"
                           : ", while it is read by " + names_of(readers)),
      readers.empty()
          ? "graven maintenance " + target_.name
          : "end snapshots, iterations and backups there: a checkpoint cannot go past them");
}

void Examination::free_pages() {
  std::array<unsigned char, 40> header{};
  RawFile(target_).read(header.data(), header.size(), 0);
  const auto number = [&header](std::size_t at) {
    return std::uint64_t{header[at]} << 24U | std::uint64_t{header[at + 1]} << 16U |
           std::uint64_t{header[at + 2]} << 8U | std::uint64_t{header[at + 3]};
  };
  const std::uint64_t pages = number(28);
  const std::uint64_t free = number(36);
  const std::uint64_t page = number(16) >> 16U == 1 ? 65536 : number(16) >> 16U;
  const std::uint64_t size = file_state(target_.path).size;
  // With a WAL, the end of the file may be in it.
  if (size < pages * page && file_state(target_.path + "-wal").size == 0) {
    add(Severity::kError, "file_cut",
        target_.name + " has " + std::to_string(size) + " bytes of the " +
            std::to_string(pages * page) + " that its header says: its end is missing",
        "restore a backup; graven dump " + target_.name + " saves what can be read");
  } else if (size % page != 0 && !ends_with_seal(target_)) {
    add(Severity::kWarning, "file_tail",
        target_.name +
            " does not end with a whole page: another program has cut it off or written to it",
        "graven check " + target_.name + "; restore a backup if it finds anything");
  }
  constexpr std::uint64_t kFew = 4096;
  if (free < kFew || free < pages / 4) return;
  add(Severity::kWarning, "free_pages",
      std::to_string(free) + " of " + std::to_string(pages) + " pages of " + target_.name +
          " are free",
      "graven maintenance " + target_.name + " gives them back to the disk, some at a time");
}

void Examination::leftovers() {
  const std::string name = target_.path.substr(target_.path.rfind('/') + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder().c_str()), &::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view found = entry->d_name;
    const std::string path = folder() + entry->d_name;
    if (found == name + ".before-restore") {
      add(Severity::kNote, "before_restore", path + " is the store that a restore replaced",
          "delete it once it is not needed; the next restore that keeps one needs its name");
    } else if (found.starts_with(name + ".replaced-") && was_replaced(path)) {
      add(Severity::kNote, "before_restore",
          path +
              " is the store that a restore replaced; the restore was killed before it gave this "
              "file its name",
          "rename it to " + target_.name + ".before-restore, or delete it once it is not needed");
    } else if (found.starts_with(name + ".before-repair")) {
      add(Severity::kNote, "before_repair", path + " is the store as it was before a repair",
          "delete it once you do not need what the repair lost");
    } else if (found.starts_with(name + ".partial-") || found.starts_with(name + ".replaced-")) {
      const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      if (descriptor < 0) continue;
      const bool abandoned = ::flock(descriptor, LOCK_SH | LOCK_NB) == 0;
      ::close(descriptor);
      if (!abandoned) continue;
      add(Severity::kWarning, "partial_file",
          path + " was left by a backup or restore that did not end", "delete it");
    }
  }
}

std::optional<std::uint64_t> free_bytes_of(const std::string& folder) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return std::nullopt;
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

std::set<std::string> libraries_here() {
  std::set<std::string> loaded;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto path = line.find('/');
    if (path != std::string::npos && line.find("libsqlite3", path) != std::string::npos) {
      loaded.insert(line.substr(path));
    }
  }
  return loaded;
}

}  // namespace

Surroundings real_surroundings() {
  return {.network_file_system = base::network_file_system_of,
          .free_bytes = free_bytes_of,
          .sqlite_libraries = libraries_here,
          .sqlite_version = sqlite3_libversion_number()};
}

std::vector<Finding> examine(std::string_view path, const Surroundings& surroundings) {
  const std::string name(path);
  const Target target{.name = name, .path = resolve(name), .vfs = {}};
  check_header(target, check_path(target, true, true));
  Examination examination(target, surroundings);
  examination.libraries();
  examination.file_system();
  examination.permissions();
  examination.space();
  examination.processes();
  examination.wal();
  examination.free_pages();
  examination.leftovers();
  return std::move(examination.findings);
}

}  // namespace graven::sqlite

namespace graven {

std::string_view sqlite_version() noexcept { return sqlite3_libversion(); }

std::vector<Finding> examine(Text path) {
  return sqlite::examine(path, sqlite::real_surroundings());
}

}  // namespace graven
