// SPDX-License-Identifier: MIT
//
// Collects the changes of a commit and reports them in few words. Scopes with the fewest changed
// records are reported record by record first: there, reporting the whole scope would cost other
// caches the most.
#include "port/touched.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "port/encoded_key.hpp"

namespace graven::port {
namespace {

constexpr std::uint64_t kContainer = 0x636f6e7461696eULL;  // unlike the hash of any key
constexpr std::uint64_t kMap = 0x6d617073ULL;

constexpr std::uint64_t kDoomed = 1;
constexpr unsigned kScopesFrom = 8;  // bits of flags()
constexpr std::uint64_t kScopesMask = 0xff;
constexpr unsigned kSpacesFrom = 16;
constexpr std::uint64_t kSpacesMask = (std::uint64_t{1} << kSpaceCount) - 1;

std::uint64_t scope_of(const Key& key, const Record* record) {
  switch (key.space) {
    case Space::kItem:
      return map_hash(key.a);
    case Space::kEntry:
    case Space::kSlot:
      return container_hash(key.a);
    case Space::kPage:
      return record != nullptr ? container_hash(record->integers[0]) : 0;
    default:
      return 0;
  }
}

constexpr Spaces kOfContainers = bit(Space::kEntry) | bit(Space::kSlot) | bit(Space::kPage);

/// The spaces of the records in a scope.
constexpr Spaces spaces_in(std::uint64_t scope) noexcept {
  return is_map_hash(scope) ? bit(Space::kItem) : kOfContainers;
}

}  // namespace

std::uint64_t container_hash(std::int64_t node) noexcept {
  return mix(mix(static_cast<std::uint64_t>(node)) + kContainer) & ~std::uint64_t{1};
}

std::uint64_t map_hash(std::int64_t map) noexcept {
  return mix(mix(static_cast<std::uint64_t>(map)) + kMap) | 1U;
}

std::uint64_t record_hash(const Key& key) { return Encoded(key).hash(); }

std::uint64_t change_hash(const Key& key) {
  return key.space == Space::kItem ? item_hash(key.name) : record_hash(key);
}

std::uint64_t Told::flags() const noexcept {
  return (doomed ? kDoomed : 0) | std::uint64_t{scopes} << kScopesFrom |
         std::uint64_t{spaces} << kSpacesFrom;
}
std::size_t Told::scopes_of(std::uint64_t flags) noexcept {
  return flags >> kScopesFrom & kScopesMask;
}
Spaces Told::spaces_of(std::uint64_t flags) noexcept {
  return static_cast<Spaces>(flags >> kSpacesFrom & kSpacesMask);
}
bool Told::doomed_of(std::uint64_t flags) noexcept { return (flags & kDoomed) != 0; }

void Touched::add(const Key& key, const Record* record, std::uint64_t given_from) {
  doomed_ = doomed_ || (key.space == Space::kOrphan && key.a == 0);
  if (!cached(key.space) || under_given_id(key.space, key.a, key.b, given_from)) return;
  const std::uint64_t scope = scope_of(key, record);
  if (scope == 0) {
    spaces_ |= bit(key.space);
  } else if (scopes_.size() < kScopes || scopes_.contains(scope)) {
    scopes_.insert(scope);
  } else {
    spaces_ |= spaces_in(scope);
  }
  if (!singly_) return;
  if (singles_.size() == kSingly) {
    singly_ = false;
    singles_ = {};
    return;
  }
  singles_.push_back({change_hash(key), scope, key.space});
}

Told Touched::told(std::size_t most) const {
  Told told;
  told.doomed = doomed_;
  most = std::min<std::size_t>(most, kScopesMask);
  // A scope takes one word, a space none.
  std::size_t containers = 0;
  std::size_t maps = 0;
  for (const std::uint64_t scope : scopes_) ++(is_map_hash(scope) ? maps : containers);
  Spaces too_many = 0;
  if (containers > most / 2) too_many |= kOfContainers;
  if (maps > most / 2) too_many |= bit(Space::kItem);
  const auto by_itself = [too_many](std::uint64_t scope) {
    return scope != 0 && (too_many & spaces_in(scope)) == 0;
  };
  if (!singly_) {
    told.spaces = spaces_ | too_many;
    std::copy_if(scopes_.begin(), scopes_.end(), std::back_inserter(told.hashes), by_itself);
    told.scopes = told.hashes.size();
    return told;
  }
  std::vector<Single> all = singles_;
  const auto group_of = [](const Single& one) {
    return std::pair(one.scope, one.scope != 0 ? Space{} : one.space);
  };
  const auto order_of = [&](const Single& one) { return std::pair(group_of(one), one.hash); };
  std::sort(all.begin(), all.end(), [&](const Single& left, const Single& right) {
    return order_of(left) < order_of(right);
  });
  all.erase(std::unique(all.begin(), all.end(),
                        [&](const Single& left, const Single& right) {
                          return order_of(left) == order_of(right);
                        }),
            all.end());
  std::vector<std::span<const Single>> groups;
  for (auto begin = all.begin(); begin != all.end();) {
    const auto end = std::find_if(
        begin, all.end(), [&](const Single& one) { return group_of(one) != group_of(*begin); });
    groups.emplace_back(begin, end);
    begin = end;
  }
  std::sort(groups.begin(), groups.end(),
            [](const auto& left, const auto& right) { return left.size() < right.size(); });
  // Starts as if all groups were reported as whole scopes.
  auto used = static_cast<std::size_t>(std::count_if(
      groups.begin(), groups.end(), [&](const auto& group) { return by_itself(group[0].scope); }));
  std::vector<std::uint64_t> scopes;
  for (const std::span<const Single> group : groups) {
    const auto& [hash, scope, space] = group.front();
    const bool container =
        scope != 0 && !is_map_hash(scope);  // the scope is listed too: see Follower
    const std::size_t others = used - static_cast<std::size_t>(by_itself(scope));
    const std::size_t singly = others + group.size() + static_cast<std::size_t>(container);
    if (singly <= most) {
      used = singly;
      for (const Single& one : group) told.hashes.push_back(one.hash);
      if (container) told.hashes.push_back(scope);
    } else if (by_itself(scope)) {
      scopes.push_back(scope);
    } else {
      told.spaces |= scope != 0 ? spaces_in(scope) : bit(space);
    }
  }
  told.scopes = scopes.size();
  told.hashes.insert(told.hashes.end(), scopes.begin(), scopes.end());
  return told;
}

}  // namespace graven::port
