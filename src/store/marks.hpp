// SPDX-License-Identifier: MIT
//
// Verified nodes (Marks): a compact set of ids, 16 to 32 bytes for each, because it is asked
// millions of times. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/open_table.hpp"

namespace graven::store {

/// A set of ids greater than 0.
class Marks {
 public:
  [[nodiscard]] bool has(std::int64_t id) const noexcept {
    return ids_.find(hash_of(id), [id](std::int64_t one) { return one == id; }) != nullptr;
  }
  void add(std::int64_t id) {
    if (2 * (count_ + 1) > ids_.size()) {
      if (ids_.size() == kMost) clear();
      ids_.grow(kFewest, hash_of);
    }
    std::int64_t& place = *ids_.place(hash_of(id), [id](std::int64_t one) { return one == id; });
    if (place == 0) ++count_;
    place = id;
  }
  void clear() noexcept {
    ids_.reset();
    count_ = 0;
  }

 private:
  static constexpr std::size_t kFewest = 64;
  static constexpr std::size_t kMost = std::size_t{1} << 21U;  // when full, it starts again empty

  static std::uint64_t hash_of(std::int64_t id) noexcept {
    return static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL >> 24U;
  }

  base::OpenTable<std::int64_t> ids_;
  std::size_t count_ = 0;
};

}  // namespace graven::store
