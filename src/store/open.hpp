// SPDX-License-Identifier: MIT
//
// Opens a store as a whole: no prefix and no map of it. src/open.cpp, which knows every backend,
// implements it.
//
// Any thread.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include <graven/database.hpp>

#include "store/store.hpp"

namespace graven::store {

/// A store, registered as in use.
struct Opened {
  std::shared_ptr<Store> store;
  Use use;

  explicit Opened(std::shared_ptr<Store> of) : store(std::move(of)), use(store) {}
  explicit Opened(std::unique_ptr<port::Backend> backend)
      : Opened(std::make_shared<Store>(std::move(backend))) {}
};

/// Opens the store at a URL or path. Throws what the constructor of Database throws.
Opened open(std::string_view url, Options options);

}  // namespace graven::store
