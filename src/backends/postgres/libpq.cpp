// SPDX-License-Identifier: MIT
//
// Loads libpq. See libpq.hpp.
#include "backends/postgres/libpq.hpp"

#include <dlfcn.h>

#include <string>

#include <graven/error.hpp>

namespace graven::postgres {
namespace {

Libpq load() {
  const auto fail = [] {
    const char* const why = ::dlerror();
    throw UsageError(std::string("PostgreSQL stores need the library libpq.so.5; install it "
                                 "(Debian: apt install libpq5): ") +
                     (why != nullptr ? why : "not found"));
  };
  void* const library = ::dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail();
  Libpq loaded{};
#define GRAVEN_LIBPQ_LOAD(function)                                                           \
  loaded.function = reinterpret_cast<decltype(loaded.function)>(::dlsym(library, #function)); \
  if (loaded.function == nullptr) fail();
  GRAVEN_LIBPQ_FUNCTIONS(GRAVEN_LIBPQ_LOAD)
#undef GRAVEN_LIBPQ_LOAD
  return loaded;
}

}  // namespace

const Libpq& libpq() {
  static const Libpq loaded = load();  // is tried again if it fails
  return loaded;
}

}  // namespace graven::postgres
