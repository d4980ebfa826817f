// SPDX-License-Identifier: MIT
//
// How a value is written inside a node's body (docs/format/body.md). Scalars are plain JSONB.
// Nested containers are always links, so every JSONB object is an escape: {"d": id} and {"l": id}
// link a dict and a list, {"b": base64} is bytes, {"i": hex} an integer beyond 64 bits,
// {"f": "nan"|"inf"|"-inf"} a float that JSON lacks, {"T": id} and {"B": id} are text and bytes
// large enough for a record of their own (a blob).
//
// Always holds: read() returns what put_* wrote, unchanged.
// Pure functions, except that they load and create blobs in the View or Work they are given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <graven/data.hpp>

#include "base/jsonb.hpp"
#include "store/work.hpp"

namespace graven::graph {

using NodeId = std::int64_t;

/// A stored link: the child and its kind. So a handle can be made without reading the child.
struct Link {
  NodeId id;
  NodeKind kind;
  friend bool operator==(const Link&, const Link&) = default;
};

/// A text or bytes value of this many bytes or more is a record of its own (a blob).
inline constexpr std::size_t kLargeInNode = 1000;
inline constexpr std::size_t kLargeInEntry = 240;  // entries are clustered: keep their rows small

using Stored =
    std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string, Bytes, Link>;

/// The value of an element; CorruptionError for an object that is no escape, or a missing blob.
Stored read(const jsonb::Element& element, port::View& view);
/// The same for an element that is no blob, so no record has to be read.
Stored read_inline(const jsonb::Element& element);

/// The link an element is, or nothing. Every walk of the graph calls this often, so it only
/// compares bytes.
std::optional<Link> link_of(const jsonb::Element& element);
/// The blob an element stands for, or nothing.
std::optional<std::int64_t> blob_of(const jsonb::Element& element);

void put_link(std::string& out, Link link);

/// Appends a scalar. Text and bytes of `large` bytes or more become blobs of `owner`.
/// The item is neither a handle nor a plain container.
void put_scalar(std::string& out, const Data::Item& item, std::size_t large, NodeId owner,
                store::Work& work);

}  // namespace graven::graph
