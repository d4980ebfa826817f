// SPDX-License-Identifier: MIT
//
// The checks of store_files.hpp. One thread at a time.
#include "backends/sqlite/files/store_files.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "backends/sqlite/files/wal_owner.hpp"

#ifndef GRAVEN_SQLITE_SYSTEM
extern "C" int graven_sqlite_descriptor(sqlite3_file*, int index);
#endif

namespace graven::sqlite {
namespace {

using std::chrono::steady_clock;

// Maximum delay for finding changes that the folder's time does not show: hard links elsewhere, a
// moved folder, a copy into one of the files.
constexpr auto kRecent = std::chrono::milliseconds(1);
// Two changes within one tick of the kernel's clock may leave the same folder time.
constexpr std::int64_t kTick = 20'000'000;  // ns

constexpr std::size_t kFrames = 4;  // words of the index, as in file_layer.cpp
constexpr std::size_t kSalts = 8;
constexpr ::off_t kIndexSize = 32768;
// Without the write lock, files may look wrong for a moment.
constexpr int kTries = 4;
constexpr ::useconds_t kPause = 200;

std::int64_t nanoseconds(const struct timespec& time) {
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

/// The descriptor of SQLite's file; -1 if unknown.
int descriptor_of(sqlite3_file* file, bool index) {
#ifdef GRAVEN_SQLITE_SYSTEM
  static_cast<void>(file);
  static_cast<void>(index);
  return -1;
#else
  return file != nullptr ? graven_sqlite_descriptor(file, index ? 1 : 0) : -1;
#endif
}

bool read(sqlite3_file* file, unsigned char* into, std::size_t size, ::off_t from) {
  // Not through the VFS: it may have mapped the file, and reading a truncated mapping is a SIGBUS.
  if (const int descriptor = descriptor_of(file, false); descriptor >= 0) {
    return ::pread(descriptor, into, size, from) == static_cast<ssize_t>(size);
  }
  return file->pMethods->xRead(file, into, static_cast<int>(size), from) == SQLITE_OK;
}

[[gnu::no_sanitize("thread")]] std::uint32_t word(const OpenFiles& open, std::size_t i) {
  return open.index[i];
}

}  // namespace

StoreFiles::StoreFiles(std::string path)
    : path_(std::move(path)),
      folder_(::open(path_.substr(0, path_.rfind('/') + 1).c_str(),
                     O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

StoreFiles::~StoreFiles() {
  if (folder_ >= 0) ::close(folder_);
}

bool StoreFiles::recent(steady_clock::time_point now) const noexcept {
  return now - looked_ < kRecent;
}

bool StoreFiles::quiet(steady_clock::time_point now) const noexcept {
  struct stat info {};
  if (!recent(now) || folder_ < 0 || ::fstat(folder_, &info) != 0 || info.st_nlink == 0) {
    return false;
  }
  struct timespec time {};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return nanoseconds(info.st_mtim) == nanoseconds(seen_) &&
         nanoseconds(time) - nanoseconds(seen_) > kTick;
}

std::string StoreFiles::name(Which which) const {
  constexpr std::array<const char*, kCount> kSuffixes{"", "-wal", "-shm"};
  return path_ + kSuffixes[which];
}

/// The inode that SQLite has open; if that is unknown, the one that had the name at the first look.
std::optional<Identity>& StoreFiles::identity(Which which, const OpenFiles& open) {
  std::optional<Identity>& known = identities_[which];
  if (known) return known;
  const int descriptor = descriptor_of(which == kWal ? open.wal : open.main, which == kIndex);
  struct stat info {};
  const int found =
      descriptor >= 0 ? ::fstat(descriptor, &info) : ::stat(name(which).c_str(), &info);
  if (found == 0) known = Identity{info.st_dev, info.st_ino};
  return known;
}

std::string StoreFiles::look_at_names(const OpenFiles& open) {
  for (const Which which : {kMain, kWal, kIndex}) {
    if (which == kWal && open.wal == nullptr) continue;
    if (which == kIndex && open.index == nullptr) continue;
    const std::string name = this->name(which);
    const std::optional<Identity>& ours = identity(which, open);
    struct stat info {};
    if (::stat(name.c_str(), &info) != 0 || !ours) return name + " was deleted or moved";
    if (Identity{info.st_dev, info.st_ino} != *ours) return name + " was replaced";
    if (which == kMain && info.st_nlink > 1) {
      return name + " was given another name (a hard link)";
    }
    if (which == kIndex && info.st_size < kIndexSize) return name + " was cut off";
  }
  return open.index_lost ? name(kIndex) + " was cut off" : std::string();
}

/// Checks the main file by its epoch.
bool StoreFiles::is_main(const OpenFiles& open, const Stamp& newest) {
  constexpr ::off_t kPageSize = 16;
  const std::array<std::uint32_t, 2> salts{word(open, kSalts), word(open, kSalts + 1)};
  if (salts != salts_) {
    salts_ = salts;
    epochs_.clear();
    any_epoch_ = false;
  }
  if (any_epoch_) return true;
  for (int tries = 0; tries < kTries; ++tries) {
    if (tries > 0) ::usleep(kPause);
    Stamp stamp;
    std::array<unsigned char, 2> size{};
    if (!read(open.main, stamp.bytes.data(), Stamp::kSize, Stamp::kOffset) ||
        !read(open.main, size.data(), size.size(), kPageSize)) {
      continue;
    }
    const Epoch epoch = stamp.epoch();
    if (std::find(epochs_.begin(), epochs_.end(), epoch) != epochs_.end()) return true;
    // The newest stamp of the WAL or the one before: that is one of the WAL's too, or what it began
    // with.
    if (newest.present() && (epoch == newest.epoch() || epoch == newest.before())) {
      epochs_.push_back(epoch);
      return true;
    }
    const std::uint32_t page = std::uint32_t{size[0]} << 8U | size[1];
    const auto read_wal = [&](unsigned char* into, std::size_t bytes, ::off_t from) {
      return read(open.wal, into, bytes, from);
    };
    const WalOwner owner = wal_owner(read_wal, page == 1 ? 65536 : page, epoch);
    if (owner == WalOwner::kAnother) continue;  // or a checkpoint was writing the page
    if (owner == WalOwner::kThis) epochs_.push_back(epoch);
    any_epoch_ = owner == WalOwner::kUnknown;
    return true;  // also if the WAL has no commit
  }
  return false;
}

/// Checks the WAL by its salts.
bool StoreFiles::is_wal(const OpenFiles& open) const {
  constexpr ::off_t kSaltsInFile = 16;
  for (int tries = 0; tries < kTries; ++tries) {
    if (tries > 0) ::usleep(kPause);
    if (word(open, kFrames) == 0) return true;
    const std::array<std::uint32_t, 2> salts{word(open, kSalts), word(open, kSalts + 1)};
    std::array<unsigned char, sizeof salts> found{};
    if (read(open.wal, found.data(), found.size(), kSaltsInFile) &&
        std::memcmp(found.data(), salts.data(), sizeof salts) == 0) {
      return true;
    }
  }
  return false;
}

std::string StoreFiles::look(const OpenFiles& open, const Stamp& newest) {
  struct stat info {};
  // Taken before the look: the next look will notice changes that happen during this one.
  seen_ = folder_ >= 0 && ::fstat(folder_, &info) == 0 ? info.st_mtim : timespec{};
  const steady_clock::time_point begun = steady_clock::now();
  looked_ = {};
  std::string found = look_at_names(open);
  if (!found.empty()) return found;
  if (open.wal != nullptr && open.index != nullptr) {
    if (!is_wal(open)) return name(kWal) + " was overwritten";
    if (!is_main(open, newest)) return name(kMain) + " was overwritten";
  }
  looked_ = begun;
  return found;
}

Stamp stamp_in_file(sqlite3_file* main) {
  Stamp stamp;
  if (!read(main, stamp.bytes.data(), Stamp::kSize, Stamp::kOffset)) return {};
  return stamp;
}

std::string remedy_for_files(const std::string& name) {
  return "stop the programs that use it, then put the right files back, or, to keep the " + name +
         " that is there now as it is, move its -wal and -shm away";
}

}  // namespace graven::sqlite
