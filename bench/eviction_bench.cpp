// SPDX-License-Identifier: MIT
//
// What the hot table drops, and whether it should have: hit ratios on synthetic traces, of the
// table itself and of simulated rivals of the same capacity. LRU and CLOCK are what is usual;
// SIEVE (Zhang et al., NSDI 2024) and S3-FIFO (Yang et al., SOSP 2023) are as their papers have
// them, with queues. Every random number is seeded: two runs show the same figures.
//
//     eviction_bench [--json FILE]
#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "cache/hot/hot_table.hpp"

namespace {

using Key = std::uint64_t;
using Trace = std::vector<Key>;

class Policy {
 public:
  Policy() = default;
  virtual ~Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  /// Whether the key is there; if not, it is taken in, and another dropped if need be.
  virtual bool request(Key key) = 0;
};

class Hot : public Policy {
 public:
  explicit Hot(std::size_t capacity) : table_({.max_entries = capacity}) {}
  bool request(Key key) override {
    char bytes[sizeof key];
    std::memcpy(bytes, &key, sizeof key);
    const std::string_view view(bytes, sizeof bytes);
    const std::uint64_t hash = graven::base::hash(view, 1);
    char out[graven::cache::HotTable::kInlineBytes];
    if (table_.find(view, hash, out, sizeof out)) return true;
    table_.put_if_absent(view, hash, "value");
    return false;
  }

