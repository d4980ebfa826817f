// SPDX-License-Identifier: MIT
//
// The one hash function: XXH3 (https://xxhash.com), 64 bits, seeded. Stored slots depend on
// it, so it is part of the file format. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace graven::base {

std::uint64_t hash(std::string_view bytes, std::uint64_t seed) noexcept;

}  // namespace graven::base
