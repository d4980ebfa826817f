// SPDX-License-Identifier: MIT
//
// Which file systems lie on a network, where locks and shared memory cannot be relied on.
//
// Pure functions, but for a look at the mount table. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace graven::base {

/// A name such as "NFS", or empty if locks and shared memory work on the file system. `type` is
/// statfs()'s type; `mounted_as` is the type in the mount table ("fuse.sshfs"), and may be empty.
std::string_view network_file_system(std::uint64_t type, std::string_view mounted_as) noexcept;

/// The same for the file system that holds a path.
std::string network_file_system_of(const std::string& path);

}  // namespace graven::base
