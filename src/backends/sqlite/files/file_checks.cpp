// SPDX-License-Identifier: MIT
//
// The checks of file_checks.hpp. Any thread.
#include "backends/sqlite/files/file_checks.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <system_error>
#include <unistd.h>

#include "backends/sqlite/backup/raw_file.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "base/network_file_system.hpp"

namespace graven::sqlite {
namespace {

std::string system_message(int error) { return std::generic_category().message(error); }

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// The names of a file in its folder, for the message.
std::string names_in_folder(const std::string& path, const struct stat& file) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  std::string names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    if (entry->d_ino != file.st_ino) continue;
    const std::string one = folder + static_cast<const char*>(entry->d_name);
    if (file_state(one).device != file.st_dev) continue;
    if (!names.empty()) names += ", ";
    names += one;
  }
  return names;
}

void refuse_network(const Target& target, const std::string& folder) {
  const std::string name = base::network_file_system_of(folder);
  if (name.empty()) return;
  throw UnavailableError(
      target.name + " lies on a network file system (" + name +
      "), where locks and shared memory do not work well enough to keep it whole; put it on a "
      "local disk, or set allow_network_file_system if one machine alone ever uses it");
}

}  // namespace

bool in_memory(const std::string& path) noexcept {
  constexpr std::uint64_t kTmpfs = 0x01021994;
  constexpr std::uint64_t kRamfs = 0x858458f6;
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return false;
  const auto type = static_cast<std::uint64_t>(info.f_type) & 0xFFFFFFFFU;
  return type == kTmpfs || type == kRamfs;
}

std::string FileState::identity() const {
  std::string text = std::to_string(device);
  text += ":";
  text += std::to_string(inode);
  return text;
}

FileState file_state(const std::string& path) {
  FileState state;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return state;
  state.exists = true;
  state.device = info.st_dev;
  state.inode = info.st_ino;
  state.size = static_cast<std::uint64_t>(info.st_size);
  state.changed = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  return state;
}

std::string resolve(const std::string& name) {
  if (name.empty()) throw UsageError("the path of a store cannot be empty");
  if (name.find('\0') != std::string::npos) {
    throw UsageError("the path of a store cannot contain a NUL character");
  }
  const auto real = [](const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                            &std::free);
    return found ? std::string(found.get()) : std::string();
  };
  if (std::string found = real(name); !found.empty()) return found;
  const int error = errno;
  if (name.back() == '/') throw UsageError(name + " names a folder; give the path of a file");
  // The file need not exist yet, but its folder must.
  std::array<char, PATH_MAX> link{};
  if (const auto length = ::readlink(name.c_str(), link.data(), link.size()); length > 0) {
    throw UnavailableError(name + " is a link to " +
                           std::string(link.data(), static_cast<std::size_t>(length)) +
                           ", which does not exist; make that file or give its path");
  }
  if (error != ENOENT) {
    throw UnavailableError(name + " cannot be reached: " + system_message(error));
  }
  const auto slash = name.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : name.substr(0, slash + 1);
  const std::string file = slash == std::string::npos ? name : name.substr(slash + 1);
  std::string found = real(folder);
  if (found.empty()) {
    throw UnavailableError("the folder of " + name + " does not exist or cannot be reached (" +
                           system_message(errno) + "); make it first");
  }
  if (found != "/") found += "/";
  return found + file;
}

FileState check_path(const Target& target, bool read_only, bool allow_network_file_system) {
  const std::string folder = folder_of(target.path);
  struct stat info {};
  const bool exists = ::stat(target.path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    throw UsageError(target.name + " is a folder; give the path of a file in it");
  }
  if (exists && !S_ISREG(info.st_mode)) {
    throw UsageError(target.name + " is not a regular file; give the path of one");
  }
  if (!exists && read_only) {
    throw UnavailableError(target.name +
                           " does not exist, and a read-only store is never made; open it "
                           "for writing once, or check the path");
  }
  const auto allowed = [](const std::string& path, int mode) {
    return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
  };
  if (exists && !allowed(target.path, R_OK)) {
    throw UnavailableError("no permission to read " + target.name + " (" + system_message(errno) +
                           "); it belongs to user " + std::to_string(info.st_uid));
  }
  if (!read_only) {
    if (exists && !allowed(target.path, W_OK)) {
      throw UnavailableError("no permission to write " + target.name + " (" +
                             system_message(errno) + "); open it read-only or change its mode");
    }
    if (!allowed(folder, W_OK | X_OK)) {
      throw UnavailableError("no permission to make files in " + folder + ", which " + target.name +
                             " needs beside it (" + system_message(errno) +
                             "); open it read-only or change the folder's mode");
    }
  }
  if (!allow_network_file_system) {
    refuse_network(target, exists ? target.path : folder);
  }
  return file_state(target.path);
}

