// SPDX-License-Identifier: MIT
//
// When a container is too large for one record, and what changes for its values then.
// Pure functions, but for the blob compact_for_entry() may create.
#pragma once

#include <cstddef>
#include <string>

#include "graph/value/stored.hpp"

namespace graven::graph {

/// Whether `count` entries in `bytes` are too much for a node's body, which holds up to `most`.
/// Few entries may be longer: taking them apart would cost more than rewriting them.
inline bool outgrown(std::size_t bytes, std::size_t count, std::size_t most) noexcept {
  return count > most || bytes > 4096 || (bytes > 1024 && count > 16);
}

/// The element as it goes into an entry or page: longer text and bytes become blobs.
std::string compact_for_entry(store::Work& work, NodeId owner, jsonb::Element element);

}  // namespace graven::graph
