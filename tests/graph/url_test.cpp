// SPDX-License-Identifier: MIT
//
// How URLs are split: into the kind of store, its place and its options.
#include "url.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <graven/error.hpp>

namespace {

using namespace graven;
using Kind = SplitUrl::Kind;

TEST(SplitUrl, TellsTheKindAndThePlace) {
  struct Case {
    std::string url;
    Kind kind;
    std::string scheme;
    std::string rest;
  };
  for (const auto& [url, kind, scheme, rest] : std::vector<Case>{
           {"a b?c.db", Kind::kFile, "", "a b?c.db"},
           {"sqlite:///x.db?mode=ro", Kind::kFile, "sqlite://", "/x.db"},
           {"libsql:////x.db", Kind::kFile, "libsql://", "//x.db"},
           {"memory://", Kind::kMemory, "", ""},
           {":memory:", Kind::kMemory, "", ""},
           {"redis://:p@h:1/2?mode=ro", Kind::kRedis, "redis://", ":p@h:1/2"},
           {"rediss://", Kind::kRedis, "rediss://", ""},
           {"unix:///a.sock", Kind::kRedis, "unix://", "/a.sock"},
           {"redis+embedded:///a.rdb", Kind::kPrivateRedis, "redis+embedded://", "/a.rdb"},
           {"postgresql://h/d?x=1", Kind::kPostgres, "postgresql://", "h/d"},
           {"postgres:///d", Kind::kPostgres, "postgres://", "/d"}}) {
    Options options;
    const SplitUrl split = split_url(url, options);
    EXPECT_EQ(split.url, url);
    EXPECT_EQ(split.kind, kind) << url;
    EXPECT_EQ(split.scheme, scheme) << url;
    EXPECT_EQ(split.rest, rest) << url;
  }
}

TEST(SplitUrl, GivesTheServersStoreWhatGravenDoesNotKnow) {
  using Query = decltype(SplitUrl::query);
  for (const char* scheme :
       {"redis://h", "unix:///a.sock", "redis+embedded://a.rdb", "postgres://h/d"}) {
    const std::string url =
        std::string(scheme) + "?db=1&prefix=shop&s%73l=a%26b+c&&mode=ro&empty&x=1=2&pool_size=7";
    Options options;
    const SplitUrl split = split_url(url, options);
    EXPECT_EQ(split.query, (Query{{"db", "1"}, {"ssl", "a&b+c"}, {"empty", ""}, {"x", "1=2"}}));
    EXPECT_TRUE(options.read_only);
    EXPECT_EQ(options.prefix, "shop");
    EXPECT_EQ(options.pool_size, 7);
  }
}

std::string refused(const std::string& url) {
  try {
    Options options;
    const SplitUrl split = split_url(url, options);
    if (split.kind == Kind::kPrivateRedis || split.kind == Kind::kFile) (void)path_of(split);
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << url << " was accepted";
  return {};
}

TEST(SplitUrl, RefusesOthers) {
  for (const char* url : {"", "sqlite:///x?db=1", "memory://?db=1", "redis://h?mode=zz",
                          "redis://h?x=%", "redis+embedded://", "redis+embedded:///",
                          "redis+embedded:///a/", "redis+embedded://a%zz", "postgres://h?x=%4"}) {
    EXPECT_NE(refused(url).find("cannot open"), std::string::npos) << url;
  }
  EXPECT_NE(refused("mysql://h/d").find("no kind of store named 'mysql'"), std::string::npos);
  for (const char* kind :
       {"redis://", "rediss://", "unix://", "redis+embedded://", "postgresql://"}) {
    EXPECT_NE(refused("mysql://h/d").find(kind), std::string::npos) << kind;
  }
  const std::string cluster = refused("redis+cluster://:hunter2@h:7000");
  EXPECT_NE(cluster.find("Cluster"), std::string::npos);
  EXPECT_EQ(cluster.find("hunter2"), std::string::npos);
}

TEST(SplitUrl, AnEmbeddedServersPathIsRelativeWithoutASlash) {
  Options options;
  EXPECT_EQ(path_of(split_url("redis+embedded:///a/b%20c.rdb?mode=ro", options)), "/a/b c.rdb");
  EXPECT_EQ(path_of(split_url("redis+embedded://a/b.rdb", options)), "a/b.rdb");
  EXPECT_EQ(path_of(split_url("sqlite:///a.db", options)), "a.db");
  EXPECT_EQ(path_of(split_url("sqlite:////a.db", options)), "/a.db");
}

}  // namespace
