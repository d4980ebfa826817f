// SPDX-License-Identifier: MIT
//
// Partial files, seals, and copying a sealed file. replace.cpp puts a file in its place. One thread
// at a time.
#include "backends/sqlite/backup/whole_file.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <random>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "backends/sqlite/backup/raw_file.hpp"
#include "backends/sqlite/files/file_checks.hpp"
#include "backends/sqlite/files/stamp.hpp"
#include "backends/sqlite/schema/format.hpp"
#include "base/hash.hpp"
#include "base/interrupt.hpp"

namespace graven::sqlite {
namespace {

constexpr std::size_t kStep = std::size_t{1} << 20U;
constexpr std::string_view kMagic = "graven-backup-1\n";
constexpr std::string_view kPartial = ".partial-";
constexpr std::string_view kReplaced = ".replaced-";

struct Seal {
  std::array<char, 16> magic{};
  std::uint64_t size = 0;
  std::uint64_t hash = 0;

  [[nodiscard]] bool present() const noexcept {
    return std::string_view(magic.data(), magic.size()) == kMagic;
  }
};
static_assert(sizeof(Seal) == 32 && kMagic.size() == 16);

/// A hash of a file, computed in steps of kStep bytes.
class FileHash {
 public:
  explicit FileHash(std::uint64_t size) noexcept : hash_(size) {}
  void add(std::string_view bytes) noexcept { hash_ = base::hash(bytes, hash_); }
  [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_;
};

std::string random_name() {
  std::random_device random;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x", random(), random());
  return text.data();
}

/// Removes the partial files of a target that no process is writing any more.
void remove_abandoned(const std::string& target) {
  const auto slash = target.rfind('/');
  const std::string folder = target.substr(0, slash + 1);
  const std::string file = target.substr(slash + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    const std::string path = folder + std::string(name);
    const bool copy = name.starts_with(file + std::string(kPartial)) ||
                      (name.starts_with(file + std::string(kReplaced)) && !was_replaced(path));
    if (!copy) continue;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(descriptor);
  }
}

[[noreturn]] void throw_cut_or_altered(const std::string& name, const std::string& what) {
  throw CorruptionError(name + " " + what + "; take another backup");
}

void require_untouched(const Target& source, const FileState& before) {
  if (file_state(source.path + "-wal").size > 0 || file_state(source.path + "-journal").size > 0) {
    throw UnavailableError(source.name +
                           " is a store in use, or one that was not closed cleanly: a part of it "
                           "is in the file beside it; make a backup of it and use that");
  }
  if (!(file_state(source.path) == before)) {
    throw UnavailableError(source.name +
                           " was changed while it was read; make a backup of it and use that");
  }
}

}  // namespace

PartialFile::PartialFile(const Target& target) : target_(target), partial_(target) {
  remove_abandoned(target.path);
  for (;;) {
    const std::string suffix = std::string(kPartial) + random_name();
    partial_.name = target.name + suffix;
    partial_.path = target.path + suffix;
    descriptor_.emplace(::open(partial_.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (descriptor_->get() < 0) fail("made");
    // Before it is locked, another process with the same target may remove it as abandoned.
    const bool locked = ::flock(descriptor_->get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (locked && file_state(partial_.path).exists) return;
    ::unlink(partial_.path.c_str());
  }
}

PartialFile::~PartialFile() {
  if (!in_place_) {
    ::unlink(partial_.path.c_str());
    for (const char* beside : {"-journal", "-wal", "-shm"}) {
      ::unlink((partial_.path + beside).c_str());
    }
  }
}

void PartialFile::fail(const char* what) const {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    throw UnavailableError("the disk that holds " + target_.name +
                           " is full; nothing was changed. Free some space and try again");
  }
  throw UnavailableError(partial_.name + " could not be " + what + ": " +
                         std::generic_category().message(error) +
                         "; check the permissions of its folder and the disk");
}

std::uint64_t PartialFile::size() const {
  struct stat info {};
  if (::fstat(descriptor_->get(), &info) != 0) fail("looked at");
  return static_cast<std::uint64_t>(info.st_size);
}

void PartialFile::append(const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  auto end = static_cast<off_t>(this->size());
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor_->get(), at, size, end);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("written");
    at += written;
    end += written;
    size -= static_cast<std::size_t>(written);
  }
}

void PartialFile::stamp() {
  const Stamp stamp = Stamp().next();
  if (::pwrite(descriptor_->get(), stamp.bytes.data(), Stamp::kSize, Stamp::kOffset) !=
      static_cast<ssize_t>(Stamp::kSize)) {
    fail("written");
  }
}

bool PartialFile::says_sealed() const {
  // Opens it immutable: nothing may be created beside it or changed.
  Connection connection(partial_, immutable_uri(partial_.path),
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  return read_format(connection, true).sealed;
}

void PartialFile::unseal() {
  Connection connection(partial_, partial_.path, SQLITE_OPEN_READWRITE);
  mark_sealed(connection, false);
}

void PartialFile::seal() {
  {
    Connection connection(partial_, partial_.path, SQLITE_OPEN_READWRITE);
    mark_sealed(connection, true);
  }
  stamp();
  Seal seal{.magic = {}, .size = size(), .hash = 0};
  std::copy(kMagic.begin(), kMagic.end(), seal.magic.begin());
  FileHash hash(seal.size);
  std::vector<char> step(kStep);
  base::InterruptPoll poll;
  for (std::uint64_t at = 0; at < seal.size; poll()) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kStep, seal.size - at));
    // Fill the step even after short reads, because the hash depends on the step boundaries.
    std::size_t have = 0;
    while (have < wanted) {
      const ssize_t count = ::pread(descriptor_->get(), step.data() + have, wanted - have,
                                    static_cast<off_t>(at + have));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("read back");
      have += static_cast<std::size_t>(count);
    }
    hash.add({step.data(), wanted});
    at += wanted;
  }
  seal.hash = hash.value();
  append(&seal, sizeof seal);
}

