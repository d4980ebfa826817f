// SPDX-License-Identifier: MIT
//
// Whatever something else did to the tables of a store: reads, writes, the check, a repair and what
// a dump does end with one of graven's errors or an answer, never with a crash, a hang or an
// exception of others. What the check calls sound can be read; what a repair calls mended is sound.
//
// GRAVEN_SEED repeats one trial, GRAVEN_TRIALS says how many there are.
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"
#include "damage/random_sql.hpp"
#include "damage/trials.hpp"

namespace graven::test {
namespace {

constexpr unsigned kSeconds = 60;  // a trial takes a tenth of one

Options options(bool read_only = false) {
  Options options;
  options.read_only = read_only;
  options.synchronous = Synchronous::kOff;
  options.busy_timeout = std::chrono::seconds(10);
  return options;
}
MapOptions map_options(const std::string& name, bool read_only) {
  MapOptions options;
  options.name = name;
  options.read_only = read_only;
  options.synchronous = Synchronous::kOff;
  options.warm_bytes = 0;
  options.hot_capacity = 1000;
  return options;
}

/// A little of everything.
void make_store(const std::string& path) {
  const Database db(path, options());
  const Dict root = db.root();
  root.set("scalars",
           Data::list({nullptr, true, 7, 1.5, "text", Bytes{"raw"}, BigInt{"8000000000000000"}}));
  root.set("blobs", Data::list({std::string(1500, 'x'), Bytes{std::string(1200, 'y')}}));
  Data many = Data::dict();
  for (int i = 0; i < 90; ++i) {
    auto& container = many.container(std::get<Data::Index>(many.root()));
    container.keys.push_back("key " + std::to_string(i));
    container.items.emplace_back(std::int64_t{i});
  }
  root.set("large dict", many);
  Data items = Data::list();
  for (int i = 0; i < 700; ++i) {
    items.container(std::get<Data::Index>(items.root())).items.emplace_back(std::int64_t{i});
  }
  root.set("large list", items);
  const Dict shared = db.new_dict({{"name", "shared"}});
  root.set("a", {{"one", shared}, {"two", shared}, {"deep", {{"list", {1, 2, {3, 4}}}}}});
  root.set("b", Data::list({shared, shared, shared}));
  root["large dict"].as_dict().set("link", shared);
  root["large list"].as_list().set(345, shared);
  shared.set("self", shared);
  shared.set("up", root);
  db.incr("counter");
  const Database other = db.with_prefix("other");
  other.root().set("k", {{"x", 1}});
  const Map map(path, map_options("main", false));
  map.set("null", nullptr);
  map.set("true", true);
  map.set("int", 5);
  map.set("real", 2.5);
  map.set("text", "text");
  map.set("bytes", Bytes{"raw"});
  map.set("big", BigInt{"123456789abcdef01"});
  map.set("json", {{"a", {1, 2, Bytes{"x"}}}});
  map.set("large", std::string(900, 'z'));
  map.set("larger", Data::list({std::string(900, 'z')}));
  map.set("timed", 1, std::chrono::hours(1));
  map.set("gone", 1, std::chrono::milliseconds(1));
  const Map second(path, map_options("second", false));
  second.set("k", 1);
}

class Exercise {
 public:
  Exercise(std::string path, Trial& trial) : path_(std::move(path)), trial_(trial) {}

  /// Runs something that may fail by one of graven's errors only.
  bool tried(const char* what, const std::function<void()>& body) {
    try {
      body();
      return true;
    } catch (const CorruptionError& error) {
      damaged_ = std::string(what) + ": " + error.what();
    } catch (const CollectedError& error) {
      damaged_ = std::string(what) + ": " + error.what();
    } catch (const Error& error) {
      other_ = std::string(what) + ": " + error.what();
    } catch (const std::exception& error) {
      trial_.fail(std::string(what) + " ended by a foreign exception: " + error.what());
    }
    return false;
  }

