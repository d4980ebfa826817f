// SPDX-License-Identifier: MIT
//
// The warm file keeps what a hot table drops, compactly, in a mapped file of fixed size; it is
// asked before the backend. It is only a cache: it begins empty, any record may vanish at any time,
// and the file has no name and vanishes with the process.
//
// Always holds: find() gives the value last put under a key, or nothing; after erase() or clear()
// nothing until the key is put again; never a record that was overwritten or damaged. A put that is
// refused removes the older record of its key. The file is never shorter than its mapping and its
// space is reserved, so a full disk is noticed at construction only. After close() no thread is in
// the mapping: a thread that waited for a shard checks again whether there is one.
//
// Any thread, except construction, destruction and child_after_fork(). The caller computes a key's
// hash, the same at every call; all its bits should be good. Each shard (a ring of records and its
// index) has a mutex, held for a probe and a copy. The thread that first touches a page that is not
// in memory reads it under that mutex; others that want this shard then wait for the disk, and the
// system may slow down writes to pages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace graven::cache {

class WarmFile {
 public:
  static constexpr std::size_t kMinBytes = std::size_t{64} << 10;
  static constexpr std::size_t kMaxBytes = std::size_t{4} << 40;

  struct Stats {
    std::size_t entries = 0;
    std::size_t bytes = 0;  // the file's size
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };

  /// Creates a file beside `path` (its name is `path` and a few random letters; a file at `path` is
  /// left alone), unlinks it, reserves its space and maps it. UnavailableError if that fails.
  WarmFile(const std::string& path, std::size_t bytes);
  ~WarmFile();
  WarmFile(const WarmFile&) = delete;
  WarmFile& operator=(const WarmFile&) = delete;

  /// Keeps the record, and overwrites the oldest ones of its shard if needed. A record that is
  /// there already, unchanged, stays where it is: the hot table drops many that were found here.
  /// False: refused, and nothing is kept under the key. That happens for a record longer than
  /// longest(), and when the generation is not the present one (an older one leaves the key's newer
  /// record alone).
  bool put(std::string_view key, std::uint64_t hash, std::string_view value, std::uint8_t kind,
           std::uint64_t generation) noexcept;

  /// Copies the value. False: not here; `value` and `kind` are not changed.
  bool find(std::string_view key, std::uint64_t hash, std::string& value, std::uint8_t& kind) const;

  /// Prefetches the memory that find() reads first.
  void expect(std::uint64_t hash) const noexcept {
    const Index& index = indexes_[hash & (shard_count_ - 1)];
    const std::uint64_t slot = (hash >> 32U) * index.slots.load(std::memory_order_relaxed) >> 32U;
    __builtin_prefetch(index.words.load(std::memory_order_relaxed) + slot);
  }

  /// Forgets every record with this hash, without touching the file. False: there was none.
  bool erase(std::uint64_t hash) noexcept;

  /// Forgets everything. The generation grows by one, or to `generation` if that is more, so that
  /// it can follow a hot table's. O(1).
  void clear(std::uint64_t generation = 0) noexcept;
  [[nodiscard]] std::uint64_t generation() const noexcept {
    return generation_.load(std::memory_order_acquire);
  }

  /// Releases the file, its disk space and nearly all memory. From now on it is empty and idle.
  void close() noexcept;

  /// The most bytes of key and value together: an eighth of a shard's ring.
  [[nodiscard]] std::size_t longest() const noexcept;
  [[nodiscard]] Stats stats() const;  // O(size of the index), which it scans for live entries
  [[nodiscard]] std::size_t index_bytes() const;

  /// Called by its owner in the child of a fork. A shard's mutex may be held during a wait for the
  /// disk, so fork() takes none of them. The child does not have the mapping and touches no shard
  /// again; its warm file stays empty and idle.
  void child_after_fork() noexcept;

 private:
  struct Shard;
  /// Where a shard's index was a moment ago: for prefetching only, never read.
  struct Index {
    std::atomic<const std::uint64_t*> words{nullptr};
    std::atomic<std::uint64_t> slots{0};
  };

  bool write(Shard& shard, std::string_view key, std::uint64_t hash, std::string_view value,
             std::uint8_t kind, std::uint64_t generation) noexcept;
  [[nodiscard]] bool idle() const noexcept { return idle_.load(std::memory_order_relaxed); }
  [[nodiscard]] Shard& shard_of(std::uint64_t hash) const noexcept;
  [[nodiscard]] char* place(const Shard& shard, std::uint64_t position) const noexcept;
  void catch_up(Shard& shard) const noexcept;
  [[nodiscard]] std::uint64_t* look_up(Shard& shard, std::uint64_t hash) const noexcept;
  bool enter(Shard& shard, std::uint64_t hash, std::uint64_t position) noexcept;
  [[nodiscard]] std::uint64_t reserve(Shard& shard, std::uint64_t units) noexcept;
  [[nodiscard]] std::size_t live(const Shard& shard) const noexcept;
  [[nodiscard]] bool rebuild(Shard& shard) const noexcept;
  void renumber(Shard& shard) const noexcept;

  std::size_t shard_count_ = 0;
  std::uint64_t ring_units_ = 0;     // of each shard
  std::uint64_t position_bits_ = 0;  // of an index entry; the other bits are the hash's
  std::size_t bytes_ = 0;
  int file_ = -1;  // kept open while the file takes up space, so that lsof shows whose it is
  char* mapped_ = nullptr;
  std::unique_ptr<Shard[]> shards_;
  std::unique_ptr<Index[]> indexes_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<bool> idle_{false};
};

}  // namespace graven::cache
