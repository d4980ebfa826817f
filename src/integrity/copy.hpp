// SPDX-License-Identifier: MIT
//
// The copy of a whole store into another one. include/graven/copy.hpp says what it promises.
//
// How: the first commit takes the target: it proves that it is empty, erases its empty root and
// writes the mark of an incomplete copy. Batches of records follow, are read back, and then the
// prefixes and maps are written, by which all else is found. The last commit reads these and the
// counters back, compares everything, and erases the mark. Every commit proves that the mark is
// still this copy's.
//
// Records keep their ids and get the versions of the commits that write them; a store's clock is
// its own, and is advanced beyond every id. Maps have no lazy owner in the copy. Nodes that handles
// held, or that are pending deletion, are copied with their orphan records, and collected at the
// end: their holders do not live in the target.
//
// Any thread.
#pragma once

#include <memory>

#include <graven/copy.hpp>

#include "store/store.hpp"

namespace graven::integrity {

/// Whether nothing at all is in a store, not even an empty root.
bool is_new(store::Store& store);

CopyReport copy(store::Store& from, const std::shared_ptr<store::Store>& to,
                const CopyOptions& options);

}  // namespace graven::integrity
