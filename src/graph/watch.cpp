// SPDX-License-Identifier: MIT
//
// Watches: after each commit that may concern it, the place is looked at anew and compared with
// how it was. Handles are remembered by uid, or they would keep what others unlink.
#include <graven/watch.hpp>

#include <fmt/format.h>

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include <graven/error.hpp>
#include <graven/path.hpp>

#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "graph/heap.hpp"
#include "graph/scope.hpp"
#include "store/follower.hpp"

namespace graven::graph {
namespace {

/// What a value is recognised by: its type and content, or the node it links.
struct Print {
  std::size_t type = 0;
  std::size_t size = 0;
  std::uint64_t content = 0;
  friend bool operator==(const Print&, const Print&) = default;
};

Print print_of(const Value& value) {
  std::string bytes;
  std::visit(
      [&bytes](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, Dict> || std::is_same_v<T, List>) {
          // Not uid(), with which the handle would be used.
          bytes = uid_of(held.pin()->scope().session(), held.pin()->id(), held.kind());
        } else if constexpr (std::is_same_v<T, BigInt>) {
          bytes = held.hex;
        } else if constexpr (std::is_same_v<T, std::string>) {
          bytes = held;
        } else if constexpr (std::is_same_v<T, Bytes>) {
          bytes = held.data;
        } else if constexpr (!std::is_same_v<T, std::nullptr_t>) {
          bytes.assign(reinterpret_cast<const char*>(&held), sizeof held);
        }
      },
      value.variant());
  return {value.variant().index(), bytes.size(), base::hash(bytes, 0)};
}

/// How a place was when it was looked at.
struct Look {
  std::optional<Value> value;
  std::optional<Print> print;
  std::vector<std::string> keys;           // of a dict
  std::map<std::string, Value> values;     // likewise
  std::map<std::string, Print> entries;    // likewise
  std::vector<Print> items;                // of a list
  std::vector<std::uint64_t> interests{};  // what would change it
};

void add_interest(Look& look, const Node& node) {
  const NodeId id = node.pin()->id();
  look.interests.push_back(store::record_hash({.space = store::Space::kNode, .a = id}));
  look.interests.push_back(store::container_hash(id));
}

/// One step down; nothing where there is nothing.
std::optional<Value> step(const Value& from, const std::string& segment) {
  if (from.is<Dict>()) return from.as_dict().get(segment);
  const auto index = parse_index(segment);
  if (!from.is<List>() || !index) return std::nullopt;
  try {
    return from.as_list().at(*index);
  } catch (const IndexOutOfRange&) {
    return std::nullopt;
  }
}

Look look_at(const Database& db, const Path& path) {
  Look look;
  look.value = Value(db.root());
  for (const std::string& segment : path) {
    if (look.value->is<Dict>()) add_interest(look, look.value->as_dict());
    if (look.value->is<List>()) add_interest(look, look.value->as_list());
    look.value = step(*look.value, segment);
    if (!look.value) return look;
  }
  look.print = print_of(*look.value);
  if (look.value->is<Dict>()) {
    const Dict dict = look.value->as_dict();
    add_interest(look, dict);
    for (const auto& [key, value] : dict) {
      look.keys.push_back(key);
      look.values.emplace(key, value);
      look.entries.emplace(key, print_of(value));
    }
  } else if (look.value->is<List>()) {
    const List list = look.value->as_list();
    add_interest(look, list);
    for (const Value& value : list) look.items.push_back(print_of(value));
  }
  return look;
}

}  // namespace

class WatchState {
 public:
  WatchState(const Database& db, std::string_view path)
      : db_(db),
        path_(parse_path(path)),
        heap_(db_.scope()->session().shared_heap()),
        follower_(heap_->store()) {
    if (db_.in_transaction()) {
      throw UsageError("a watch inside a transaction: make it before or after");
    }
    last_ = look();
    forget_handles();
  }

  std::optional<Change> next(std::chrono::milliseconds timeout) {
    // So long that adding it to the time would not overflow.
    constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365);
    const auto until = std::chrono::steady_clock::now() + std::min(timeout, kForever);
    if (db_.in_transaction()) {
      throw UsageError("waiting inside a transaction, which keeps others from writing");
    }
    while (changes_.empty()) {
      constexpr auto kSlice = std::chrono::milliseconds(100);  // to notice close()
      const auto slice = std::min(until, std::chrono::steady_clock::now() + kSlice);
      if (follower_.wait(last_.interests, slice)) {
        compare(look());
      } else if (stopped_.load() || std::chrono::steady_clock::now() >= until) {
        return std::nullopt;
      }
      static_cast<void>(db_.root());  // ClosedError
      base::check_interrupt();
    }
    if (stopped_.load()) return std::nullopt;
    Change change = std::move(changes_.front());
    changes_.pop_front();
    return change;
  }

  void stop() {
    stopped_.store(true);
    follower_.stop();
  }

 private:
  /// As it is now. What is unlinked while we are on the way to it is looked at again.
  Look look() const {
    for (int attempt = 0;; ++attempt) {
      try {
        return look_at(db_, path_);
      } catch (const CollectedError&) {
        constexpr int kAttempts = 20;
        if (attempt == kAttempts) throw;
      }
    }
  }

  void compare(Look now) {
    const auto report = [this](std::string path, std::optional<Value> value) {
      changes_.push_back({std::move(path), std::move(value)});
    };
    if (now.print != last_.print) {
      report(format(path_), now.value);
    } else if (now.items != last_.items) {
      report(format(path_), now.value);
    } else {
      Path path = path_;
      path.emplace_back();
      for (const std::string& key : now.keys) {
        const auto was = last_.entries.find(key);
        if (was != last_.entries.end() && was->second == now.entries.at(key)) continue;
        path.back() = key;
        report(format(path), now.values.at(key));
      }
      for (const auto& [key, print] : last_.entries) {
        if (now.entries.contains(key)) continue;
        path.back() = key;
        report(format(path), std::nullopt);
      }
    }
    last_ = std::move(now);
    forget_handles();
  }

  static std::string format(const Path& path) {
    return path.empty() ? std::string() : format_path(path);
  }
  void forget_handles() {
    last_.value.reset();
    last_.values.clear();
    last_.keys.clear();
  }

  const Database db_;
  const Path path_;
  const std::shared_ptr<Heap> heap_;
  store::Follower follower_;  // before the first look
  Look last_;
  std::deque<Change> changes_;
  std::atomic<bool> stopped_{false};
};

}  // namespace graven::graph

namespace graven {

Watch::Watch(const Database& db, Text path)
    : state_(std::make_shared<graph::WatchState>(db, path)) {}

std::optional<Change> Watch::next(std::chrono::milliseconds timeout) const {
  return state_->next(timeout);
}

void Watch::stop() const { state_->stop(); }

}  // namespace graven
