// SPDX-License-Identifier: MIT
//
// Decides when a container is too large for one record, and converts its values for entries or
// pages then. Pure functions, except that compact_for_entry() may create a blob. Always holds: a
// value that is read back is the same in both layouts.
#pragma once

#include <cstddef>
#include <string>

#include "graph/value/stored.hpp"

namespace graven::graph {

/// Whether `count` entries in `bytes` are too much for a node's body, which holds up to `most`
/// entries. If there are few entries, more bytes are allowed: separate records would cost more
/// than rewriting the body.
inline bool outgrown(std::size_t bytes, std::size_t count, std::size_t most) noexcept {
  return count > most || bytes > 4096 || (bytes > 1024 && count > 16);
}

/// Converts an element for an entry or page: longer text and bytes become blobs.
std::string compact_for_entry(store::Work& work, NodeId owner, jsonb::Element element);

}  // namespace graven::graph