void PartialFile::sync() {
  if (::fsync(descriptor_->get()) != 0) fail("synced to the disk");
}

bool copy_whole_file(const Target& source, PartialFile& copy,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const FileState before = file_state(source.path);
  require_untouched(source, before);
  RawFile file(source);
  std::array<unsigned char, 32> header{};
  file.read(header.data(), header.size(), 0);
  const auto big = [&header](std::size_t at, std::size_t count) {
    std::uint64_t number = 0;
    while (count-- > 0) number = number << 8U | header[at++];
    return number;
  };
  const std::uint64_t page = big(16, 2) == 1 ? 65536 : big(16, 2);
  std::uint64_t size = page * big(28, 4);
  Seal seal;
  if (before.size >= sizeof seal) file.read(&seal, sizeof seal, before.size - sizeof seal);
  if (seal.present()) {
    if (seal.size != before.size - sizeof seal || size != seal.size) {
      throw_cut_or_altered(source.name, "was altered after it was made");
    }
  } else if (size > before.size || size == 0) {
    throw_cut_or_altered(source.name, "is cut off: it has " + std::to_string(before.size) +
                                          " bytes of " + std::to_string(size));
  }
  FileHash hash(size);
  std::vector<char> step(kStep);
  base::InterruptPoll poll;
  for (std::uint64_t at = 0; at < size; poll()) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kStep, size - at));
    file.read(step.data(), count, at);
    hash.add({step.data(), count});
    copy.append(step.data(), count);
    at += count;
    if (progress) progress(at, size);
  }
  if (seal.present() && seal.hash != hash.value()) {
    throw_cut_or_altered(source.name, "was altered after it was made");
  }
  require_untouched(source, before);
  if (!seal.present() && copy.says_sealed()) {
    throw_cut_or_altered(source.name,
                         "was altered after it was made: its seal is no longer at its end");
  }
  return seal.present();
}

bool ends_with_seal(const Target& target) {
  const std::uint64_t size = file_state(target.path).size;
  Seal seal;
  if (size >= sizeof seal) RawFile(target).read(&seal, sizeof seal, size - sizeof seal);
  return seal.present();
}

std::string kept_name(const std::string& path) { return path + ".before-restore"; }

std::string replaced_name(const std::string& path, std::uint64_t inode) {
  return path + std::string(kReplaced) + std::to_string(inode);
}

bool was_replaced(const std::string& path) {
  const auto end = path.rfind(kReplaced);
  const FileState file = file_state(path);
  return end != std::string::npos && file.exists &&
         path.substr(end + kReplaced.size()) != std::to_string(file.inode);
}

}  // namespace graven::sqlite
