// SPDX-License-Identifier: MIT
//
// Watches: after each commit that may change its place, a watch reads the place again and compares
// it with the state before. Of a container it reads only the changed records (watched.hpp). A watch
// remembers handles by uid, because a handle would keep a node that others unlink.
#include <graven/watch.hpp>

#include <fmt/format.h>

#include <deque>
#include <utility>
#include <vector>

#include <graven/error.hpp>
#include <graven/path.hpp>

#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "graph/collector/heap.hpp"
#include "graph/scope.hpp"
#include "graph/watched.hpp"
#include "store/follower.hpp"

namespace graven::graph {
namespace {

/// Identifies a value: its type and content, or the node it links.
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
          // Not uid(): that would count as a use of the handle.
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

/// The state of a place when it was read.
struct Look {
  std::optional<Value> value{};
  std::optional<Print> print{};
  std::vector<std::uint64_t> interests{};  // hashes of the records that may change it
};

void add_interest(Look& look, const Node& node) {
  const NodeId id = node.pin()->id();
  look.interests.push_back(port::record_hash({.space = port::Space::kNode, .a = id}));
  look.interests.push_back(port::container_hash(id));
}

/// One step down the path; nothing if there is no such value.
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
  if (look.value->is<Dict>()) add_interest(look, look.value->as_dict());
  if (look.value->is<List>()) add_interest(look, look.value->as_list());
  return look;
}

/// The pin of a value that is a dict or list, else nullptr.
std::shared_ptr<const Pin> container_of(const Value& value) {
  if (value.is<Dict>()) return value.as_dict().pin();
  return value.is<List>() ? value.as_list().pin() : nullptr;
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
    look_again(nullptr);
  }

  std::optional<Change> next(std::chrono::milliseconds timeout) {
    // As long as possible without overflow when it is added to the current time.
    constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365);
    const auto until = std::chrono::steady_clock::now() + std::min(timeout, kForever);
    if (db_.in_transaction()) {
      throw UsageError(
          "a watch cannot wait inside a transaction, which keeps others from writing: wait before "
          "or after");
    }
    while (changes_.empty()) {
      constexpr auto kSlice = std::chrono::milliseconds(100);  // to notice close()
      const auto slice = std::min(until, std::chrono::steady_clock::now() + kSlice);
      if (owed_) {
        look_for({.anything = true});
      } else if (const auto changed = follower_.wait(last_.interests, slice)) {
        look_for(*changed);
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
  /// Reads the changed records. If this fails, `owed_` stays set, because the follower does not
  /// report the same changes again.
  void look_for(const store::Changed& changed) {
    owed_ = true;
    look_again(&changed);
    owed_ = false;
  }

  /// Reads the place, reports what changed (except the first time), and remembers the new state.
  /// Tries again if a node on the path is unlinked meanwhile.
  void look_again(const store::Changed* changed) {
    for (int attempt = 0;; ++attempt) {
      try {
        return compare(look_at(db_, path_), changed);
      } catch (const CollectedError&) {
        constexpr int kAttempts = 20;
        if (attempt == kAttempts) throw;
      }
    }
  }

  void compare(Look now, const store::Changed* changed) {
    const auto report = [this](std::string path, std::optional<Value> value) {
      changes_.push_back({std::move(path), std::move(value)});
    };
    const auto container = now.value ? container_of(*now.value) : nullptr;
    const bool same = looked_ && now.print == last_.print;
    Watched::Found found;
    if (container != nullptr) {
      if (!same) {
        Watched fresh;
        static_cast<void>(fresh.look(*container, nullptr));
        content_ = std::move(fresh);
      } else {
        found = content_.look(*container, changed);
      }
    }
    if (!same && looked_) report(format(path_), now.value);
    if (found.list) report(format(path_), now.value);
    Path path = path_;
    path.emplace_back();
    for (auto& [key, value] : found.entries) {
      path.back() = key;
      report(format(path), std::move(value));
    }
    now.value.reset();  // a handle would keep a node that others unlink
    last_ = std::move(now);
    looked_ = true;
  }

  static std::string format(const Path& path) {
    return path.empty() ? std::string() : format_path(path);
  }

  const Database db_;
  const Path path_;
  const std::shared_ptr<Heap> heap_;
  store::Follower follower_;  // made before the place is read first
  Look last_;
  bool looked_ = false;
  bool owed_ = false;  // the follower reported changes that were not read yet
  Watched content_;    // the content of the dict or list at the place
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
