// SPDX-License-Identifier: MIT
//
// Interactive transactions: reads and writes alternate within one write transaction. A facet of
// stores that have them. For all others, store/optimistic.hpp makes them of Backend's calls.
//
// Always holds: a WriteTransaction is a view of the newest state, plus the changes it has applied
// itself. On stores that have them, nobody else can change that state while it lives. An optimistic
// one (see Optimism) reads records as they are when first asked for, and commits only if they still
// are so. A commit is complete or absent, in this and in every other process.
//
// Any thread may call an Interactive; a WriteTransaction is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "base/interrupt.hpp"
#include "port/new_rows.hpp"
#include "port/shared_state.hpp"
#include "port/view.hpp"

namespace graven::port {

using base::Deadline;

/// A commit of another writer changed what an optimistic transaction has read: the mutation runs
/// again.
class Conflict final : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override {
    return "another writer changed what this transaction has read";
  }
};

/// What a write transaction needs to be told where others can commit while it lives.
class Optimism {
 public:
  virtual ~Optimism() = default;
  /// The caller has read this elsewhere, and relies on it.
  virtual void relies_on(const Key& key, const std::optional<Record>& record) = 0;
  /// Whether load() knows the record from before, so that it is not read now.
  [[nodiscard]] virtual bool knows(const Key& key) const = 0;
  /// Whether any node is pending deletion; what is told is relied on.
  virtual bool pending() = 0;
  /// Whether add() may be used: not where others are kept out anyway, and sums are wanted before
  /// the commit.
  [[nodiscard]] virtual bool adds() const noexcept = 0;
  /// At the commit, adds to a counter that was neither read nor written; `sum`, which must live
  /// until then, is set before the commit is told to anybody.
  virtual void add(const Key& key, std::int64_t by, std::int64_t& sum) = 0;
  /// Whether everything that was relied on is still so; true once the commit was tried.
  virtual bool holds() = 0;
  /// The version of the records that it puts.
  [[nodiscard]] virtual std::uint64_t version() const noexcept = 0;
  /// Identify the state that it began with, and the state after it if nobody else commits.
  [[nodiscard]] virtual std::uint64_t state_before() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t state_after() const noexcept = 0;
};

/// The one open write transaction of the store. Destroying it without commit() rolls it back.
class WriteTransaction : public View {
 public:
  /// Applies the changes, in order, within this transaction.
  virtual void apply(std::span<const Change> changes) = 0;
  /// Puts the rows. The caller knows of no records under their keys.
  virtual void insert(const NewRows& rows);
  /// Erases the first `limit` records of one `a` in a space of pair keys; returns how many.
  virtual std::size_t erase_first(Space space, std::int64_t a, std::size_t limit);

  /// Sets a savepoint at a depth (0, 1, 2 …), replacing one already at that depth. `rollback_to`
  /// undoes every change since the savepoint and keeps it; `release` keeps the changes and ends the
  /// savepoint. Both end every deeper one.
  virtual void savepoint(int depth) = 0;
  virtual void rollback_to(int depth) = 0;
  virtual void release(int depth) = 0;

  /// Makes everything applied durable, as far as the store's settings promise. `id` is the commit's
  /// id and the version of every record it put, the clock's included. (The clock's integers may be
  /// ahead of `id`: ids of nodes come from the same sequence.) After an I/O error it finds out what
  /// became of the commit: returns if the commit is in the store after all, throws UnavailableError
  /// if it certainly is not and never will be, CommitUnknownError if that cannot be told.
  virtual void commit(std::uint64_t id) = 0;

  /// Has `call` called once, just before the write lock is released: with the store's new state
  /// version (Mark) if the transaction was committed, else with nullptr. A backend without state
  /// versions does not call it. `call` must not throw, nor use the store.
  virtual void when_released(std::function<void(const Mark*)> call) { static_cast<void>(call); }

  /// Not nullptr where others can commit while this lives: commit() then throws Conflict if they
  /// have changed what it has read.
  virtual Optimism* optimism() noexcept { return nullptr; }
};

class Interactive {
 public:
  virtual ~Interactive() = default;

  /// Loads one record of the newest state. This is the cheapest read.
  virtual std::optional<Record> load(const Key& key) = 0;

  /// Like load() of a node. Also tells, at almost no extra cost, whether in the same state any node
  /// waits to be reclaimed (whether kOrphan holds a record of owner 0).
  virtual std::optional<Record> load_node(std::int64_t id, bool& reclaiming) = 0;

  /// A view of the newest state.
  virtual std::unique_ptr<View> view() = 0;

  /// Takes the store's write lock, unless the transaction is optimistic; waits for other processes
  /// until the deadline, fairly, then throws BusyError, which names the process that holds the lock
  /// where possible. The threads of one process queue before they call this (the writer queue,
  /// Lane): at most one transaction is open. UsageError on a read-only store.
  virtual std::unique_ptr<WriteTransaction> begin(Deadline deadline) = 0;
};

}  // namespace graven::port
