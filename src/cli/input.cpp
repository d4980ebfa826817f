// SPDX-License-Identifier: MIT
//
// Reads with read(2), so that a signal ends a wait for a pipe. One thread.
#include "cli/input.hpp"

#include <graven/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "cli/console.hpp"

namespace graven::cli {
namespace {
constexpr std::size_t kPiece = std::size_t{1} << 20;
}  // namespace

Input::Input(const std::string& path)
    : name_(path.empty() || path == "-" ? "standard input" : path) {
  if (name_ == path) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw UnavailableError(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    }
    owned_ = true;
  }
  struct stat status {};
  if (fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
}

Input::~Input() {
  if (owned_) ::close(descriptor_);
}

bool Input::fill() {
  buffer_.erase(0, start_);
  searched_ -= start_;
  start_ = 0;
  const std::size_t kept = buffer_.size();
  buffer_.resize(kept + kPiece);
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data() + kept, kPiece);
  } while (got < 0 && errno == EINTR && InterruptGuard::signal() == 0);
  buffer_.resize(kept + static_cast<std::size_t>(got < 0 ? 0 : got));
  if (got < 0 && errno != EINTR) {
    throw UnavailableError(fmt::format("cannot read {}: {}", name_, std::strerror(errno)));
  }
  return got > 0;
}

std::string_view Input::read() {
  start_ = searched_ = buffer_.size();
  if (!fill()) return {};
  position_ += buffer_.size();
  return buffer_;
}

bool Input::next_line(std::string_view& line) {
  std::size_t newline = 0;
  while ((newline = buffer_.find('\n', searched_)) == std::string::npos) {
    searched_ = buffer_.size();
    if (fill()) continue;
    if (start_ == buffer_.size() || InterruptGuard::signal() != 0) return false;
    newline = buffer_.size();
    break;
  }
  line = std::string_view(buffer_).substr(start_, newline - start_);
  const std::size_t next = newline == buffer_.size() ? newline : newline + 1;
  position_ += next - start_;
  start_ = searched_ = next;
  return true;
}

}  // namespace graven::cli
