// SPDX-License-Identifier: MIT
//
// When a container is too large for one record, and what changes for its values then.
// Pure functions, but for the blob compact_for_entry() may create.
#pragma once

#include <cstddef>
#include <string>

#include "graph/stored.hpp"

namespace graven::graph {

/// Whether a container of `count` entries in `bytes` is to be kept as records of its own. One
/// with few entries may be longer: taking it apart would cost more than rewriting it.
inline bool outgrown(std::size_t bytes, std::size_t count) noexcept {
  return count > 64 || bytes > 4096 || (bytes > 1024 && count > 16);
}

/// The element as it goes into an entry or page: longer text and bytes become blobs.
std::string compact_for_entry(store::Work& work, NodeId owner, jsonb::Element element);

}  // namespace graven::graph