  void read_node(const Value& value, int depth) {
    if (value.is<Dict>()) {
      const Dict dict = value.as_dict();
      tried("size", [&] { (void)dict.size(); });
      tried("contains", [&] { (void)dict.contains("k"); });
      tried("repr", [&] { (void)dict.repr(); });
      tried("refcount", [&] { (void)dict.refcount(); });
      tried("backrefs", [&] { (void)dict.backrefs(); });
      std::vector<std::string> keys;
      tried("keys", [&] { keys = dict.keys(); });
      for (const std::string& key : keys) {
        tried("get", [&] {
          const auto found = dict.get(key);
          if (found && depth > 0) read_node(*found, depth - 1);
        });
      }
      tried("backwards", [&] {
        const auto cursor = dict.cursor(true);
        std::string key;
        for (Value one; cursor->next(key, one);) {
        }
      });
    } else if (value.is<List>()) {
      const List list = value.as_list();
      std::size_t size = 0;
      tried("size", [&] { size = list.size(); });
      tried("repr", [&] { (void)list.repr(); });
      tried("backrefs", [&] { (void)list.backrefs(); });
      for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
        if (at >= size) continue;
        tried("at", [&] {
          const Value one = list.at(static_cast<std::int64_t>(at));
          if (depth > 0) read_node(one, depth - 1);
        });
      }
      for (const bool reverse : {false, true}) {
        tried("iterate", [&] {
          const auto cursor = list.cursor(reverse);
          for (Value one; cursor->next(one);) {
          }
        });
      }
    }
  }

  void read_maps(bool read_only) {
    for (const char* name : {"main", "second"}) {
      tried("a map", [&] {
        const Map map(path_, map_options(name, read_only));
        tried("size of a map", [&] { (void)map.size(); });
        for (const char* key : {"null", "true", "int", "real", "text", "bytes", "big", "json",
                                "large", "larger", "timed", "gone", "k"}) {
          tried("get of a map", [&] { (void)map.get(key); });
        }
        tried("keys of a map", [&] {
          const auto cursor = map.cursor();
          std::string key;
          for (Data value; cursor->next(key, &value);) {
          }
        });
      });
    }
  }

  /// Reads whatever there is; whether nothing was damaged.
  bool read_all() {
    damaged_.clear();
    const bool opened = tried("open", [&] {
      const Database db(path_, options(true));
      tried("prefixes", [&] { (void)db.prefixes(); });
      tried("count", [&] { (void)db.count("counter"); });
      tried("read", [&] { read_node(Value(db.root()), 3); });
      tried("materialize", [&] { (void)db.root().materialize(); });
      tried("why", [&] { (void)db.why_alive(db.root()["a"]["deep"]["list"].as_list()); });
      std::vector<Repaired> left_out;
      if (tried("salvage", [&] { (void)salvage(db.root(), left_out); }) && !left_out.empty()) {
        damaged_ = "salvage: " + left_out.front().what;
      }
      tried("snapshot", [&] { (void)db.snapshot().root().materialize(); });
      tried("another prefix", [&] {
        Options of = options(true);
        of.prefix = "other";
        (void)Database(path_, of).root().materialize();
      });
      tried("stats", [&] { (void)db.stats(); });
    });
    read_maps(true);
    return opened && damaged_.empty();
  }

  void write_all() {
    tried("open for writing", [&] {
      const Database db(path_, options());
      const Dict root = db.root();
      tried("set", [&] { root.set("new", {{"a", {1, 2}}}); });
      for (const char* key : {"a", "b", "large dict", "large list", "scalars", "blobs"}) {
        tried("touch", [&] {
          const Value value = root.at(key);
          if (value.is<Dict>()) {
            value.as_dict().set("more", {1});
            value.as_dict().erase("more");
            (void)value.as_dict().popitem();
          } else {
            value.as_list().push_back({1});
            value.as_list().insert(1, 2);
            (void)value.as_list().pop();
            value.as_list().erase(0);
            value.as_list().reverse();
          }
        });
        tried("delete", [&] { root.erase(key); });
      }
      tried("incr", [&] { db.incr("counter"); });
      tried("collect", [&] { db.collect(); });
      tried("maintenance", [&] { db.maintenance(); });
      tried("delete a prefix", [&] { db.delete_prefix_immediately("other"); });
      tried("backup", [&] { db.backup(path_ + ".backup", {.overwrite = true}); });
      tried("clear", [&] { root.clear(); });
    });
    for (const char* name : {"main", "second", "third"}) {
      tried("a map", [&] {
        const Map map(path_, map_options(name, false));
        tried("set in a map", [&] { map.set("int", 6); });
        tried("set in a map", [&] { map.set("larger", std::string(2000, 'q')); });
        tried("erase in a map", [&] { map.erase("large"); });
        tried("pop in a map", [&] { (void)map.popitem(); });
        tried("clear a map", [&] { map.clear(); });
        tried("size of a map", [&] { (void)map.size(); });
      });
    }
  }

