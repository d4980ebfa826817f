// SPDX-License-Identifier: MIT
//
// Reading a WAL as SQLite's "WAL File Format" (https://sqlite.org/fileformat2.html#walformat) has
// it: a header of 32 bytes, frames of 24 bytes and a page, each with the header's salts and the
// checksum of all before it; a frame that ends a commit has the size of the database.
// Any thread.
#include "sqlite/wal_owner.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace graven::sqlite {
namespace {

constexpr std::size_t kHeader = 32;
constexpr std::size_t kFrameHeader = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // its last bit: checksums of big-endian words

std::uint32_t big(const unsigned char* at) {
  return std::uint32_t{at[0]} << 24U | std::uint32_t{at[1]} << 16U | std::uint32_t{at[2]} << 8U |
         std::uint32_t{at[3]};
}

class WalFile {
 public:
  explicit WalFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
    std::array<unsigned char, kHeader> header{};
    if (!read(header.data(), header.size())) return;
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
  ~WalFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  WalFile(const WalFile&) = delete;
  WalFile& operator=(const WalFile&) = delete;

  [[nodiscard]] const std::array<unsigned char, 8>& salts() const noexcept { return salts_; }
  [[nodiscard]] std::uint64_t size() const noexcept {
    struct stat info {};
    return ::fstat(descriptor_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }
  /// 0: nothing can be read of it.
  [[nodiscard]] std::uint32_t page_size() const noexcept { return page_size_; }

  /// Goes on to the next frame; false behind the last valid one.
  bool next() {
    if (page_size_ == 0 || !read(frame_.data(), frame_.size())) return false;
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
  bool read(unsigned char* into, std::size_t size) {
    while (size > 0) {
      const ssize_t count = ::pread(descriptor_, into, size, at_);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      into += count;
      at_ += count;
      size -= static_cast<std::size_t>(count);
    }
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

  int descriptor_;
  off_t at_ = 0;
  std::uint32_t page_size_ = 0;
  bool big_endian_ = false;
  std::array<unsigned char, 8> salts_{};
  std::array<std::uint32_t, 2> sum_{};
  std::vector<unsigned char> frame_;
};

// Words of an index.
constexpr std::size_t kFrames = 4;
constexpr std::size_t kSalts = 8;

}  // namespace

// Others change it meanwhile.
[[gnu::no_sanitize("thread")]] bool index_fits(const volatile std::uint32_t* index,
                                               const std::string& wal) {
  const std::uint32_t frames = index[kFrames];
  if (frames == 0) return true;
  const std::array<std::uint32_t, 2> salts{index[kSalts], index[kSalts + 1]};
  const WalFile file(wal);
  const std::uint64_t least = kHeader + frames * (std::uint64_t{kFrameHeader} + file.page_size());
  return file.page_size() != 0 && file.size() >= least &&
         std::memcmp(file.salts().data(), salts.data(), sizeof salts) == 0;
}

WalOwner wal_owner(const std::string& wal, std::uint32_t page_size, Epoch epoch) {
  WalFile file(wal);
  bool any = false;    // commit
  bool first = true;   // frame of the first page
  bool found = false;  // the epoch; told once its commit is whole
  bool foreign = false;
  while (file.next()) {
    if (file.page() == 1) {
      const Stamp stamp = file.stamp();
      if (first && !stamp.present()) foreign = true;
      found = found || stamp.epoch() == epoch || (first && stamp.before() == epoch);
      first = false;
    }
    if (!file.commits()) continue;
    any = true;
    if (page_size != file.page_size()) return WalOwner::kAnother;
    if (foreign) return WalOwner::kUnknown;
    if (found) return WalOwner::kThis;
  }
  if (!any) return WalOwner::kNobody;
  return first ? WalOwner::kUnknown : WalOwner::kAnother;
}

}  // namespace graven::sqlite
