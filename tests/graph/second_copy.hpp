// SPDX-License-Identifier: MIT
//
// What second_copy.cpp exports: graven, linked into a shared library as a plugin has it, behind
// functions that throw nothing, for each copy has exception types of its own.
#pragma once

#include <string>

namespace graven::test {

struct SecondCopy {
  /// A database; nullptr, and the error's words, where it cannot be opened.
  void* (*open)(const char* url, std::string& error);
  void (*close)(void* database);
  /// The error's words, or nothing.
  std::string (*set)(void* database, const char* key, long value);
  long (*get)(void* database, const char* key);
  long (*increment)(void* database, const char* counter);
};

}  // namespace graven::test
