// SPDX-License-Identifier: MIT
//
// A Work over an empty store in memory, for tests of what lies between records and handles.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "graph/node/node.hpp"
#include "store/work.hpp"

namespace graven::test {

class OnAWork : public ::testing::Test {
 protected:
  using NodeId = graph::NodeId;
  using NodeRecord = graph::NodeRecord;

  /// How many records a space holds.
  std::size_t count(port::Space space) { return work.scan(port::whole(space), SIZE_MAX).size(); }

  Opened backend = lazy::open("memory");
  std::unique_ptr<port::WriteTransaction> transaction = backend->begin(soon());
  store::Ids ids;
  store::Work work{*transaction, ids};
};

/// A JSONB text or integer, as an element of a container.
inline std::string text_element(std::string_view text) {
  std::string out;
  jsonb::put_text(out, text);
  return out;
}
inline std::string int_element(std::int64_t value) {
  std::string out;
  jsonb::put_int(out, value);
  return out;
}
inline std::string link_element(graph::NodeId id, NodeKind kind = NodeKind::kDict) {
  std::string out;
  graph::put_link(out, {id, kind});
  return out;
}
inline std::string empty_body(NodeKind kind) {
  std::string out;
  jsonb::put_header(out, kind == NodeKind::kDict ? jsonb::Type::kObject : jsonb::Type::kArray, 0);
  return out;
}

}  // namespace graven::test
