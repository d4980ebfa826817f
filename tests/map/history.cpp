// SPDX-License-Identifier: MIT
#include "map/history.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace graven::test {
namespace {

using Kind = Operation::Kind;

constexpr std::size_t kShownBefore = 6;  // operations that came before those that have no order

/// Operations under way, each in a place of its own; null where one has ended.
using UnderWay = std::vector<const Operation*>;

/// What may be the case: the map's contents, and a bit for each place whose operation, under way,
/// has had its moment.
struct Configuration {
  std::uint32_t done = 0;
  Numbers numbers{};

  bool operator<(const Configuration& other) const {
    return std::pair(done, numbers) < std::pair(other.done, other.numbers);
  }
};
using Configurations = std::set<Configuration>;

bool counts(const Operation& op) {
  return op.kind == Kind::kErase || op.kind == Kind::kInsert || op.kind == Kind::kSize;
}

/// Does the operation, at one moment; false if its results say that it was another.
bool apply(const Operation& op, Numbers& numbers) {
  Number there = 0;
  for (std::size_t key = 0; key < kHistoryKeys; ++key) {
    if (op.kind == Kind::kSize && numbers[key] != 0) ++there;
    if (!op.touches(key)) continue;
    Number& number = numbers[key];
    switch (op.kind) {
      case Kind::kGet:
        if (number != op.result[key]) return false;
        break;
      case Kind::kSet:
        number = op.argument[key];
        break;
      case Kind::kErase:
        if (number != 0) ++there;
        number = 0;
        break;
      case Kind::kSetDefault:
        if (number == 0) number = op.argument[key];
        if (number != op.result[key]) return false;
        break;
      case Kind::kInsert:
        if (number != 0) break;
        ++there;
        number = op.argument[key];
        break;
      case Kind::kPop:
        if (number != op.result[key]) return false;
        number = 0;
        break;
      case Kind::kExchange:
        if (number != op.result[key]) return false;
        number = op.argument[key];
        break;
      case Kind::kSize:
        break;
    }
  }
  return !counts(op) || there == op.count;
}

bool only_reads(const Operation& op) { return op.kind == Kind::kGet || op.kind == Kind::kSize; }

struct Event {
  std::uint64_t time;
  bool end;
  std::size_t operation;

