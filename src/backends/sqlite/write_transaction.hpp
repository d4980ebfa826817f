// SPDX-License-Identifier: MIT
//
// The write transaction: BEGIN IMMEDIATE on the one write connection, and the search for the
// truth when its COMMIT fails.
//
// Always holds: nothing is ever applied outside the transaction. SQLite ends a transaction by
// itself after some errors; everything after that throws instead of running on its own.
//
// One thread at a time. In the child of a fork every use throws and the destructor does nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/sqlite/files/standing.hpp"
#include "backends/sqlite/pool/pool.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

class SqliteTransaction final : public store::WriteTransaction {
 public:
  /// Takes a connection whose BEGIN IMMEDIATE has succeeded. The references outlive it.
  SqliteTransaction(const std::string& name, Lease lease, Standing& standing,
                    const std::atomic<const store::MarkWords*>& live);
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction() override;

  std::optional<store::Record> load(const store::Key& key) override;
  void load_many(std::span<const store::Key> keys,
                 const std::function<void(std::size_t, store::Record*)>& each) override;
  std::vector<store::Row> scan(const store::Range& range, std::size_t limit) override;
  std::uint64_t count_items(std::int64_t map) override;
  /// Runs to its end at once.
  std::unique_ptr<store::SqlRows> sql(std::string_view text,
                                      const store::SqlParameters& parameters) override;

  void apply(std::span<const store::Change> changes) override;
  void insert(const store::NewRows& rows) override;
  std::size_t erase_first(store::Space space, std::int64_t a, std::size_t limit) override;
  void savepoint(int depth) override;
  void rollback_to(int depth) override;
  void release(int depth) override;
  void commit(std::uint64_t id) override;
  void when_released(std::function<void(const store::Mark*)> call) override;

 private:
  /// A record written here, kept to recognise the commit by.
  struct Trace {
    store::Key key;
    std::uint64_t version;  // 0: erased
    std::size_t content;    // a hash of it
    bool overwritten = false;
  };
  enum class Outcome { kThere, kNotThere, kUnknown };

  Connection& open_connection();
  /// The same, and nothing applied has failed.
  Connection& sound_connection();
  void remember(const store::Change& change);
  void require_depth(int depth, std::size_t count) const;
  void settle(Connection& connection, std::uint64_t id, const Fault& why);
  void look();
  static void before_unlock(void* self);
  Outcome look_for(Connection& connection, std::uint64_t id, std::uint64_t clock) const;
  Outcome look_for_items(Connection& connection) const;

  const std::string& name_;
  const std::uint64_t generation_;
  std::optional<Lease> lease_;  // until the transaction ends
  Standing& standing_;
  std::optional<bool> in_place_;                      // the files, once the commit was published
  const std::atomic<const store::MarkWords*>& live_;  // nullptr: not watched
  std::uint32_t commits_ = 0;                         // counted when the lock was taken
  std::function<void(const store::Mark*)> released_;
  unsigned data_version_;                // moves when others have committed
  std::string failed_;                   // why apply() failed; empty: it did not
  std::vector<std::size_t> savepoints_;  // for each, how many traces there were
  std::vector<Trace> traces_;            // the first few changes of versioned spaces or of items
  bool clocked_ = false;                 // the clock is among the changes
};

}  // namespace graven::sqlite
