// SPDX-License-Identifier: MIT
//
// What URLs and settings of PostgreSQL stores mean. Needs libpq, but no server.
#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/postgres/backend.hpp"
#include "backends/postgres/settings.hpp"

namespace graven::test {
namespace {

using postgres::Options;

std::string value_of(const Options& options, const std::string& name) {
  std::string values;
  for (const auto& [each, value] : options) {
    if (each == name) values += value;
  }
  return values;
}

/// Host, address and port of each.
std::vector<std::string> places(const Options& options) {
  std::vector<std::string> found;
  for (const Options& one : postgres::hosts_of(options)) {
    found.push_back(value_of(one, "host") + " " + value_of(one, "hostaddr") + " " +
                    value_of(one, "port"));
  }
  return found;
}

using Places = std::vector<std::string>;

TEST(PostgresSettings, EachHostAlone) {
  EXPECT_EQ(places({{"host", "a,b"}, {"port", "1,2"}}), (Places{"a  1", "b  2"}));
  EXPECT_EQ(places({{"host", "a,b,c"}, {"port", "5"}}), (Places{"a  5", "b  5", "c  5"}));
  EXPECT_EQ(places({{"hostaddr", "::1,::2"}}), (Places{" ::1 ", " ::2 "}));
  EXPECT_EQ(places({{"host", "a,b"}, {"hostaddr", "::1,::2"}}), (Places{"a ::1 ", "b ::2 "}));
  EXPECT_EQ(places({{"host", "a"}, {"port", "1"}}), Places{"a  1"});
  EXPECT_EQ(places({{"dbname", "x"}}), Places{"  "});
  // What does not fit is for libpq to refuse.
  EXPECT_EQ(places({{"host", "a,b"}, {"port", "1,2,3"}}), Places{"a,b  1,2,3"});
}

TEST(PostgresSettings, AStandbyIsPreferredAmongAllHosts) {
  const auto hosts =
      postgres::hosts_of({{"host", "a,b"}, {"target_session_attrs", "prefer-standby"}});
  std::string order;
  for (const Options& one : hosts) {
    order += value_of(one, "host") + "=" + value_of(one, "target_session_attrs") + " ";
  }
  EXPECT_EQ(order, "a=standby b=standby a=any b=any ");
}

TEST(PostgresSettings, TimeToConnect) {
  using std::chrono::seconds;
  EXPECT_EQ(postgres::connect_timeout_of({}), seconds(2));
  EXPECT_EQ(postgres::connect_timeout_of({{"connect_timeout", "7"}}), seconds(7));
  EXPECT_EQ(postgres::connect_timeout_of({{"connect_timeout", "1"}}), seconds(2));
  EXPECT_EQ(postgres::connect_timeout_of({{"connect_timeout", "0"}}), std::nullopt);
}

TEST(PostgresSettings, NamesOfSchemas) {
  for (const char* const name : {"a", "Mine too", "\"", "ä"}) postgres::require_schema_name(name);
  for (const char* const name : {"", "pg_x", "information_schema", "a$graven$b", "{s}", "a}"}) {
    EXPECT_THROW(postgres::require_schema_name(name), UsageError) << name;
  }
  postgres::Settings settings{.url = "postgresql:///x", .schema = "$graven$"};
  EXPECT_THROW(postgres::open(settings), UsageError);
}

TEST(PostgresSettings, PasswordsThatWouldBecomeHosts) {
  for (const char* const url : {"postgresql://me:p@ss@host/x", "postgresql://me:pass@word@host",
                                "postgresql://me:p/ss@host/x"}) {
    EXPECT_THROW(postgres::settings_of(url, {}), UsageError) << url;
    EXPECT_THROW(postgres::open({.url = url}), UsageError) << url;
  }
  EXPECT_THROW(postgres::settings_of("postgresql://me@/x", {{"host", "a,p@b"}}), UsageError);
  postgres::settings_of("postgresql://me:p%40ss@host/x", {{"host", "@abstract"}});
}

TEST(PostgresSettings, ServersThatAreTooOld) {
  const postgres::Settings settings{.url = "postgresql://me:secret@host/x"};
  try {
    postgres::session_of(settings, 120'022);
    ADD_FAILURE() << "no error";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("PostgreSQL 12"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
  }
  const auto names = [&](int version, const char* what) {
    return postgres::session_of(settings, version).find(what) != std::string::npos;
  };
  EXPECT_FALSE(names(130'000, "idle_session_timeout"));
  EXPECT_TRUE(names(140'000, "idle_session_timeout"));
  EXPECT_FALSE(names(160'000, "transaction_timeout"));
  EXPECT_TRUE(names(170'000, "transaction_timeout"));
}

}  // namespace
}  // namespace graven::test
