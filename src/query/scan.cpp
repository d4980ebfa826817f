// SPDX-License-Identifier: MIT
//
// Pages of entries and items. See scan.hpp.
#include "query/scan.hpp"

#include "graph/node/list_content.hpp"

namespace graven::query {

bool Scan::next(port::View& view, const graph::NodeRecord& node) {
  rows_.clear();
  if (done_) return false;
  if (node.kind() == NodeKind::kDict) {
    entries_ = graph::dict_content::entries(view, node, from_, kPage);
    for (const auto& entry : entries_) {
      rows_.push_back({entry.position, entry.key, jsonb::parse(entry.element)});
    }
    done_ = entries_.size() < kPage;
    if (!entries_.empty()) from_ = entries_.back().position + 1;
  } else {
    items_ = graph::list_content::items(view, node, start_, kPage);
    for (const std::string& item : items_) {
      rows_.push_back({static_cast<std::int64_t>(start_), {}, jsonb::parse(item)});
      ++start_;
    }
    done_ = items_.size() < kPage;
  }
  return !rows_.empty();
}

}  // namespace graven::query
