// SPDX-License-Identifier: MIT
//
// In place of the backend, in a build without libpq's header. Any thread.
#include <graven/error.hpp>

#include "backends/postgres/backend.hpp"

namespace graven::postgres {
namespace {

[[noreturn]] void refuse() {
  throw UsageError(
      "this graven was built without PostgreSQL: build it where libpq-fe.h is installed (Debian: "
      "libpq-dev), with GRAVEN_POSTGRES on");
}

}  // namespace

Settings settings_of(const std::string&, const std::vector<std::pair<std::string, std::string>>&) {
  refuse();
}

std::unique_ptr<port::Backend> open(const Settings&) { refuse(); }

}  // namespace graven::postgres
