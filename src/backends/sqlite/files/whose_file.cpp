// SPDX-License-Identifier: MIT
//
// Recognises files by name, inode and content. See whose_file.hpp. Any thread.
#include "backends/sqlite/files/whose_file.hpp"

#include <graven/doctor.hpp>
#include <graven/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/backup/raw_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "backends/sqlite/vfs/fault.hpp"

namespace graven::sqlite {
namespace {

/// The path without symbolic links; if the file does not exist, only of its folder. Empty if
/// neither exists.
std::string real_path(const std::string& path) {
  const auto real = [](const std::string& one) {
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(one.c_str(), nullptr),
                                                            &std::free);
    return found ? std::string(found.get()) : std::string();
  };
  if (std::string found = real(path); !found.empty()) return found;
  const auto slash = path.rfind('/');
  const std::string folder = real(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  if (folder.empty()) return {};
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return (folder == "/" ? folder : folder + "/") + name;
}

bool regular(const std::string& path, struct stat& info) {
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

/// The first bytes of a regular file; zeros beyond its end.
std::array<unsigned char, 100> beginning_of(const std::string& path) {
  std::array<unsigned char, 100> bytes{};
  struct stat info {};
  if (!regular(path, info) || info.st_size == 0) return bytes;
  try {
    RawFile({.name = path, .path = path, .vfs = {}}).read(bytes.data(), bytes.size(), 0);
  } catch (const Error&) {
    // Without read permission the kind is unknown. With it, an error must not mean "another kind".
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) throw;
    bytes = {};
  }
  return bytes;
}

std::uint32_t big_endian(const unsigned char* at) {
  return std::uint32_t{at[0]} << 24U | std::uint32_t{at[1]} << 16U | std::uint32_t{at[2]} << 8U |
         at[3];
}

bool is_store(const std::string& path) {
  const auto bytes = beginning_of(path);
  return std::memcmp(bytes.data(), "SQLite format 3", 16) == 0 &&
         big_endian(bytes.data() + 68) == kApplicationId;
}

/// The store that a name such as "state.db-wal" belongs to, if that store exists.
std::optional<StoreFile> by_name(const std::string& path) {
  for (const std::string_view suffix : kBesideStore) {
    if (!path.ends_with(suffix)) continue;
    std::string store = path.substr(0, path.size() - suffix.size());
    if (is_store(store)) return StoreFile{store, "the " + std::string(suffix) + " of a store"};
  }
  return std::nullopt;
}

/// Whether another name of this inode in the same folder is that of a file beside a store.
std::optional<StoreFile> by_link(const std::string& path, const struct stat& info) {
  if (info.st_nlink < 2) return std::nullopt;
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) {
    refuse_if_out_of_files(errno, folder);
    return std::nullopt;
  }
  while (const dirent* entry = ::readdir(entries.get())) {
    if (entry->d_ino != info.st_ino) continue;
    if (auto found = by_name(folder + entry->d_name)) return found;
  }
  return std::nullopt;
}

std::optional<StoreFile> by_content(const std::string& path) {
  const auto bytes = beginning_of(path);
  if (is_store(path)) return StoreFile{path, "a store", true};
  const std::uint32_t magic = big_endian(bytes.data());
  if (magic == 0x377f0682 || magic == 0x377f0683) return StoreFile{{}, "the WAL of a database"};
  std::uint32_t version = 0;
  std::memcpy(&version, bytes.data(), sizeof version);
  std::uint32_t again = 0;
  std::memcpy(&again, bytes.data() + 48, sizeof again);
  constexpr std::uint32_t kWalIndex = 3007000;
  if (version == kWalIndex && again == kWalIndex) {
    return StoreFile{{}, "the index of a database's WAL"};
  }
  if (std::memcmp(bytes.data(), "grvnring", 8) == 0)
    return StoreFile{{}, "the -changes of a store"};
  return std::nullopt;
}

}  // namespace

std::optional<StoreFile> store_file(const std::string& path, const std::string& known) {
  const std::string real = real_path(path);
  if (real.empty()) return std::nullopt;
  struct stat info {};
  const bool there = ::stat(real.c_str(), &info) == 0;
  if (there && !S_ISREG(info.st_mode)) return std::nullopt;
  if (!known.empty()) {
    const std::string store = real_path(known);
    for (const std::string_view suffix : {"", "-wal", "-journal", "-shm", "-owners", "-changes"}) {
      const std::string own = store + std::string(suffix);
      struct stat other {};
      const bool same = there && ::stat(own.c_str(), &other) == 0 && other.st_dev == info.st_dev &&
                        other.st_ino == info.st_ino;
      if (!same && real != own) continue;
      return StoreFile{
          store,
          suffix.empty() ? "the store itself" : "the " + std::string(suffix) + " of the store",
          suffix.empty()};
    }
  }
  if (auto found = by_name(real)) return found;
  if (!there) return std::nullopt;
  if (auto found = by_content(real)) return found;
  return by_link(real, info);
}

void refuse_beside_store(const std::string& name, const std::string& path,
                         const std::string& known) {
  const std::optional<StoreFile> found = store_file(path, known);
  if (!found || found->main) return;
  throw UsageError(name + " is " + found->what +
                   (found->store.empty() ? "" : " (" + found->store + ")") +
                   ", which would be destroyed; give another name");
}

}  // namespace graven::sqlite

namespace graven {

std::string store_file(std::string_view path, std::string_view store) {
  const auto found = sqlite::store_file(std::string(path), std::string(store));
  if (!found) return {};
  return found->what + (found->store.empty() ? "" : " (" + found->store + ")");
}

}  // namespace graven
