// SPDX-License-Identifier: MIT
//
// Counters on a store without interactive transactions: an increment alone is an addition that the
// store does; where the counter is read too, it is read and written. Either way each increment
// tells the sum of all before it and itself.
//
// GRAVEN_SEED repeats a run, but for what the threads do.
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "base/random.hpp"
#include "port/counting_store.hpp"
#include "port/oracle.hpp"
#include "store/the_store.hpp"

namespace graven::test {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

Key counter(const std::string& name) { return {.space = Space::kCounter, .a = 1, .name = name}; }

std::int64_t value_in(port::View& view, const std::string& name) {
  const auto record = view.load(counter(name));
  return record ? record->integers[0] : 0;
}

/// A client of a store. `slow`: its writers are committed together.
class Client {
 public:
  explicit Client(const std::shared_ptr<oracle::OracleStore>& on) {
    auto counting = std::make_unique<CountingStore>(oracle::Oracle::open(on));
    counting->script([this](const Call& call) {
      if (call.asked == Asked::kCommit) {
        ++commits;
        if (auto act = std::exchange(before_commit, nullptr)) act();
      }
      return Fault{.delay = delay};
    });
    store = std::make_unique<Store>(std::move(counting));
  }
  std::int64_t add(const std::string& name, std::int64_t by = 1) {
    std::int64_t sum = 0;
    store->write([&](Work& work) { work.add(counter(name), by, sum); }, {});
    return sum;
  }
  std::int64_t value(const std::string& name) { return value_in(*store->view(), name); }
  std::int64_t cached(const std::string& name) {
    const auto record = store->cache().read_through(counter(name));
    return record ? record->integers[0] : 0;
  }

  std::function<void()> before_commit;
  std::atomic<int> commits{0};
  std::chrono::microseconds delay{};
  std::unique_ptr<Store> store;
};

class Counters : public ::testing::Test {
 protected:
  const std::shared_ptr<oracle::OracleStore> on_ = oracle::Oracle::create();
  Client client_{on_};
  Client other_{on_};
};

TEST_F(Counters, AnAdditionIsOneCommitWhateverOthersAdd) {
  EXPECT_EQ(client_.add("n", 3), 3);
  client_.before_commit = [&] { EXPECT_EQ(other_.add("n", 10), 13); };
  EXPECT_EQ(client_.add("n", -1), 12);
  EXPECT_EQ(client_.commits, 2);
  EXPECT_EQ(other_.commits, 1);
  EXPECT_EQ(client_.cached("n"), 12);
  EXPECT_EQ(other_.cached("n"), 12);
}

TEST_F(Counters, SeveralInOneMutation) {
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t c = 0;
  client_.store->write(
      [&](Work& work) {
        work.add(counter("n"), 1, a);
        work.add(counter("m"), 7, c);
        work.add(counter("n"), 2, b);
      },
      {});
  EXPECT_EQ((std::vector<std::int64_t>{a, b, c}), (std::vector<std::int64_t>{1, 3, 7}));
  EXPECT_EQ(client_.cached("n"), 3);
  EXPECT_EQ(client_.value("m"), 7);
}

/// A read between additions, in each way, and another client's addition before the commit: then
/// the mutation runs again.
TEST_F(Counters, AReadSeesWhatWasAddedAndIsReliedOn) {
  using Read = std::int64_t (*)(Work&);
  const std::vector<Read> reads{
      [](Work& work) { return value_in(work, "n"); },
      [](Work& work) {
        return work.scan({.space = Space::kCounter, .a = 1}, 1).at(0).record.integers[0];
      },
      [](Work& work) {
        std::int64_t value = 0;
        const Key key = counter("n");
        work.load_many({&key, 1}, [&](std::size_t, Record* one) { value = one->integers[0]; });
        return value;
      },
      [](Work& work) {
        std::int64_t value = 0;
        const std::vector<port::ReadOp> ops{{.key = counter("n")}};
        work.read(ops, [&](std::size_t, std::span<port::Row> rows) {
          value = rows.front().record.integers[0];
        });
        return value;
      }};
  std::int64_t at = 0;
  for (const Read& read : reads) {
    int runs = 0;
    std::int64_t first = 0;
    std::int64_t second = 0;
    client_.before_commit = [&] { other_.add("n", 100); };
    client_.store->write(
        [&](Work& work) {
          work.add(counter("n"), 1, first);
          const std::int64_t seen = read(work);
          EXPECT_EQ(seen, first);
          EXPECT_EQ(seen, at + 1 + 100 * runs);
          work.add(counter("n"), 1, second);
          EXPECT_EQ(second, seen + 1);
          ++runs;
        },
        {});
    EXPECT_EQ(runs, 2);
    at += 102;
    EXPECT_EQ(second, at);
    EXPECT_EQ(client_.value("n"), at);
  }
}

TEST_F(Counters, AReadBeforeAnAdditionIsReliedOn) {
  client_.add("n");
  int runs = 0;
  std::int64_t sum = 0;
  client_.before_commit = [&] { other_.add("n"); };
  client_.store->write(
      [&](Work& work) {
        const std::int64_t seen = value_in(work, "n");
        work.add(counter("n"), seen, sum);
        EXPECT_EQ(sum, 2 * seen);
        ++runs;
      },
      {});
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(sum, 4);
}

TEST_F(Counters, PutAndErasedAfterAnAddition) {
  std::int64_t sum = 0;
  client_.store->write(
      [&](Work& work) {
        work.add(counter("n"), 5, sum);
        work.put(counter("n"), {.integers = {70}});
        work.add(counter("n"), 1, sum);
        std::int64_t gone = 0;
        work.add(counter("m"), 5, gone);
        work.erase(counter("m"));
      },
      {});
  EXPECT_EQ(sum, 71);
  EXPECT_EQ(client_.value("n"), 71);
  EXPECT_FALSE(client_.store->load(counter("m")));
}

TEST_F(Counters, AMutationThatThrowsAddsNothing) {
  std::int64_t sum = 0;
  EXPECT_THROW(client_.store->write(
                   [&](Work& work) {
                     work.add(counter("n"), 1, sum);
                     throw BadValueError("no");
                   },
                   {}),
               BadValueError);
  EXPECT_EQ(client_.value("n"), 0);
}

TEST_F(Counters, SavepointsOfATransaction) {
  client_.add("n", 10);
  std::int64_t sum = 0;
  const auto add = [&](std::int64_t by) {
    client_.store->write([&](Work& work) { work.add(counter("n"), by, sum); }, {});
    return sum;
  };
  Step outer = client_.store->begin({});
  EXPECT_EQ(add(1), 11);
  {
    Step inner = client_.store->begin({});
    EXPECT_EQ(add(100), 111);
    inner.rollback();
  }
  EXPECT_EQ(add(1), 12);
  {
    Step inner = client_.store->begin({});
    EXPECT_EQ(add(20), 32);
    inner.commit();
  }
  outer.commit();
  EXPECT_EQ(other_.value("n"), 32);
}

TEST_F(Counters, Overflow) {
  EXPECT_EQ(client_.add("big", kMost - 1), kMost - 1);
  const int commits = client_.commits;
  try {
    client_.add("big", 2);
    ADD_FAILURE();
  } catch (const LimitError& error) {
    EXPECT_NE(std::string(error.what()).find("'big'"), std::string::npos) << error.what();
  }
  EXPECT_EQ(client_.commits, commits + 1);
  EXPECT_EQ(client_.value("big"), kMost - 1);
  EXPECT_EQ(client_.add("big"), kMost);
  {
    const Step step = client_.store->begin({});
    EXPECT_THROW(client_.add("big"), LimitError);
    EXPECT_EQ(client_.add("big", -1), kMost - 1);
  }
  EXPECT_EQ(client_.cached("big"), kMost);
}

// --- Writers that are committed together

class CountersTogether : public Counters {
 protected:
  CountersTogether() : Counters() { slow_.delay = std::chrono::milliseconds(5); }

