// SPDX-License-Identifier: MIT
//
// A store for tests of the cache: records in a map, and a mark that the test moves by hand, so
// that another process's commit can happen between any two steps. Its change feed is a list that
// the test may leave something out of.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cache/cache.hpp"

namespace graven::test {

using cache::Cache;
using cache::CachedView;
using port::Change;
using port::Key;
using port::Mark;
using port::Record;
using port::Space;

inline Key key(std::int64_t id) { return {.space = Space::kNode, .a = id}; }
inline Record record(const std::string& body) { return {.version = 7, .body = body}; }

/// Commits as they were published, in order.
class ListedFeed final : public port::ChangeFeed {
 public:
  struct Entry {
    Mark before;
    Mark after;
    std::vector<std::uint64_t> hashes;
    std::uint64_t flags;
  };
  std::vector<Entry> entries;

  void publish(const Mark& before, const Mark& after, Hashes hashes,
               std::uint64_t flags) noexcept override {
    entries.push_back({before, after, {hashes.begin(), hashes.end()}, flags});
  }
  bool follow(const Mark& from, const Mark& to, Each each) override {
    Mark at = from;
    for (const Entry& entry : entries) {
      if (entry.before != at) continue;
      if (entry.hashes.size() > kMost) return false;
      each(entry.hashes, entry.flags);
      at = entry.after;
    }
    return at == to;
  }
  [[nodiscard]] std::uint32_t ticket() const noexcept override { return 0; }
  bool wait(std::uint32_t, std::chrono::steady_clock::time_point) noexcept override { return true; }
  void wake() noexcept override {}
};

/// Records in a map, and a mark that changes when the test says so.
class MarkedBackend final : public port::Interactive, public port::SharedState {
 public:
  std::map<Key, Record> records;
  port::MarkWords words{};
  bool marked = true;
  int loads = 0;  // reads that reached the backend

  MarkedBackend() { move_mark(); }

  /// As if somebody had committed.
  void move_mark() { words[0].store(words[0].load() + 1); }
  void commit_elsewhere(const Key& where, const std::string& body) {
    records[where] = record(body);
    move_mark();
  }

  std::optional<Record> load(const Key& where) override {
    ++loads;
    const auto found = records.find(where);
    return found == records.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<Record> load_node(std::int64_t id, bool& reclaiming) override {
    reclaiming = false;
    return load(key(id));
  }
  const port::MarkWords* live_mark() override { return marked ? &words : nullptr; }
  [[nodiscard]] bool distinctive(const Mark& mark) const override { return mark.words[1] == 0; }
  [[nodiscard]] bool commit_between(const Mark& before, const Mark& after) const override {
    return before.words[0] != after.words[0];
  }

  /// A copy of the records, taken at the first read.
  class CopiedView final : public port::View {
   public:
    explicit CopiedView(MarkedBackend& backend) : backend_(backend) {}
    std::optional<Record> load(const Key& where) override {
      const auto& records = all();
      const auto found = records.find(where);
      return found == records.end() ? std::nullopt : std::optional(found->second);
    }
    void load_many(std::span<const Key> keys,
                   const std::function<void(std::size_t, Record*)>& each) override {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        auto found = load(keys[i]);
        each(i, found ? &*found : nullptr);
      }
    }
    std::vector<port::Row> scan(const port::Range&, std::size_t) override { return {}; }

   private:
    const std::map<Key, Record>& all() {
      ++backend_.loads;
      if (!copied_) copied_ = backend_.records;
      return *copied_;
    }
    MarkedBackend& backend_;
    std::optional<std::map<Key, Record>> copied_;
  };
  ListedFeed* feed = nullptr;
  port::ChangeFeed* changes() override { return feed; }

  std::unique_ptr<port::View> view() override { return std::make_unique<CopiedView>(*this); }

  std::unique_ptr<port::WriteTransaction> begin(base::Deadline) override { return nullptr; }
};

class CacheRules : public testing::Test {
 protected:
  CacheRules() { attach(); }
  void attach() {
    for (int i = 0; i < 100 && !cache.attach(); ++i) {
    }
  }

  /// Reads as a scope does: the table first, then the backend, keeping what it gave.
  std::optional<std::string> read(const Key& where) {
    if (const auto known = cache.find(where)) {
      return *known ? std::optional((*known)->body) : std::nullopt;
    }
    const Cache::Before before = cache.before();
    const auto found = backend.load(where);
    cache.fill(before, where, found, false);
    return found ? std::optional(found->body) : std::nullopt;
  }

  /// A commit of this process, up to just before its write lock is released. `forgotten`: there
  /// were too many changes to be kept. `amid` is called just before it can be seen.
  void commit(const std::vector<Change>& changes, bool forgotten = false,
              const std::function<void()>& amid = {}) {
    commit_through(cache, changes, forgotten, amid);
  }
  void commit_through(Cache& own, const std::vector<Change>& changes, bool forgotten = false,
                      const std::function<void()>& amid = {}) {
    ASSERT_TRUE(own.begin_own());
    port::Touched touched;
    for (const auto& [where, now] : changes) touched.add(where, now ? &*now : nullptr);
    const std::vector<Change>* told = forgotten ? nullptr : &changes;
    own.prepare_own(told, &touched);
    if (amid) amid();
    for (const Change& change : changes) {
      if (change.record) {
        backend.records[change.key] = *change.record;
      } else {
        backend.records.erase(change.key);
      }
    }
    backend.move_mark();
    const Mark after = port::read_mark(backend.words);
    own.end_own(told, &after, &touched);
  }

  MarkedBackend backend;
  Cache cache{backend, &backend, {}};
};

}  // namespace graven::test
