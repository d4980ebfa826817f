// SPDX-License-Identifier: MIT
//
// The version the library was built as; the number lives in the file VERSION.
#include <graven/version.hpp>

namespace graven {

std::string_view version() noexcept { return GRAVEN_VERSION; }

}  // namespace graven
