// SPDX-License-Identifier: MIT
//
// What the URL of a Redis store says, and what messages show of it.
#include "backends/redis/settings.hpp"

#include <gtest/gtest.h>

#include <string>

#include <graven/database.hpp>
#include <graven/error.hpp>

namespace {

using namespace graven;
using redis::Settings;

using Query = std::vector<std::pair<std::string, std::string>>;

std::string refused(const std::string& url, const Query& query = {}) {
  try {
    (void)redis::settings_of(url, query);
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << url << " was accepted";
  return {};
}

TEST(RedisUrl, SaysWhereTheServerIs) {
  const Settings plain = redis::settings_of("redis://", {});
  EXPECT_EQ(plain.host, "localhost");
  EXPECT_EQ(plain.port, 6379);
  EXPECT_EQ(plain.database, 0);
  EXPECT_FALSE(plain.tls.on);
  EXPECT_EQ(plain.key_prefix, "graven");
  EXPECT_EQ(redis::name_of(plain), "redis://localhost:6379/0");

  const Settings all = redis::settings_of("rediss://ada:p%40s%2fs:w@db.example:7000/12?x=y", {});
  EXPECT_EQ(all.host, "db.example");
  EXPECT_EQ(all.port, 7000);
  EXPECT_EQ(all.user, "ada");
  EXPECT_EQ(all.password, "p@s/s:w");
  EXPECT_EQ(all.database, 12);
  EXPECT_TRUE(all.tls.on);
  EXPECT_TRUE(all.tls.verify);
  EXPECT_EQ(redis::name_of(all), "rediss://db.example:7000/12");

  const Settings six = redis::settings_of("redis://:pw@[::1]:7001/", {});
  EXPECT_EQ(six.host, "::1");
  EXPECT_EQ(six.port, 7001);
  EXPECT_EQ(six.user, "");
  EXPECT_EQ(six.password, "pw");
  EXPECT_EQ(redis::name_of(six), "redis://[::1]:7001/0");
  EXPECT_EQ(redis::settings_of("redis://[::1]", {}).port, 6379);
  EXPECT_EQ(redis::settings_of("redis://:7000", {}).host, "localhost");

  const Settings socket = redis::settings_of("unix://ada:pw@/run/a%20b.sock", {{"db", "3"}});
  EXPECT_EQ(socket.socket, "/run/a b.sock");
  EXPECT_EQ(socket.user, "ada");
  EXPECT_EQ(socket.password, "pw");
  EXPECT_EQ(redis::name_of(socket), "unix:///run/a b.sock?db=3");
}

TEST(RedisUrl, TakesItsSettings) {
  const Settings settings = redis::settings_of("rediss://h?ignored", {{"db", "4"},
                                                                      {"username", "ada"},
                                                                      {"password", "pw"},
                                                                      {"key_prefix", "shop"},
                                                                      {"connect_timeout", "0.25"},
                                                                      {"ssl_cert_reqs", "none"},
                                                                      {"ssl_ca_certs", "/ca"},
                                                                      {"ssl_certfile", "/cert"},
                                                                      {"ssl_keyfile", "/key"}});
  EXPECT_EQ(settings.database, 4);
  EXPECT_EQ(settings.user, "ada");
  EXPECT_EQ(settings.password, "pw");
  EXPECT_EQ(settings.key_prefix, "shop");
  EXPECT_EQ(settings.connect_timeout, std::chrono::milliseconds(250));
  EXPECT_FALSE(settings.tls.verify);
  EXPECT_EQ(settings.tls.authorities, "/ca");
  EXPECT_EQ(settings.tls.certificate, "/cert");
  EXPECT_EQ(settings.tls.key, "/key");
}

TEST(RedisUrl, RefusesWhatItDoesNotUnderstand) {
  const std::string unknown = refused("redis://h", {{"decode_responses", "1"}});
  for (const char* part : {"'decode_responses'", "key_prefix", "ssl_keyfile"}) {
    EXPECT_NE(unknown.find(part), std::string::npos) << unknown;
  }
  for (const char* url :
       {"redis://h:0", "redis://h:65536", "redis://h:", "redis://h:12x", "redis://h/one",
        "redis://h/0/1", "redis://h/-1", "redis://[::1", "redis://[]", "redis://[::1]7000",
        "redis://a%zz@h", "redis://%00", "unix://path", "unix://", "http://h", "redis:/h"}) {
    EXPECT_NE(refused(url), "") << url;
  }
  const Query wrong{{"db", "x"},
                    {"connect_timeout", "0"},
                    {"connect_timeout", "nan"},
                    {"connect_timeout", "1s"},
                    {"key_prefix", ""},
                    {"key_prefix", "a\nb"},
                    {"ssl_cert_reqs", "optional"},
                    {"ssl_keyfile", "/key"}};
  for (const auto& option : wrong) EXPECT_NE(refused("rediss://h", {option}), "") << option.first;
  EXPECT_NE(refused("redis://h", {{"ssl_ca_certs", "/ca"}}).find("rediss://"), std::string::npos);
}

TEST(RedisUrl, ErrorsShowNoPassword) {
  for (const char* url :
       {"redis://ada:hunter2@h:x", "redis://:hunter2@h/x", "redis://ada:hunter2",
        "redis://:hunter2", "redis://ada:hunter2/0", "unix://ada:hunter2@",
        "redis://h/x?password=hunter2", "rediss://:hunter2@[::1", "redis://ada:hunter2%zz@h",
        "redis://ada:x/hunter2@h", "redis://a:hunter2@h/x?db=1@2"}) {
    EXPECT_EQ(refused(url).find("hunter2"), std::string::npos) << refused(url);
  }
  EXPECT_EQ(refused("redis://ada:x", {{"hunter2@h/0", ""}}).find("hunter2"), std::string::npos);
}

}  // namespace
