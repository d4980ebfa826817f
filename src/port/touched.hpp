// SPDX-License-Identifier: MIT
//
// What a commit has changed, for the invalidation log (ChangeFeed), as precisely as there is room:
// each record by its hash; else the *scope* of the record, which is a container (the entries, slots
// and pages of one dict or list) or a map (its items); else its space.
//
// Always holds: every changed record that another cache may have is reported. Records under ids
// that the commit itself has given out are not reported: no cache has them, nor knows them as
// absent (Cache keeps no absence of records keyed by an id, Work none under an id of its own).
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/hash.hpp"
#include "port/record.hpp"

namespace graven::port {

/// The hash of an item of a map in the invalidation log; it does not depend on the map.
inline std::uint64_t item_hash(std::string_view key) noexcept {
  constexpr std::uint64_t kSeed = 0x6d6170;
  return base::hash(key, kSeed);
}
/// The hash of any other record.
std::uint64_t record_hash(const Key& key);
/// item_hash() or record_hash().
std::uint64_t change_hash(const Key& key);
/// The hash of a container, from its node's id: an even number.
std::uint64_t container_hash(std::int64_t node) noexcept;
/// The hash of a map: an odd number.
std::uint64_t map_hash(std::int64_t map) noexcept;
constexpr bool is_map_hash(std::uint64_t scope) noexcept { return scope % 2 != 0; }

/// A set of spaces: one bit for each.
using Spaces = std::uint32_t;
constexpr Spaces bit(Space space) noexcept { return Spaces{1} << static_cast<unsigned>(space); }

/// Whether a cache may have records of the space at all.
constexpr bool cached(Space space) noexcept { return space != Space::kExpiry; }

/// One commit as the invalidation log reports it: hashes, the last of which are scopes, and flags.
struct Told {
  std::vector<std::uint64_t> hashes{};
  std::size_t scopes = 0;  // how many hashes, at the end, are scopes
  Spaces spaces = 0;       // all records of these may have changed
  bool doomed = false;     // something is pending deletion

  [[nodiscard]] std::uint64_t flags() const noexcept;
  static std::size_t scopes_of(std::uint64_t flags) noexcept;
  static Spaces spaces_of(std::uint64_t flags) noexcept;
  static bool doomed_of(std::uint64_t flags) noexcept;
};

class Touched {
 public:
  static constexpr std::size_t kSingly = std::size_t{1} << 17U;  // more: by scope
  static constexpr std::size_t kScopes = 4'096;                  // more: by space

  struct Single {
    std::uint64_t hash;
    std::uint64_t scope;  // 0: it has none, its space counts
    Space space;
  };

  /// `record` is its new state, nullptr if erased; ids from `given_from` on were given out by this
  /// commit.
  void add(const Key& key, const Record* record,
           std::uint64_t given_from = std::numeric_limits<std::uint64_t>::max());

  /// All changed records; nullptr if they were too many.
  [[nodiscard]] const std::vector<Single>* singles() const noexcept {
    return singly_ ? &singles_ : nullptr;
  }
  [[nodiscard]] const std::unordered_set<std::uint64_t>& scopes() const noexcept { return scopes_; }
  /// The spaces of changed records that are in no scope, or whose scope found no room.
  [[nodiscard]] Spaces spaces() const noexcept { return spaces_; }
  [[nodiscard]] bool doomed() const noexcept { return doomed_; }
  [[nodiscard]] bool has_map(std::int64_t map) const {
    return (spaces_ & bit(Space::kItem)) != 0 || scopes_.contains(map_hash(map));
  }

  /// The report in at most `most` hashes.
  [[nodiscard]] Told told(std::size_t most) const;

 private:
  std::vector<Single> singles_;
  bool singly_ = true;
  std::unordered_set<std::uint64_t> scopes_;
  Spaces spaces_ = 0;
  bool doomed_ = false;
};

/// Whether the records of the space belong to the node, page or blob whose id is their key's `a`.
constexpr bool lies_under_id(Space space) noexcept {
  switch (space) {
    case Space::kNode:
    case Space::kEdge:
    case Space::kEntry:
    case Space::kSlot:
    case Space::kPage:
    case Space::kBlob:
      return true;
    default:
      return false;
  }
}

/// Whether a record lies under an id that the commit has given out.
constexpr bool under_given_id(Space space, std::int64_t a, std::int64_t b,
                              std::uint64_t from) noexcept {
  const auto given = [from](std::int64_t id) {
    return id > 0 && static_cast<std::uint64_t>(id) >= from;
  };
  return lies_under_id(space) && (given(a) || (space == Space::kEdge && given(b)));
}

}  // namespace graven::port
