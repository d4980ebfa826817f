// SPDX-License-Identifier: MIT
//
// Input for load: a file or standard input, read in pieces or by line. Knows its position, for
// progress and messages. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace graven::cli {

class Input {
 public:
  /// Opens a file; "-" or an empty path is standard input. UnavailableError if it cannot be opened.
  explicit Input(const std::string& path);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// The next bytes, at most one buffer; empty at the end, or if a signal (InterruptGuard)
  /// interrupted the wait.
  std::string_view read();

  /// The next line without its newline, valid until the next call; false at the end or if
  /// interrupted. The last line need not have a newline.
  bool next_line(std::string_view& line);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The size of a regular file; 0 for others.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Bytes returned so far; with next_line(), where the next line starts.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  bool fill();

  std::string name_;
  int descriptor_ = 0;
  bool owned_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
  std::string buffer_{};  // [start_, end) is not returned yet
  std::size_t start_ = 0;
  std::size_t searched_ = 0;  // there is no newline before it
};

}  // namespace graven::cli
