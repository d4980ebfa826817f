// SPDX-License-Identifier: MIT
//
// Several processes on one store without interactive transactions, each a thread with a store of
// its own: their commits conflict, are repeated, and take the lease. What each counts on is checked
// as it goes; at the end the store checks clean and nothing is left over. In one of the forms the
// network between them loses requests, replies and entries of the log.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "graph/graph_under_test.hpp"
#include "map/stored_map.hpp"
#include "port/counting_store.hpp"
#include "port/oracle.hpp"

namespace graven::test {
namespace {

struct Network {
  const char* name;
  Rates rates;
};
std::ostream& operator<<(std::ostream& out, const Network& network) { return out << network.name; }

class SharedStore : public ::testing::TestWithParam<Network> {
 protected:
  static constexpr int kProcesses = 4;

  std::unique_ptr<port::Backend> backend() {
    auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(store_));
    const std::uint64_t seed = random_.bits();
    counting->script(random_script(seed, GetParam().rates));
    counting->script_entries(random_entries(seed, GetParam().rates));
    return counting;
  }

  /// Runs the body in several processes at once.
  void together(const std::function<void(int, Database&, Random&)>& body) {
    std::vector<Database> databases;
    std::vector<Random> randoms;
    for (int i = 0; i < kProcesses; ++i) {
      databases.push_back(over(backend()));
      randoms.emplace_back(random_.bits());
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < kProcesses; ++i) {
      threads.emplace_back([&, i] {
        const auto at = static_cast<std::size_t>(i);
        body(i, databases[at], randoms[at]);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  /// A quiet process that looks at what is there.
  Database calm() { return over(oracle::Oracle::open(store_)); }

  void expect_clean_at_the_end(std::optional<std::uint64_t> nodes = std::nullopt) {
    const Database db = calm();
    db.collect();
    const CheckReport report = db.check();
    EXPECT_TRUE(report.ok()) << problems_of(report);
    if (nodes) {
      EXPECT_EQ(report.nodes, *nodes);
    }
    EXPECT_EQ(report.held, 0U);
  }

  Random random_;
  const std::shared_ptr<oracle::OracleStore> store_ = oracle::Oracle::create();
};

TEST_P(SharedStore, CountersAppendsAndTransactionsLoseNothing) {
  constexpr int kRounds = 60;
  calm()["list"] = Data::list();
  calm()["account"] = {{"a", 1000}, {"b", 1000}};
  together([&](int, Database& db, Random& random) {
    const List list = db["list"].as_list();
    const Dict account = db["account"].as_dict();
    for (int i = 0; i < kRounds; ++i) {
      db.incr("n");
      list.push_back(i);
      const auto move = [&] {
        const auto by = static_cast<int>(random.below(10));
        account.set("a", account["a"].get<int>() - by);
        account.set("b", account["b"].get<int>() + by);
      };
      if (random.one_in(2)) db.transaction(move);
      const Data seen = account.materialize();
      EXPECT_EQ(seen.at("a").get<int>() + seen.at("b").get<int>(), 2000);
    }
  });
  const Database db = calm();
  EXPECT_EQ(db.count("n"), kProcesses * kRounds);
  EXPECT_EQ(db["list"].as_list().size(), static_cast<std::size_t>(kProcesses * kRounds));
  expect_clean_at_the_end(3);
}

/// Dicts that are linked to and fro, by processes that know them from before.
TEST_P(SharedStore, LinksAndCollections) {
  constexpr int kRounds = 120;
  constexpr std::uint64_t kPlaces = 6;
  calm()["places"] = Data::list();
  for (std::uint64_t i = 0; i < kPlaces; ++i) {
    calm()["places"].as_list().push_back({{"name", std::to_string(i)}});
  }
  together([&](int, Database& db, Random& random) {
    const List places = db["places"].as_list();
    const auto any = [&] { return places[static_cast<std::int64_t>(random.below(kPlaces))]; };
    for (int i = 0; i < kRounds; ++i) {
      const std::string key = "k" + std::to_string(random.below(4));
      const Dict place = any().as_dict();
      try {
        switch (random.below(5)) {
          case 0:
            place.set(key, {{"child", {{"deep", {1, 2, 3}}}}, {"by", i}});
            break;
          case 1:
            place.set(key, any());  // perhaps a cycle
            break;
          case 2:
            if (const std::optional<Value> one = place.get(key)) any().as_dict().set(key, *one);
            break;
          case 3:
            if (place.contains(key)) place.erase(key);
            break;
          default:
            (void)place.materialize();
        }
      } catch (const KeyNotFound&) {
        // Another process has erased it.
      } catch (const CollectedError&) {
        // The value was collected between its read and its use.
      } catch (const BadValueError&) {
        // materialize() of a cycle.
      }
    }
  });
  for (std::uint64_t i = 0; i < kPlaces; ++i) {
    EXPECT_EQ(calm()["places"][static_cast<std::int64_t>(i)]["name"].get<std::string>(),
              std::to_string(i));
  }
  expect_clean_at_the_end();
  calm().root().erase("places");
  expect_clean_at_the_end(1);
}

TEST_P(SharedStore, LargeContainers) {
  constexpr int kRounds = 40;
  calm()["dict"] = Data::dict();
  calm()["list"] = Data::list();
  for (int i = 0; i < 300; ++i) calm()["list"].as_list().push_back(0);
  together([&](int process, Database& db, Random& random) {
    const Dict dict = db["dict"].as_dict();
    const List list = db["list"].as_list();
    for (int i = 0; i < kRounds; ++i) {
      dict.set(std::to_string(process) + "/" + std::to_string(i), {{"n", i}});
      const auto at = static_cast<std::int64_t>(random.below(300));
      list.set(at, list[at].get<int>() + 1);
    }
  });
  EXPECT_EQ(calm()["dict"].as_dict().size(), static_cast<std::size_t>(kProcesses * kRounds));
  expect_clean_at_the_end(3 + kProcesses * kRounds);
}

std::string name_of(const ::testing::TestParamInfo<Network>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Networks, SharedStore,
                         ::testing::Values(Network{"good", {}}, Network{"bad",
                                                                        {.lost_request = 40,
                                                                         .lost_reply = 40,
                                                                         .late = 60,
                                                                         .unreached = 60,
                                                                         .lost_entry = 20,
                                                                         .late_entry = 20,
                                                                         .double_entry = 20}}),
                         name_of);

}  // namespace
}  // namespace graven::test
