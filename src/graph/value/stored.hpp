// SPDX-License-Identifier: MIT
//
// How a value is written inside a node's body (docs/format/body.md). Scalars are plain JSONB.
// Every object is an escape, for nested containers are always links: {"d": id} and {"l": id}
// link a dict and a list, {"b": base64} is bytes, {"i": hex} an integer beyond 64 bits,
// {"f": "nan"|"inf"|"-inf"} a float JSON lacks, {"T": id} and {"B": id} text and bytes that
// are large enough to be a record of their own.
//
// Always holds: what put_* writes, read() gives back unchanged.
// Pure functions, but for the blobs they load and create in the View or Work they are given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <graven/data.hpp>

#include "base/jsonb.hpp"
#include "store/work.hpp"

namespace graven::graph {

using NodeId = std::int64_t;

/// A link as it is stored: the child and what it is, so that a handle needs no look at it.
struct Link {
  NodeId id;
  NodeKind kind;
  friend bool operator==(const Link&, const Link&) = default;
};

/// Bytes of a text or bytes value from which on it is a record of its own.
inline constexpr std::size_t kLargeInNode = 1000;
inline constexpr std::size_t kLargeInEntry = 240;  // entries are clustered: keep their rows small

using Stored =
    std::variant<std::nullptr_t, bool, std::int64_t, BigInt, double, std::string, Bytes, Link>;

/// The value of an element; CorruptionError for an object that is no escape, or a lost blob.
Stored read(const jsonb::Element& element, store::View& view);
/// The same for an element that is no blob: it says everything itself.
Stored read_inline(const jsonb::Element& element);

/// The link an element is, or nothing. The hot question of every walk: looks at bytes only.
std::optional<Link> link_of(const jsonb::Element& element);
/// The blob an element stands for, or nothing.
std::optional<std::int64_t> blob_of(const jsonb::Element& element);

void put_link(std::string& out, Link link);

/// Appends a scalar. Text and bytes of `large` bytes or more become blobs of `owner`.
/// The item is neither a handle nor a plain container.
void put_scalar(std::string& out, const Data::Item& item, std::size_t large, NodeId owner,
                store::Work& work);

}  // namespace graven::graph