void require_one_name(const Target& target) {
  struct stat info {};
  if (::stat(target.path.c_str(), &info) != 0 || info.st_nlink < 2) return;
  throw UnavailableError(target.name + " has " + std::to_string(info.st_nlink) +
                         " names (hard links), in its folder " +
                         names_in_folder(target.path, info) +
                         ": a program that opens it by another name does not see what is written "
                         "here, and destroys it; keep one of the names, or make a copy");
}

Header check_header(const Target& target, const FileState& file) {
  Header header;
  header.exists = file.exists;
  if (!file.exists || file.size == 0) return header;
  header.empty = false;

  constexpr int kSize = 108;  // the header, and the start of the schema table's root page
  std::array<unsigned char, kSize> bytes{};
  RawFile(target).read(bytes.data(), kSize, 0);

  if (std::memcmp(bytes.data(), "SQLite format 3", 16) != 0) {
    throw ForeignFileError(target.name +
                           " is not a SQLite database, so not a graven store; give another path "
                           "or move the file away");
  }
  const auto number = [&bytes](std::size_t at) {
    return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
           std::uint32_t{bytes[at + 2]} << 8 | std::uint32_t{bytes[at + 3]};
  };
  const bool journal = file_state(target.path + "-journal").size > 0;
  header.wal = bytes[18] == 2 && bytes[19] == 2;
  header.ready = header.wal && !journal;
  header.application = number(68);
  // Page 1 is the schema table; a leaf page without cells means no tables.
  const bool no_tables = bytes[100] == 0x0d && bytes[103] == 0 && bytes[104] == 0;
  header.blank = header.application == 0 && no_tables;
  if (header.application != kApplicationId && !header.blank) {
    // With a rollback journal the header may be half a transaction; SQLite decides.
    if (header.application != 0 || !journal) {
      throw ForeignFileError(target.name +
                             " is a SQLite database of another program; graven leaves it alone. "
                             "Give another path");
    }
    header.blank = true;
  }
  const unsigned page = unsigned{bytes[16]} << 8 | unsigned{bytes[17]};
  const bool page_good = page == 1 || (page >= 512 && (page & (page - 1)) == 0);
  if (!page_good || file.size < 512 || bytes[18] > 2 || bytes[19] > 2 || bytes[18] == 0 ||
      bytes[19] == 0) {
    throw CorruptionError(target.name + " has a damaged header; restore a backup");
  }
  header.page_size = page == 1 ? 65536 : page;
  header.cut = file.size < std::uint64_t{number(28)} * header.page_size;
  Stamp stamp;
  std::copy_n(bytes.begin() + Stamp::kOffset, Stamp::kSize, stamp.bytes.begin());
  header.epoch = stamp.epoch();
  return header;
}

bool needs_immutable(const Target& target) {
  if (::faccessat(AT_FDCWD, folder_of(target.path).c_str(), W_OK | X_OK, AT_EACCESS) == 0) {
    return false;
  }
  if (file_state(target.path + "-shm").exists) return false;  // a writer made it; share it
  if (file_state(target.path + "-wal").size == 0) return true;
  throw UnavailableError(
      target.name +
      " was not closed cleanly: part of it is in its -wal file, which cannot be "
      "read without making a file beside it, and its folder cannot be written; open it once "
      "where it can be written, or copy it together with its -wal");
}

std::string immutable_uri(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      const auto byte = static_cast<unsigned char>(c);
      uri += '%';
      uri += kDigits[byte >> 4];
      uri += kDigits[byte & 15];
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace graven::sqlite
