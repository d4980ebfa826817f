// SPDX-License-Identifier: MIT
//
// The test is that this program was built: every public header is compiled alone in two
// other files of it (see CMakeLists.txt). Here the library is linked and asked its version.
#include <graven/version.hpp>

int main() { return graven::version().empty() ? 1 : 0; }
