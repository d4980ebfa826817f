// SPDX-License-Identifier: MIT
//
// Reads a WAL according to SQLite's "WAL File Format"
// (https://sqlite.org/fileformat2.html#walformat): a header of 32 bytes, then frames of 24 bytes
// and a page. Each frame has the header's salts and a checksum over everything before it. The last
// frame of a commit has the size of the database. Any thread.
#include "backends/sqlite/files/wal_owner.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "backends/sqlite/vfs/fault.hpp"

namespace graven::sqlite {
namespace {

constexpr std::size_t kHeader = 32;
constexpr std::size_t kFrameHeader = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // last bit set: checksums of big-endian words

std::uint32_t big(const unsigned char* at) {
  return std::uint32_t{at[0]} << 24U | std::uint32_t{at[1]} << 16U | std::uint32_t{at[2]} << 8U |
         std::uint32_t{at[3]};
}

/// A WAL opened by its name.
class NamedWal {
 public:
  explicit NamedWal(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
    if (descriptor_ < 0) refuse_if_out_of_files(errno, path);
  }
  ~NamedWal() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  NamedWal(const NamedWal&) = delete;
  NamedWal& operator=(const NamedWal&) = delete;

  [[nodiscard]] std::uint64_t size() const noexcept {
    struct stat info {};
    return ::fstat(descriptor_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }
  bool operator()(unsigned char* into, std::size_t size, ::off_t from) const {
    while (size > 0) {
      const ssize_t count = ::pread(descriptor_, into, size, from);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      into += count;
      from += count;
      size -= static_cast<std::size_t>(count);
    }
    return true;
  }

 private:
  int descriptor_;
};

/// Reads the header, then frame by frame.
class Frames {
 public:
  explicit Frames(ReadWal read) : read_(read) {
    std::array<unsigned char, kHeader> header{};
    if (!take(header.data(), header.size())) return;
    if ((big(header.data()) & ~1U) != kMagic) return;
    big_endian_ = (big(header.data()) & 1U) != 0;
    const std::uint32_t size = big(header.data() + 8);
    std::copy_n(header.data() + 16, salts_.size(), salts_.begin());
    add(header.data(), kHeader - 8);
    const bool sound = sum_[0] == big(header.data() + 24) && sum_[1] == big(header.data() + 28);
    if (!sound || size < 512 || size > 65536 || (size & (size - 1)) != 0) return;
    page_size_ = size;
    frame_.resize(kFrameHeader + size);
  }

  [[nodiscard]] const std::array<unsigned char, 8>& salts() const noexcept { return salts_; }
  /// 0: the header is not valid.
  [[nodiscard]] std::uint32_t page_size() const noexcept { return page_size_; }

  /// Moves to the next frame; false after the last valid one.
  bool next() {
    if (page_size_ == 0 || !take(frame_.data(), frame_.size())) return false;
    if (!std::equal(salts_.begin(), salts_.end(), frame_.data() + 8) || page() == 0) return false;
    add(frame_.data(), 8);
    add(frame_.data() + kFrameHeader, page_size_);
    return sum_[0] == big(frame_.data() + 16) && sum_[1] == big(frame_.data() + 20);
  }
  [[nodiscard]] std::uint32_t page() const noexcept { return big(frame_.data()); }
  [[nodiscard]] bool commits() const noexcept { return big(frame_.data() + 4) != 0; }
  [[nodiscard]] Stamp stamp() const {
    Stamp stamp;
    std::copy_n(frame_.data() + kFrameHeader + Stamp::kOffset, Stamp::kSize, stamp.bytes.begin());
    return stamp;
  }

 private:
  bool take(unsigned char* into, std::size_t size) {
    if (!read_(into, size, at_)) return false;
    at_ += static_cast<::off_t>(size);
    return true;
  }

  void add(const unsigned char* bytes, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; i += 8) {
      sum_[0] += word(bytes + i) + sum_[1];
      sum_[1] += word(bytes + i + 4) + sum_[0];
    }
  }
  [[nodiscard]] std::uint32_t word(const unsigned char* at) const noexcept {
    if (big_endian_) return big(at);
    std::uint32_t value = at[3];
    for (int i = 2; i >= 0; --i) value = value << 8U | at[i];
    return value;
  }

  ReadWal read_;
  ::off_t at_ = 0;
  std::uint32_t page_size_ = 0;
  bool big_endian_ = false;
  std::array<unsigned char, 8> salts_{};
  std::array<std::uint32_t, 2> sum_{};
  std::vector<unsigned char> frame_;
};

// Offsets in the index, in 32-bit words.
constexpr std::size_t kFrames = 4;
constexpr std::size_t kSalts = 8;

// Other processes change the index meanwhile.
[[gnu::no_sanitize("thread")]] bool fits(const volatile std::uint32_t* index,
                                         const std::string& wal) {
  const std::uint32_t frames = index[kFrames];
  if (frames == 0) return true;
  const std::array<std::uint32_t, 2> salts{index[kSalts], index[kSalts + 1]};
  const NamedWal file(wal);
  const Frames found(file);
  const std::uint64_t least = kHeader + frames * (std::uint64_t{kFrameHeader} + found.page_size());
  return found.page_size() != 0 && file.size() >= least &&
         std::memcmp(found.salts().data(), salts.data(), sizeof salts) == 0;
}

}  // namespace

bool index_fits(sqlite3_file* database, const std::string& path) {
  constexpr int kRegion = 32768;  // the size of SQLite's mappings
  const sqlite3_io_methods& methods = *database->pMethods;
  // With a read lock, so that no last connection removes the WAL and leaves the index to us.
  if (methods.iVersion < 2 || methods.xLock(database, SQLITE_LOCK_SHARED) != SQLITE_OK) return true;
  const std::unique_ptr<sqlite3_file, void (*)(sqlite3_file*)> held(
      database, [](sqlite3_file* locked) {
        locked->pMethods->xShmUnmap(locked, 0);
        locked->pMethods->xUnlock(locked, SQLITE_LOCK_NONE);
      });
  volatile void* region = nullptr;
  const int code = methods.xShmMap(database, 0, kRegion, 0, &region);
  if (code != SQLITE_OK) refuse_if_out_of_files(errno, path + "-shm");
  // If there is no index yet, SQLite creates it at the first read.
  return region == nullptr ||
         fits(static_cast<const volatile std::uint32_t*>(region), path + "-wal");
}

WalOwner wal_owner(const std::string& wal, std::uint32_t page_size, Epoch epoch) {
  const NamedWal file(wal);
  return wal_owner(file, page_size, epoch);
}

WalOwner wal_owner(ReadWal read, std::uint32_t page_size, Epoch epoch) {
  Frames frames(read);
  bool any = false;    // any commit
  bool first = true;   // no frame of page 1 yet
  bool found = false;  // the epoch; counts when its commit is complete
  bool foreign = false;
  while (frames.next()) {
    if (frames.page() == 1) {
      const Stamp stamp = frames.stamp();
      if (first && !stamp.present()) foreign = true;
      found = found || stamp.epoch() == epoch || (first && stamp.before() == epoch);
      first = false;
    }
    if (!frames.commits()) continue;
    any = true;
    if (page_size != frames.page_size()) return WalOwner::kAnother;
    if (foreign) return WalOwner::kUnknown;
    if (found) return WalOwner::kThis;
  }
  if (!any) return WalOwner::kNobody;
  return first ? WalOwner::kUnknown : WalOwner::kAnother;
}

}  // namespace graven::sqlite
