// SPDX-License-Identifier: MIT
//
// What is particular to a store in Redis: the server's memory, rights, types and scripts, and what
// opening looks at. Whatever the server refuses leaves nothing behind.
#include <algorithm>

#include <graven/error.hpp>

#include "backends/redis/layout.hpp"
#include "backends/redis/redis_store.hpp"
#include "base/random.hpp"

namespace graven::test {
namespace {

using port::CommitResult;
using port::Outcome;
using port::Reason;

class RedisBackend : public RedisStore {};

TEST_F(RedisBackend, GoesOnWhenTheServerForgetsItsScripts) {
  client_->commit(mixed(1));
  const auto flush = [&] { EXPECT_EQ(raw_->text({"SCRIPT", "FLUSH"}), "OK"); };
  flush();
  EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  flush();
  EXPECT_EQ(client_->scan(edges_of(93)).size(), 1U);
  flush();
  const auto snapshot = store_->snapshot({}, patiently());
  EXPECT_TRUE(snapshot->load(at_node(91)));
  flush();
  const port::Lease lease = store_->leases().acquire({}, patiently());
  flush();
  EXPECT_EQ(client_->resolve(client_->next()).reason, Reason::kBurnt);
  store_->leases().release({}, lease);
}

TEST_F(RedisBackend, AStoreThatWasDeletedDoesNotBeginAnew) {
  client_->commit(mixed(1));
  const port::StateVersion before = client_->state();
  const port::Lease lease = store_->leases().acquire({}, patiently());
  const auto snapshot = store_->snapshot({}, patiently());
  for (const bool remade : {false, true}) {
    raw_->text({"FLUSHALL"});
    if (remade) static_cast<void>(open());
    const std::int64_t size = raw_->number({"DBSIZE"});
    for (const std::int64_t partition : {0, 5}) {
      Client client(*store_, {.number = partition});
      const CommitResult result = client.commit(add_one());
      EXPECT_EQ(result.outcome, Outcome::kNotDone);
      EXPECT_EQ(result.reason, Reason::kNoPartition);
      EXPECT_THROW(client.load(at_node(91)), UnavailableError);
      EXPECT_THROW(client.scan(edges_of(93)), UnavailableError);
      EXPECT_EQ(client.resolve(client.next()).outcome, Outcome::kUnknown);
      EXPECT_THROW(store_->leases().acquire({.number = partition}, patiently()), UnavailableError);
    }
    EXPECT_THROW(store_->log(
                     {}, before, [](const port::LogEntry&) {}, patiently()),
                 UnavailableError);
    EXPECT_THROW(snapshot->load(at_node(91)), UnavailableError);
    EXPECT_THROW(store_->snapshot({}, patiently()), UnavailableError);
    port::Lease lost = lease;
    EXPECT_THROW(store_->leases().renew({}, lost), UnavailableError);
    store_->leases().release({}, lease);
    EXPECT_EQ(raw_->number({"DBSIZE"}), size);
  }
}

TEST_F(RedisBackend, AFullServerRefusesAsAWhole) {
  client_->commit({.changes = {{at_node(92), a_node(1, 1)},
                               {at_edge(93, 2), a_number(1)},
                               {at_edge(9, 1), a_number(1)}}});
  raw_->text({"CONFIG", "SET", "maxmemory", "1"});
  const auto before = contents();
  port::Batch puts{.changes = {{at_node(91), a_node(1, 1, "x")}, {at_edge(2, 3), a_number(1)}}};
  for (const port::Batch& batch : {puts, add_one()}) {
    const CommitResult result = client_->commit(batch);
    EXPECT_EQ(result.outcome, Outcome::kNotDone);
    EXPECT_EQ(result.reason, Reason::kFull);
    EXPECT_NE(result.detail.find("OOM"), std::string::npos) << result.detail;
    EXPECT_EQ(contents(), before);
  }
  // Reads, heartbeats and what is only confirmed go on.
  EXPECT_TRUE(client_->holds({.kind = Is::kAbsent, .key = at_node(77)}));
  EXPECT_EQ(store_->commit(client_->next(), {}, {.durable = true}, patiently()).outcome,
            Outcome::kDone);
  EXPECT_TRUE(client_->load(at_node(92)));
  EXPECT_EQ(client_->scan(edges_of(93)).size(), 1U);
  const auto snapshot = store_->snapshot({}, patiently());
  EXPECT_EQ(snapshot->scan(port::whole(port::Space::kNode), 9).size(), 1U);
  // What begins by erasing is done: a full server takes that.
  const CommitResult erases = client_->commit(mixed(1));
  EXPECT_TRUE(erases.outcome == Outcome::kDone || contents() == before);
  const port::CommitId id = client_->next();
  EXPECT_EQ(client_->resolve(id).reason, Reason::kBurnt);  // also while it is full
  raw_->text({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(client_->commit(id, add_one()).reason, Reason::kBurnt);
  EXPECT_EQ(client_->commit(puts).outcome, Outcome::kDone);
}

TEST_F(RedisBackend, KeysOfAnotherTypeAreRefusedBeforeTheFirstWrite) {
  client_->commit({.changes = {{at_node(92), a_node(1, 1)}, {at_edge(93, 2), a_number(1)}}});
  const redis::Names names("store", {});
  std::vector<std::string> keys{names.log(), names.outcomes(),
                                names.records(redis::segment_of(at_node(91))),
                                names.ordered(redis::segment_of(at_edge(93, 1)))};
  for (const std::string& key : keys) {
    raw_->text({"COPY", key, "aside"});
    raw_->text({"SET", key, "something else"});
    const auto before = contents();
    const CommitResult result = client_->commit(mixed(5));
    EXPECT_EQ(result.outcome, Outcome::kNotDone) << key;
    EXPECT_EQ(result.reason, Reason::kRefused);
    EXPECT_EQ(contents(), before) << key;
    raw_->text({"DEL", key});
    raw_->text({"COPY", "aside", key});
    raw_->text({"DEL", "aside"});
  }
  EXPECT_EQ(client_->commit(mixed(5)).outcome, Outcome::kDone);
}

TEST_F(RedisBackend, AValueThatIsNoNumberIsRefused) {
  client_->commit(add_one());
  const redis::Names names("store", {});
  const port::Key key = at_counter("n");
  raw_->text({"HSET", names.records(redis::segment_of(key)), redis::encoded(key), "text"});
  const auto before = contents();
  port::Batch batch = add_one("other");
  batch.operations.push_back(add_one().operations.front());
  const CommitResult result = client_->commit(batch);
  EXPECT_EQ(result.reason, Reason::kRefused);
  EXPECT_NE(result.detail.find("integer"), std::string::npos) << result.detail;
  EXPECT_EQ(contents(), before);
  EXPECT_THROW(client_->load(key), ForeignFileError);
}

TEST_F(RedisBackend, AMissingRightIsToldAtTheOpening) {
  for (const char* right :
       {"hset", "hdel", "hincrby", "zadd", "zrem", "xadd", "rpush", "publish", "evalsha", "hget",
        "xrange", "multi", "subscribe", "unlink", "time", "role"}) {
    raw_->text({"ACL", "DELUSER", "lacking"});
    raw_->text({"ACL", "SETUSER", "lacking", "on", ">secret", "~*", "&*", "+@all",
                std::string("-") + right});
    redis::Settings settings = settings_;
    settings.user = "lacking";
    settings.password = "secret";
    try {
      redis::open(settings);
      ADD_FAILURE() << "opened without " << right;
    } catch (const UsageError& error) {
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
    }
  }
  raw_->text({"ACL", "SETUSER", "narrow", "on", ">secret", "~other*", "&*", "+@all"});
  redis::Settings settings = settings_;
  settings.user = "narrow";
  settings.password = "secret";
  EXPECT_THROW(redis::open(settings), UsageError);
}

TEST_F(RedisBackend, ARightThatIsTakenAwayLeavesNothingTorn) {
  if (raw_->text({"INFO", "server"}).find("redis_version:6.") != std::string::npos) {
    GTEST_SKIP() << "before Redis 7 a script cannot ask which rights its user has";
  }
  redis::Settings settings = settings_;
  settings.user = "writer";
  settings.password = "secret";
  const auto grant = [&](const std::string& rights) {
    raw_->text({"ACL", "SETUSER", "writer", "reset"});
    std::vector<std::string> words{"ACL",     "SETUSER", "writer", "on",
                                   ">secret", "~*",      "&*",     "+@all"};
    if (!rights.empty()) words.push_back(rights);
    ASSERT_EQ(raw_->text(words), "OK");
  };
  client_->commit({.changes = {{at_node(92), a_node(1, 1)},
                               {at_edge(93, 2), a_number(1)},
                               {at_edge(9, 1), a_number(1)}}});
  for (const char* right :
       {"-hset", "-hdel", "-hincrby", "-zadd", "-zrem", "-rpush", "-publish", "-ltrim"}) {
    grant("");
    const auto store = redis::open(settings);
    Client client(*store);
    EXPECT_EQ(client.commit({.predicates = {{.kind = Is::kAbsent, .key = at_node(77)}}}).outcome,
              Outcome::kDone);
    grant(right);
    auto before = contents();
    CommitResult result = client.commit(mixed(3));
    if (std::string(right) == "-ltrim") {  // every 64th commit needs it
      for (int i = 0; i < 64 && result.outcome == Outcome::kDone; ++i) {
        before = contents();
        result = client.commit(mixed(3));
      }
    }
    EXPECT_EQ(result.outcome, Outcome::kNotDone) << right;
    EXPECT_EQ(result.reason, Reason::kRefused) << right;
    EXPECT_NE(result.detail, "");
    EXPECT_EQ(contents(), before) << right;
  }
}

TEST_F(RedisBackend, WhatIsDoneAndPerhapsNotDurableIsUnknown) {
  const auto may = [&](const char* right) {
    EXPECT_EQ(raw_->text({"ACL", "SETUSER", "writer", "on", ">secret", "~*", "&*", right}), "OK");
  };
  may("+@all");
  redis::Settings settings = settings_;
  settings.user = "writer";
  settings.password = "secret";
  settings.durable = true;
  const auto store = redis::open(settings);
  Client client(*store);
  const port::CommitId id = client.next();
  may("-role");  // so it cannot know the replicas
  EXPECT_EQ(client.commit(id, add_one()).outcome, Outcome::kUnknown);
  EXPECT_EQ(client.number(at_counter("n")), 1);
  EXPECT_EQ(client.commit(id, add_one(), true).outcome, Outcome::kUnknown);
  EXPECT_EQ(client.resolve(id).outcome, Outcome::kUnknown);
  may("+role");
  EXPECT_EQ(client.resolve(id).outcome, Outcome::kDone);
  EXPECT_EQ(client.commit(id, add_one(), true).outcome, Outcome::kDone);
  EXPECT_EQ(client.number(at_counter("n")), 1);
}

TEST_F(RedisBackend, OpensOnlyWhatIsSafe) {
  redis::Settings settings = settings_;
  settings.key_prefix = "none";
  settings.create = false;
  EXPECT_THROW(redis::open(settings), UnavailableError);
  settings.create = true;
  settings.read_only = true;
  EXPECT_THROW(redis::open(settings), UnavailableError);
  EXPECT_EQ(raw_->number({"EXISTS", "{none:0}:h"}), 0);

  settings.read_only = false;
  raw_->text({"SET", "{none:0}:h", "x"});
  EXPECT_THROW(redis::open(settings), ForeignFileError);
  raw_->text({"DEL", "{none:0}:h"});
  raw_->text({"HSET", "{none:0}:h", "field", "x"});
  EXPECT_THROW(redis::open(settings), ForeignFileError);
  raw_->text({"HSET", "{none:0}:h", "format", "graven-99", "constant", "12345678"});
  EXPECT_THROW(redis::open(settings), ForeignFileError);
  raw_->text({"DEL", "{none:0}:h"});
  raw_->text({"SADD", "{none:0}:r:0", "x"});
  EXPECT_THROW(redis::open(settings), ForeignFileError);

  raw_->text({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  EXPECT_THROW(open(), UsageError);
  raw_->text({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  EXPECT_EQ(open()->facts().constant, store_->facts().constant);
  EXPECT_EQ(open()->facts().identity, store_->facts().identity);
}

TEST_F(RedisBackend, AReadOnlyStoreReadsAndConfirms) {
  client_->commit(mixed(1));
  redis::Settings settings = settings_;
  settings.read_only = true;
  raw_->text({"ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-hset"});
  const auto store = redis::open(settings);
  Client client(*store);
  EXPECT_TRUE(client.load(at_node(91)));
  EXPECT_EQ(client.commit(add_one()).reason, Reason::kReadOnly);
  EXPECT_TRUE(client.holds({.kind = Is::kAbsent, .key = at_node(1)}));
  settings.user = "reader";
  settings.password = "secret";
  const auto without = redis::open(settings);
  EXPECT_TRUE(Client(*without).load(at_node(91)));
  EXPECT_TRUE(without->snapshot({}, patiently())->load(at_node(91)));
}

TEST_F(RedisBackend, SessionsOfLongAgoAreForgotten) {
  const std::string outcomes = redis::Names("store", {}).outcomes();
  const std::string old = redis::encoded(std::uint64_t{1}) + std::string(4, '\0') + "\2\4\0";
  for (int i = 0; i < 50; ++i) {
    raw_->number({"HSET", outcomes, "session" + std::to_string(i), old});
  }
  for (int i = 0; i < 2'000; ++i) client_->commit(add_one());
  EXPECT_LT(raw_->number({"HLEN", outcomes}), 25);
  EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  // Many sessions that confirm once.
  for (int i = 0; i < 50; ++i) {
    raw_->number({"HSET", outcomes, "session" + std::to_string(i), old});
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(Client(*store_).holds({.kind = Is::kAbsent, .key = at_node(77)}));
  }
  EXPECT_LT(raw_->number({"HLEN", outcomes}), 125);
}

TEST_F(RedisBackend, LeasesEndWhenTheClockOfTheServerIsSetBack) {
  const std::string head = redis::Names("store", {}).head();
  const std::string later = redis::encoded(std::uint64_t{1} << 52U);
  raw_->number(
      {"HSET", head, "lease", "12345678" + later + "of another time", "queue", "abcdefgh" + later});
  EXPECT_EQ(client_->commit(add_one()).outcome, Outcome::kDone);
  const port::Lease lease = store_->leases().acquire({}, after(std::chrono::seconds(2)));
  EXPECT_EQ(client_->commit(add_one()).reason, Reason::kLeased);
  store_->leases().release({}, lease);
}

TEST_F(RedisBackend, LimitsOfNumbers) {
  client_->commit({.changes = {{at_edge(93, 1), a_number(1)}, {at_edge(93, 2), a_number(1)}}});
  const CommitResult all = client_->commit(
      {.operations = {{.kind = Do::kEraseRange, .number = INT64_MAX, .range = edges_of(93)}}});
  EXPECT_EQ(all.outcome, Outcome::kDone) << all.detail;
  EXPECT_EQ(all.given, std::vector<std::int64_t>{2});
  std::vector<port::Batch> batches(256);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    batches[i] = add_one();
    batches[i].partition.number = static_cast<std::int64_t>(i);
  }
  const CommitResult many = store_->commit(client_->next(), batches, {}, patiently());
  EXPECT_EQ(many.reason, Reason::kTooLarge);
  batches.pop_back();
  EXPECT_EQ(store_->commit(client_->next(), batches, {}, patiently()).outcome, Outcome::kDone);
}

TEST_F(RedisBackend, PredicatesOfRangesOfIds) {
  // Ids in two hashes' halves; nodes are in no sorted set.
  constexpr std::int64_t kBase = (std::int64_t{1} << 32U) - 10;
  std::vector<std::int64_t> ids;
  Random random;
  port::Batch batch;
  for (std::int64_t id = kBase; id < kBase + 20; ++id) {
    if (random.one_in(2)) continue;
    ids.push_back(id);
    batch.changes.push_back({at_node(id), a_node(1, 1)});
  }
  ASSERT_EQ(client_->commit(batch).outcome, Outcome::kDone);
  const auto some = [&] { return kBase - 2 + static_cast<std::int64_t>(random.below(24)); };
  for (int round = 0; round < 500; ++round) {
    port::Range range{.space = port::Space::kNode, .from = some(), .to = some()};
    if (random.one_in(5)) range.to = INT64_MAX;  // all ids are listed for this
    range.reverse = random.one_in(2);
    std::vector<std::int64_t> in;
    for (const std::int64_t id : ids) {
      if (range.from <= id && id <= range.to) in.push_back(id);
    }
    if (range.reverse) std::reverse(in.begin(), in.end());
    const std::uint64_t number = random.below(8);
    EXPECT_EQ(client_->holds({.kind = Is::kCount, .number = number, .range = range}),
              number == in.size());
    const std::int64_t key =
        number != 0 && number <= in.size() && random.one_in(2) ? in[number - 1] : some();
    EXPECT_EQ(
        client_->holds({.kind = Is::kNth, .key = at_node(key), .number = number, .range = range}),
        number != 0 && number <= in.size() && in[number - 1] == key)
        << "from " << range.from - kBase << " to " << range.to - kBase << " number " << number
        << " key " << key - kBase << " reverse " << range.reverse;
  }
}

TEST_F(RedisBackend, LargeCommitsAndRecords) {
  port::Batch many;
  for (std::int64_t i = 1; i <= 20'000; ++i) {
    many.predicates.push_back({.kind = Is::kAbsent, .key = at_node(i)});
    many.changes.push_back({at_node(i), a_node(7, 1, "b" + std::to_string(i))});
    many.changes.push_back({at_edge(i % 7, i), a_number(i)});
  }
  const auto snapshot = store_->snapshot({}, patiently());
  EXPECT_EQ(client_->commit(many).outcome, Outcome::kDone);
  EXPECT_EQ(client_->scan(port::whole(port::Space::kNode)).size(), 20'000U);
  EXPECT_EQ(client_->scan(port::whole(port::Space::kEdge)).size(), 20'000U);
  EXPECT_EQ(client_->scan(port::whole(port::Space::kNode)).back().record.body, "b20000");
  EXPECT_TRUE(snapshot->scan(port::whole(port::Space::kNode), 10).empty());
  EXPECT_TRUE(snapshot->scan(edges_of(3), 10).empty());
  EXPECT_EQ(client_->commit(many).fresh.size(), 20'000U);
  const std::string body(std::size_t{20} << 20U, 'x');
  EXPECT_EQ(client_->put(at_node(1), a_node(8, 1, body)).outcome, Outcome::kDone);
  EXPECT_EQ(client_->load(at_node(1))->body, body);
}

}  // namespace
}  // namespace graven::test
