// SPDX-License-Identifier: MIT
//
// SQLite's result codes as graven's errors: which class, and a message that names the file,
// says what the system said, and what to do. The one place that knows both.
//
// Pure functions; any thread.
#pragma once

#include <string>

namespace graven::sqlite {

/// What SQLite said about a failed call.
struct Fault {
  int code = 0;         ///< extended result code
  int system = 0;       ///< errno, where the operating system refused something
  std::string message;  ///< SQLite's own words

  [[nodiscard]] int primary() const noexcept { return code & 0xff; }
};

/// Throws the error that `fault` means for the file `path`.
[[noreturn]] void throw_fault(const Fault& fault, const std::string& path);

/// UnavailableError where a call failed with this errno because no more files can be open: then
/// what is wrong is not the file, which could not be looked at.
void refuse_if_out_of_files(int error, const std::string& path);

/// "disk I/O error (Input/output error)": SQLite's words and the system's.
std::string describe(const Fault& fault);

}  // namespace graven::sqlite
