// SPDX-License-Identifier: MIT
//
// Many processes on one store, each with its cache: writers, readers in several threads, one
// that checkpoints in every way, one that opens and closes; writers are killed all the time.
// A reader that starts after a write was acknowledged must see it or a later one, and what is
// changed in one transaction is never seen half. That the harness would notice a stale read
// is shown by reading through a snapshot.
//
// GRAVEN_SECONDS sets how long it goes on (3), GRAVEN_SEED repeats the choices.
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sqlite3.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"

namespace graven {
namespace {

using test::Child;
using test::Random;
using test::TemporaryFolder;

constexpr std::size_t kKeys = 24;
constexpr std::size_t kGroup = 12;  // dicts that always hold the same number

/// What the processes share besides the store.
struct Shared {
  std::array<std::atomic<std::int64_t>, kKeys> acknowledged;
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> reads;
  std::atomic<std::uint64_t> writes;
  std::atomic<std::uint64_t> stale;
  std::atomic<std::uint64_t> torn;
};

std::chrono::seconds duration() {
  const char* text = std::getenv("GRAVEN_SECONDS");
  return std::chrono::seconds(text != nullptr ? std::strtoll(text, nullptr, 10) : 3);
}

std::string key_of(std::size_t i) { return "key " + std::to_string(i); }

void prepare(const std::string& path) {
  const Database db(path);
  db["few"] = Data::dict();
  db["many"] = Data::dict();
  for (std::size_t i = 0; i < kKeys; ++i) db["few"].as_dict().set(key_of(i), 0);
  // Enough to be kept as entries.
  for (int i = 0; i < 600; ++i) db["many"].as_dict().set(key_of(static_cast<std::size_t>(i)), 0);
  db["bulk"] = Data::dict();
  db["group"] = Data::dict();
  for (std::size_t i = 0; i < kGroup; ++i) db["group"].as_dict().set(key_of(i), {{"n", 0}});
  db.close();
}

class Coherence : public testing::Test {
 protected:
  Coherence() {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared = new (memory) Shared();
    prepare(path);
  }
  ~Coherence() override { ::munmap(shared, sizeof(Shared)); }

  void acknowledge(std::size_t key, std::int64_t value) const {
    std::int64_t before = shared->acknowledged[key].load();
    while (before < value && !shared->acknowledged[key].compare_exchange_weak(before, value)) {
    }
  }

  /// Adds one to a key here and there, in both dicts at once, and moves the group on.
  bool write(std::uint64_t seed) const {
    Random random(seed);
    const Database db(path);
    std::thread reader([&] { read_for_a_while(db, seed + 1); });
    while (!shared->stop.load()) {
      const std::size_t i = random.below(kKeys);
      std::int64_t value = 0;
      db.transaction([&] {
        const Dict few = db["few"].as_dict();
        value = few.at(key_of(i)).get<std::int64_t>() + 1;
        few.set(key_of(i), value);
        db["many"].as_dict().set(key_of(i), value);
        if (random.one_in(4)) {
          const std::int64_t next = db["group"][key_of(0)]["n"].get<std::int64_t>() + 1;
          for (std::size_t at = 0; at < kGroup; ++at) db["group"][key_of(at)]["n"] = next;
        }
        // More than is told, or remembered, record by record.
        if (random.one_in(60)) {
          const Dict bulk = db["bulk"].as_dict();
          for (int at = 0; at < (random.one_in(4) ? 5000 : 100); ++at) {
            bulk.set(key_of(static_cast<std::size_t>(at)), value);
          }
        }
        if (random.one_in(50)) db["other " + std::to_string(random.below(20))] = {{"n", value}};
      });
      acknowledge(i, value);
      // One's own writes are seen at once.
      if (db["few"][key_of(i)].get<std::int64_t>() < value) shared->stale.fetch_add(1);
      shared->writes.fetch_add(1);
    }
    reader.join();
    db.close();
    return true;
  }

  template <class Read>
  void look(Random& random, const Read& read) const {
    const std::size_t i = random.below(kKeys);
    const std::int64_t least = shared->acknowledged[i].load();
    if (read(i) < least) shared->stale.fetch_add(1);
    shared->reads.fetch_add(1);
  }

