// SPDX-License-Identifier: MIT
//
// The 99th percentile of single operations while something else goes on: cold reads beside
// another process's commits, hot reads beside this process's own, and writes beside a backup.
//
// Each operation is timed alone, by the clock: a mean of several would hide the one that waited.
// What the clock itself takes, some 30 ns, is in every figure.
//
// Commits to one key write the same few pages again and again, which SQLite's index of the WAL
// keeps in one run of slots; who looks for another page walks along it. So a cold read beside
// them is shown too.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "contest.hpp"

namespace graven::bench {

namespace {

constexpr const char* kWritten = "written now and then";
constexpr std::int64_t kNowAndThen = 100;  // commits
constexpr std::size_t kHot = 1000;
constexpr std::size_t kColdSize = 100;

/// Times of single operations.
class Times {
 public:
  template <class Operation>
  void add(const Operation& operation) {
    const double begin = monotonic_seconds();
    operation();
    seconds_.push_back(monotonic_seconds() - begin);
  }
  Turn p99() {
    if (seconds_.empty()) throw std::runtime_error("nothing was measured");
    const auto at =
        seconds_.begin() + static_cast<std::ptrdiff_t>((seconds_.size() - 1) * 99 / 100);
    std::nth_element(seconds_.begin(), at, seconds_.end());
    return {*at};
  }

