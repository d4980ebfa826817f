// SPDX-License-Identifier: MIT
//
// A plugin with a graven of its own.
#include "graph/second_copy.hpp"

#include <graven/database.hpp>
#include <graven/error.hpp>

namespace graven::test {
namespace {

Database& database(void* opaque) { return *static_cast<Database*>(opaque); }

constexpr SecondCopy kCopy{
    .open = [](const char* url, std::string& error) -> void* {
      try {
        return new Database(url);
      } catch (const Error& caught) {
        error = caught.what();
        return nullptr;
      }
    },
    .close = [](void* opaque) { delete &database(opaque); },
    .set = [](void* opaque, const char* key, long value) -> std::string {
      try {
        database(opaque)[key] = value;
        return {};
      } catch (const Error& caught) {
        return caught.what();
      }
    },
    .get = [](void* opaque, const char* key) { return database(opaque)[key].get<long>(); },
    .increment = [](void* opaque, const char* counter) -> long {
      return database(opaque).incr(counter);
    }};

}  // namespace
}  // namespace graven::test

extern "C" [[gnu::visibility("default")]] const graven::test::SecondCopy* second_copy() {
  return &graven::test::kCopy;
}
