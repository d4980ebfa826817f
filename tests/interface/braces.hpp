// SPDX-License-Identifier: MIT
//
// What braces.cpp has, once for each compiler.
#pragma once

#include <string>
#include <vector>

namespace graven::test {

struct Meaning {
  std::string wanted;
  std::string found;
};

std::vector<Meaning> braces_here();
/// By the other compiler, where there is one.
std::vector<Meaning> braces_elsewhere();

}  // namespace graven::test
