// SPDX-License-Identifier: MIT
//
// A bounded cache of pages of the database file and the WAL, valid for one state of the two files.
// It is two-way set associative: a new page replaces the one of its set that was not used last.
//
// Always holds: find() returns what was kept for that place in the state of the last begin().
//
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
  /// A state of the files. In two equal states, a reader finds the same bytes everywhere.
  struct State {
    std::uint64_t salts = 0;       ///< of the WAL; they change when it starts over
    std::uint32_t backfilled = 0;  ///< frames of the WAL that are in the database file
    friend bool operator==(const State&, const State&) = default;
  };
  /// Where a page is in a file.
  struct Place {
    bool wal = false;
    std::int64_t offset = 0;
    std::size_t size = 0;
  };

  /// Whether a read of this size may be a page. (SQLite also reads frames with their headers.)
  [[nodiscard]] static bool is_page_size(int size) noexcept;
  /// Whether a page is the first of a database or an inner B-tree page: only those are kept.
  [[nodiscard]] static bool is_inner(const unsigned char* page) noexcept;

  /// Sets the limit of all copies in bytes and drops the present ones.
  void bound(std::size_t bytes) noexcept;

  /// Sets the state of the files; if it differs from the last one, drops all copies.
  void begin(const State& state) noexcept;

  /// The page at `place`, or nullptr. Valid until the next call.
  [[nodiscard]] const unsigned char* find(const Place& place) noexcept;

  /// Keeps a copy of the page, if there is memory for it.
  void keep(const Place& place, const void* page) noexcept;

 private:
  struct Entry {
    std::uint64_t place = 0;
    std::uint64_t epoch = 0;  // of valid copies
  };
  struct Set {
    std::array<Entry, 2> entries;
    std::uint8_t used_last = 0;
  };

  [[nodiscard]] Set& set_of(std::uint64_t place) noexcept;
  [[nodiscard]] unsigned char* page_of(const Set& set, std::size_t which) noexcept;
  bool make_room(std::size_t page_size) noexcept;

  std::size_t bytes_ = 0;
  std::size_t page_size_ = 0;  // of the copies; 0: no memory allocated yet
  std::vector<Set> sets_;      // empty, or a power of two
  std::unique_ptr<unsigned char[]> pages_;
  State state_;
  std::uint64_t epoch_ = 1;
};

}  // namespace graven::sqlite