  /// What begins at the moment another ends may have come before it.
  bool operator<(const Event& other) const {
    return std::pair(time, end) < std::pair(other.time, other.end);
  }
};

std::vector<Event> events_of(const std::vector<Operation>& history) {
  std::vector<Event> events;
  events.reserve(2 * history.size());
  for (std::size_t i = 0; i < history.size(); ++i) {
    events.push_back({history[i].begin, false, i});
    events.push_back({history[i].end, true, i});
  }
  std::stable_sort(events.begin(), events.end());
  return events;
}

/// Adds whatever may be the case after some of the operations under way have had their moment.
void expand(const UnderWay& under_way, Configurations& may_be) {
  std::vector<Configuration> fresh(may_be.begin(), may_be.end());
  while (!fresh.empty()) {
    const Configuration before = fresh.back();
    fresh.pop_back();
    for (std::size_t place = 0; place < under_way.size(); ++place) {
      const Operation* op = under_way[place];
      if (op == nullptr || (before.done >> place & 1U) != 0) continue;
      Configuration after = before;
      after.done |= 1U << place;
      if (apply(*op, after.numbers) && may_be.insert(after).second) fresh.push_back(after);
    }
  }
}

struct Failure {
  bool failed = false;
  std::vector<std::size_t> window{};  // from when nothing was under way to the end that cannot be
  std::set<Numbers> before{};         // what the map may have held when it began
  std::uint64_t time = 0;             // of that end; what ended later has not been looked at
};

/// Goes through a history that begins with one of these contents.
Failure search(const std::vector<Operation>& history, const std::set<Numbers>& initial) {
  Configurations may_be;
  for (const Numbers& numbers : initial) may_be.insert({0, numbers});
  Failure failure{.before = initial};
  UnderWay under_way;
  const auto place_of = [&](const Operation* op) {
    return std::find(under_way.begin(), under_way.end(), op);
  };
  std::size_t count = 0;
  for (const Event& event : events_of(history)) {
    const Operation& op = history[event.operation];
    if (!event.end) {
      if (count++ == 0) {
        failure.window.clear();
        failure.before.clear();
        for (const Configuration& one : may_be) failure.before.insert(one.numbers);
      }
      failure.window.push_back(event.operation);
      if (const auto free = place_of(nullptr); free != under_way.end()) {
        *free = &op;
      } else {
        under_way.push_back(&op);
      }
      continue;
    }
    expand(under_way, may_be);
    const auto place = place_of(&op);
    const std::uint32_t bit = 1U << (place - under_way.begin());
    Configurations remaining;
    for (Configuration one : may_be) {
      if ((one.done & bit) == 0) continue;
      one.done &= ~bit;
      remaining.insert(one);
    }
    may_be.swap(remaining);
    *place = nullptr;
    --count;
    if (may_be.empty()) {
      failure.failed = true;
      failure.time = event.time;
      return failure;
    }
  }
  return failure;
}

std::string text_of(const Numbers& numbers, std::uint32_t keys) {
  std::string text;
  for (std::size_t key = 0; key < kHistoryKeys; ++key) {
    if ((keys >> key & 1U) == 0) continue;
    if (!text.empty()) text += ' ';
    text += static_cast<char>('a' + key);
    text += '=';
    text += numbers[key] == 0 ? "none" : std::to_string(numbers[key]);
  }
  return text;
}

std::string text_of(const Operation& op, std::uint64_t start) {
  static constexpr std::array kNames{"get",    "set", "erase",    "setdefault",
                                     "insert", "pop", "exchange", "size"};
  const auto at = [&](std::uint64_t time) {
    return std::to_string(static_cast<std::int64_t>(time - start));
  };
  std::string text = "[" + at(op.begin) + ", " + at(op.end) + "] thread " +
                     std::to_string(op.thread) + ": " + kNames[static_cast<std::size_t>(op.kind)];
  const bool writes = op.kind == Kind::kSet || op.kind == Kind::kSetDefault ||
                      op.kind == Kind::kInsert || op.kind == Kind::kExchange;
  if (writes) text += " " + text_of(op.argument, op.keys);
  if (op.kind == Kind::kErase) {
    for (std::size_t key = 0; key < kHistoryKeys; ++key) {
      if (op.touches(key)) text += std::string(" ") + static_cast<char>('a' + key);
    }
  }
  if (counts(op)) return text + " -> " + std::to_string(op.count);
  if (op.kind != Kind::kSet) text += " -> " + text_of(op.result, op.keys);
  return text;
}

Verdict check_whole(const std::vector<Operation>& history) {
  const Failure failure = search(history, {Numbers{}});
  if (!failure.failed) return {};
  Verdict verdict{.linearizable = false};
  for (const std::size_t i : failure.window) verdict.window.push_back(history[i]);
  // Without a read it must still have an order if it had one with it: so what fails without the
  // read fails because of the others. Writes stay, or reads would see what nobody wrote.
  for (std::size_t i = verdict.window.size(); i-- > 0;) {
    if (!only_reads(verdict.window[i])) continue;
    std::vector<Operation> without = verdict.window;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    const Failure still = search(without, failure.before);
    if (still.failed && still.time <= failure.time) verdict.window = std::move(without);
  }
  const std::uint64_t start = verdict.window.front().begin;
  std::vector<Operation> earlier;
  for (const Operation& op : history) {
    if (op.end < start) earlier.push_back(op);
  }
  std::sort(earlier.begin(), earlier.end(),
            [](const Operation& one, const Operation& other) { return one.end < other.end; });
  if (earlier.size() > kShownBefore) {
    earlier.erase(earlier.begin(), earlier.end() - static_cast<std::ptrdiff_t>(kShownBefore));
  }
  std::uint32_t keys = 0;
  for (const Operation& op : verdict.window) keys |= op.keys;
  verdict.text = "no order of these operations explains their results; before them the map held\n";
  for (const Numbers& numbers : failure.before) {
    verdict.text +=
        (&numbers == &*failure.before.begin() ? "     " : "  or ") + text_of(numbers, keys) + "\n";
  }
  for (const Operation& op : verdict.window) verdict.text += "  " + text_of(op, start) + "\n";
  if (!earlier.empty()) verdict.text += "what came before them:\n";
  for (const Operation& op : earlier) verdict.text += "  " + text_of(op, start) + "\n";
  return verdict;
}

}  // namespace

Verdict check_history(const std::vector<Operation>& history) {
  const bool one_key_each = std::all_of(history.begin(), history.end(), [](const Operation& op) {
    return op.kind != Kind::kSize && (op.keys & (op.keys - 1)) == 0;
  });
  if (!one_key_each) return check_whole(history);
  for (std::size_t key = 0; key < kHistoryKeys; ++key) {
    std::vector<Operation> of_key;
    for (const Operation& op : history) {
      if (op.touches(key)) of_key.push_back(op);
    }
    if (Verdict verdict = check_whole(of_key); !verdict) return verdict;
  }
  return {};
}

}  // namespace graven::test