  /// Whether it opens, and whether the check finds nothing.
  bool check(bool& sound, std::string& problem) {
    sound = false;
    return tried("check", [&] {
      const Database db(path_, options(true));
      const CheckReport report = db.check();
      sound = report.ok();
      if (!sound) problem = report.problems.front().what;
    });
  }

  void repair() {
    bool ran = false;
    const bool opened = tried("open to repair", [&] {
      const Database db(path_, options());
      ran = tried("repair", [&] {
        const RepairReport report = db.repair({.backup = false});
        if (!report.left.empty()) {
          trial_.fail("a repair left something: " + report.left.front().node + " " +
                      report.left.front().what);
        }
      });
      if (!ran) trial_.fail("a repair failed: " + damaged_ + other_);
      if (!ran) return;
      const CheckReport again = db.check();
      if (!again.ok()) trial_.fail("not sound after a repair: " + again.problems.front().what);
    });
    if (!opened || !ran) return;
    if (!read_all()) trial_.fail("cannot be read after a repair: " + damaged_ + other_);
  }

  [[nodiscard]] const std::string& damage() const { return damaged_; }

 private:
  std::string path_;
  Trial& trial_;
  std::string damaged_;
  std::string other_;
};

TEST(RandomSql, EndsWithAnErrorOrAnAnswer) {
  const char* given = std::getenv("GRAVEN_SEED");
  const char* wanted = std::getenv("GRAVEN_TRIALS");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  const std::size_t count = given != nullptr    ? 1
                            : wanted != nullptr ? std::strtoull(wanted, nullptr, 10)
                                                : 300;
  std::cout << count << " trials; trial n is repeated by GRAVEN_SEED=" << seed << " + n"
            << std::endl;
  const TemporaryFolder folder;
  const std::string sound = folder / "sound.db";
  ASSERT_EQ(run_trials(1, kSeconds, [&](std::size_t, Trial&) { make_store(sound); }), 0U);
  const std::size_t failed = run_trials(count, kSeconds, [&](std::size_t at, Trial& trial) {
    Random random(seed + at);
    const std::string damaged = folder / ("damaged" + std::to_string(at) + ".db");
    const std::string path = folder / ("trial" + std::to_string(at) + ".db");
    const auto copy = [&](const std::string& from, const std::string& to) {
      for (const char* beside : {"-wal", "-shm", "-owners", "-changes", ".backup"}) {
        std::filesystem::remove(to + beside);
      }
      std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    };
    copy(sound, damaged);
    std::string told = "GRAVEN_SEED=" + std::to_string(seed + at) + "\n";
    for (const std::string& sql : damage_by_sql(random, damaged, 4)) told += "  " + sql + "\n";
    trial.note(told);
    Exercise exercise(path, trial);
    copy(damaged, path);
    bool well = false;
    std::string problem;
    const bool checked = exercise.check(well, problem);
    if (!exercise.read_all() && checked && well) {
      trial.fail("the check calls sound what cannot be read: " + exercise.damage());
    }
    exercise.repair();
    copy(damaged, path);
    exercise.write_all();
    copy(damaged, path);
    std::filesystem::remove(path);
    std::filesystem::remove(damaged);
  });
  EXPECT_EQ(failed, 0U);
}

}  // namespace
}  // namespace graven::test