  /// Runs these at once, while a commit is under way.
  void together(const std::vector<std::function<void()>>& bodies) {
    std::vector<std::thread> threads;
    for (const auto& body : bodies) threads.emplace_back(body);
    for (std::thread& thread : threads) thread.join();
  }

  const std::shared_ptr<oracle::OracleStore> slow_on_ =
      oracle::Oracle::create({.slow_commits = true});
  Client slow_{slow_on_};
};

TEST_F(CountersTogether, EachGetsItsOwnSum) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 40;
  std::mutex mutex;
  std::map<std::int64_t, std::int64_t> steps;  // from one sum to the next
  std::vector<std::function<void()>> bodies;
  for (int thread = 0; thread < kThreads; ++thread) {
    bodies.emplace_back([&, thread] {
      for (int i = 0; i < kRounds; ++i) {
        const std::int64_t by = 1 + thread;
        std::int64_t sum = 0;
        if ((i + thread) % 8 == 0) {  // one that reads, in the middle of the others
          slow_.store->write(
              [&](Work& work) {
                const std::int64_t seen = value_in(work, "n");
                work.add(counter("n"), by, sum);
                EXPECT_EQ(sum, seen + by);
              },
              {});
        } else {
          sum = slow_.add("n", by);
        }
        const std::scoped_lock lock(mutex);
        EXPECT_TRUE(steps.emplace(sum - by, sum).second) << sum;
      }
    });
  }
  together(bodies);
  std::int64_t at = 0;
  for (const auto& [from, to] : steps) {
    EXPECT_EQ(from, at);
    at = to;
  }
  EXPECT_EQ(at, kRounds * kThreads * (kThreads + 1) / 2);
  EXPECT_EQ(slow_.value("n"), at);
  EXPECT_LT(slow_.commits, kThreads * kRounds);
}

