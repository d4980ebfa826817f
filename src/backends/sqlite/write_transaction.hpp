// SPDX-License-Identifier: MIT
//
// The write transaction: BEGIN IMMEDIATE on the one write connection. When COMMIT fails, it finds
// out whether the commit is in the file.
//
// Always holds: no change is ever applied outside the transaction. SQLite ends a transaction by
// itself after some errors; every later call then throws.
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

class SqliteTransaction final : public port::WriteTransaction {
 public:
  /// `lease`: a connection whose BEGIN IMMEDIATE has succeeded. The references must outlive this.
  SqliteTransaction(const std::string& name, Lease lease, Standing& standing,
                    const std::atomic<const port::MarkWords*>& live);
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction() override;

  std::optional<port::Record> load(const port::Key& key) override;
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override;
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override;
  std::uint64_t count_items(std::int64_t map) override;
  /// Fetches all rows before it returns.
  std::unique_ptr<port::SqlRows> sql(std::string_view text,
                                     const port::SqlParameters& parameters) override;

  void apply(std::span<const port::Change> changes) override;
  void insert(const port::NewRows& rows) override;
  std::size_t erase_first(port::Space space, std::int64_t a, std::size_t limit) override;
  void savepoint(int depth) override;
  void rollback_to(int depth) override;
  void release(int depth) override;
  void commit(std::uint64_t id) override;
  void when_released(std::function<void(const port::Mark*)> call) override;

 private:
  /// A record written by this transaction; used to recognise the commit later.
  struct Trace {
    port::Key key;
    std::uint64_t version;  // 0: erased
    std::size_t content;    // hash of the content
    bool overwritten = false;
  };
  enum class Outcome { kThere, kNotThere, kUnknown };

  Connection& open_connection();
  /// The same; also throws if apply() has failed.
  Connection& sound_connection();
  void remember(const port::Change& change);
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
  std::optional<bool> in_place_;  // set when the commit was published: are the files in place?
  const std::atomic<const port::MarkWords*>& live_;  // the state version; nullptr: not watched
  std::uint32_t commits_ = 0;  // the commit counter when the write lock was taken
  std::function<void(const port::Mark*)> released_;
  unsigned data_version_;                // at the start; other commits change it
  std::string failed_;                   // why apply() failed; empty: it did not
  std::vector<std::size_t> savepoints_;  // number of traces at each savepoint
  std::vector<Trace> traces_;            // the first changes of versioned spaces or of items
  bool clocked_ = false;                 // the changes include the clock record
};

}  // namespace graven::sqlite
