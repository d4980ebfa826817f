// SPDX-License-Identifier: MIT
//
// Where a Redis or Valkey server is, how to sign in there, and under which keys the store lies.
//
// Plain values; pure functions. Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/interrupt.hpp"

namespace graven::redis {

struct Tls {
  bool on = false;
  bool verify = true;         ///< the server's certificate, and that it is for this host
  std::string authorities{};  ///< PEM file of certificate authorities; empty: the system's
  std::string certificate{};  ///< PEM file of this client; empty: none
  std::string key{};          ///< PEM file of its private key
  std::string host{};         ///< the name in the server's certificate; empty: the host
};

struct Settings {
  std::string host{"localhost"};
  int port = 6379;
  std::string socket{};  ///< path of a unix socket; if set, host and port are not used
  std::string user{};    ///< empty: the default user
  std::string password{};
  int database = 0;
  Tls tls{};
  /// The store's keys begin with it. Stores with different prefixes in one server are different
  /// stores.
  std::string key_prefix{"graven"};
  bool read_only = false;
  bool durable = false;  ///< each commit waits for the replicas and, where the server can, the disk
  bool create = true;    ///< whether a store that is missing is made; if not: UnavailableError
  std::chrono::milliseconds connect_timeout{5'000};
  std::string shown{};  ///< what messages call the server; empty: its address
  /// Called when the server cannot be reached, before it is tried again; may wait and throw.
  std::function<void(base::Deadline)> revive{};
};

/// The settings that a URL names: redis://[[user]:password@]host[:port][/db], rediss://… with TLS,
/// unix://[[user]:password@]/path/of.sock. `query` are the options after '?' that graven itself
/// does not know (name, value, both decoded): db, username, password, key_prefix, connect_timeout
/// (seconds), ssl_cert_reqs (none, required), ssl_ca_certs, ssl_certfile, ssl_keyfile. UsageError
/// says what is wrong, without passwords.
Settings settings_of(const std::string& url,
                     const std::vector<std::pair<std::string, std::string>>& query);

/// The server and database as messages and Facts::name show them: a URL without a password.
std::string name_of(const Settings& settings);

}  // namespace graven::redis
