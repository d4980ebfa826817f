// SPDX-License-Identifier: MIT
//
// Mapping the program's own code.
#include "base/own_code.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/utsname.h>
#include <gtest/gtest.h>

namespace graven::base {
namespace {

/// KiB of the mapping that some code lies in, and how many of them this process has mapped.
struct Mapping {
  std::size_t size = 0;
  std::size_t mapped = 0;
};

Mapping mapping_of(std::uintptr_t code) {
  std::ifstream maps("/proc/self/smaps");
  Mapping mapping;
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    if (name.find(':') == std::string::npos) {  // begin-end
      const auto begin = std::stoull(name, nullptr, 16);
      const auto end = std::stoull(name.substr(name.find('-') + 1), nullptr, 16);
      here = begin <= code && code < end;
    } else if (here && name == "Size:") {
      fields >> mapping.size;
    } else if (here && name == "Rss:") {
      fields >> mapping.mapped;
    }
  }
  return mapping;
}

bool kernel_can() {
  utsname system{};
  int major = 0;
  int minor = 0;
  char dot = 0;
  if (::uname(&system) != 0) return false;
  std::istringstream(system.release) >> major >> dot >> minor;
  return major > 5 || (major == 5 && minor >= 14);
}

TEST(OwnCode, IsMappedWhole) {
  if (!kernel_can()) GTEST_SKIP() << "this Linux is older than 5.14";
  map_own_code();
  const Mapping mapping = mapping_of(reinterpret_cast<std::uintptr_t>(&map_own_code));
  EXPECT_GT(mapping.size, 0U);
  EXPECT_EQ(mapping.mapped, mapping.size);
}

}  // namespace
}  // namespace graven::base
