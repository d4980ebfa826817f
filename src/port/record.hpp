// SPDX-License-Identifier: MIT
//
// Records: what the backend port moves. A record is a key, a version, a few integers and
// a body. Keys live in a *space*; a space is a table in SQLite and a key prefix in Redis,
// and schema() says which of the fields it uses and what they are called there.
//
// Always holds: a version is the id of the commit that wrote the record, unique in the store, and
// ids grow. Spaces that keep no version report 0: their integers tell everything.
//
// Plain values; no thread owns them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graven::port {

/// Where a record lives. The order is the order in which a batch is applied.
enum class Space : std::uint8_t {
  kPrefix,   // (name): id, root; and under the empty name the store's clock
  kNode,     // (id): prefix, kind, anchor, links; body = the small dict or list, or a header
  kEdge,     // (child, parent): links; every parent of a node but its anchor
  kEntry,    // (node, position); body = [key, value] of a large dict, in insertion order
  kSlot,     // (node, hash): position; body = further positions where hashes collide, else empty
  kPage,     // (id): node; body = a piece of a large list
  kBlob,     // (id): node; body = a large string or bytes, raw
  kOrphan,   // (owner, node): nodes without a parent; owner 0: nobody, to be reclaimed
  kCounter,  // (prefix, name): value
  kMap,      // (name): id, owner and process of the one that writes it lazily
  kItem,     // (map, key): kind, time to expire; body = the value
  kExpiry,   // (map, time and key): an item that was to expire then, perhaps outdated
};
inline constexpr std::size_t kSpaceCount = 12;

/// No id, version or clock is greater. They are milliseconds since 1970 in units of 2^-15; this
/// leaves some room above.
inline constexpr std::int64_t kMostId =
    std::numeric_limits<std::int64_t>::max() - (std::int64_t{1} << 32U);
/// Maps are numbered from 1 to this.
inline constexpr std::int64_t kMostMaps = std::int64_t{1} << 40U;

/// A key. The space's KeyShape says which fields are used; the others keep their defaults.
struct Key {
  Space space{};
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::string name{};

  friend bool operator==(const Key&, const Key&) = default;
  friend std::strong_ordering operator<=>(const Key&, const Key&) = default;
};

inline constexpr std::size_t kMaxIntegers = 4;

/// The places of the integers that stores look at themselves, for predicates and operations.
inline constexpr std::size_t kNodeAnchor = 2;    // see graph/node/node.hpp for its values
inline constexpr std::size_t kEdgeLinks = 0;     // more than 0
inline constexpr std::size_t kCounterValue = 0;  // of kCounter

struct Record {
  std::uint64_t version = 0;
  std::array<std::int64_t, kMaxIntegers> integers{};
  std::string body{};

  friend bool operator==(const Record&, const Record&) = default;
};

/// The kind of an item's value (the record's first integer) and, in the comments, the bytes of its
/// body. A backend may store the value in its own type.
enum class ValueKind : std::uint8_t {
  kNull = 0,    // none
  kFalse = 1,   // none
  kTrue = 2,    // none
  kInt = 3,     // 8, native byte order
  kBigInt = 4,  // hexadecimal digits, as in graven::BigInt
  kReal = 5,    // 8, IEEE 754, native byte order
  kText = 6,    // UTF-8
  kBytes = 7,
  kJson = 8,  // JSONB
};

/// One record as a scan or a batch gives it.
struct Row {
  Key key;
  Record record;
};

/// One change of a batch: the record to put, or nothing to erase it.
struct Change {
  Key key;
  std::optional<Record> record;
};

enum class KeyShape : std::uint8_t {
  kId,    // a
  kPair,  // a, b
  kName,  // a, name
};

/// How a space is laid out. Column names are those of the SQLite tables.
struct Schema {
  std::string_view table;
  KeyShape shape;
  std::string_view a;  // column of key.a; empty: not stored (always 0)
  std::string_view b;  // column of key.b or key.name; empty when the shape has none
  std::span<const std::string_view> integers;
  bool has_version;
  bool has_body;
  bool has_value = false;  // the body is a value whose ValueKind is the first integer
};

const Schema& schema(Space space) noexcept;

/// The store's clock: a record of kPrefix whose integers are {last id given out, id of the prefix
/// created last}. Every commit that changes a clocked space advances it, so the clock tells whether
/// such a commit is durable.
inline Key clock_key() { return Key{.space = Space::kPrefix}; }
/// Whether commits that change the space advance the clock. Counters and items of maps have neither
/// ids nor versions; without the clock their commits write one page less.
constexpr bool clocked(Space space) noexcept {
  return space != Space::kCounter && space != Space::kItem && space != Space::kExpiry;
}

}  // namespace graven::port
