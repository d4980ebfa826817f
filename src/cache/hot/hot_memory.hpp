// SPDX-License-Identifier: MIT
//
// Allocates a hot table's segments and directories: chunks of 2 MB, each divided into 32 segments,
// on huge pages except the first chunk. Returned segments and directories are reused for the same
// purpose. The memory of chunks without a segment in use can be returned to the system; the address
// range stays and reads as zeros.
//
// Always holds: an address that was handed out stays readable until the pool is destroyed; a line's
// version never decreases; a segment that is handed out is empty.
//
// One thread at a time, which holds the table's structure mutex.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/hot/hot_segment.hpp"

namespace graven::cache::hot {

class Pool {
 public:
  Pool() = default;
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// An empty segment. Strong guarantee: std::bad_alloc changes nothing.
  SegmentRef take_segment();
  /// Takes back an empty segment whose `mutex`, `count` and tags are as in a new one.
  void give_segment(SegmentRef ref) noexcept;
  Directory* take_directory(int depth);
  void give_directory(Directory* directory) noexcept;
  /// Returns the memory of chunks without a segment in use to the system.
  void trim() noexcept;
  /// Frees everything at once, used or not, and starts again empty.
  void forget() noexcept;
  [[nodiscard]] std::size_t segments_in_use() const { return in_use_; }

 private:
  struct Chunk {
    char* base;
    std::size_t tags_offset;
    std::uint32_t in_use = 0;
    bool resident = true;
  };

  void add_chunk();
  Chunk& chunk_of(SegmentRef ref);

  std::vector<Chunk> chunks_;
  std::size_t tags_offset_ = kBodyOffset;  // of the next chunk
  std::vector<SegmentRef> free_;
  std::size_t in_use_ = 0;
  std::array<std::vector<Directory*>, kDeepest + 1> directories_;
  std::vector<Directory*> all_directories_;
};

}  // namespace graven::cache::hot
