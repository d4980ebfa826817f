// SPDX-License-Identifier: MIT
//
// Opens a store: connects, looks at the server, prepares the schema. See backend.hpp. Any thread.
#include <fmt/format.h>

#include <graven/error.hpp>

#include "backends/postgres/postgres_backend.hpp"
#include "backends/postgres/schema.hpp"
#include "backends/postgres/settings.hpp"

namespace graven::postgres {
namespace {

constexpr std::chrono::seconds kForOpening{10};

}  // namespace

std::unique_ptr<port::Backend> open(const Settings& settings) {
  require_schema_name(settings.schema);
  require_url(settings.url);
  const Deadline deadline = std::chrono::steady_clock::now() + kForOpening;
  auto store = std::make_shared<Store>(settings);
  store->facts.name = store->connections.name();
  store->facts.read_only = settings.read_only;
  store->facts.slow_commits = true;
  const std::string& name = store->facts.name;
  std::string place;
  store->facts.constant = store->ask(deadline, [&](Connection& connection) {
    if (!settings.read_only) {
      const Result answer = connection.script("SELECT pg_is_in_recovery()::int::text", deadline);
      if (answer.bytes(0, 0) == "1") {
        throw UsageError(fmt::format(
            "{}: the server is a standby; connect to the primary, or open the store read-only",
            name));
      }
    }
    place = connection.place();
    return prepare_schema(*store, connection, deadline);
  });
  store->facts.identity =
      fmt::format("postgresql {} {} {:016x}", place, settings.schema, store->facts.constant);
  return std::make_unique<PostgresBackend>(std::move(store));
}

}  // namespace graven::postgres
