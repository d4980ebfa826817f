// SPDX-License-Identifier: MIT
//
// The two-way sets. All pages are in one block of memory, which the kernel provides page by page
// when first used. One thread at a time.
#include "backends/sqlite/vfs/page_copies.hpp"

#include <bit>
#include <cstring>
#include <new>
#include <string_view>

namespace graven::sqlite {
namespace {

/// Unique for each place: no page starts in the middle of another.
std::uint64_t name_of(const PageCopies::Place& place) noexcept {
  return static_cast<std::uint64_t>(place.offset) << 1U | (place.wal ? 1U : 0U);
}

}  // namespace

bool PageCopies::is_page_size(int size) noexcept {
  constexpr int kLeast = 512;
  return size >= kLeast && (size & (size - 1)) == 0;
}

bool PageCopies::is_inner(const unsigned char* page) noexcept {
  constexpr unsigned char kInnerIndex = 2;
  constexpr unsigned char kInnerTable = 5;
  constexpr std::string_view kFirst = "SQLite format 3";
  return page[0] == kInnerIndex || page[0] == kInnerTable ||
         std::memcmp(page, kFirst.data(), kFirst.size()) == 0;
}

void PageCopies::bound(std::size_t bytes) noexcept {
  bytes_ = bytes;
  page_size_ = 0;
  sets_ = {};
  pages_.reset();
}

void PageCopies::begin(const State& state) noexcept {
  if (state == state_) return;
  state_ = state;
  ++epoch_;
}

const unsigned char* PageCopies::find(const Place& place) noexcept {
  if (place.size != page_size_ || sets_.empty()) return nullptr;
  const std::uint64_t name = name_of(place);
  Set& set = set_of(name);
  for (std::uint8_t which = 0; which < 2; ++which) {
    const Entry& entry = set.entries[which];
    if (entry.place != name || entry.epoch != epoch_) continue;
    set.used_last = which;
    return page_of(set, which);
  }
  return nullptr;
}

void PageCopies::keep(const Place& place, const void* page) noexcept {
  if (place.size != page_size_ && !make_room(place.size)) return;
  if (sets_.empty()) return;
  const std::uint64_t name = name_of(place);
  Set& set = set_of(name);
  const std::uint8_t which = set.used_last ^ 1U;
  set.entries[which] = {name, epoch_};
  set.used_last = which;
  std::memcpy(page_of(set, which), page, place.size);
}

PageCopies::Set& PageCopies::set_of(std::uint64_t place) noexcept {
  constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio
  return sets_[(place * kSpread >> 32U) & (sets_.size() - 1)];
}

unsigned char* PageCopies::page_of(const Set& set, std::size_t which) noexcept {
  return pages_.get() + (static_cast<std::size_t>(&set - sets_.data()) * 2 + which) * page_size_;
}

bool PageCopies::make_room(std::size_t page_size) noexcept {
  const std::size_t sets = std::bit_floor(bytes_ / page_size / 2);
  page_size_ = page_size;
  sets_ = {};
  pages_.reset();
  if (sets == 0) return false;
  try {
    // Not zeroed, so memory is only used as pages come.
    pages_ = std::make_unique_for_overwrite<unsigned char[]>(sets * 2 * page_size);
    sets_.resize(sets);
  } catch (const std::bad_alloc&) {
    pages_.reset();
  }
  return !sets_.empty();
}

}  // namespace graven::sqlite
