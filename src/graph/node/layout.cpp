// SPDX-License-Identifier: MIT
//
// Converts one value when its container becomes large. See layout.hpp.
#include "graph/node/layout.hpp"

#include <utility>

namespace graven::graph {

std::string compact_for_entry(store::Work& work, NodeId owner, jsonb::Element element) {
  if (element.whole.size() < kLargeInEntry || blob_of(element) || link_of(element)) {
    return std::string(element.whole);
  }
  Stored value = read(element, work);
  std::string out;
  Data::Item item = nullptr;
  if (auto* text = std::get_if<std::string>(&value)) {
    item = std::move(*text);
  } else if (auto* bytes = std::get_if<Bytes>(&value)) {
    item = std::move(*bytes);
  } else {
    return std::string(element.whole);  // an integer of hundreds of digits stays in place
  }
  put_scalar(out, item, kLargeInEntry, owner, work);
  return out;
}

}  // namespace graven::graph
