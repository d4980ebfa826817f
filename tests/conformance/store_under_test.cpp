// SPDX-License-Identifier: MIT
//
// The table of backends.
#include "conformance/store_under_test.hpp"
#include "memory/backend.hpp"
#include "sqlite/backend.hpp"

namespace graven::test {

std::vector<BackendKind> every_backend() {
  return {
      {"memory", [](const TemporaryFolder&) { return memory::open("memory"); }, false},
      {"sqlite", [](const TemporaryFolder& folder) { return sqlite::open(folder / "store.db"); },
       true},
  };
}

}  // namespace graven::test
