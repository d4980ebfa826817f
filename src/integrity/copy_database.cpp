// SPDX-License-Identifier: MIT
//
// copy_store(), by the URLs of the stores. A target that is new gets the constant of the source,
// where its kind of store can do that: then uids are the same in both. Any thread.
#include <optional>
#include <string>
#include <string_view>

#include <graven/copy.hpp>
#include <graven/database.hpp>
#include <graven/error.hpp>

#include "integrity/copy.hpp"
#include "map/core.hpp"
#include "store/open.hpp"

namespace graven {
namespace {

/// Opens the target; a new one with the constant, if possible.
store::Opened open_target(std::string_view url, std::uint64_t constant) {
  {
    store::Opened target = store::open(url, {});
    port::Backend& backend = target.store->backend();
    auto* const restamped = port::facet<port::Restamped>(backend);
    if (restamped == nullptr || backend.facts().constant == constant ||
        !integrity::is_new(*target.store)) {
      return target;
    }
    // If somebody was faster, the target is one like any other.
    if (!restamped->set_constant(constant)) return target;
  }
  return store::open(url, {});
}

}  // namespace

CopyReport copy_store(Text from, Text to, const CopyOptions& options) {
  if (to.starts_with("memory://") || to.ends_with(":memory:")) {
    throw UsageError("a copy into memory would be gone at once: name a file or a server");
  }
  const store::Opened source = store::open(from, {.read_only = true, .create = false});
  const port::Facts& facts = source.store->backend().facts();
  map::flush_lazy(facts.identity);
  const store::Opened target = open_target(to, facts.constant);
  return integrity::copy(*source.store, target.store, options);
}

}  // namespace graven
