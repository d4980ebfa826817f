// SPDX-License-Identifier: MIT
//
// Braces and conversions mean what <graven/data.hpp> says, whichever of the two compilers has seen
// them.
#include "interface/braces.hpp"

#include <cstdio>

namespace {

int wrong(const char* compiler, const std::vector<graven::test::Meaning>& all) {
  int count = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].wanted == all[i].found) continue;
    ++count;
    std::printf("%s, number %zu: %s instead of %s\n", compiler, i, all[i].found.c_str(),
                all[i].wanted.c_str());
  }
  std::printf("%s: %zu meanings, %d wrong\n", compiler, all.size(), count);
  return all.empty() ? 1 : count;
}

}  // namespace

int main() {
  int count = wrong("this compiler", graven::test::braces_here());
#ifdef GRAVEN_OTHER_COMPILER
  count += wrong(GRAVEN_OTHER_COMPILER, graven::test::braces_elsewhere());
#endif
  return count == 0 ? 0 : 1;
}
