// SPDX-License-Identifier: MIT
//
// Copies of pages of the database file and the WAL, for as long as one state of the two lasts: a
// bounded cache, in sets of two of which the one not used last gives way.
//
// Always holds: what find() gives is what was kept for that place in the state begun last.
// One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace graven::sqlite {

class PageCopies {
 public:
  /// What the files hold: two equal states, the same bytes wherever a reader looks.
  struct State {
    std::uint64_t salts = 0;       ///< of the WAL, other ones each time it begins anew
    std::uint32_t backfilled = 0;  ///< frames of it that are in the database file
    friend bool operator==(const State&, const State&) = default;
  };
  /// Where a page is.
  struct Place {
    bool wal = false;
    std::int64_t offset = 0;
    std::size_t size = 0;
  };

  /// Whether what is read may be a page, by its size. (The WAL is also read with frames' headers.)
  [[nodiscard]] static bool is_page_size(int size) noexcept;
  /// Whether a page is the first of a database, or an inner one of a b-tree: what is worth a copy.
  [[nodiscard]] static bool is_inner(const unsigned char* page) noexcept;

  /// At most so many bytes of copies from now on; those there are go.
  void bound(std::size_t bytes) noexcept;

  /// Another state than before: the copies go.
  void begin(const State& state) noexcept;

  /// The page at a place; nullptr when there is no copy. Good until the next call.
  [[nodiscard]] const unsigned char* find(const Place& place) noexcept;

  /// Takes a copy. Where memory is short it does without.
  void keep(const Place& place, const void* page) noexcept;

 private:
  struct Entry {
    std::uint64_t place = 0;
    std::uint64_t epoch = 0;  // of the copies that count
  };
  struct Set {
    std::array<Entry, 2> entries;
    std::uint8_t used_last = 0;
  };

  [[nodiscard]] Set& set_of(std::uint64_t place) noexcept;
  [[nodiscard]] unsigned char* page_of(const Set& set, std::size_t which) noexcept;
  bool make_room(std::size_t page_size) noexcept;

  std::size_t bytes_ = 0;
  std::size_t page_size_ = 0;  // of the copies there are; 0: no room was made yet
  std::vector<Set> sets_;      // none, or a power of two
  std::unique_ptr<unsigned char[]> pages_;
  State state_;
  std::uint64_t epoch_ = 1;
};

}  // namespace graven::sqlite
