// SPDX-License-Identifier: MIT
//
// The table of stores.
#include "conformance/port_under_test.hpp"

#include <atomic>
#include <string>

#ifdef GRAVEN_POSTGRES
#include "backends/postgres/backend.hpp"
#include "servers/postgres_server.hpp"
#endif
#include "backends/redis/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "port/interactive_toy.hpp"
#include "port/oracle.hpp"
#include "port/toy_backend.hpp"
#include "servers/redis_server.hpp"

namespace graven::test {
namespace {

using Open = std::function<std::unique_ptr<port::Backend>()>;

Open oracle() {
  return [store = oracle::Oracle::create()] { return oracle::Oracle::open(store); };
}

template <class Store>
Open shared() {
  return [store = std::make_shared<typename Store::Shared>()] {
    return std::make_unique<Store>(store);
  };
}

/// A store in a file, opened again as by one more process. The folder goes with it.
Open sqlite_file() {
  auto folder = std::make_shared<TemporaryFolder>();
  return [folder] { return sqlite::open(*folder / "store.db"); };
}

#ifdef GRAVEN_POSTGRES
/// A schema of its own on the server that all tests share.
Open postgres_schema() {
  static int schemas = 0;
  const postgres::Settings settings{.url = shared_postgres().url(),
                                    .schema = "store " + std::to_string(++schemas)};
  return [settings] { return postgres::open(settings); };
}
#endif

/// A store in the server that the tests of this process share.
Open redis_store() {
  static std::atomic<int> stores{0};
  redis::Settings settings = shared_redis().settings();
  settings.key_prefix = "port" + std::to_string(++stores);
  return [settings] { return redis::open(settings); };
}

}  // namespace

std::vector<PortKind> every_port() {
  std::vector<PortKind> all{
      // log, push, partitions, several, leases
      {"oracle", oracle, true, true, true, true, true},
      {"toy", shared<ToyBackend>, true, false, true, false, true},
      {"sqlite", sqlite_file, false, false, false, true, false},
      {"interactive_toy", shared<InteractiveToy>, false, false, false, true, true},
  };
#ifdef GRAVEN_POSTGRES
  if (!PostgresServer::missing()) {
    all.push_back({"postgres", postgres_schema, true, true, true, true, true});
  }
#endif
  if (RedisServer::available()) all.push_back({"redis", redis_store, true, true, true, true, true});
  return all;
}

}  // namespace graven::test