 private:
  graven::cache::HotTable table_;
};

class Lru : public Policy {
 public:
  explicit Lru(std::size_t capacity) : capacity_(capacity) {}
  bool request(Key key) override {
    const auto found = where_.find(key);
    if (found != where_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    if (where_.size() == capacity_) {
      where_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    where_[key] = order_.begin();
    return false;
  }

 private:
  std::size_t capacity_;
  std::list<Key> order_;
  absl::flat_hash_map<Key, std::list<Key>::iterator> where_;
};

class Clock : public Policy {
 public:
  explicit Clock(std::size_t capacity) : capacity_(capacity) {}
  bool request(Key key) override {
    const auto found = where_.find(key);
    if (found != where_.end()) {
      slots_[found->second].seen = true;
      return true;
    }
    if (slots_.size() < capacity_) {
      where_[key] = slots_.size();
      slots_.push_back({key, false});
      return false;
    }
    for (; slots_[hand_].seen; hand_ = (hand_ + 1) % capacity_) slots_[hand_].seen = false;
    where_.erase(slots_[hand_].key);
    slots_[hand_] = {key, false};
    where_[key] = hand_;
    hand_ = (hand_ + 1) % capacity_;
    return false;
  }

 private:
  struct Slot {
    Key key;
    bool seen;
  };
  std::size_t capacity_;
  std::size_t hand_ = 0;
  std::vector<Slot> slots_;
  absl::flat_hash_map<Key, std::size_t> where_;
};

class Sieve : public Policy {
 public:
  explicit Sieve(std::size_t capacity) : capacity_(capacity), hand_(queue_.end()) {}
  bool request(Key key) override {
    const auto found = where_.find(key);
    if (found != where_.end()) {
      found->second->seen = true;
      return true;
    }
    if (where_.size() == capacity_) drop();
    queue_.push_front({key, false});
    where_[key] = queue_.begin();
    return false;
  }

 private:
  struct Item {
    Key key;
    bool seen;
  };
  void drop() {
    // From the oldest to the newest and round again; the next time from where it was.
    const auto newer = [&](std::list<Item>::iterator at) {
      return at == queue_.begin() ? std::prev(queue_.end()) : std::prev(at);
    };
    if (hand_ == queue_.end()) hand_ = std::prev(queue_.end());
    for (; hand_->seen; hand_ = newer(hand_)) hand_->seen = false;
    const auto gone = hand_;
    hand_ = gone == queue_.begin() ? queue_.end() : std::prev(gone);
    where_.erase(gone->key);
    queue_.erase(gone);
  }

  std::size_t capacity_;
  std::list<Item> queue_;
  std::list<Item>::iterator hand_;
  absl::flat_hash_map<Key, std::list<Item>::iterator> where_;
};

class S3Fifo : public Policy {
 public:
  explicit S3Fifo(std::size_t capacity)
      : capacity_(capacity), small_(std::max<std::size_t>(1, capacity / 10)) {}
  bool request(Key key) override {
    const auto found = where_.find(key);
    if (found != where_.end()) {
      found->second = std::min(3, found->second + 1);
      return true;
    }
    while (where_.size() >= capacity_) {
      if (newcomers_.size() >= small_) {
        drop_newcomer();
      } else {
        drop_member();
      }
    }
    where_[key] = 0;
    (ghosts_.erase(key) != 0 ? members_ : newcomers_).push_back(key);
    return false;
  }

 private:
  void drop_newcomer() {
    const Key key = newcomers_.front();
    newcomers_.pop_front();
    int& seen = where_[key];
    if (seen > 1) {
      seen = 0;
      members_.push_back(key);
      return;
    }
    where_.erase(key);
    const std::uint64_t number = ++dropped_;
    ghosts_[key] = number;
    ghost_order_.push_back({key, number});
    while (ghost_order_.size() > capacity_ - small_) {
      const auto [old, then] = ghost_order_.front();
      ghost_order_.pop_front();
      const auto found = ghosts_.find(old);
      if (found != ghosts_.end() && found->second == then) ghosts_.erase(found);
    }
  }
  void drop_member() {
    for (;;) {
      const Key key = members_.front();
      members_.pop_front();
      int& seen = where_[key];
      if (seen == 0) {
        where_.erase(key);
        return;
      }
      --seen;
      members_.push_back(key);
    }
  }

  struct Ghost {
    Key key;
    std::uint64_t number;
  };
  std::size_t capacity_;
  std::size_t small_;
  std::deque<Key> newcomers_;
  std::deque<Key> members_;
  std::deque<Ghost> ghost_order_;
  absl::flat_hash_map<Key, std::uint64_t> ghosts_;
  absl::flat_hash_map<Key, int> where_;  // how often it was seen
  std::uint64_t dropped_ = 0;
};

struct Rival {
  const char* name;
  std::unique_ptr<Policy> (*make)(std::size_t);
};

template <class P>
std::unique_ptr<Policy> make(std::size_t capacity) {
  return std::make_unique<P>(capacity);
}

constexpr Rival kRivals[] = {{"hot table", make<Hot>},
                             {"S3-FIFO", make<S3Fifo>},
                             {"SIEVE", make<Sieve>},
                             {"CLOCK", make<Clock>},
                             {"LRU", make<Lru>}};
constexpr std::size_t kPolicies = std::size(kRivals);

// ------------------------------------------------------------------------------------- traces

constexpr std::size_t kKeys = 100000;
constexpr std::size_t kRequests = 2000000;

/// Ranks from 0 on, of which the r-th comes (r + 1)^-exponent times as often as the first.
class Zipf {
 public:
  Zipf(double exponent, std::uint64_t seed) : random_(seed) {
    double sum = 0;
    for (std::size_t i = 0; i < kKeys; ++i) {
      sum += std::pow(static_cast<double>(i + 1), -exponent);
      sums_.push_back(sum);
    }
  }
  std::size_t next() {
    const double at = static_cast<double>(random_() >> 11U) * 0x1p-53 * sums_.back();
    return static_cast<std::size_t>(std::upper_bound(sums_.begin(), sums_.end(), at) -
                                    sums_.begin());
  }

 private:
  std::vector<double> sums_;
  std::mt19937_64 random_;
};

Trace zipf(double exponent) {
  Zipf ranks(exponent, 1);
  Trace trace(kRequests);
  for (Key& key : trace) key = ranks.next();
  return trace;
}

/// One request in five belongs to a scan: as many keys as the cache has room for, once for ever.
Trace zipf_with_scans(std::size_t capacity) {
  Zipf ranks(1.0, 2);
  Trace trace;
  Key scanned = 1U << 30U;
  while (trace.size() < kRequests) {
    for (std::size_t i = 0; i < 4 * capacity; ++i) trace.push_back(ranks.next());
    for (std::size_t i = 0; i < capacity; ++i) trace.push_back(scanned++);
  }
  trace.resize(kRequests);
  return trace;
}

Trace loop(std::size_t length) {
  Trace trace(kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) trace[i] = i % length;
  return trace;
}

/// Every 100,000 requests other keys become the popular ones.
Trace shifting_zipf() {
  Zipf ranks(1.0, 3);
  Trace trace(kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) {
    trace[i] = (ranks.next() + i / 100000 * 7919) % kKeys;
  }
  return trace;
}

/// Any of as many keys as nine tenths of the cache; one leaves and one comes every ten requests.
Trace moving_window(std::size_t capacity) {
  std::mt19937_64 random(4);
  const std::size_t width = capacity * 9 / 10;
  Trace trace(kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) trace[i] = i / 10 + random() % width;
  return trace;
}

struct Row {
  std::string trace;
  std::size_t capacity;
  std::array<double, kPolicies> ratios;
};

Row measure(const char* name, std::size_t capacity, const Trace& trace) {
  Row row{name, capacity, {}};
  std::printf("%-28s %7zu", name, capacity);
  for (std::size_t p = 0; p < kPolicies; ++p) {
    const std::unique_ptr<Policy> policy = kRivals[p].make(capacity);
    const std::size_t warm = trace.size() / 4;
    std::size_t hits = 0;
    for (std::size_t i = 0; i < trace.size(); ++i) {
      if (policy->request(trace[i]) && i >= warm) ++hits;
    }
    row.ratios[p] = static_cast<double>(hits) / static_cast<double>(trace.size() - warm);
    std::printf("  %9.3f", row.ratios[p]);
    std::fflush(stdout);
  }
  std::printf("\n");
  return row;
}

bool write_json(const char* path, const std::vector<Row>& rows) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return false;
  std::fprintf(file, "{\"requests\": %zu, \"keys\": %zu, \"hit_ratios\": [", kRequests, kKeys);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::fprintf(file, "%s\n  {\"trace\": \"%s\", \"capacity\": %zu", r == 0 ? "" : ",",
                 rows[r].trace.c_str(), rows[r].capacity);
    for (std::size_t p = 0; p < kPolicies; ++p) {
      std::fprintf(file, ", \"%s\": %.4f", kRivals[p].name, rows[r].ratios[p]);
    }
    std::fprintf(file, "}");
  }
  std::fprintf(file, "\n]}\n");
  return std::fclose(file) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* json = argc == 3 && std::string_view(argv[1]) == "--json" ? argv[2] : nullptr;
  if (argc != 1 && json == nullptr) {
    std::fprintf(stderr, "usage: %s [--json FILE]\n", argv[0]);
    return 2;
  }
  std::printf("Hit ratios, %zu requests of which the first fourth is not counted\n\n", kRequests);
  std::printf("%-28s %7s", "trace", "entries");
  for (const Rival& rival : kRivals) std::printf("  %9s", rival.name);
  std::printf("\n");
  std::vector<Row> rows;
  for (const std::size_t capacity : {std::size_t{1000}, std::size_t{10000}}) {
    rows.push_back(measure("Zipf, exponent 1", capacity, zipf(1.0)));
    rows.push_back(measure("Zipf, exponent 0.8", capacity, zipf(0.8)));
    rows.push_back(measure("Zipf with scans", capacity, zipf_with_scans(capacity)));
    rows.push_back(measure("Zipf, popular keys shift", capacity, shifting_zipf()));
    rows.push_back(measure("loop, 1.1 times the cache", capacity, loop(capacity * 11 / 10)));
    rows.push_back(measure("loop, twice the cache", capacity, loop(2 * capacity)));
    rows.push_back(measure("moving window, 0.9 of it", capacity, moving_window(capacity)));
  }
  if (json != nullptr && !write_json(json, rows)) {
    std::fprintf(stderr, "cannot write %s\n", json);
    return 1;
  }
  return 0;
}
