// SPDX-License-Identifier: MIT
//
// What is looked at when a store is opened: the server, what it may do to the keys, the rights of
// the user, and the store itself, which is made if it is missing.
//
// Any thread.
#pragma once

#include <memory>

#include "backends/redis/core.hpp"

namespace graven::redis {

/// Throws what backend.hpp says of open().
std::shared_ptr<Core> open_core(const Settings& settings);

}  // namespace graven::redis
