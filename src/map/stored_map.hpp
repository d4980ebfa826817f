// SPDX-License-Identifier: MIT
//
// A map whose writes are in the store's files when they return (if the store is lazy, each write
// flushes it). The hot table is part of the store's cache: the same state version (Mark) says
// whether it is current, and commits of this process update it (cache/cache.hpp). In a thread's
// open transaction, reads and writes use the transaction.
//
// Always holds: when a write of this map is committed, with the write lock held, no living process
// has the map open lazily.
//
// Any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fork.hpp"
#include "base/housekeeper.hpp"
#include "cache/cache.hpp"
#include "map/core.hpp"

namespace graven::map {

class StoredMap final : public Core, private cache::ItemCache, private base::ForkGuard {
 public:
  StoredMap(std::shared_ptr<store::Store> store, const MapOptions& options);
  ~StoredMap() override;

  void read_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown) override;
  std::optional<std::uint64_t> state() override;
  bool peek_many(std::span<const std::string_view> keys,
                 base::FunctionRef<void(std::size_t, const MapValue*)> shown) override;
  void write(std::span<Write> writes) override;
  void edit(std::string_view key, Decide decide) override;
  std::vector<std::optional<Item>> take_many(std::span<const std::string_view> keys) override;
  std::optional<Item> item(std::string_view key) override;
  void clear() override;
  void alone(base::FunctionRef<void()> body) override;
  std::uint64_t size() override;
  std::unique_ptr<Scan> scan(const Interval& interval) override;
  void flush() override;
  void sync() override;
  void close() override;

 private:
  class Rows;
  bool read_below(std::string_view key, std::uint64_t hash, Shown shown) override;

  // cache::ItemCache
  std::optional<std::optional<port::Record>> look(const port::Key& key) override;
  void put(const port::Key& key, const std::optional<port::Record>& record,
           bool only_if_absent) override;
  void forget(const port::Key& key) override;
  void forget_hash(std::uint64_t hash) override { hot_.tiers().forget_hash(hash); }
  void drop() override { hot_.tiers().clear(); }
  void committed(std::uint64_t sequence, bool touched) override;

  // base::ForkGuard
  void child_after_fork() noexcept override { count_.reset(); }

  static bool worth_promoting() noexcept;
  bool promote(std::string_view key, std::uint64_t hash, std::optional<Item>& item);
  void mutate(base::FunctionRef<void(store::Work&)> mutation);
  void put_item(store::Work& work, std::string_view key, std::optional<Item> item);
  [[nodiscard]] bool counted();
  void count_by(const store::Work& work, std::optional<std::int64_t> difference);
  void note_timed();
  std::uint64_t erase_due();
  std::optional<base::Deadline> sweep() noexcept;

  const std::shared_ptr<store::Store> store_;
  store::Use use_;  // until it is closed
  const store::Limits limits_;
  const std::int64_t id_;

  base::ForkMutex count_mutex_{base::kForkRankMapCount};
  // The number of items, also expired ones, in the cache's state count_sequence_; and by how much
  // the current commit will change it. count_mutex_.
  std::optional<std::uint64_t> count_;
  std::uint64_t count_sequence_ = 0;
  std::uint64_t changing_ = 0;  // the commit's id
  std::optional<std::int64_t> difference_;

  std::atomic<bool> timed_{false};  // items of this map may expire
  base::Housekeeper sweeper_;
  cache::Share::Part table_part_;
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace graven::map