 private:
  std::vector<double> seconds_;
};

/// Does something all the while in a thread of its own; returns once it has been done.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void()> something)
      : thread_([this, something = std::move(something)] {
          for (; !stop_; ++done_) something();
        }) {
    while (done_ == 0) std::this_thread::yield();
  }
  ~Meanwhile() {
    stop_ = true;
    thread_.join();
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> done_{0};
  std::thread thread_;
};

MapOptions with_small_memory() {
  MapOptions options;
  options.hot_capacity = kHot;
  options.warm_bytes = 0;
  return options;
}

/// Another process that commits to the first `among` keys of the map in random order, as fast as
/// it can, each time another value: the same would be no commit. There once it has begun.
class Committer {
 public:
  Committer(Map map, const std::string& path, std::size_t among) : map_(std::move(map)) {
    map_.erase(kWritten);
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    pipe_ = ::popen(fmt::format("'{}' --child commits '{}' {}", self, path, among).c_str(), "w");
    if (pipe_ == nullptr) throw std::runtime_error("cannot start the committing process");
    for (int waited = 0; !map_.contains(kWritten); ++waited) {
      if (waited == 10'000) throw std::runtime_error("the committing process does not commit");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~Committer() { ::pclose(pipe_); }
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  [[nodiscard]] std::int64_t commits() const { return map_.at(kWritten).get<std::int64_t>(); }

 private:
  Map map_;
  std::FILE* pipe_ = nullptr;
};

}  // namespace

int commit_in_child(const std::string& path, std::size_t among) {
  const Map map(path, with_small_memory());
  std::mt19937_64 random(5);
  std::int64_t number = 0;
  const Meanwhile committing([&] {
    if (number % kNowAndThen == 0) {
      map.set(kWritten, number);
    } else {
      map.set(key(random() % among), Data(fmt::format("{:0>{}}", number, kColdSize)));
    }
    ++number;
  });
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) continue;  // until the parent closes its end
  return 0;
}

std::vector<Contestant> cold_read_p99(const Terms& terms, const std::string& folder) {
  const std::string path = folder + "/map.db";
  const Map map(path, with_small_memory());
  fill(map, terms.entries, kColdSize);
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto turn = [=, at = std::make_shared<std::size_t>(0)] {
    Times times;
    for (std::size_t i = 0; i < terms.count; ++i) {
      const std::string_view key = (*keys)[(*at)++];
      times.add([&] { map.read(key, [](const MapValue& value) { keep(value.bytes.size()); }); });
    }
    return times.p99();
  };
  const auto beside = [=](std::size_t among) {
    const Committer committer(map, path, among);
    const std::int64_t before = committer.commits();
    const Turn result = turn();
    if (committer.commits() - before < 1000) throw std::runtime_error("hardly any commits beside");
    return result;
  };
  return {
      {Role::kOurs, "graven, beside commits to all keys", [=] { return beside(terms.entries); }},
      {Role::kRival, "graven, idle", turn},
      {Role::kShown, "graven, beside commits to one key", [=] { return beside(1); }}};
}

std::vector<Contestant> hot_map_read_p99(const Terms& terms, const std::string& folder) {
  const Map map(folder + "/map.db");
  fill(map, terms.entries, 12);
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto turn = [=] {
    Times times;
    for (std::size_t i = 0; i < terms.count; ++i) {
      const std::string_view key = (*keys)[i];
      times.add([&] { map.read(key, [](const MapValue& value) { keep(value.bytes.size()); }); });
    }
    return times.p99();
  };
  const auto beside = [=] {
    std::mt19937_64 random(5);
    std::int64_t number = 0;
    const Meanwhile committing([&] { map.set((*keys)[random() % terms.entries], ++number); });
    return turn();
  };
  return {{Role::kOurs, "graven, Map::read beside commits", beside},
          {Role::kShown, "graven, Map::read, idle", turn}};
}

std::vector<Contestant> hot_graph_read_p99(const Terms& terms, const std::string& folder) {
  const Database db(folder + "/graph.db");
  db["a"] = Data::dict();
  const Dict dict = db["a"].as_dict();
  for (std::size_t i = 0; i < terms.entries; ++i) dict.set(key(i), static_cast<std::int64_t>(i));
  const auto keys = std::make_shared<const Keys>(0, terms.entries, Order::kRandom);
  const auto turn = [=] {
    Times times;
    for (std::size_t i = 0; i < terms.count; ++i) {
      const std::string_view key = (*keys)[i];
      times.add([&] { keep(static_cast<std::uint64_t>(dict[key].get<std::int64_t>())); });
    }
    return times.p99();
  };
  const auto beside = [=] {
    std::mt19937_64 random(5);
    std::int64_t number = 0;
    const Meanwhile committing([&] { dict.set((*keys)[random() % terms.entries], ++number); });
    return turn();
  };
  return {{Role::kOurs, "graven, dict[key] beside commits", beside},
          {Role::kShown, "graven, dict[key], idle", turn}};
}

std::vector<Contestant> write_p99_beside_a_backup(const Terms& terms, const std::string& folder) {
  constexpr std::size_t kValueSize = 16384;
  constexpr std::size_t kAtOnce = 1000;
  constexpr auto kIdle = std::chrono::seconds(5);
  const Database db(folder + "/graph.db");
  db["large"] = Data::dict();
  db["small"] = Data::dict();
  const Dict large = db["large"].as_dict();
  const Dict small = db["small"].as_dict();
  {
    const BulkImport session(db);
    session.phase("large", [&] {
      for (std::size_t done = 0; done < terms.entries; done += kAtOnce) {
        Data rows = Data::dict();
        Data::Container& root = rows.container(std::get<Data::Index>(rows.root()));
        for (std::size_t i = done; i < std::min(done + kAtOnce, terms.entries); ++i) {
          root.keys.push_back(key(i));
          root.items.emplace_back(std::string(kValueSize, static_cast<char>('a' + i % 26)));
        }
        db.batch_insert(large, rows);
      }
    });
    session.finish();
  }
  const auto writing = [=](const std::function<void()>& meanwhile) {
    Times times;
    std::mt19937_64 random(5);
    std::int64_t number = 0;
    {
      const Meanwhile writer(
          [&] { times.add([&] { small.set(key(random() % terms.count), ++number); }); });
      meanwhile();
    }
    return times.p99();
  };
  const auto backing_up = [=] {
    const std::string copy = folder + "/copy.db";
    const Turn turn = writing([&] { db.backup(copy); });
    if (!Database(copy, {.read_only = true}).check().ok()) {
      throw std::runtime_error("the backup does not check clean");
    }
    std::filesystem::remove(copy);
    return turn;
  };
  return {{Role::kOurs, "graven, beside a backup", backing_up},
          {Role::kRival, "graven, idle",
           [=] { return writing([&] { std::this_thread::sleep_for(kIdle); }); }}};
}

}  // namespace graven::bench
