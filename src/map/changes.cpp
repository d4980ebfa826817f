// SPDX-License-Identifier: MIT
//
// Map's methods that change an item depending on its current value. Any thread.
#include <graven/map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <graven/error.hpp>

#include "map/core.hpp"
#include "map/items.hpp"

namespace graven {

using map::Core;
using map::Item;
using Action = Core::Edit::Action;

namespace {

/// The value that update_with() read under a key.
class Seen {
 public:
  Seen(Core& core, std::string_view key) {
    there_ = core.read(key, [&](const MapValue& value) {
      kind_ = value.kind;
      bytes_ = value.bytes;
    });
  }
  explicit operator bool() const noexcept { return there_; }
  [[nodiscard]] Data to_data() const { return MapValue{kind_, bytes_}.to_data(); }
  [[nodiscard]] bool is(const Item* item) const noexcept {
    if (item == nullptr || !there_) return item == nullptr && !there_;
    const MapValue value = map::value_of(*item);
    return value.kind == kind_ && value.bytes == bytes_;
  }

 private:
  bool there_ = false;
  MapValue::Kind kind_ = MapValue::Kind::kNull;
  std::string bytes_;
};

}  // namespace

Data Map::setdefault(Text key, const Data& value,
                     std::optional<std::chrono::milliseconds> ttl) const {
  Core& core = session_->core();
  const Item item = map::make_item(key, value, ttl);  // checks the value even if it is not needed
  if (auto found = get(key)) return *std::move(found);
  std::optional<Data> result;
  core.edit(key, [&](const Item* old) -> Core::Edit {
    result.reset();
    if (old != nullptr) {
      result = map::to_data(*old);
      return {};
    }
    return {Core::Edit::Action::kPut, item};
  });
  return result ? *std::move(result) : value;
}

Data Map::get_or_set(Text key, const std::function<Data()>& make,
                     std::optional<std::chrono::milliseconds> ttl) const {
  if (auto found = get(key)) return *std::move(found);
  return setdefault(key, make(), ttl);
}

namespace {

/// Gives the item another time at which it expires.
bool let_expire(Core& core, std::string_view key, map::Expiry at) {
  bool there = false;
  core.edit(key, [&](const Item* old) -> Core::Edit {
    there = old != nullptr;
    if (!there || old->expires == at) return {};
    if (at != 0 && at <= map::now()) return {Action::kErase, {}};
    Core::Edit edit{Action::kPut, *old};
    edit.item.expires = at;
    return edit;
  });
  return there;
}

}  // namespace

bool Map::touch(Text key, std::optional<std::chrono::milliseconds> ttl) const {
  return let_expire(session_->core(), key, map::expiry_of(ttl));
}

bool Map::expire_at(Text key, std::chrono::sys_time<std::chrono::milliseconds> when) const {
  return let_expire(session_->core(), key, map::expiry_at(when));
}

std::optional<std::chrono::milliseconds> Map::ttl(Text key) const {
  const std::optional<Item> item = session_->core().item(key);
  if (!item) {
    throw KeyNotFound(fmt::format("the map '{}' has no key '{}'", name(), map::shown(key)));
  }
  if (item->expires == 0) return std::nullopt;
  return std::chrono::milliseconds(std::max<map::Expiry>(item->expires - map::now(), 0));
}

bool Map::add(Text key, const Data& value, std::optional<std::chrono::milliseconds> ttl) const {
  Core& core = session_->core();
  const Item item = map::make_item(key, value, ttl);
  bool added = false;
  core.edit(key, [&](const Item* old) -> Core::Edit {
    added = old == nullptr;
    return added ? Core::Edit{Action::kPut, item} : Core::Edit{};
  });
  return added;
}

Data Map::incr(Text key, const Data& by, const Data& initial,
               std::optional<std::chrono::milliseconds> ttl) const {
  Core& core = session_->core();
  Item made = map::sum(key, initial, by);  // also checks both numbers
  made.expires = map::expiry_of(ttl);
  Item result;
  core.edit(key, [&](const Item* old) -> Core::Edit {
    result = made;
    if (old != nullptr) {
      result = map::sum(key, map::to_data(*old), by);
      result.expires = old->expires;
    }
    return {Action::kPut, result};
  });
  return map::to_data(result);
}

Data Map::decr(Text key, const Data& by, const Data& initial,
               std::optional<std::chrono::milliseconds> ttl) const {
  return incr(key, map::negative(key, by), initial, ttl);
}

Data Map::update_with(Text key, const std::function<Data(const Data&)>& function) const {
  return replace(key, function, nullptr);
}

Data Map::update_with(Text key, const std::function<Data(const Data&)>& function,
                      const Data& initial) const {
  return replace(key, function, &initial);
}

/// No lock is held while the function runs: it may be slow, and may use the map. When its result is
/// stored, the current value is compared with the one the function got; if they differ, it runs
/// again. After a few tries it runs inside Core::alone(), which keeps other writers out if it can.
Data Map::replace(Key key, const std::function<Data(const Data&)>& function,
                  const Data* initial) const {
  constexpr int kTries = 3;
  constexpr int kMostTries = 1000;
  Core& core = session_->core();
  Data result;
  const auto tried = [&] {
    const Seen seen(core, key);
    if (!seen && initial == nullptr) {
      throw KeyNotFound(fmt::format("the map '{}' has no key '{}'", name(), map::shown(key)));
    }
    const Item item = map::make_item(key, function(seen ? seen.to_data() : *initial));
    bool same = false;
    session_->core().edit(key, [&](const Item* old) -> Core::Edit {
      same = seen.is(old);
      if (!same) return {};
      Core::Edit edit{Action::kPut, item};
      if (old != nullptr) edit.item.expires = old->expires;
      return edit;
    });
    if (same) result = map::to_data(item);
    return same;
  };
  for (int tries = 0; tries < kMostTries; ++tries) {
    bool done = false;
    if (tries < kTries) {
      done = tried();
    } else {
      session_->core().alone([&] { done = tried(); });
    }
    if (done) return result;
  }
  throw ConflictError(fmt::format(
      "the key '{}' of the map '{}' was changed by other threads during each of the {} runs of the "
      "function of update_with(); nothing was written: use a faster function",
      map::shown(key), name(), kMostTries));
}

}  // namespace graven