  /// Whether all dicts of the group hold the same number.
  static bool equal(const Data& group) {
    const auto& dicts = group.container(std::get<Data::Index>(group.root())).items;
    const auto number = [&](const Data::Item& item) {
      return group.container(std::get<Data::Index>(item)).items.at(0);
    };
    return std::all_of(dicts.begin(), dicts.end(), [&](const Data::Item& dict) {
      return number(dict) == number(dicts.front());
    });
  }

  void read_for_a_while(const Database& db, std::uint64_t seed) const {
    Random random(seed);
    while (!shared->stop.load()) {
      look(random, [&](std::size_t i) { return db["few"][key_of(i)].get<std::int64_t>(); });
      look(random, [&](std::size_t i) { return db["many"][key_of(i)].get<std::int64_t>(); });
      if (random.one_in(8) && !equal(db["group"].as_dict().materialize())) {
        shared->torn.fetch_add(1);
      }
    }
  }

  bool read(std::uint64_t seed) const {
    const Database db(path);
    std::thread other([&] { read_for_a_while(db, seed + 1); });
    read_for_a_while(db, seed);
    other.join();
    db.close();
    return true;
  }

  bool open_and_close(std::uint64_t seed) const {
    Random random(seed);
    while (!shared->stop.load()) {
      const Database db(path);
      for (std::size_t n = random.below(60); n > 0; --n) {
        look(random, [&](std::size_t i) { return db["few"][key_of(i)].get<std::int64_t>(); });
      }
      db.close();
    }
    return true;
  }

  /// Checkpoints of every kind, by a connection that knows nothing of graven.
  bool checkpoint(std::uint64_t seed) const {
    Random random(seed);
    sqlite3* db = nullptr;
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) return false;
    sqlite3_busy_timeout(db, 20);
    while (!shared->stop.load()) {
      static constexpr std::array kModes{SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL,
                                         SQLITE_CHECKPOINT_RESTART, SQLITE_CHECKPOINT_TRUNCATE};
      sqlite3_wal_checkpoint_v2(db, nullptr, kModes[random.below(4)], nullptr, nullptr);
      std::this_thread::sleep_for(std::chrono::milliseconds(random.below(10)));
    }
    return sqlite3_close(db) == SQLITE_OK;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  Shared* shared = nullptr;
};

TEST_F(Coherence, NoReadIsOlderThanWhatWasAcknowledged) {
  Random random;
  const auto fresh = [&] { return random.bits(); };
  const auto writer = [&] {
    return std::make_unique<Child>([this, seed = fresh()] { return write(seed); });
  };
  std::vector<std::unique_ptr<Child>> writers;
  writers.push_back(writer());
  writers.push_back(writer());
  Child reader([this, seed = fresh()] { return read(seed); });
  Child opener([this, seed = fresh()] { return open_and_close(seed); });
  Child checkpointer([this, seed = fresh()] { return checkpoint(seed); });

  const auto end = std::chrono::steady_clock::now() + duration();
  std::uint64_t kills = 0;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + random.below(60)));
    std::unique_ptr<Child>& victim = writers[random.below(writers.size())];
    victim->kill();
    victim = writer();
    ++kills;
  }
  shared->stop.store(true);
  for (const auto& child : writers) EXPECT_TRUE(child->succeeded());
  for (Child* child : {&reader, &opener, &checkpointer}) EXPECT_TRUE(child->succeeded());
  EXPECT_EQ(shared->stale.load(), 0U);
  EXPECT_EQ(shared->torn.load(), 0U);
  EXPECT_GT(shared->reads.load(), 100U);
  EXPECT_GT(shared->writes.load(), 100U);
  std::cout << shared->reads.load() << " reads, " << shared->writes.load() << " writes, " << kills
            << " kills\n";
  const Database db(path);
  EXPECT_TRUE(db.check().ok());
}

TEST_F(Coherence, AStaleReadWouldBeNoticed) {
  Child writer([this] { return write(1); });
  const Database db(path);
  Random random;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const Snapshot frozen = db.snapshot();
  while (shared->stale.load() == 0 && std::chrono::steady_clock::now() < end) {
    look(random, [&](std::size_t i) { return frozen["few"][key_of(i)].get<std::int64_t>(); });
  }
  shared->stop.store(true);
  EXPECT_TRUE(writer.succeeded());
  EXPECT_GT(shared->stale.load(), 0U);
}

}  // namespace
}  // namespace graven
