// SPDX-License-Identifier: MIT
//
// Options by name: in URLs, from text, from the environment; which of them wins, and what is
// refused.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"
#include "graph/settings.hpp"

namespace graven::test {
namespace {

using std::chrono::milliseconds;

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Settings, AreSetFromText) {
  Options options;
  options.set("pool_size", "7");
  options.set("keep_alive", "1.5");
  options.set("separate_read_write", "on");
  options.set("synchronous", "full");
  options.set("persist", "lazy");
  options.set("mode", "ro");
  options.set("checkpoint", "passive");
  options.set("temp_store", "memory");
  options.set("mmap_mb", "64");
  options.set("wal_autocheckpoint", "0");
  EXPECT_EQ(options.pool_size, 7);
  EXPECT_EQ(options.keep_alive, milliseconds(1500));
  EXPECT_TRUE(options.separate_read_write);
  EXPECT_EQ(options.synchronous, Synchronous::kFull);
  EXPECT_EQ(options.persist, Persist::kLazy);
  EXPECT_TRUE(options.read_only);
  EXPECT_EQ(options.checkpoint, Checkpoint::kPassive);
  EXPECT_EQ(options.temp_store, TempStore::kMemory);
  EXPECT_EQ(options.mmap_mb, 64U);
  EXPECT_EQ(options.wal_autocheckpoint, 0);
}

template <class Value>
std::string text_of(const Value& value) {
  if constexpr (std::is_same_v<Value, bool>) {
    return value ? "on" : "off";
  } else if constexpr (std::is_same_v<Value, std::string>) {
    return value;
  } else if constexpr (std::is_enum_v<Value>) {
    return std::string(option_name(value));
  } else if constexpr (std::is_same_v<Value, milliseconds>) {
    return std::to_string(std::chrono::duration<double>(value).count());
  } else {
    return std::to_string(value);
  }
}

/// Another value than an option has.
template <class Value>
Value another(const Value& value) {
  if constexpr (std::is_same_v<Value, bool>) {
    return !value;
  } else if constexpr (std::is_same_v<Value, std::string>) {
    return value + "x";
  } else if constexpr (std::is_enum_v<Value>) {
    return static_cast<Value>(value == Value{} ? 1 : 0);
  } else if constexpr (std::is_same_v<Value, milliseconds>) {
    return value + milliseconds(2000);
  } else {
    return value + 2;
  }
}

std::map<std::string, std::string> texts_of(const Options& options) {
  std::map<std::string, std::string> texts;
  each_option(options,
              [&](const OptionField& of, const auto& value) { texts[of.name] = text_of(value); });
  return texts;
}

TEST(Settings, EachOptionIsSetByItsName) {
  std::size_t variables = 0;
  each_option(Options(), [&](const OptionField& of, const auto& initial) {
    const std::string text = text_of(another(initial));
    auto expected = texts_of({});
    ASSERT_NE(expected.at(of.name), text) << of.name;
    expected[of.name] = text;
    Options options;
    options.set(of.name, text);
    EXPECT_EQ(texts_of(options), expected) << of.name;
    if (*of.variable == '\0') return;
    ++variables;
    ::setenv(of.variable, text.c_str(), 1);
    Options from;
    from_environment(from);
    ::unsetenv(of.variable);
    EXPECT_EQ(texts_of(from), expected) << of.variable;
  });
  EXPECT_EQ(variables, 6U);
}

TEST(Settings, OptionsOfBothHaveOneDefault) {
  const auto of_databases = texts_of({});
  std::size_t shared = 0;
  each_option(MapOptions(), [&](const OptionField& of, const auto& value) {
    const auto found = of_databases.find(of.name);
    if (found == of_databases.end()) return;
    ++shared;
    EXPECT_EQ(found->second, text_of(value)) << of.name;
  });
  EXPECT_EQ(shared, 10U);
}

TEST(Settings, WhatCannotBeIsRefusedByName) {
  Options options;
  EXPECT_EQ(message_of([&] { options.set("pool_size", "0"); }),
            "pool_size is '0': give a number from 1 to 1000");
  EXPECT_EQ(message_of([&] { options.set("pool_size", "5x"); }),
            "pool_size is '5x': give a number from 1 to 1000");
  EXPECT_EQ(message_of([&] { options.set("synchronous", "extra"); }),
            "synchronous is 'extra': give one of off, normal, full");
  EXPECT_EQ(message_of([&] { options.set("separate_read_write", "maybe"); }),
            "separate_read_write is 'maybe': give on or off");
  EXPECT_NE(message_of([&] { options.set("pool", "5"); }).find("there is no setting 'pool'"),
            std::string::npos);
  const TemporaryFolder folder;
  EXPECT_NE(message_of([&] { Database db(folder / "s.db", {.pool_size = 0}); }).find("pool_size"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              Database db("sqlite:///" + (folder / "s.db") + "?wal=off");
            }).find("write-ahead log"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "s.db"));
}

TEST(Settings, TwoPoolsHaveTheirSizes) {
  EXPECT_EQ(readers({}), 10);
  EXPECT_EQ(readers({.pool_size = 4, .separate_read_write = true}), 20);
  EXPECT_EQ(readers({.pool_size = 16, .separate_read_write = true}), 32);
}

