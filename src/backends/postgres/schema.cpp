// SPDX-License-Identifier: MIT
//
// See schema.hpp. Any thread.
#include "backends/postgres/schema.hpp"

#include <charconv>
#include <optional>
#include <random>

#include <fmt/format.h>

#include <graven/error.hpp>

#include "base/hash.hpp"

namespace graven::postgres {
namespace {

constexpr auto kOwnTables = R"(
CREATE TABLE {s}.commits (
  part bigint NOT NULL, clock bigint NOT NULL, at timestamptz NOT NULL, session bigint NOT NULL,
  seq bigint NOT NULL, kind smallint NOT NULL, previous bigint NOT NULL, history bigint NOT NULL,
  pending bigint NOT NULL, given bigint[], hashes bytea, flags bigint NOT NULL,
  PRIMARY KEY (part, session, seq));
CREATE UNIQUE INDEX commits_clock ON {s}.commits (part, clock) WHERE kind = 0;
CREATE INDEX commits_other ON {s}.commits (part, clock) WHERE kind <> 0;
CREATE TABLE {s}.leases (part bigint PRIMARY KEY, token bigint NOT NULL,
  until timestamptz NOT NULL, holder text NOT NULL);
CREATE TABLE {s}.lease_queue (part bigint NOT NULL, waiter bigint NOT NULL,
  place bigint GENERATED ALWAYS AS IDENTITY, until timestamptz NOT NULL,
  PRIMARY KEY (part, waiter));
CREATE TABLE {s}.processes (process bigint PRIMARY KEY, seen timestamptz NOT NULL);
)";

std::uint64_t random_constant() {
  std::random_device device;
  const std::uint64_t number = std::uint64_t{device()} << 32U | device();
  return number != 0 ? number : 1;
}

std::string tables_sql(const Store& store) {
  std::string sql;
  for (const port::Space space : every_space()) sql += create_table(store.schema, space);
  sql += filled(kOwnTables, {{"s", store.schema}});
  // Last: who finds it finds all.
  sql += fmt::format(
      "CREATE TABLE {0}.meta (key text PRIMARY KEY, value text NOT NULL);"
      "INSERT INTO {0}.meta VALUES ('format', '{1}'), ('oldest_reader', '{1}'), "
      "('constant', '{2}');",
      store.schema, kFormat, random_constant());
  return sql;
}

class Preparation {
 public:
  Preparation(const Store& store, Connection& connection, Deadline deadline)
      : store_(store), connection_(connection), deadline_(deadline) {}

  std::uint64_t prepare() {
    const std::string& name = store_.facts.name;
    bool tables = is_store();
    if (tables) check_format();
    const bool writes = !store_.settings.read_only;
    if (!tables && (!writes || !store_.settings.create)) {
      throw UnavailableError(fmt::format(
          "{}: there is no store in this schema; open it for writing once to make one", name));
    }
    if (!tables || (writes && !has_functions())) {
      connection_.script("BEGIN", deadline_);
      connection_.script(fmt::format("SELECT pg_advisory_xact_lock({})",
                                     base::hash("graven " + store_.settings.schema, 1) >> 1U),
                         deadline_);
      tables = is_store();  // another process may have been faster
      if (!tables) make_tables();
      if (!has_functions()) connection_.script(store_.functions.text, deadline_);
      connection_.script("COMMIT", deadline_);
      check_format();
    }
    const std::string text = meta("constant").value_or("");
    std::uint64_t constant = 0;
    std::from_chars(text.data(), text.data() + text.size(), constant);
    if (constant == 0) foreign("meta has no constant");
    return constant;
  }

 private:
  [[noreturn]] void foreign(const std::string& why) const {
    throw ForeignFileError(
        fmt::format("{}: the schema {} is not a store of this graven: {}; use "
                    "another schema (option schema)",
                    store_.facts.name, store_.schema, why));
  }

  bool exists(const std::string& select) {
    const Result answer = connection_.script("SELECT EXISTS (" + select + ")::int", deadline_);
    return answer.bytes(0, 0) == "1";
  }

  /// The schema's tables, by name.
  [[nodiscard]] std::string table(const char* which) const {
    return fmt::format(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} "
        "AND c.relkind IN ('r', 'v', 'm', 'p', 'f') {}",
        literal(store_.settings.schema), which);
  }

  bool is_store() {
    if (exists(table("AND c.relname = 'meta'"))) return true;
    if (exists(table(""))) foreign("it has tables, but none with the name meta");
    return false;
  }

  bool has_functions() {
    return exists(fmt::format(
        "SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = {} "
        "AND p.proname = {}",
        literal(store_.settings.schema), literal("operate" + store_.functions.suffix)));
  }

  void make_tables() {
    if (!exists(fmt::format("SELECT FROM pg_namespace WHERE nspname = {}",
                            literal(store_.settings.schema)))) {
      connection_.script("CREATE SCHEMA " + store_.schema, deadline_);
    }
    connection_.script(tables_sql(store_), deadline_);
  }

  std::optional<std::string> meta(const char* key) {
    const Result answer = connection_.script(
        fmt::format("SELECT value::text FROM {}.meta WHERE key::text = '{}'", store_.schema, key),
        deadline_);
    if (answer.rows() == 0) return std::nullopt;
    return std::string(answer.bytes(0, 0));
  }

  void check_format() {
    std::optional<std::string> text;
    std::optional<std::string> reader;
    try {
      text = meta("format");
      reader = meta("oldest_reader");
    } catch (const Failure& failure) {
      if (failure.state != "42703") throw;
    }
    if (!text || !reader) foreign("its table meta tells no format");
    const auto above = [](const std::string& number) {
      int value = 0;
      std::from_chars(number.data(), number.data() + number.size(), value);
      return value <= 0 || value > kFormat;
    };
    if (above(*reader) || (!store_.settings.read_only && above(*text))) {
      foreign(fmt::format("it has format {}, and this graven knows {}; use a newer graven", *text,
                          kFormat));
    }
  }

  const Store& store_;
  Connection& connection_;
  const Deadline deadline_;
};

}  // namespace

std::uint64_t prepare_schema(const Store& store, Connection& connection, Deadline deadline) {
  return Preparation(store, connection, deadline).prepare();
}

}  // namespace graven::postgres
