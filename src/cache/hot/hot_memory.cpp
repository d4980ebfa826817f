// SPDX-License-Identifier: MIT
//
// mmap and madvise for the pool. The first chunk stays on small pages, so that a small table costs
// only what it uses. The others ask for a huge page each; without it a lookup in a large table
// would also miss the TLB. Only trim() zeroes memory: it first notes the versions that its lines
// have reached, and take_segment() continues from there.
#include "cache/hot/hot_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace graven::cache::hot {
namespace {

char* map_chunk(bool huge) {
  const std::size_t size = 2 * kChunkBytes;
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<char*>(mapped);
  const auto address = reinterpret_cast<std::uint64_t>(begin);
  char* base = begin + ((kChunkBytes - address % kChunkBytes) % kChunkBytes);
  if (base != begin) ::munmap(begin, static_cast<std::size_t>(base - begin));
  char* end = base + kChunkBytes;
  if (end != begin + size) ::munmap(end, static_cast<std::size_t>(begin + size - end));
#ifdef MADV_HUGEPAGE
  if (huge) ::madvise(base, kChunkBytes, MADV_HUGEPAGE);
#endif
  return base;
}

}  // namespace

Pool::~Pool() { forget(); }

void Pool::forget() noexcept {
  for (const Chunk& chunk : chunks_) ::munmap(chunk.base, kChunkBytes);
  for (Directory* directory : all_directories_) ::operator delete(directory);
  chunks_.clear();
  free_.clear();
  for (auto& free : directories_) free.clear();
  all_directories_.clear();
  in_use_ = 0;
  tags_offset_ = kBodyOffset;
}

void Pool::add_chunk() {
  chunks_.reserve(chunks_.size() + 1);
  free_.reserve((chunks_.size() + 1) * kSegmentsPerChunk);
  char* base = map_chunk(!chunks_.empty());
  chunks_.push_back({base, tags_offset_});
  for (std::size_t i = kSegmentsPerChunk; i-- > 0;) {
    const SegmentRef ref(base, tags_offset_, i);
    new (&ref.segment()) Segment;
    free_.push_back(ref);
  }
  constexpr std::size_t tag_bytes = kSegmentsPerChunk * kTagBytes;
  do {
    tags_offset_ += tag_bytes;
    if (tags_offset_ + tag_bytes > kChunkBytes) tags_offset_ = kBodyOffset;
  } while (!SegmentRef::may_have_tags(tags_offset_));
}

Pool::Chunk& Pool::chunk_of(SegmentRef ref) {
  return *std::find_if(chunks_.begin(), chunks_.end(),
                       [&](const Chunk& chunk) { return chunk.base == ref.chunk(); });
}

SegmentRef Pool::take_segment() {
  if (free_.empty()) add_chunk();
  const SegmentRef ref = free_.back();
  free_.pop_back();
  Chunk& chunk = chunk_of(ref);
  ++chunk.in_use;
  chunk.resident = true;
  ++in_use_;
  Segment& segment = ref.segment();
  if (segment.zeroed) {
    for (std::size_t i = 0; i < kLines; ++i) {
      ref.lines()[i].words[0].store(segment.floor, std::memory_order_release);
    }
    segment.zeroed = false;
  }
  return ref;
}

void Pool::give_segment(SegmentRef ref) noexcept {
  Segment& segment = ref.segment();
  segment.depth = 0;
  segment.used.clear();
  segment.probation.clear();
  segment.on_probation = segment.probation_hand = segment.main_hand = 0;
  segment.ghosts.fill(0);
  --chunk_of(ref).in_use;
  --in_use_;
  free_.push_back(ref);  // never grows: add_chunk() has reserved room for all
}

Directory* Pool::take_directory(int depth) {
  auto& free = directories_[static_cast<std::size_t>(depth)];
  if (!free.empty()) {
    Directory* directory = free.back();
    free.pop_back();
    return directory;
  }
  all_directories_.reserve(all_directories_.size() + 1);
  free.reserve(free.size() + all_directories_.size() + 1);
  auto* directory = static_cast<Directory*>(::operator new(Directory::cost(depth)));
  directory->depth = depth;
  new (&directory->generation) Word(0);
  for (std::size_t i = 0; i < directory->size(); ++i) {
    new (&directory->entries[i]) Word(0);
  }
  all_directories_.push_back(directory);
  return directory;
}

void Pool::give_directory(Directory* directory) noexcept {
  directories_[static_cast<std::size_t>(directory->depth)].push_back(directory);
}

void Pool::trim() noexcept {
  for (Chunk& chunk : chunks_) {
    if (chunk.in_use != 0 || !chunk.resident) continue;
    for (std::size_t i = 0; i < kSegmentsPerChunk; ++i) {
      const SegmentRef ref(chunk.base, chunk.tags_offset, i);
      Segment& segment = ref.segment();
      if (segment.zeroed) continue;
      std::uint64_t highest = 0;
      for (std::size_t at = 0; at < kLines; ++at) {
        highest = std::max(highest, load(ref.lines()[at], 0) & kVersionMask);
      }
      segment.floor = next_incarnation(highest);
      segment.zeroed = true;
    }
    ::madvise(chunk.base + kBodyOffset, kChunkBytes - kBodyOffset, MADV_DONTNEED);
    chunk.resident = false;
  }
  // Segments at the lowest addresses are taken first, so that the other chunks become free.
  std::sort(free_.begin(), free_.end(),
            [](SegmentRef left, SegmentRef right) { return left.groups() > right.groups(); });
}

}  // namespace graven::cache::hot