TEST(Settings, AUrlCarriesThem) {
  const TemporaryFolder folder;
  const std::string file = folder / "s.db";
  Database{file}["a"] = 1;
  for (const std::string scheme : {"sqlite:///", "libsql:///"}) {
    const Database db(scheme + file + "?mode=ro&pool_size=3&prefix=main");
    EXPECT_TRUE(db.read_only());
    EXPECT_EQ(db["a"].get<int>(), 1);
  }
  EXPECT_NE(message_of([&] { Database db("libsql://example.org/s.db"); }).find("this machine"),
            std::string::npos);
  EXPECT_NE(message_of([&] { Database db("sqlite:///" + file + "?colour=red"); }).find("colour"),
            std::string::npos);
}

class Environment : public testing::Test {
 protected:
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  ~Environment() override {
    for (const char* name : {"DATABASE_URL", "DB_POOL_SIZE", "DB_ENABLE_WAL",
                             "DB_SEPARATE_READ_WRITE", "DB_KEEP_ALIVE_TIMEOUT"}) {
      ::unsetenv(name);
    }
  }
  const TemporaryFolder folder;
};

TEST_F(Environment, NamesTheStoreAndItsSettings) {
  EXPECT_NE(message_of([] { (void)open_from_environment(); }).find("DATABASE_URL"),
            std::string::npos);
  set("DATABASE_URL", "sqlite:///" + (folder / "e.db"));
  set("DB_POOL_SIZE", "4");
  set("DB_SEPARATE_READ_WRITE", "true");
  set("DB_KEEP_ALIVE_TIMEOUT", "60");
  Options options;
  from_environment(options);
  EXPECT_EQ(options.pool_size, 4);
  EXPECT_TRUE(options.separate_read_write);
  EXPECT_EQ(options.keep_alive, milliseconds(60'000));
  const Database db = open_from_environment();
  db["a"] = 1;
  EXPECT_EQ(Database(folder / "e.db")["a"].get<int>(), 1);
}

TEST_F(Environment, AnErrorDoesNotShowItsPassword) {
  for (const char* url :
       {"postgres://ada:hunter2/x@db/shop", "sqlite:///e.db?password=hunter2",
        "redis://:hunter2@h:port", "mysql://ada:hunter2@db/shop",
        "sqlite://ada:hunter2@host/e.db?mode=ro", "libsql://host?authToken=hunter2"}) {
    set("DATABASE_URL", url);
    const std::string message = message_of([] { (void)open_from_environment(); });
    EXPECT_NE(message.find("cannot open"), std::string::npos) << message;
    EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
    EXPECT_EQ(message_of([&] { const Map map(url); }).find("hunter2"), std::string::npos);
  }
}

TEST(Redacted, HidesSecretsAndNothingElse) {
  for (const char* shown :
       {"", "state.db", "/a/b@c.db", "sqlite:///a@b.db?mode=ro", "sqlite:////x/y.db", "memory://",
        "postgres://host:5432/db?user=ada", "a b?c&d;e#f", "sqlite:///", "redis://h:6379/0?db=1",
        "redis://[::1]:7000", "redis://[::1]", "unix:///run/a@b.sock?key_prefix=shop",
        "redis+embedded:///a@b:c.rdb", "redis+embedded://a.rdb", "rediss://h?ssl_ca_certs=/x"}) {
    EXPECT_EQ(redacted(shown), shown);
  }
  EXPECT_EQ(redacted("postgres://ada:pw@host/db"), "postgres://***@host/db");
  EXPECT_EQ(redacted("postgres://token@host"), "postgres://***@host");
  EXPECT_EQ(redacted("postgres://a:p@s/s?w@host/db?x=1"), "postgres://***@host/db?x=1");
  EXPECT_EQ(redacted("redis://:pw@h:6379/0"), "redis://***@h:6379/0");
  EXPECT_EQ(redacted("rediss://ada:p/w@h?password=pw&db=1"), "rediss://***@h?password=***&db=1");
  EXPECT_EQ(redacted("unix://ada:pw@/run/a.sock"), "unix://***@/run/a.sock");
  EXPECT_EQ(redacted("redis+cluster://:pw@h"), "redis+cluster://***@h");
  EXPECT_EQ(redacted("redis://ada:pw"), "redis://ada:***");  // the host is missing
  EXPECT_EQ(redacted("redis://:p:w/0"), "redis://:***/0");
  EXPECT_EQ(redacted("postgresql://[::1]:pw/d"), "postgresql://[::1]:***/d");
  EXPECT_EQ(redacted("x://h?a=1&Password=p&b=2;pwd=q#token=r"),
            "x://h?a=1&Password=***&b=2;pwd=***#token=***");
  EXPECT_EQ(redacted("host=db user=ada password=p dbname=x"),
            "host=db user=ada password=*** dbname=x");
  EXPECT_EQ(redacted("x://h?p%61ss=1&pass%=2&=3&key"), "x://h?p%61ss=***&pass%=***&=3&key");
}

TEST_F(Environment, IsLeftAloneWhereAPathIsGivenAndOverruledByTheUrl) {
  set("DB_POOL_SIZE", "nonsense");
  Database{folder / "e.db"}["a"] = 1;
  EXPECT_NE(message_of([&] {
              set("DATABASE_URL", folder / "e.db");
              (void)open_from_environment();
            }).find("DB_POOL_SIZE is 'nonsense'"),
            std::string::npos);
  set("DB_POOL_SIZE", "4");
  set("DATABASE_URL", "sqlite:///" + (folder / "e.db") + "?mode=ro");
  EXPECT_TRUE(open_from_environment().read_only());
}

}  // namespace
}  // namespace graven::test
