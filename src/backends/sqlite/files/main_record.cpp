// SPDX-License-Identifier: MIT
//
// Writes and compares the record of main_record.hpp. Any thread.
#include "backends/sqlite/files/main_record.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/vfs/fault.hpp"
#include "backends/sqlite/vfs/spared.hpp"
#include "base/hash.hpp"

namespace graven::sqlite {
namespace {

constexpr std::uint64_t kMagic = 0x316e69616d767267;  // "grvmain1"
constexpr ::off_t kRecordAt = 64;                     // in -owners, after the writer's process id

// Offsets in the index, in 32-bit words.
constexpr std::size_t kSalts = 8;
constexpr std::size_t kBackfilled = 24;
constexpr std::size_t kAttempted = 32;
constexpr std::size_t kWords = 33;

struct Record {
  std::uint64_t magic;
  std::uint64_t boot;
  std::uint64_t owners;  // inode numbers
  std::uint64_t index;
  std::uint64_t device;  // of the main file
  std::uint64_t inode;
  std::uint64_t size;
  std::int64_t changed;  // nanoseconds
  std::uint32_t salts[2];
  std::uint32_t attempted;  // frames that checkpoints tried to move
  std::uint32_t zero;
  std::uint64_t checksum;

  [[nodiscard]] std::uint64_t sum() const {
    return base::hash({reinterpret_cast<const char*>(this), offsetof(Record, checksum)}, 0);
  }
};
static_assert(sizeof(Record) == 88);

/// A hash of the boot id: the same until the system restarts.
std::uint64_t this_boot() {
  static const std::uint64_t boot = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id.empty() ? 0 : base::hash(id, 0);
  }();
  return boot;
}

struct Index {
  std::uint32_t salts[2];
  std::uint32_t backfilled;
  std::uint32_t attempted;

  [[nodiscard]] bool same_as(const Index& other) const {
    return salts[0] == other.salts[0] && salts[1] == other.salts[1] &&
           backfilled == other.backfilled && attempted == other.attempted;
  }
};

// Other processes change the index meanwhile.
[[gnu::no_sanitize("thread")]] Index read_index(const volatile std::uint32_t* words) {
  return {{words[kSalts], words[kSalts + 1]}, words[kBackfilled], words[kAttempted]};
}

bool describe(const std::string& path, int owners, Record& record) {
  struct stat main {};
  struct stat index {};
  struct stat own {};
  if (::stat(path.c_str(), &main) != 0 || ::fstat(owners, &own) != 0) return false;
  if (::stat((path + "-shm").c_str(), &index) != 0) index.st_ino = 0;
  record.magic = kMagic;
  record.boot = this_boot();
  record.owners = own.st_ino;
  record.index = index.st_ino;
  record.device = main.st_dev;
  record.inode = main.st_ino;
  record.size = static_cast<std::uint64_t>(main.st_size);
  record.changed = main.st_mtim.tv_sec * 1'000'000'000 + main.st_mtim.tv_nsec;
  return true;
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
    if (number_ < 0) refuse_if_out_of_files(errno, path);
  }
  ~Descriptor() {
    if (number_ >= 0) close_sparing(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool read(void* into, std::size_t size, ::off_t from) const {
    return ::pread(number_, into, size, from) == static_cast<ssize_t>(size);
  }

 private:
  int number_;
};

}  // namespace

void note_main_file(int owners, const std::string& path, Identity main,
                    const volatile std::uint32_t* index) {
  if (owners < 0 || index == nullptr) return;
  const Index before = read_index(index);
  Record record{};
  if (!describe(path, owners, record) || record.boot == 0) return;
  if (Identity{record.device, record.inode} != main) return;
  const Index after = read_index(index);
  if (!before.same_as(after) || after.backfilled != after.attempted) return;
  record.salts[0] = after.salts[0];
  record.salts[1] = after.salts[1];
  record.attempted = after.attempted;
  record.checksum = record.sum();
  // If it fails, there is no record, or one with a wrong checksum.
  static_cast<void>(::pwrite(owners, &record, sizeof record, kRecordAt) != 0);
}

bool main_file_was_replaced(const std::string& path) {
  const Descriptor owners(path + "-owners");
  Record noted{};
  if (owners.number() < 0 || !owners.read(&noted, sizeof noted, kRecordAt) ||
      noted.magic != kMagic || noted.checksum != noted.sum()) {
    return false;
  }
  constexpr ::off_t kSaltsOfWal = 16;
  const Descriptor wal(path + "-wal");
  std::array<std::uint32_t, 2> salts{};
  Record now{};
  if (!wal.read(salts.data(), sizeof salts, kSaltsOfWal) || !describe(path, owners.number(), now) ||
      noted.boot != now.boot || noted.owners != now.owners || salts[0] != noted.salts[0] ||
      salts[1] != noted.salts[1]) {
    return false;
  }
  if (noted.device != now.device || noted.inode != now.inode) return true;
  // Checkpoints change the size and time.
  const Descriptor shared(path + "-shm");
  std::array<std::uint32_t, kWords> words{};
  if (noted.index != now.index || !shared.read(words.data(), sizeof words, 0)) return false;
  const Index then{{noted.salts[0], noted.salts[1]}, noted.attempted, noted.attempted};
  if (!read_index(words.data()).same_as(then)) return false;
  return noted.size != now.size || noted.changed != now.changed;
}

}  // namespace graven::sqlite
