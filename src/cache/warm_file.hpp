// SPDX-License-Identifier: MIT
//
// The warm file: what a hot table drops, kept compactly in a mapped file of fixed size, to be
// asked before the backend is. A cache and nothing more: it begins empty, any record may be gone
// at any time, and the file, which has no name, goes with the process.
//
// Always holds: find() shows the value put last under a key or nothing; nothing after erase() or
// clear() until the key is put again, and nothing of a record that was overwritten or damaged. A
// put that is refused takes out the older record of its key. The file is never shorter than
// what is mapped, and its space is reserved, so a full disk is noticed at construction only.
//
// Always holds after close(): no thread is in the mapping, for whoever waited for a shard looks
// once more whether there is one.
//
// Any thread, all of it, but for construction, destruction and child_after_fork(). A key's hash is
// the caller's, the same at every call; all its bits should be good. Each part of the file (a
// shard: a ring of records and its index) has a mutex, held for a probe and a copy. A page of
// the file that is not in memory is read by the first who touches it, under that mutex: then
// those who want the same shard wait for the disk, and writing to pages may be throttled by it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace graven::store {

class WarmFile {
 public:
  static constexpr std::size_t kMinBytes = std::size_t{64} << 10;
  static constexpr std::size_t kMaxBytes = std::size_t{4} << 40;

  struct Stats {
    std::size_t entries = 0;
    std::size_t bytes = 0;  // the file's size
    std::size_t index_bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };

  /// Makes a file beside `path` (it and a few random letters; whatever is at `path` is left
  /// alone), takes its name away, reserves and maps it. UnavailableError if that cannot be.
  WarmFile(const std::string& path, std::size_t bytes);
  ~WarmFile();
  WarmFile(const WarmFile&) = delete;
  WarmFile& operator=(const WarmFile&) = delete;

  /// Keeps the record, over the oldest ones of its shard if need be. False: refused, and nothing
  /// is kept under the key. That is so for a record longer than longest(), and, when a generation
  /// is given, if it is not the present one (an older one leaves the key's newer record alone).
  bool put(std::string_view key, std::uint64_t hash, std::string_view value, std::uint8_t kind = 0,
           std::optional<std::uint64_t> generation = std::nullopt) noexcept;

  /// The same, but a record that is there already, unchanged, is left where it is: for what was
  /// found here, and fell out of the hot table as it was.
  bool put_back(std::string_view key, std::uint64_t hash, std::string_view value, std::uint8_t kind,
                std::uint64_t generation) noexcept;

  /// Copies the value out. False: not here, and `value` and `kind` are as they were.
  bool find(std::string_view key, std::uint64_t hash, std::string& value, std::uint8_t& kind) const;

  /// Has the processor fetch what find() begins with.
  void expect(std::uint64_t hash) const noexcept {
    const Index& index = indexes_[hash & (shard_count_ - 1)];
    const std::uint64_t slot = (hash >> 32U) * index.slots.load(std::memory_order_relaxed) >> 32U;
    __builtin_prefetch(index.words.load(std::memory_order_relaxed) + slot);
  }

  /// Forgets whatever has this hash, without touching the file. False: there was nothing.
  bool erase(std::uint64_t hash) noexcept;

  /// Forgets everything; the generation grows by one, or to `generation` if that is more, so that
  /// it can follow a hot table's. O(1).
  void clear(std::uint64_t generation = 0) noexcept;
  [[nodiscard]] std::uint64_t generation() const noexcept {
    return generation_.load(std::memory_order_acquire);
  }

  /// Gives up the file, its space and all memory but a little. From now on it is empty and idle.
  void close() noexcept;

  /// Of key and value together: an eighth of a shard's ring.
  [[nodiscard]] std::size_t longest() const noexcept;
  [[nodiscard]] Stats stats() const;  // O(index): it is gone through for what is still there
  [[nodiscard]] std::size_t index_bytes() const;

  /// In the child of a fork, for its owner to call. A mutex of a shard may be held while the disk
  /// is waited for, so who forks takes none: the child does not have the mapping, touches no shard
  /// again, and its warm file is empty and idle for good.
  void child_after_fork() noexcept;

 private:
  struct Shard;
  /// Where a shard's index was a moment ago, to be fetched and not to be read.
  struct Index {
    std::atomic<const std::uint64_t*> words{nullptr};
    std::atomic<std::uint64_t> slots{0};
  };

  bool write(Shard& shard, std::string_view key, std::uint64_t hash, std::string_view value,
             std::uint8_t kind, std::optional<std::uint64_t> generation) noexcept;
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
  std::uint64_t position_bits_ = 0;  // of an index entry; the rest is the hash's
  std::size_t bytes_ = 0;
  int file_ = -1;  // open for as long as it takes up space, so that lsof can say whose it is
  char* mapped_ = nullptr;
  std::unique_ptr<Shard[]> shards_;
  std::unique_ptr<Index[]> indexes_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<bool> idle_{false};
};

}  // namespace graven::store
