// SPDX-License-Identifier: MIT
//
// See incomplete.hpp.
#include "store/incomplete.hpp"

#include <array>
#include <span>
#include <utility>

#include <graven/error.hpp>

namespace graven::store {

namespace {

[[noreturn]] void refuse(const std::string& store) {
  throw UsageError(store +
                   " is an incomplete copy of a store: wait until `graven copy` has ended, or, if "
                   "it was interrupted, run it again, which starts over");
}

}  // namespace

void refuse_incomplete(port::View& view, const std::string& store) {
  if (view.load(incomplete_key())) refuse(store);
}

std::optional<port::Record> find_in_whole(port::View& view, const port::Key& key,
                                          const std::string& store) {
  std::optional<port::Record> found;
  bool incomplete = false;
  const std::array<port::ReadOp, 2> ops{port::ReadOp{.key = key},
                                        port::ReadOp{.key = incomplete_key()}};
  view.read(ops, [&](std::size_t i, std::span<port::Row> rows) {
    if (rows.empty()) return;
    if (i == 0) {
      found = std::move(rows.front().record);
    } else {
      incomplete = true;
    }
  });
  if (incomplete) refuse(store);
  return found;
}

}  // namespace graven::store
