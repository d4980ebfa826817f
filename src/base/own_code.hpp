// SPDX-License-Identifier: MIT
//
// The machine code that this library was loaded with. Any thread.
#pragma once

namespace graven::base {

/// Maps all of it into the process at once. Otherwise each part is mapped when it first runs, 64
/// KiB and some microseconds at a time. Does nothing where the system cannot do this (Linux before
/// 5.14).
void map_own_code() noexcept;

}  // namespace graven::base
