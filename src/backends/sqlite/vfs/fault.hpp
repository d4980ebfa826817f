// SPDX-License-Identifier: MIT
//
// Translates SQLite's result codes into graven's errors. It chooses the class and writes a message
// that names the file, gives the system's reason and says what to do. No other file does this.
//
// Pure functions; any thread.
#pragma once

#include <string>

namespace graven::sqlite {

/// SQLite's description of a failed call.
struct Fault {
  int code = 0;         ///< extended result code
  int system = 0;       ///< errno, if the operating system refused a call
  std::string message;  ///< SQLite's message

  [[nodiscard]] int primary() const noexcept { return code & 0xff; }
};

/// Throws the error that `fault` means for the file `path`.
[[noreturn]] void throw_fault(const Fault& fault, const std::string& path);

/// Throws UnavailableError if this errno says that no more files can be opened. In that case
/// nothing is wrong with the file itself.
void refuse_if_out_of_files(int error, const std::string& path);

/// SQLite's message with the system's, as in "disk I/O error (Input/output error)".
std::string describe(const Fault& fault);

}  // namespace graven::sqlite
