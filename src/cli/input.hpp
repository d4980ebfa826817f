// SPDX-License-Identifier: MIT
//
// Input for load: a file or standard input, read in pieces or line by line, with its position
// known for progress and messages. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace graven::cli {

class Input {
 public:
  /// Opens a file; "-" or empty is standard input. UnavailableError when it cannot be opened.
  explicit Input(const std::string& path);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// The next bytes, at most a buffer's worth; empty at the end. A pending signal of
  /// InterruptGuard interrupts the wait: then empty as well.
  std::string_view read();

  /// The next line without its newline, valid until the next call; false at the end (or when
  /// interrupted). A last line without newline counts.
  bool next_line(std::string_view& line);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The size of a regular file, else 0.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Bytes given out so far; for next_line, where the next line starts.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  bool fill();

  std::string name_;
  int descriptor_ = 0;
  bool owned_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
  std::string buffer_{};  // [start_, end) is not given out yet
  std::size_t start_ = 0;
  std::size_t searched_ = 0;  // no newline before it
};

}  // namespace graven::cli
