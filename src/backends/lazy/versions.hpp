// SPDX-License-Identifier: MIT
//
// The versions of records. Each key has a list in commit order: the number of the commit, and the
// record, or nothing if that commit erased it. A reader at commit n sees the last version that is
// not after n. In a lazy store, a key without a version has its record in the store below, and
// flushed versions are dropped here after some time.
//
// Always holds: a version that a view sees is kept (a flush registers as a view of its barrier),
// and the newest version of a key is kept until it is flushed. A view over a store below has a
// pinned version ("leans on" it): its state below has all commits up to that number, perhaps more.
// A flushed version is dropped only when no view has pinned an earlier number. The cost of dropping
// depends on the number of changes, not on the number of records: an entry waits in one of two
// queues until something of it can be dropped.
//
// Guarded by the store's mutex, except sort_flushing().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "port/merge.hpp"

namespace graven::lazy {

using port::Key;
using port::Overlay;
using port::Range;
using port::Record;
using port::Row;

/// The number of a commit, from 1.
using Commit = std::uint64_t;

class Versions {
 public:
  explicit Versions(bool over) : over_(over) {}

  [[nodiscard]] Commit newest() const noexcept { return newest_; }
  [[nodiscard]] Commit flushed() const noexcept { return flushed_; }

  /// The version of a key at a commit; nullptr if it has none here.
  [[nodiscard]] const std::optional<Record>* find(const Key& key, Commit commit) const;

  /// Appends the rows of a range up to and including `until` (nullptr: to its end) to `rows`, up to
  /// the limit. Merges three layers: the overlay, then the versions at a commit, then `page`, rows
  /// of the store below.
  void merge(const Range& range, const Key* until, Commit commit, const Overlay& overlay,
             std::span<Row> page, std::size_t limit, std::vector<Row>& rows) const;

  // Register views: the commit that a view sees, and the version it has pinned below.
  void see(Commit commit) { views_.insert(commit); }
  void unsee(Commit commit);
  void lean(Commit commit) { leaning_.insert(commit); }
  void unlean(Commit commit);
  void forget_views() noexcept;

  /// Begins the next commit: then call put() for its changes, and prune().
  void begin_commit() noexcept { ++newest_; }
  void put(const Key& key, std::optional<Record> record);
  /// Drops versions that no view can see any more.
  void prune();

  // Flushing, by one thread at a time.
  /// Makes a flush barrier: everything up to now is being flushed. False if there is nothing.
  bool cut();
  /// Sorts what is being flushed by key. Needs no mutex, because keys never change and entries
  /// being flushed stay. After it, call drop_duplicates() with the mutex.
  void sort_flushing();
  void drop_duplicates();
  [[nodiscard]] std::size_t flushing() const noexcept { return flushing_.size(); }
  /// The i-th entry being flushed, as it is at the flush barrier.
  [[nodiscard]] port::Change flushing(std::size_t i, Commit cut) const;
  /// To be called when the store below has everything. Returns how many bytes that was.
  std::size_t flushed(Commit cut) noexcept;
  /// Drops up to `most` flushed entries; returns whether there are more.
  bool forget_flushed(std::size_t most);

  /// The approximate number of bytes that are not flushed.
  [[nodiscard]] std::size_t pending_bytes() const noexcept {
    return dirty_bytes_ + flushing_bytes_;
  }
  /// Whether anything was changed since the last flush barrier.
  [[nodiscard]] bool dirty() const noexcept { return !dirty_.empty(); }

 private:
  struct Version {
    Commit commit;
    std::optional<Record> record;
  };
  struct Entry {
    std::vector<Version> versions{};  // never empty
    std::uint64_t epoch = 0;          // epoch_ when it was last changed
    std::uint8_t listed = 0;          // how often it is in dirty_ and flushing_
    bool superseded = false;          // it is in superseded_
    bool settled = false;             // it is in settled_
  };
  using Table = std::map<Key, Entry>;
  using Node = Table::iterator;

  static const std::optional<Record>* seen(const Entry& entry, Commit commit);
  [[nodiscard]] Commit latest_view() const { return views_.empty() ? 0 : *views_.rbegin(); }
  [[nodiscard]] Commit oldest_view() const { return views_.empty() ? newest_ : *views_.begin(); }
  [[nodiscard]] Commit held_below() const {
    return leaning_.empty() ? flushed_ : std::min(flushed_, *leaning_.begin());
  }
  static std::size_t weight(const Key& key, const std::optional<Record>& record);
  void wait_for_views(Node node);
  void settle(Node node);

  const bool over_;
  Table table_;
  Commit newest_ = 0;
  Commit flushed_ = 0;
  std::multiset<Commit> views_;
  std::multiset<Commit> leaning_;

  // Two queues, by the commit that all views must have reached: entries whose oldest version can be
  // dropped then, and entries that can be dropped completely because the store below has them.
  std::multimap<Commit, Node> superseded_;
  std::multimap<Commit, Node> settled_;

  std::uint64_t epoch_ = 1;  // number of flush barriers + 1
  std::vector<Node> dirty_;  // changed since the last flush barrier
  std::size_t dirty_bytes_ = 0;
  std::vector<Node> flushing_;  // changed before it, and perhaps not in the store below
  std::size_t flushing_bytes_ = 0;
  bool failed_before_ = false;  // flushing_ may have an entry twice
};

}  // namespace graven::lazy
