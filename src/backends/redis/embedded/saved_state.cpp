// SPDX-License-Identifier: MIT
//
// The file `state`: a line that says what it is, and two fingerprints in hexadecimal digits.
#include "backends/redis/embedded/saved_state.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace graven::redis {
namespace {

constexpr std::string_view kTitle = "graven private server 1\n";
constexpr std::size_t kDigits = 16;
constexpr std::size_t kStateSize = kTitle.size() + 2 * (kDigits + 1);
constexpr const char* kNewState = "state.new";
constexpr const char* kManifest = "appendonlydir/appendonly.aof.manifest";

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

void mix(Fingerprint& hash, const unsigned char* bytes, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3U;  // FNV-1a
}

void put_number(char*& out, Fingerprint number) noexcept {
  for (std::size_t i = 0; i < kDigits; ++i) {
    *out++ = "0123456789abcdef"[(number >> (60U - 4 * i)) & 15U];
  }
  *out++ = '\n';
}

bool take_number(const char*& in, Fingerprint& number) noexcept {
  number = 0;
  for (std::size_t i = 0; i < kDigits; ++i) {
    const char c = *in++;
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return false;
    number = number << 4U | static_cast<Fingerprint>(digit ? c - '0' : c - 'a' + 10);
  }
  return *in++ == '\n';
}

}  // namespace

Fingerprint fingerprint(int folder, const char* name) noexcept {
  const Descriptor file(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return errno == ENOENT ? kNoFile : kUnreadable;
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return kUnreadable;
  if (info.st_size == 0) return kNoFile;
  Fingerprint hash = 0xcbf29ce484222325U;
  const auto size = static_cast<Fingerprint>(info.st_size);
  unsigned char bytes[4096];
  std::memcpy(bytes, &size, sizeof size);
  mix(hash, bytes, sizeof size);
  const ::off_t last =
      info.st_size > ::off_t{sizeof bytes} ? info.st_size - ::off_t{sizeof bytes} : 0;
  for (const ::off_t from : {::off_t{0}, last}) {
    const ssize_t count = ::pread(file.get(), bytes, sizeof bytes, from);
    if (count <= 0) return kUnreadable;
    mix(hash, bytes, static_cast<std::size_t>(count));
  }
  return hash > kUnreadable ? hash : hash + 2;
}

SavedState read_state(int folder) noexcept {
  SavedState state;
  const Descriptor file(::openat(folder, kStateName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return state;
  state.kind = SavedState::Kind::kDamaged;
  if (!file) return state;
  char bytes[kStateSize + 1];
  const char* in = bytes + kTitle.size();
  if (::read(file.get(), bytes, sizeof bytes) == ssize_t{kStateSize} &&
      std::memcmp(bytes, kTitle.data(), kTitle.size()) == 0 && take_number(in, state.first) &&
      take_number(in, state.second)) {
    state.kind = SavedState::Kind::kAof;
  }
  return state;
}

bool write_state(int folder, Fingerprint first, Fingerprint second) noexcept {
  char bytes[kStateSize];
  std::memcpy(bytes, kTitle.data(), kTitle.size());
  char* out = bytes + kTitle.size();
  put_number(out, first);
  put_number(out, second);
  const Descriptor file(
      ::openat(folder, kNewState, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  return file && ::write(file.get(), bytes, sizeof bytes) == ssize_t{sizeof bytes} &&
         ::fsync(file.get()) == 0 && ::renameat(folder, kNewState, folder, kStateName) == 0 &&
         sync_path(folder, ".");
}

bool drop_state(int folder) noexcept {
  return (::unlinkat(folder, kStateName, 0) == 0 || errno == ENOENT) && sync_path(folder, ".");
}

bool has_aof(int folder) noexcept {
  struct stat info {};
  return ::fstatat(folder, kManifest, &info, 0) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
}

void remove_aof(int folder) noexcept {
  const Descriptor aof(::openat(folder, kAofName, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!aof) return;
  alignas(8) char entries[4096];
  // What is erased while it is listed may hide others, so again until nothing is left.
  for (bool found = true; found;) {
    found = false;
    ::lseek(aof.get(), 0, SEEK_SET);
    long size = 0;
    while ((size = ::syscall(SYS_getdents64, aof.get(), entries, sizeof entries)) > 0) {
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const struct dirent64*>(entries + at);
        at += entry->d_reclen;
        if (::unlinkat(aof.get(), entry->d_name, 0) == 0) found = true;  // "." and ".." stay
      }
    }
  }
  ::unlinkat(folder, kAofName, AT_REMOVEDIR);
}

bool sync_path(int folder, const char* name) noexcept {
  const Descriptor file(::openat(folder, name, O_RDONLY | O_CLOEXEC));
  return file && ::fsync(file.get()) == 0;
}

bool take_dump(int folder, const char* data) noexcept {
  struct stat info {};
  if (::fstatat(folder, kDumpName, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
    return false;
  }
  const SavedState state = read_state(folder);
  const Fingerprint now = fingerprint(folder, data);
  const Fingerprint dump = fingerprint(folder, kDumpName);
  if (state.kind != SavedState::Kind::kAof || !state.fits(now) || dump <= kUnreadable) return false;
  // The .rdb keeps its mode.
  if (::fstatat(folder, data, &info, 0) == 0) ::fchmodat(folder, kDumpName, info.st_mode & 0777, 0);
  if (!sync_path(folder, kDumpName)) return false;
  // From here on either of the two files fits the AOF.
  if (!write_state(folder, now, dump) || ::renameat(folder, kDumpName, folder, data) != 0 ||
      !sync_path(folder, "..") || !drop_state(folder)) {
    return false;
  }
  remove_aof(folder);
  return true;
}

}  // namespace graven::redis
