// SPDX-License-Identifier: MIT
//
// The memory backend: a store that lives and dies with the object. Deliberately naive, since
// it is also the oracle every other backend is compared with: one ordered map from key to the
// versions of its record, the newest last, under one mutex.
//
// Always holds: a version is kept exactly as long as some view can see it.
//
// Any thread may call a Backend. After a fork the child has its own copy of what was
// committed; views and transactions stay the parent's.
#pragma once

#include <memory>
#include <string>

#include "store/backend.hpp"

namespace graven::memory {

/// A new, empty store. `name` is for messages only: two opens are two stores.
std::unique_ptr<store::Backend> open(std::string name);

}  // namespace graven::memory
