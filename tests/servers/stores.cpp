// SPDX-License-Identifier: MIT
//
// See stores.hpp.
#include "servers/stores.hpp"

#include <atomic>
#include <unistd.h>

#include "servers/redis_server.hpp"
#ifdef GRAVEN_POSTGRES
#include "servers/postgres_server.hpp"
#endif

namespace graven::test {

std::vector<std::string> server_stores() {
  std::vector<std::string> names;
  if (RedisServer::available()) names.emplace_back("redis");
#ifdef GRAVEN_POSTGRES
  if (!PostgresServer::missing()) names.emplace_back("postgres");
#endif
  return names;
}

std::string url_of_new_store(const std::string& name) {
  static std::atomic<int> stores{0};
  const std::string own = std::to_string(::getpid()) + "_" + std::to_string(++stores);
  if (name == "redis") {
    return "unix://" + shared_redis().settings().socket + "?key_prefix=t" + own;
  }
#ifdef GRAVEN_POSTGRES
  if (name == "postgres") {
    const std::string url = shared_postgres().url();
    return url + (url.find('?') == std::string::npos ? '?' : '&') + "schema=t" + own;
  }
#endif
  return {};
}

}  // namespace graven::test
