// SPDX-License-Identifier: MIT
//
// Maps beside a graph: prices written through, a cache that is lost with the process, page views
// flushed in the background, and a transaction over map and graph. Then a watch.
#include <graven/graven.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "scratch.hpp"

int main() {
  using namespace std::chrono_literals;
  const Scratch scratch;
  const std::string path = scratch.file("shop.db");

  const graven::Map prices(path, {.name = "prices"});
  prices.set("a1", 9.5);
  prices.update(std::vector<std::pair<std::string, graven::Data>>{
      {"b7", 12}, {"c3", graven::Data::dict({{"net", 3}, {"tax", 0.57}})}});
  prices.set("deal", "two for one", 1h);  // gone in an hour
  expect(prices.at("c3").at("tax").get<double>() == 0.57, "nested values come back");
  expect(prices.size() == 4, "four prices");

  // One state of many keys; what is not there is nothing.
  const std::vector<graven::Map::Key> wanted{"a1", "zz"};
  const auto found = prices.get_many(wanted);
  expect(found[0] == graven::Data(9.5) && !found[1], "one price of two");

  // Together with the graph, or not at all.
  const graven::Database db(path);
  try {
    db.transaction([&] {
      db["sold"] = {"a1"};
      prices.erase("a1");
      throw std::runtime_error("changed my mind");
    });
  } catch (const std::runtime_error&) {
  }
  expect(prices.contains("a1") && !db.root().contains("sold"), "both are as before");

  // Lazily: nobody waits for the disk, and the file always holds a state the map once had.
  graven::MapOptions lazily;
  lazily.name = "views";
  lazily.persist = graven::Persist::kLazy;
  const graven::Map views(path, lazily);
  for (int i = 0; i < 1000; ++i) views.incr("page " + std::to_string(i % 10));
  expect(views.at("page 3") == graven::Data(100), "no view is lost, whatever other threads do");
  views.flush();
  expect(views.stats().pending == 0, "all of it is in the file");

  // Whoever waits sleeps until a commit, by whichever process, concerns it.
  const graven::Watch watch(db, "orders");
  db["orders"] = {{"o1", "paid"}};
  const auto change = watch.next(10s);
  expect(change && change->path == "orders", "the new orders are reported");
  return 0;
}
