// SPDX-License-Identifier: MIT
//
// The Redis backend: one store under one key prefix of one database of a Redis (6.2 or later) or
// Valkey server. Any number of processes on any hosts may use it. docs/format/redis.md describes
// the keys; docs/stores.md says what is promised.
//
// A durable commit is on all replicas, and on disk where the server tells (WAITAOF: Redis 7.2,
// Valkey). Before that, and without replicas, the server cannot be asked: with `appendfsync always`
// every commit is on disk when it returns.
//
// Any thread.
#pragma once

#include <memory>

#include "backends/redis/embedded/private_server.hpp"
#include "backends/redis/settings.hpp"
#include "port/backend.hpp"

namespace graven::redis {

/// Opens the store; makes it if there is none and the settings allow that. UnavailableError if the
/// server cannot be reached; UsageError if it is too old, a replica, part of a cluster, may evict
/// keys (maxmemory-policy), or lacks a right (ACL); ForeignFileError if the keys are not graven's
/// or of a newer format. With a private server, which the backend then owns, the store is there.
std::unique_ptr<port::Backend> open(Settings settings,
                                    std::unique_ptr<PrivateServer> server = nullptr);

}  // namespace graven::redis
