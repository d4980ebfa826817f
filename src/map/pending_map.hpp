// SPDX-License-Identifier: MIT
//
// A map whose writes wait in memory: lazily, until a flush commits them, or for ever, with no store
// below. A flush takes a *cut*: at one moment what is pending becomes what is being flushed, and
// is committed in one transaction; so what the file has is a state the map once had, batches
// whole, and if one write returned before another began and the other is in the file, so is it.
//
// Always holds: an item is the one pending, else the one being flushed, else the one stored; the
// hot table remembers any of them, and is not asked while several keys change. What is being
// flushed is forgotten after its commit, and tried again if that fails. A shard's `version` is odd
// while it changes: whoever found it even and unchanged around several reads has read one state. A
// lazy map is its store's owner of that map: nobody else writes it.
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
  /// Without a store: in memory only; `place` says what file it is beside, for its name's sake.
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
  std::size_t erase_many(std::span<const std::string_view> keys) override;
  void clear() override;
  std::uint64_t size() override;
  std::unique_ptr<Scan> scan() override;
  void flush() override;
  void sync() override;
  void close() override;
  [[nodiscard]] MapStats stats() const override;

 private:
  /// Writes, and by how much they change the number of items: known of all entries but `unknown`,
  /// or, if not even that, not `exact`.
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
    Batch flushing;  // entries come and go by the flush only
  };
  static constexpr std::size_t kShards = 32;
  static constexpr std::size_t kRowsAtATime = 256;  // of the store's
  /// So many bytes are flushed before the interval is over: many together, so that pages are
  /// written less often; of keys that come in order a cut needs no more than pays for its commit.
  static constexpr std::size_t kFlushedEarly = std::size_t{4} << 20U;
  static constexpr std::size_t kRisingFlushedEarly = std::size_t{1} << 20U;
  /// Makes the version of shards odd for as long as they change, by one key or several.
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
  /// Under the shard's mutex, as the next three.
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
  std::optional<store::Deadline> chore();
  void erase_due();
  void take_over();
  void give_up() noexcept;

  // base::ForkGuard
  void child_after_fork() noexcept override;

  const std::shared_ptr<store::Store> store_;  // may be null
  std::optional<store::Use> use_;              // until it is closed
  const store::Limits limits_;
  const std::int64_t id_;
  const std::string place_;  // where there is no store
  std::int64_t owner_ = 0;

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> cuts_{0};  // committed: what was read of the store before may be old

  std::timed_mutex flush_mutex_;               // one flush at a time; taken before any shard's
  std::optional<std::uint64_t> stored_count_;  // items in the store; under every shard's mutex
  std::atomic<bool> counting_{false};          // somebody asks for the size

  // Commits in the store since the background had that flush, which a lazy one needs.
  std::atomic<bool> committed_{false};
  std::atomic<std::uint64_t> flushes_{0};

  base::ForkMutex timed_mutex_{base::kForkRankMapTimes};
  using Times = std::set<std::pair<Expiry, std::string>>;
  Times timed_;  // when which may expire; timed_mutex_
  Times swept_;  // those done with that the store may still have; timed_mutex_
  std::atomic<bool> any_timed_{false};

  store::Flusher flusher_;
  store::Share::Part table_part_;
  store::Share::Part pending_part_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::map
