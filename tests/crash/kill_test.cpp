// SPDX-License-Identifier: MIT
//
// kill -9 at random moments. For each kind of mutation a child process makes one after another
// and says so after each; the parent kills it, opens the store and demands two things: check()
// is clean, and the state is the one after exactly as many mutations as were acknowledged, or
// one more (the one under way may have been committed, whole). The store then goes on with the
// next child, so later kills hit a store that has survived many.
//
// GRAVEN_KILLS sets the number of kills a kind (200), GRAVEN_SEED repeats a run.
#include <graven/graven.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven {
namespace {

using test::Child;
using test::Reporter;
using test::TemporaryFolder;

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

std::string numbered(const char* stem, std::uint64_t i) { return stem + std::to_string(i); }

/// A kind of mutation: step(i) is the i-th, from 0; holds(n) whether the store is as after
/// exactly n of them.
struct Kind {
  const char* name;
  void (*step)(const Database&, std::uint64_t i);
  bool (*holds)(const Database&, std::uint64_t steps);
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::int64_t number(const Database& db, std::string_view key) {
  const std::optional<Value> value = db.root().get(key);
  return value ? value->get<std::int64_t>() : 0;
}

Data record(std::uint64_t i) {
  return {
      {"id", i}, {"name", numbered("name ", i)}, {"ok", true}, {"score", 0.5}, {"none", nullptr}};
}

Data tree(std::uint64_t tag) {
  Data branches = Data::list();
  for (int i = 0; i < 6; ++i) {
    const Data::Item leaf = branches.adopt({{"tag", tag}, {"inner", {{"tag", tag}}}});
    branches.container(std::get<Data::Index>(branches.root())).items.push_back(leaf);
  }
  return Data::dict({{"tag", tag}, {"branches", branches}});
}

// A list kept by rules simple enough to compute what it holds after n steps.
std::vector<std::int64_t> list_after(std::uint64_t steps) {
  std::vector<std::int64_t> items;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const auto value = static_cast<std::int64_t>(i);
    if (items.size() > 300) {
      items.erase(items.begin(), items.begin() + 150);
    } else if (i % 3 == 2) {
      items.insert(items.begin() + static_cast<std::ptrdiff_t>(items.size() / 2), value);
    } else {
      items.push_back(value);
    }
  }
  return items;
}

const Kind kKinds[] = {
    {"assign", [](const Database& db, std::uint64_t i) { db["n"] = i + 1; },
     [](const Database& db, std::uint64_t steps) {
       return number(db, "n") == static_cast<std::int64_t>(steps);
     }},
    {"new_dict", [](const Database& db, std::uint64_t i) { db[numbered("k", i)] = record(i); },
     [](const Database& db, std::uint64_t steps) {
       if (db.root().size() != steps) return false;
       for (std::uint64_t i = steps > 20 ? steps - 20 : 0; i < steps; ++i) {
         if (!(db[numbered("k", i)].materialize() == record(i))) return false;
       }
       return true;
     }},
    {"overwrite_tree", [](const Database& db, std::uint64_t i) { db["tree"] = tree(i); },
     [](const Database& db, std::uint64_t steps) {
       if (steps == 0) return db.root().empty();
       return db["tree"].materialize() == tree(steps - 1) && db.check().nodes == 15;
     }},
    {"delete_tree",
     [](const Database& db, std::uint64_t i) {
       if (i % 2 == 0) {
         db["tree"] = tree(i);
       } else {
         db["tree"].erase();
       }
     },
     [](const Database& db, std::uint64_t steps) {
       return db["tree"].exists() == (steps % 2 == 1) &&
              db.check().nodes == (steps % 2 == 1 ? 15U : 1U);
     }},
    {"list",
     [](const Database& db, std::uint64_t i) {
       if (i == 0) {
         db["list"] = {std::int64_t{0}};
         return;
       }
       const List list = db["list"].as_list();
       if (list.size() > 300) {
         list.splice(0, 150, Data::list());
       } else if (i % 3 == 2) {
         list.insert(static_cast<std::int64_t>(list.size() / 2), i);
       } else {
         list.push_back(i);
       }
     },
     [](const Database& db, std::uint64_t steps) {
       if (steps == 0) return db.root().empty();
       const std::vector<std::int64_t> model = list_after(steps);
       const List list = db["list"].as_list();
       if (list.size() != model.size()) return false;
       std::size_t at = 0;
       for (const Value& value : list) {
         if (value.get<std::int64_t>() != model[at++]) return false;
       }
       return true;
     }},
    {"large_dict",
     [](const Database& db, std::uint64_t i) {
       // 200 keys come, then 150 of them go, and so on: across the border of large dicts.
       const std::uint64_t round = i / 350;
       const std::uint64_t at = i % 350;
       if (i == 0) db["d"] = Data::dict();
       if (at < 200) {
         db["d"][numbered("k", round * 200 + at)] = i;
       } else {
         db["d"][numbered("k", round * 200 + at - 200)].erase();
       }
     },
     [](const Database& db, std::uint64_t steps) {
       if (steps == 0) return !db["d"].exists() || db["d"].as_dict().empty();
       const std::uint64_t round = steps / 350;
       const std::uint64_t at = steps % 350;
       const std::uint64_t size = round * 50 + (at < 200 ? at : 400 - at);
       return db["d"].as_dict().size() == size && db["d"].as_dict().keys().size() == size;
     }},
    {"transaction",
     [](const Database& db, std::uint64_t i) {
       db.transaction([&] {
         db["a"] = i + 1;
         db.transaction([&] { db["pair"] = {{"x", i + 1}, {"y", {i + 1, i + 1}}}; });
         try {
           db.transaction([&] {
             db["never"] = 1;
             throw 1;
           });
         } catch (int) {
         }
         db.incr("steps");
         db["z"] = i + 1;
       });
     },
     [](const Database& db, std::uint64_t steps) {
       const auto value = static_cast<std::int64_t>(steps);
       if (number(db, "a") != value || number(db, "z") != value) return false;
       if (db.count("steps") != value || db["never"].exists()) return false;
       return steps == 0 || db["pair"]["y"][1].get<std::int64_t>() == value;
     }},
    {"links",
     [](const Database& db, std::uint64_t i) {
       // A ring of two that a third place links to; each step cuts or ties one of its links.
       switch (i % 4) {
         case 0:
           db["ring"] = {{"a", {{"v", i}}}};
           break;
         case 1:
           db["ring"]["a"]["back"] = db["ring"];
           break;
         case 2:
           db["other"] = db["ring"]["a"];
           break;
         default:
           db.transaction([&] {
             db["ring"].erase();
             db["other"].erase();
           });
       }
     },
     [](const Database& db, std::uint64_t steps) {
       const std::uint64_t nodes[] = {1, 3, 3, 3};
       return db.check().nodes == nodes[steps % 4] && db["other"].exists() == (steps % 4 == 3);
     }},
    {"counter", [](const Database& db, std::uint64_t) { db.incr("c", 3); },
     [](const Database& db, std::uint64_t steps) {
       return db.count("c") == static_cast<std::int64_t>(steps) * 3;
     }},
    {"large_values",
     [](const Database& db, std::uint64_t i) {
       db["v"] = {std::string(3000 + i % 7, static_cast<char>('a' + i % 26)),
                  Bytes{std::string(2000, static_cast<char>(i))}};
     },
     [](const Database& db, std::uint64_t steps) {
       if (steps == 0) return db.root().empty();
       const std::uint64_t i = steps - 1;
       return db["v"][0].get<std::string>() ==
              std::string(3000 + i % 7, static_cast<char>('a' + i % 26));
     }},
    {"held_by_handles",
     [](const Database& db, std::uint64_t i) {
       // Nodes that only this process holds: they die with it and are swept by the next.
       static auto* held = new std::vector<Dict>;
       db["h"] = {{"v", i}, {"child", {{"v", i}}}};
       held->push_back(db["h"].as_dict());
       held->push_back(db.new_dict({{"unlinked", i}}));
       db["n"] = i + 1;
     },
     [](const Database& db, std::uint64_t steps) {
       db.collect();
       const CheckReport report = db.check();
       if (report.held != 0) return false;
       // The step is four mutations: the handle's node may be a step ahead of the number.
       return number(db, "n") == static_cast<std::int64_t>(steps);
     }},
};

class Kill : public testing::TestWithParam<Kind> {};

TEST_P(Kill, LeavesExactlyWhatWasAcknowledged) {
  const Kind& kind = GetParam();
  const std::uint64_t kills = from_environment("GRAVEN_KILLS", 200);
  const std::uint64_t seed = from_environment("GRAVEN_SEED", std::random_device{}());
  std::mt19937_64 random(seed);
  SCOPED_TRACE("repeat with GRAVEN_SEED=" + std::to_string(seed));
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";

  std::uint64_t steps = 0;
  std::uint64_t before = 0;
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    std::uint64_t acknowledged = steps;
    {
      Child child([&](const Reporter& reporter) {
        const Database db(path);
        reporter.say("open");
        for (std::uint64_t i = steps;; ++i) {
          kind.step(db, i);
          reporter.say("did");
        }
        return true;
      });
      ASSERT_EQ(child.line(), "open");
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      child.kill();
      while (child.line() == "did") ++acknowledged;
    }
    const Database db(path);
    const bool exact = kind.holds(db, acknowledged);
    ASSERT_TRUE(exact || kind.holds(db, acknowledged + 1))
        << "after kill " << kill << ", " << acknowledged << " steps acknowledged";
    steps = exact ? acknowledged : acknowledged + 1;
    const CheckReport report = db.check();
    ASSERT_TRUE(report.ok()) << "after kill " << kill << ": " << report.problems.front().node << " "
                             << report.problems.front().what;
    db.close();
    before = steps;
  }
  EXPECT_GT(before, kills / 4) << "the kills came too early to test anything";
}

INSTANTIATE_TEST_SUITE_P(Each, Kill, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace graven
