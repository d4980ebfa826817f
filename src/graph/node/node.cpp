// SPDX-License-Identifier: MIT
//
// Converts nodes to store records and back; the order of the integers is defined by the schema.
#include "graph/node/node.hpp"

#include <fmt/format.h>

#include <utility>

namespace graven::graph {

NodeRecord to_node(NodeId id, port::Record&& record) {
  NodeRecord node = to_raw_node(id, std::move(record));
  require_sound(node);
  return node;
}

void require_sound(const NodeRecord& node) {
  const bool known = node.layout >= Layout::kDict && node.layout <= Layout::kLargeList;
  const auto type = node.kind() == NodeKind::kDict ? jsonb::Type::kObject : jsonb::Type::kArray;
  const unsigned first = node.body.empty() ? 0 : static_cast<unsigned char>(node.body[0]);
  if (!known || static_cast<jsonb::Type>(first & 15U) != type) {
    throw CorruptionError(
        "a dict or list does not have the content that its record says; `graven check` shows "
        "which, `graven repair` repairs it");
  }
}

NodeRecord to_raw_node(NodeId id, port::Record&& record) {
  return {.id = id,
          .version = record.version,
          .prefix = record.integers[0],
          .layout = static_cast<Layout>(record.integers[1]),
          .anchor = record.integers[2],
          .links = record.integers[3],
          .body = std::move(record.body)};
}

port::Record to_record(NodeRecord node) {
  return {
      .version = node.version,
      .integers = {node.prefix, static_cast<std::int64_t>(node.layout), node.anchor, node.links},
      .body = std::move(node.body)};
}

std::optional<NodeRecord> find_node(port::View& view, NodeId id) {
  std::optional<port::Record> record = view.load(node_key(id));
  if (!record) return std::nullopt;
  return to_node(id, std::move(*record));
}

std::optional<NodeRecord> find_raw_node(port::View& view, NodeId id) {
  std::optional<port::Record> record = view.load(node_key(id));
  if (!record) return std::nullopt;
  return to_raw_node(id, std::move(*record));
}

void require_kind(const NodeRecord& node, NodeKind kind) {
  if (node.kind() == kind) return;
  throw CorruptionError(
      "a link leads to a dict or list of the other kind; `graven check` shows which, `graven "
      "repair` repairs it");
}

NodeRecord load_node(port::View& view, NodeId id, NodeKind kind) {
  NodeRecord node = load_node(view, id);
  require_kind(node, kind);
  return node;
}

std::string_view cause_of(const Error& error) noexcept {
  const std::string_view message = error.what();
  return message.substr(0, message.find(';'));
}

void ChainWalk::throw_circle() {
  throw CorruptionError(
      "the chain of anchors of a dict or list leads back to it; `graven check` shows which, "
      "`graven repair` repairs it");
}

NodeRecord load_node(port::View& view, NodeId id) {
  std::optional<NodeRecord> node = find_node(view, id);
  if (!node) throw_collected();
  return std::move(*node);
}

void throw_collected() { throw_collected("a dict or list"); }

void throw_collected(const std::string& what) {
  throw CollectedError(
      what +
      " is gone: another process removed the last link to it, so it was collected, or it was made "
      "in a transaction that was rolled back; read it again from the place where it was stored");
}

}  // namespace graven::graph
