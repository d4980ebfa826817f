// SPDX-License-Identifier: MIT
//
// The library's version (semantic: https://semver.org). Any thread.
#pragma once

#include <string_view>

namespace graven {

/// "major.minor.patch" of the linked library.
std::string_view version() noexcept;

}  // namespace graven
