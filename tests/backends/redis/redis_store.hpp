// SPDX-License-Identifier: MIT
//
// Stores in Redis servers of tests, and commands past them.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "backends/redis/backend.hpp"
#include "backends/redis/connection.hpp"
#include "conformance/port_under_test.hpp"
#include "servers/redis_server.hpp"

namespace graven::test {

/// A key prefix that no other store of this process has.
inline std::string new_prefix() {
  static int count = 0;
  return "t" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

/// Answers commands that are words.
class RawRedis {
 public:
  explicit RawRedis(const redis::Settings& settings) : connection_(settings, patiently()) {}

  redis::Reply operator()(const std::vector<std::string>& words) {
    redis::Command command(words.front());
    for (std::size_t i = 1; i < words.size(); ++i) command.add(words[i]);
    return connection_.ask(command, patiently());
  }
  std::string text(const std::vector<std::string>& words) {
    return std::string((*this)(words).part().text());
  }
  std::int64_t number(const std::vector<std::string>& words) {
    return (*this)(words).part().number();
  }

 private:
  redis::Connection connection_;
};

/// A store in a server; open() opens it once more.
class RedisStore : public ::testing::Test {
 protected:
  explicit RedisStore(RedisServer::Setup setup) {
    if (RedisServer::available()) server_ = std::make_unique<RedisServer>(std::move(setup));
  }
  RedisStore() : RedisStore(RedisServer::Setup()) {}
  void SetUp() override {
    if (!server_) GTEST_SKIP() << RedisServer::missing();
    settings_ = server_->settings();
    settings_.key_prefix = "store";
    store_ = open();
    client_ = std::make_unique<Client>(*store_);
    raw_ = std::make_unique<RawRedis>(server_->settings());
  }
  [[nodiscard]] std::unique_ptr<port::Backend> open() const { return redis::open(settings_); }
  static port::Batch add_one(const char* counter = "n") {
    return {.operations = {{.kind = Do::kAdd, .key = at_counter(counter), .number = 1}}};
  }
  /// A commit that writes in each way.
  static port::Batch mixed(std::uint64_t version) {
    return {.operations = {{.kind = Do::kErase, .key = at_edge(9, 1)},
                           {.kind = Do::kAdd, .key = at_counter("mixed"), .number = 1},
                           {.kind = Do::kLinks, .key = at_edge(9, 2), .number = 1}},
            .changes = {{at_node(91), a_node(version, 1, "body")},
                        {at_node(92), std::nullopt},
                        {at_edge(93, 1), a_number(4)},
                        {at_edge(93, 2), std::nullopt},
                        {at_orphan(0, 9), port::Record{}}}};
  }
  /// Everything in the server, but for heartbeats.
  std::vector<std::string> contents() {
    std::vector<std::string> all;
    const redis::Reply keys = (*raw_)({"KEYS", "*"});
    for (std::size_t i = 0; i < keys.part().size(); ++i) {
      const std::string key(keys[i].text());
      if (key.ends_with(":h")) {
        all.push_back(key + raw_->text({"HGET", key, "state"}));
      } else {
        all.push_back(key + raw_->text({"DUMP", key}));
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  std::unique_ptr<RedisServer> server_;
  redis::Settings settings_;
  std::unique_ptr<port::Backend> store_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<RawRedis> raw_;
};

}  // namespace graven::test