/// Those who did not exceed the range are not told that somebody did.
TEST_F(CountersTogether, OnlyWhoOverflowsIsToldSo) {
  slow_.add("big", kMost - 100);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::function<void()>> bodies;
    for (int thread = 0; thread < 4; ++thread) {
      bodies.emplace_back([&] { EXPECT_NO_THROW(slow_.add("small")); });
      bodies.emplace_back([&] { EXPECT_THROW(slow_.add("big", 101), LimitError); });
    }
    bodies.emplace_back([&] {  // makes additions before it to reads
      std::int64_t sum = 0;
      slow_.store->write(
          [&](Work& work) {
            static_cast<void>(value_in(work, "big"));
            work.add(counter("small"), 1, sum);
          },
          {});
    });
    together(bodies);
    EXPECT_EQ(slow_.value("small"), 5 * (round + 1));
    EXPECT_EQ(slow_.value("big"), kMost - 100);
  }
}

TEST_F(CountersTogether, WhoThrowsAddsNothing) {
  std::atomic<std::int64_t> all{0};
  std::vector<std::function<void()>> bodies;
  for (int thread = 0; thread < 6; ++thread) {
    bodies.emplace_back([&, thread] {
      for (int i = 0; i < 20; ++i) {
        std::int64_t sum = 0;
        const bool fails = (thread + i) % 3 == 0;
        const bool reads = (thread + i) % 4 == 0;
        const auto mutation = [&](Work& work) {
          work.add(counter("n"), 2, sum);
          if (reads) static_cast<void>(value_in(work, "n"));
          if (fails) throw BadValueError("no");
        };
        try {
          slow_.store->write(mutation, {});
          EXPECT_FALSE(fails);
          all += 2;
        } catch (const BadValueError&) {
          EXPECT_TRUE(fails);
        }
      }
    });
  }
  together(bodies);
  EXPECT_EQ(slow_.value("n"), all);
}

// --- At random, against a model

/// Additions, reads, mutations that throw and savepoints of a client, with another client's
/// additions before its commits. Only what a run that was committed has told counts.
TEST_F(Counters, AtRandomAgainstAModel) {
  Random random;
  std::map<std::string, std::int64_t> model;
  const auto any = [&] { return std::string(1, static_cast<char>('a' + random.below(3))); };
  for (int round = 0; round < 1'500; ++round) {
    const auto others = std::make_shared<std::map<std::string, std::int64_t>>();
    int times = random.one_in(2) ? static_cast<int>(random.below(3)) : 0;
    std::function<void()> meanwhile = [&] {
      if (times-- <= 0) return;
      const std::string name = any();
      const auto by = static_cast<std::int64_t>(random.below(9));
      EXPECT_EQ(other_.add(name, by), model[name] += by);
      client_.before_commit = meanwhile;
    };
    // What is done is the same in each run.
    const std::uint64_t seed = random.bits();
    std::map<std::string, std::int64_t> after;
    std::vector<std::pair<std::int64_t, std::unique_ptr<std::int64_t>>> sums;  // by order, told
    std::vector<std::function<void()>> checks;
    const auto mutation = [&](Work& work, std::uint64_t what) {
      Random own(what);
      const std::size_t steps = 1 + own.below(6);
      for (std::size_t i = 0; i < steps; ++i) {
        const std::string name(1, static_cast<char>('a' + own.below(3)));
        if (own.one_in(4)) {
          const std::int64_t seen = value_in(work, name);
          checks.emplace_back([&after, name, seen] { EXPECT_EQ(seen, after[name]) << name; });
        } else {
          const auto by = static_cast<std::int64_t>(own.below(21)) - 10;
          sums.emplace_back(by, std::make_unique<std::int64_t>(0));
          std::int64_t* const sum = sums.back().second.get();
          work.add(counter(name), by, *sum);
          checks.emplace_back(
              [&after, name, by, sum] { EXPECT_EQ(*sum, after[name] += by) << name; });
        }
      }
      if (own.one_in(6)) throw BadValueError("no");
    };
    const auto write = [&](std::uint64_t what) {
      const std::size_t before = checks.size();
      try {
        client_.store->write(
            [&](Work& work) {
              checks.resize(before);
              mutation(work, what);
            },
            {});
      } catch (const BadValueError&) {
        checks.resize(before);
      }
    };
    if (random.one_in(3)) {
      Step outer = client_.store->begin({});
      write(seed);
      {
        Step inner = client_.store->begin({});
        const std::size_t before = checks.size();
        write(seed + 1);
        if (random.one_in(2)) {
          inner.commit();
        } else {
          inner.rollback();
          checks.resize(before);
        }
      }
      write(seed + 2);
      outer.commit();
    } else {
      client_.before_commit = meanwhile;
      write(seed);
    }
    client_.before_commit = nullptr;
    after = model;
    for (const auto& check : checks) check();
    model = after;
    for (const auto& [name, value] : model) {
      ASSERT_EQ(client_.cached(name), value) << name;
      ASSERT_EQ(other_.cached(name), value) << name;
    }
  }
}

}  // namespace
}  // namespace graven::test
