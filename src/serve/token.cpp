// SPDX-License-Identifier: MIT
//
// Checks the file that it has opened, so that nobody can replace it between check and read. Reads
// at most the longest token: a device may have no end. The main thread's.
#include "serve/token.hpp"

#include <graven/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace graven::serve {
namespace {

constexpr std::size_t kShortest = 16;
constexpr std::size_t kLongest = 4096;  // including surrounding white space

/// An open file.
class Source {
 public:
  explicit Source(const std::string& file)
      : file_(file), descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail();
  }
  ~Source() { ::close(descriptor_); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  [[nodiscard]] struct stat status() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail();
    return status;
  }
  /// The first bytes.
  [[nodiscard]] std::string read(std::size_t most) const {
    std::string text;
    std::array<char, 512> bytes;
    while (text.size() < most) {
      const ssize_t got =
          ::read(descriptor_, bytes.data(), std::min(bytes.size(), most - text.size()));
      if (got == 0) break;
      if (got < 0 && errno != EINTR) fail();
      if (got > 0) text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  [[noreturn]] void fail() const {
    throw UnavailableError("cannot read the token file " + file_ + ": " + std::strerror(errno));
  }
  const std::string& file_;
  const int descriptor_;
};

}  // namespace

std::string read_token(const std::string& file, const LogLines& log) {
  if (file.empty()) return {};
  const Source source(file);
  const struct stat status = source.status();
  // A pipe, such as a shell's <(…), cannot be opened by others.
  const mode_t mode = S_ISREG(status.st_mode) ? status.st_mode : 0;
  if ((mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw UsageError("others can write the token file " + file +
                     ", and so choose the token: chmod 600 it");
  }
  if ((mode & (S_IRGRP | S_IROTH)) != 0) {
    log.warn("token_file", "others can read " + file + ": chmod 600 it");
  }
  std::string token = source.read(kLongest + 1);
  if (token.size() > kLongest) {
    throw UsageError(
        fmt::format("{} has more than {} bytes: it is not a token file", file, kLongest));
  }
  constexpr const char* kWhite = " \t\r\n";
  token.erase(0, std::min(token.size(), token.find_first_not_of(kWhite)));
  token.erase(token.find_last_not_of(kWhite) + 1);
  if (token.size() < kShortest) {
    throw UsageError(
        fmt::format("the token in {} is shorter than {} characters; make one with "
                    "'openssl rand -hex 32'",
                    file, kShortest));
  }
  return token;
}

}  // namespace graven::serve
