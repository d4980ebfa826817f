// SPDX-License-Identifier: MIT
//
// The versions of records: for each key, in commit order, the number of the commit and the record,
// or nothing where that commit erased it. A reader at commit n sees the last version not after n.
// Over another store ("below") a key without a version is as it is there, and what has been
// flushed there is forgotten here in time.
//
// Always holds: a version that a view sees is kept, and so is every version after `flushed()`. A
// view over a store below leans on a number: the state below it holds all commits up to there,
// perhaps more, so a flushed version is forgotten only when no view leans on an earlier number.
// Forgetting costs what was changed, never what there is: an entry waits in one of two queues
// for the moment when something of it may go.
//
// Guarded by the store's mutex, but for sort_flushing().
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

namespace graven::memory {

using store::Key;
using store::Overlay;
using store::Range;
using store::Record;
using store::Row;

/// The number of a commit, from 1.
using Commit = std::uint64_t;

class Versions {
 public:
  explicit Versions(bool over) : over_(over) {}

  [[nodiscard]] Commit newest() const noexcept { return newest_; }
  [[nodiscard]] Commit flushed() const noexcept { return flushed_; }

  /// What the key is at a commit; nullptr: it has no version here.
  [[nodiscard]] const std::optional<Record>* find(const Key& key, Commit commit) const;

  /// Adds to `rows`, up to the limit, what is in a range up to and including `until` (nullptr: to
  /// its end): the overlay over the versions at a commit over a page of what is below.
  void merge(const Range& range, const Key* until, Commit commit, const Overlay& overlay,
             std::span<Row> page, std::size_t limit, std::vector<Row>& rows) const;

  // Views: what they see, and what their state below holds at least.
  void see(Commit commit) { views_.insert(commit); }
  void unsee(Commit commit);
  void lean(Commit commit) { leaning_.insert(commit); }
  void unlean(Commit commit);
  void forget_views() noexcept;

  /// The next commit: its changes by put(), then prune().
  void begin_commit() noexcept { ++newest_; }
  void put(const Key& key, std::optional<Record> record);
  /// Forgets what nobody can see any more.
  void prune();

  // Flushing, by one thread at a time.
  /// Everything up to now is what is being flushed; false when that is nothing.
  bool cut();
  /// Puts it in order of the keys. Without the store's mutex, for keys never change and what is
  /// being flushed stays; then, with it, drop_duplicates().
  void sort_flushing();
  void drop_duplicates();
  [[nodiscard]] std::size_t flushing() const noexcept { return flushing_.size(); }
  /// The i-th of what is being flushed, as it is at the cut.
  [[nodiscard]] store::Change flushing(std::size_t i, Commit cut) const;
  /// The store below has it. How many bytes that was.
  std::size_t flushed(Commit cut) noexcept;
  /// Forgets up to `most` of what has been flushed; whether there is more.
  bool forget_flushed(std::size_t most);

  /// Bytes that are not flushed, about.
  [[nodiscard]] std::size_t pending_bytes() const noexcept {
    return dirty_bytes_ + flushing_bytes_;
  }
  /// Whether anything was changed since the last cut.
  [[nodiscard]] bool dirty() const noexcept { return !dirty_.empty(); }

 private:
  struct Version {
    Commit commit;
    std::optional<Record> record;
  };
  struct Entry {
    std::vector<Version> versions{};  // never empty
    std::uint64_t epoch = 0;          // in which it was last changed
    std::uint8_t listed = 0;          // times in dirty_ and flushing_
    bool superseded = false;          // in superseded_
    bool settled = false;             // in settled_
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

  // By the commit that all views must have come to: entries whose oldest version then goes; and
  // entries that then go altogether, for they are below.
  std::multimap<Commit, Node> superseded_;
  std::multimap<Commit, Node> settled_;

  std::uint64_t epoch_ = 1;  // cuts, and one
  std::vector<Node> dirty_;  // changed since the last cut
  std::size_t dirty_bytes_ = 0;
  std::vector<Node> flushing_;  // changed before it, and not known to be below
  std::size_t flushing_bytes_ = 0;
  bool failed_before_ = false;  // flushing_ may have an entry twice
};

}  // namespace graven::memory
