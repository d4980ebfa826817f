// SPDX-License-Identifier: MIT
//
// A map that keeps its writes in memory: a lazy map until a flush commits them, a map without a
// store always. A flush makes a *flush barrier* (cut): at one moment all pending writes become the
// ones being flushed, which are committed in one transaction. So the file always has a state that
// the map once had: batches are complete, and if the file has a write, it also has every write that
// returned before that one began.
//
// Always holds: the current item of a key is the pending one, else the one being flushed, else the
// stored one. The hot table may have it too, and is not used while several keys change together.
// Flushed writes are dropped after their commit; if the commit fails, the next flush repeats it. A
// shard's `version` is odd while the shard changes: a reader that finds it even and unchanged
// around several reads has read one state. A lazy map holds the lease of the map: no other process
// writes it.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fork.hpp"
#include "map/core.hpp"
#include "map/pending_table.hpp"
#include "port/flusher.hpp"

namespace graven::map {

class PendingMap final : public Core, private base::ForkGuard {
 public:
  /// If `store` is null, the map is in memory only; `place` is then the absolute path given as its
  /// name, or empty.
  PendingMap(std::shared_ptr<store::Store> store, const MapOptions& options,
             std::string place = {});
  ~PendingMap() override;

  void read_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown) override;
  std::optional<std::uint64_t> state() override;
  bool peek_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown) override;
  void write(std::span<Write> writes) override;
  bool try_write(std::string_view key, Item& item) override;
  void edit(std::string_view key, Decide decide) override;
  std::vector<std::optional<Item>> take_many(std::span<const std::string_view> keys) override;
  std::optional<Item> item(std::string_view key) override;
  void clear() override;
  std::uint64_t size() override;
  std::unique_ptr<Scan> scan(const Interval& interval) override;
  void flush() override;
  void sync() override;
  void close() override;
  [[nodiscard]] MapStats stats() const override;

 private:
  /// Writes, and by how much they change the number of items. `difference` counts all entries
  /// except `unknown` ones; if not `exact`, it must be counted again.
  struct Batch {
    PendingTable entries;
    std::int64_t difference = 0;
    std::vector<PendingEntry*> unknown;
    bool exact = true;
  };
  struct alignas(64) Shard {
    mutable base::ForkMutex mutex{base::kForkRankMapShard};
    std::atomic<std::uint64_t> version{0};
    Batch pending;
    Batch flushing;  // only the flush adds and removes entries
  };
  static constexpr std::size_t kShards = 32;
  static constexpr std::size_t kRowsAtATime = 256;  // rows of the store, or keys of a scan, at once
  /// This many pending bytes are flushed before the interval is over. Many together, so that each
  /// page is written less often. Less if keys come in order, because then pages are written once
  /// anyway, and a flush only needs to be worth its commit.
  static constexpr std::size_t kFlushedEarly = std::size_t{4} << 20U;
  static constexpr std::size_t kRisingFlushedEarly = std::size_t{1} << 20U;
  /// Makes the versions of shards odd while they change. `several`: several keys change together.
  class Changing {
   public:
    Changing(PendingMap& map, std::uint64_t which, bool several = false)
        : map_(map), which_(which), several_(several) {
      if (several_) map_.barred_.fetch_add(1);
      step();
    }
    ~Changing() {
      step();
      if (several_) map_.barred_.fetch_sub(1);
    }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    void step() noexcept {
      for (std::uint64_t rest = which_; rest != 0; rest &= rest - 1) {
        map_.shards_[static_cast<std::size_t>(std::countr_zero(rest))].version.fetch_add(1);
      }
    }
    PendingMap& map_;
    std::uint64_t which_;
    bool several_;
  };
  class Items;
  class Versions;

  bool read_below(std::string_view key, std::uint64_t hash, Shown shown) override;

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> 59U; }
  static std::uint64_t all_shards() noexcept { return (std::uint64_t{1} << kShards) - 1; }
  static std::uint64_t shards_of(std::span<const std::string_view> keys);
  [[nodiscard]] std::vector<std::unique_lock<std::mutex>> lock_shards(std::uint64_t which);
  // The next four need the shard's mutex.
  static const PendingEntry* unflushed(const Shard& shard, std::string_view key,
                                       std::uint64_t hash) noexcept;
  std::optional<Item> find(Shard& shard, std::string_view key, std::uint64_t hash);
  void set(Shard& shard, std::string key, std::uint64_t hash, std::optional<Item> item);
  void resolve(Batch& batch, const PendingTable* above_stored);
  [[nodiscard]] std::optional<Item> stored(std::string_view key) const;
  [[nodiscard]] bool flushing_unknown() const;
  static std::size_t weight(const PendingEntry& entry) noexcept;

  void before_write();
  void refuse_in_transaction() const;
  void flush_all();
  void flush_store();
  bool cut();
  void commit_cut();
  std::optional<base::Deadline> chore();
  void erase_due();
  void take_over();
  void give_up() noexcept;

  // base::ForkGuard
  void child_after_fork() noexcept override;

  const std::shared_ptr<store::Store> store_;  // may be null
  std::optional<store::Use> use_;              // until it is closed
  const store::Limits limits_;
  const std::int64_t id_;
  const std::string place_;  // if there is no store
  std::int64_t owner_ = 0;

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> cuts_{0};  // commits of flushes; earlier reads of the store may be old

  std::timed_mutex flush_mutex_;               // one flush at a time; taken before any shard's
  std::optional<std::uint64_t> stored_count_;  // items in the store; under every shard's mutex
  std::atomic<bool> counting_{false};          // size() was called: keep the count known

  // Whether there were commits since the background last flushed the store (if it is lazy too).
  std::atomic<bool> committed_{false};
  std::atomic<std::uint64_t> flushes_{0};

  base::ForkMutex timed_mutex_{base::kForkRankMapTimes};
  using Times = std::set<std::pair<Expiry, std::string>>;
  Times timed_;  // when which key may expire; timed_mutex_
  Times swept_;  // handled ones whose kExpiry records may still be in the store; timed_mutex_
  std::atomic<bool> any_timed_{false};

  port::Flusher flusher_;
  cache::Share::Part table_part_;
  cache::Share::Part pending_part_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::map
