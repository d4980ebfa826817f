// SPDX-License-Identifier: MIT
//
// The error of a call as text, "limit: the value is 300, …", for tests of what errors say.
#pragma once

#include <string>

#include <graven/error.hpp>

namespace graven::test {

std::string error_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(name(error.code())) + ": " + error.what();
  }
  return "nothing was thrown";
}

}  // namespace graven::test
