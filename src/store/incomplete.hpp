// SPDX-License-Identifier: MIT
//
// The mark of an incomplete copy: a store that `graven copy` has begun to fill has this record
// until everything is in it and was read back. So nobody takes a part for a whole store.
//
// Always holds: no prefix and no map is made or opened in a store that has the mark.
//
// Any thread, with a view of its own.
#pragma once

#include <optional>
#include <string>

#include "port/view.hpp"

namespace graven::store {

/// A record of kPrefix whose name no prefix can have. Its first integer is the number of the
/// process that copies, which it has announced (port::Leases).
inline port::Key incomplete_key() { return {.space = port::Space::kPrefix, .name = ":incomplete"}; }

/// UsageError if the store, which has this name, is an incomplete copy.
void refuse_incomplete(port::View& view, const std::string& store);

/// The record of a prefix or map; the same error if the store is an incomplete copy. One trip.
std::optional<port::Record> find_in_whole(port::View& view, const port::Key& key,
                                          const std::string& store);

}  // namespace graven::store
