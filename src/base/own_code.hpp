// SPDX-License-Identifier: MIT
//
// The machine code this library was loaded with.
// Any thread.
#pragma once

namespace graven::base {

/// Maps all of it into the process at once. What is not yet there is mapped where it is first run,
/// 64 KiB and some microseconds at a time. Does nothing where the system cannot (Linux
/// before 5.14).
void map_own_code() noexcept;

}  // namespace graven::base
