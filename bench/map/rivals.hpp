// SPDX-License-Identifier: MIT
//
// The stores graven is measured against, each used as its manual says for the case: SQLite with
// prepared statements in WAL mode, LMDB and RocksDB with reads that see the newest state.
//
// Each object is one thread's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "contest.hpp"

namespace graven::bench {

class Rival {
 public:
  virtual ~Rival() = default;
  /// Keys [0, entries) as fill() does, as fast as the store can.
  virtual void fill(std::size_t entries, std::size_t value_size) = 0;
  /// One key in a transaction of its own.
  virtual void put(std::string_view key, std::string_view value) = 0;
  /// Many keys in one transaction.
  virtual void put_all(const Keys& keys, std::string_view value) = 0;
  /// The size of the value plus its first byte, so that it has been touched.
  virtual std::size_t read(std::string_view key) = 0;
};

/// A named way to open one; null `open`: it was not there when this program was built.
struct RivalKind {
  std::string name;
  std::function<std::unique_ptr<Rival>(const std::string& path, Synchronous synchronous)> open;
};

/// SQLite's two layouts of a table with a text key; a case takes the better.
std::vector<RivalKind> raw_sqlite();
/// `cache_bytes` for its block cache; LMDB has none, its map is the kernel's page cache.
RivalKind lmdb();
RivalKind rocksdb(std::size_t cache_bytes);

/// A counter in raw SQLite, as two processes would share one.
class RawCounter {
 public:
  explicit RawCounter(const std::string& path);
  ~RawCounter();
  RawCounter(const RawCounter&) = delete;
  RawCounter& operator=(const RawCounter&) = delete;
  void increment();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Versions of the rivals compiled in, and why others are not: (name, version or reason, there).
struct RivalVersion {
  std::string name;
  std::string text;
  bool there;
};
std::vector<RivalVersion> rival_versions();

}  // namespace graven::bench
