// SPDX-License-Identifier: MIT
//
// LMDB and RocksDB as rivals, where their headers were found (bench/CMakeLists.txt). A read sees
// the newest state, as graven's does: LMDB renews its read transaction for each, RocksDB reads
// without a snapshot.
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>
#include <sqlite3.h>

#include "rivals.hpp"

#ifdef GRAVEN_BENCH_LMDB
#include <lmdb.h>
#endif
#ifdef GRAVEN_BENCH_ROCKSDB
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>
#endif

namespace graven::bench {

#ifdef GRAVEN_BENCH_LMDB
namespace {

class Lmdb final : public Rival {
 public:
  Lmdb(const std::string& path, Synchronous synchronous) {
    check(mdb_env_create(&env_));
    check(mdb_env_set_mapsize(env_, std::size_t{4} << 30U));
    const unsigned sync = synchronous == Synchronous::kFull ? 0U : unsigned{MDB_NOSYNC};
    check(mdb_env_open(env_, path.c_str(), MDB_NOSUBDIR | MDB_NORDAHEAD | sync, 0600));
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_));
    check(mdb_txn_commit(txn));
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
    mdb_txn_reset(reading_);
  }
  ~Lmdb() override {
    mdb_txn_abort(reading_);
    mdb_env_close(env_);
  }

  void fill(std::size_t entries, std::size_t value_size) override {
    MDB_txn* txn = begin();
    const std::string value(value_size, 'v');
    for (std::size_t i = 0; i < entries; ++i) {
      const std::string name = key(i);
      put_in(txn, name, value, MDB_APPEND);
    }
    check(mdb_txn_commit(txn));
  }
  void put(std::string_view key, std::string_view value) override {
    MDB_txn* txn = begin();
    put_in(txn, key, value, 0);
    check(mdb_txn_commit(txn));
  }
  void put_all(const Keys& keys, std::string_view value) override {
    MDB_txn* txn = begin();
    for (std::size_t i = 0; i < keys.size(); ++i) put_in(txn, keys[i], value, 0);
    check(mdb_txn_commit(txn));
  }
  std::size_t read(std::string_view key) override {
    check(mdb_txn_renew(reading_));
    MDB_val name = of(key);
    MDB_val found{};
    std::size_t result = 0;
    if (mdb_get(reading_, dbi_, &name, &found) == MDB_SUCCESS)
      result = found.mv_size + *static_cast<const unsigned char*>(found.mv_data);
    mdb_txn_reset(reading_);
    return result;
  }

 private:
  static void check(int code) {
    if (code != MDB_SUCCESS) throw std::runtime_error(fmt::format("LMDB: {}", mdb_strerror(code)));
  }
  static MDB_val of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
  MDB_txn* begin() {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    return txn;
  }
  void put_in(MDB_txn* txn, std::string_view key, std::string_view value, unsigned flags) {
    MDB_val name = of(key);
    MDB_val data = of(value);
    check(mdb_put(txn, dbi_, &name, &data, flags));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  MDB_txn* reading_ = nullptr;
};

}  // namespace

RivalKind lmdb() {
  return {"LMDB", [](const std::string& path, Synchronous synchronous) {
            return std::make_unique<Lmdb>(path, synchronous);
          }};
}
#else
RivalKind lmdb() { return {"LMDB", nullptr}; }
#endif

#ifdef GRAVEN_BENCH_ROCKSDB
namespace {

class RocksDb final : public Rival {
 public:
  RocksDb(const std::string& path, Synchronous synchronous, std::size_t cache_bytes) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_bytes);
    // What its tuning guide advises for point lookups.
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.compression = rocksdb::kNoCompression;
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(options, path, &db));
    db_.reset(db);
    writing_.sync = synchronous == Synchronous::kFull;
  }

  void fill(std::size_t entries, std::size_t value_size) override {
    put_all(Keys(0, entries, Order::kRising), std::string(value_size, 'v'));
    check(db_->Flush(rocksdb::FlushOptions()));
    check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }
  void put(std::string_view key, std::string_view value) override {
    check(db_->Put(writing_, of(key), of(value)));
  }
  void put_all(const Keys& keys, std::string_view value) override {
    constexpr std::size_t kAtOnce = 1000;
    rocksdb::WriteBatch batch;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      batch.Put(of(keys[i]), of(value));
      if (i % kAtOnce == kAtOnce - 1 || i + 1 == keys.size()) {
        check(db_->Write(writing_, &batch));
        batch.Clear();
      }
    }
  }
  std::size_t read(std::string_view key) override {
    rocksdb::PinnableSlice value;
    if (!db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), of(key), &value).ok())
      return 0;
    return value.size() + static_cast<unsigned char>(value[0]);
  }

 private:
  static void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error(fmt::format("RocksDB: {}", status.ToString()));
  }
  static rocksdb::Slice of(std::string_view text) { return {text.data(), text.size()}; }

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions writing_;
};

}  // namespace

RivalKind rocksdb(std::size_t cache_bytes) {
  return {"RocksDB", [cache_bytes](const std::string& path, Synchronous synchronous) {
            return std::make_unique<RocksDb>(path, synchronous, cache_bytes);
          }};
}
#else
RivalKind rocksdb(std::size_t) { return {"RocksDB", nullptr}; }
#endif

std::vector<RivalVersion> rival_versions() {
  std::vector<RivalVersion> versions{{"SQLite", sqlite3_libversion(), true}};
#ifdef GRAVEN_BENCH_LMDB
  versions.push_back(
      {"LMDB", fmt::format("{}.{}.{}", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH),
       true});
#else
  versions.push_back({"LMDB", "no lmdb.h when this was built (liblmdb-dev)", false});
#endif
#ifdef GRAVEN_BENCH_ROCKSDB
  versions.push_back(
      {"RocksDB", fmt::format("{}.{}.{}", ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH), true});
#else
  versions.push_back({"RocksDB", "no rocksdb/db.h when this was built (librocksdb-dev)", false});
#endif
  return versions;
}

}  // namespace graven::bench
