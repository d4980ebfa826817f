// SPDX-License-Identifier: MIT
//
// Writes against raw SQLite: one put per call and transaction, from one thread or from several
// that share commits, and lazy puts with the flush that ends them. Both sides have the same
// `synchronous`; times are by the clock.
#include <filesystem>
#include <memory>
#include <thread>

#include "contest.hpp"
#include "rivals.hpp"

namespace graven::bench {

namespace {

constexpr std::size_t kValueSize = 12;
const std::string kFresh = "valuevalueva";

/// The keys of one turn after another: new ones, or random ones of those there.
class KeysOfTurns {
 public:
  explicit KeysOfTurns(const Terms& terms) : terms_(terms) {}
  Keys next() {
    const std::size_t turn = turn_++;
    if (terms_.order == Order::kRising)
      return {terms_.entries + turn * terms_.count, terms_.count, Order::kRising};
    return Keys::sample(terms_.entries, terms_.count, turn + 1);
  }

 private:
  Terms terms_;
  std::size_t turn_ = 0;
};

void put_with_threads(const Map& map, const Keys& keys, int threads) {
  const Data value(kFresh);
  const auto part = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) map.set(keys[i], value);
  };
  if (threads == 1) {
    part(0, keys.size());
    return;
  }
  std::vector<std::thread> running;
  const auto count = static_cast<std::size_t>(threads);
  for (std::size_t t = 0; t < count; ++t)
    running.emplace_back(part, keys.size() * t / count, keys.size() * (t + 1) / count);
  for (std::thread& thread : running) thread.join();
}

}  // namespace

std::vector<Contestant> put_per_call(const Terms& terms, const std::string& folder) {
  MapOptions options;
  options.synchronous = terms.synchronous;
  const Map map(folder + "/map.db", options);
  fill(map, terms.entries, kValueSize);
  const auto per_operation = static_cast<double>(terms.count);
  std::vector<Contestant> contestants;
  contestants.push_back(
      {Role::kOurs,
       terms.threads == 1 ? "graven, writethrough"
                          : "graven, writethrough, " + std::to_string(terms.threads) + " threads",
       [=, turns = std::make_shared<KeysOfTurns>(terms)] {
         const Keys keys = turns->next();
         return Turn{elapsed([&] { put_with_threads(map, keys, terms.threads); }) / per_operation};
       }});
  for (const RivalKind& kind : raw_sqlite()) {
    const std::shared_ptr<Rival> rival =
        kind.open(folder + "/rival" + std::to_string(contestants.size()), terms.synchronous);
    rival->fill(terms.entries, kValueSize);
    contestants.push_back(
        {Role::kRival, kind.name, [=, turns = std::make_shared<KeysOfTurns>(terms)] {
           const Keys keys = turns->next();
           return Turn{elapsed([&] {
                         for (std::size_t i = 0; i < keys.size(); ++i) rival->put(keys[i], kFresh);
                       }) /
                       per_operation};
         }});
  }
  return contestants;
}

std::vector<Contestant> put_lazily(const Terms& terms, const std::string& folder) {
  const auto keys = std::make_shared<const Keys>(0, terms.count, terms.order);
  const auto per_operation = static_cast<double>(terms.count);
  // Each turn has a new file.
  const auto fresh = [folder, number = std::make_shared<int>(0)] {
    return folder + "/store" + std::to_string(++*number);
  };
  const auto removed = [](const std::string& path) {
    for (const char* end : {"", "-wal", "-shm", "-graven"}) std::filesystem::remove_all(path + end);
  };
  std::vector<Contestant> contestants;
  contestants.push_back({Role::kOurs, "graven, lazy, with the flush", [=] {
                           const std::string path = fresh();
                           MapOptions options;
                           options.persist = Persist::kLazy;
                           options.synchronous = terms.synchronous;
                           const Map map(path, options);
                           const Data value(kFresh);
                           const double seconds = elapsed([&] {
                             for (std::size_t i = 0; i < keys->size(); ++i)
                               map.set((*keys)[i], value);
                             map.flush();
                           });
                           map.close();
                           removed(path);
                           return Turn{seconds / per_operation};
                         }});
  for (const RivalKind& kind : raw_sqlite()) {
    contestants.push_back({Role::kRival, kind.name + ", one transaction", [=] {
                             const std::string path = fresh();
                             std::unique_ptr<Rival> rival = kind.open(path, terms.synchronous);
                             const double seconds = elapsed([&] { rival->put_all(*keys, kFresh); });
                             rival.reset();
                             removed(path);
                             return Turn{seconds / per_operation};
                           }});
  }
  return contestants;
}

}  // namespace graven::bench
