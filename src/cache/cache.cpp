// SPDX-License-Identifier: MIT
//
// Lookups, catching up, filling. Commits of this process are in cache_commits.cpp.
#include "cache/cache.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include <graven/error.hpp>

#include "base/of_thread.hpp"
#include "cache/cached_record.hpp"

namespace graven::cache {

using port::Encoded;
using port::Space;
using port::Told;

namespace {

constexpr int kSpins = 64;                 // of readers that wait for a commit to be published
constexpr int kLooksBeforeAttaching = 12;  // below that, setting up the cache does not pay

}  // namespace

// --- Lookups

std::optional<std::optional<Record>> Cache::look(const Key& key) {
  if (key.space == Space::kItem) {
    const std::scoped_lock lock(joined_mutex_);
    const Joined* map = joined(key.a);
    return map != nullptr ? map->items->look(key) : std::nullopt;
  }
  Tiers* tiers = tiers_.load(std::memory_order_acquire);
  std::optional<std::optional<Record>> found;
  if (tiers == nullptr) return found;
  const Encoded encoded(key);
  tiers->hot().visit(encoded.view(), encoded.hash(),
                     [&](std::string_view value, std::uint8_t kind) {
                       found.emplace();
                       if (kind == kPresent) *found = decode(port::schema(key.space), value);
                     });
  if (found) {
    hits_.add();
    return found;
  }
  misses_.fetch_add(1, std::memory_order_relaxed);
  if (!tiers->warm()) return found;
  std::string bytes;
  std::uint8_t kind = 0;
  const bool promoted = promote(
      encoded.hash(), [&] { return tiers->find_warm(encoded.view(), encoded.hash(), bytes, kind); },
      [&] { tiers->hot().put_if_absent(encoded.view(), encoded.hash(), bytes, kind); });
  if (promoted) found.emplace(decode(port::schema(key.space), bytes));
  return found;
}

bool Cache::promote(std::uint64_t hash, base::FunctionRef<bool()> find,
                    base::FunctionRef<void()> promote) {
  const std::uint64_t before = changes_.count();
  if (!find()) return false;
  const std::scoped_lock lock(mutex_);
  if (barred_ || !changes_.unchanged(hash, before)) return false;
  promote();
  return true;
}

bool Cache::show_node(std::int64_t id, Shown shown) {
  if (!current() || !quiet()) return false;
  return show({.space = Space::kNode, .a = id}, shown);
}

bool Cache::show(const Key& key, Shown shown) {
  const std::size_t integers = port::schema(key.space).integers.size() * sizeof(std::int64_t);
  const Encoded encoded(key);
  bool there = false;
  tiers_.load(std::memory_order_acquire)
      ->hot()
      .visit_in_place(encoded.view(), encoded.hash(), [&](std::string_view value, auto kind) {
        if (kind != kPresent) return;
        there = true;
        value.remove_prefix(sizeof(Record::version));
        shown({value.data(), value.substr(integers)});
      });
  if (there) hits_.add();
  return there;
}

bool Cache::catch_up() {
  const MarkWords* live = live_.load(std::memory_order_acquire);
  if (live == nullptr && (!attach() || (live = live_.load(std::memory_order_acquire)) == nullptr)) {
    return false;
  }
  settle();
  if (own_.load(std::memory_order_acquire)) return true;
  const std::scoped_lock lock(mutex_);  // also waits while a commit is published
  if (own_.load(std::memory_order_acquire)) return true;
  const Mark mark = port::read_mark(*live);
  if (mark == port::read_mark(tag_)) return true;
  if (!state_->distinctive(mark)) return false;
  follow(mark);
  return true;
}

/// Other processes have committed: drops what they changed, if the log tells, else everything.
/// Under mutex_.
void Cache::follow(const Mark& mark) {
  port::ChangeFeed* feed = state_->changes();
  const Mark tag = port::read_mark(tag_);
  std::vector<std::uint64_t> scopes;
  port::Spaces spaces = 0;
  bool doomed = false;
  hashes_.clear();
  const auto collect = [&](port::ChangeFeed::Hashes hashes, std::uint64_t flags) {
    const auto singles =
        hashes.end() - static_cast<std::ptrdiff_t>(std::min(hashes.size(), Told::scopes_of(flags)));
    hashes_.insert(hashes_.end(), hashes.begin(), singles);
    scopes.insert(scopes.end(), singles, hashes.end());
    spaces |= Told::spaces_of(flags);
    doomed = doomed || Told::doomed_of(flags);
  };
  if (feed == nullptr || tag == Mark{} || !feed->follow(tag, mark, collect)) {
    start_over(mark);
    drops_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  sequence_.fetch_add(1, std::memory_order_seq_cst);
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  for (const std::uint64_t hash : hashes_) {
    if (tiers != nullptr) tiers->forget_hash(hash);
    for (const Joined& map : joined_) map.items->forget_hash(hash);
    changes_.note(hash);  // after it is gone, so that promote() does not bring it back
  }
  if (!scopes.empty() || spaces != 0) forget_scopes(std::move(scopes), spaces);
  if (doomed) unsettle_nodes();
  port::write_mark(tag_, mark);
  follows_.fetch_add(1, std::memory_order_relaxed);
}

/// Drops everything that is in the scopes and the spaces. O(size of the table), unless only maps
/// are concerned. Under mutex_.
void Cache::forget_scopes(std::vector<std::uint64_t> scopes, port::Spaces spaces) {
  std::sort(scopes.begin(), scopes.end());
  const auto in_scopes = [&scopes](std::uint64_t scope) {
    return std::binary_search(scopes.begin(), scopes.end(), scope);
  };
  const bool all_items = (spaces & port::bit(Space::kItem)) != 0;
  for (const Joined& map : joined_) {
    if (all_items || in_scopes(port::map_hash(map.map))) map.items->drop();
  }
  spaces &= ~port::bit(Space::kItem);
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  if (tiers != nullptr &&
      (spaces != 0 || !std::all_of(scopes.begin(), scopes.end(), port::is_map_hash))) {
    if (tiers->warm()) {
      tiers->clear();  // the warm file knows records by their hashes only
    } else {
      std::vector<std::uint64_t> found;
      tiers->hot().for_each([&](std::string_view key, std::string_view value, auto kind) {
        const port::Decoded decoded(key);
        bool drop = (spaces & port::bit(decoded.space)) != 0;
        if (decoded.space == Space::kEntry || decoded.space == Space::kSlot) {
          drop = drop || in_scopes(port::container_hash(decoded.a));
        } else if (decoded.space == Space::kPage && kind == kPresent) {
          const Record record = decode(port::schema(Space::kPage), value);
          drop = drop || in_scopes(port::container_hash(record.integers[0]));
        }
        if (drop) found.push_back(decoded.hash);
      });
      for (const std::uint64_t hash : found) tiers->forget_hash(hash);
    }
  }
  changes_.note_all();
}

/// Empties the table; from now on it is of another state. Under mutex_.
void Cache::start_over(const Mark& mark) {
  sequence_.fetch_add(1, std::memory_order_seq_cst);
  if (Tiers* tiers = tiers_.load(std::memory_order_relaxed)) tiers->clear();
  for (const Joined& map : joined_) map.items->drop();
  changes_.note_all();
  unsettle_nodes();
  port::write_mark(tag_, mark);
}

void Cache::close() noexcept {
  const std::scoped_lock lock(mutex_);
  if (Tiers* tiers = tiers_.load(std::memory_order_acquire)) tiers->close();
}

/// Finds the live version, once (and again in the child of a fork). False: there is none.
bool Cache::attach() {
  if (live_.load(std::memory_order_acquire) != nullptr) return true;
  if (looks_.load(std::memory_order_relaxed) < kLooksBeforeAttaching) {
    looks_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (hopeless_.load(std::memory_order_relaxed)) return false;
  const MarkWords* live = nullptr;
  try {
    if (state_ != nullptr) live = state_->live_mark();
  } catch (const Error&) {
    // If it concerns reading too, the next read throws the error.
  }
  if (live == nullptr) {
    hopeless_.store(true, std::memory_order_relaxed);
    return false;
  }
  std::unique_ptr<Tiers> made;  // constructed and destroyed without mutex_: they enrol for fork()
  if (tiers_.load(std::memory_order_acquire) == nullptr) {
    made = std::make_unique<Tiers>(
        limits_, Tiers::WarmPlace{warm_path_, std::min(warm_bytes_, warm_most_.load())}, kAbsent);
  }
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    first = owned_ == nullptr;
    if (first) owned_ = std::move(made);
    tiers_.store(owned_.get(), std::memory_order_release);
    live_.store(live, std::memory_order_release);
  }
  if (first && share_ != nullptr) {
    part_ = share_->join([this](std::size_t bytes) {
      owned_->bound(std::min(bytes, limits_.max_bytes), limits_.max_entries);
    });
  }
  return true;
}

// --- Filling

Cache::Before Cache::before() {
  if (!current()) return {};
  // A change is noted only when it is visible to all: a read begun from here on sees it.
  return {.changes = changes_.count(), .known = true};
}

void Cache::fill(const Before& before, const Key& key, const std::optional<Record>& record,
                 std::optional<bool> reclaiming) {
  // What was read may be newer than the table, so the table catches up first, or keeps nothing.
  if (!before.known || !current()) return;
  const std::scoped_lock lock(mutex_);
  const Mark mark = port::read_mark(*live_.load(std::memory_order_acquire));
  const Mark tag = port::read_mark(tag_);
  const bool own = own_.load(std::memory_order_acquire);
  if (barred_ || (mark != tag && (!own || state_->commit_between(tag, mark)))) return;
  if (changes_.unchanged(port::change_hash(key), before.changes)) put_if_absent(key, record);
  if (reclaiming && before.changes >= unsettled_) {
    quiet_.store(!*reclaiming, std::memory_order_release);
  }
}

std::optional<Record> Cache::read_through(const Key& key, bool* reclaiming) {
  const Before before = this->before();
  std::optional<Record> record =
      reclaiming != nullptr ? below_.load_node(key.a, *reclaiming) : below_.load(key);
  settle();
  fill(before, key, record, reclaiming != nullptr ? std::optional(*reclaiming) : std::nullopt);
  return record;
}

/// From now on something may be being reclaimed.
void Cache::unsettle_nodes() noexcept {
  changes_.note(0);  // so that the count grows, and older reads can be told from later ones
  unsettled_ = changes_.count();
  quiet_.store(false, std::memory_order_release);
}

void Cache::put_if_absent(const Key& key, const std::optional<Record>& record) {
  if (key.space == Space::kItem) {
    if (Joined* map = joined(key.a)) map->items->put(key, record, true);
    return;
  }
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  if (tiers == nullptr ||
      (record ? record->body.size() > kLongestRecord : !keeps_absence(key.space))) {
    return;
  }
  const Encoded encoded(key);
  struct Body {
    std::string bytes;
  };
  std::string& bytes = base::of_thread<Body>().bytes;
  bytes.clear();
  if (record) encode(port::schema(key.space), *record, bytes);
  tiers->hot().put_if_absent(encoded.view(), encoded.hash(), bytes, record ? kPresent : kAbsent);
}

void Cache::put(const LaidOut& laid, const Key& key, const std::optional<Record>& record) {
  if (key.space == Space::kItem) {
    if (Joined* map = joined(key.a)) map->items->put(key, record, false);
    return;
  }
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  if (tiers == nullptr) return;
  const std::string_view bytes = laid_bytes_;
  const std::string_view own = bytes.substr(laid.key, laid.value - laid.key);
  if (laid.fits) {
    tiers->put(own, laid.hash, bytes.substr(laid.value, laid.end - laid.value),
               record ? kPresent : kAbsent);
  } else {
    tiers->forget(own, laid.hash);
  }
}

void Cache::forget(const Key& key) {
  if (key.space == Space::kItem) {
    if (Joined* map = joined(key.a)) map->items->forget(key);
    return;
  }
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  if (tiers == nullptr) return;
  const Encoded encoded(key);
  tiers->forget(encoded.view(), encoded.hash());
}

/// Under joined_mutex_ or mutex_.
Cache::Joined* Cache::joined(std::int64_t map) {
  for (Joined& one : joined_) {
    if (one.map == map) return &one;
  }
  return nullptr;
}

void Cache::join(std::int64_t map, ItemCache& items) {
  const std::scoped_lock lock(mutex_, joined_mutex_);
  joined_.push_back({map, &items});
}

void Cache::leave(std::int64_t map) noexcept {
  const std::scoped_lock lock(mutex_, joined_mutex_);
  std::erase_if(joined_, [map](const Joined& one) { return one.map == map; });
}

void Cache::settle() noexcept {
  const MarkWords* live = live_.load(std::memory_order_acquire);
  if (live == nullptr) return;
  for (int spins = 0; own_.load(std::memory_order_acquire) && !port::same_mark(*live, tag_) &&
                      state_->commit_between(port::read_mark(tag_), port::read_mark(*live));
       ++spins) {
    if (spins > kSpins) std::this_thread::yield();
    if (spins > 2 * kSpins) {
      const std::scoped_lock published(mutex_);  // a large commit takes a while: sleep
    }
  }
}

Cache::Stats Cache::stats() const {
  Stats stats;
  if (const Tiers* tiers = tiers_.load(std::memory_order_acquire)) {
    stats.entries = tiers->hot().size();
    stats.bytes = tiers->hot().bytes();
    stats.evictions = tiers->hot().evictions();
    const WarmFile::Stats warm = tiers->warm_stats();
    stats.warm_hits = warm.hits;
    stats.warm_entries = warm.entries;
  }
  stats.hits = hits_.sum();
  stats.misses = misses_.load(std::memory_order_relaxed);
  stats.drops = drops_.load(std::memory_order_relaxed);
  stats.follows = follows_.load(std::memory_order_relaxed);
  return stats;
}

// --- fork()

void Cache::child_after_fork() noexcept {
  // The live version is in memory of the parent's connection; the child finds its own.
  live_.store(nullptr);
  hopeless_.store(false);
  own_.store(false);
  barred_ = false;
  // The parent's writer may have been changing them.
  new (&laid_out_) std::vector<LaidOut>;
  new (&laid_bytes_) std::string;
  changes_.note_all();
  unsettle_nodes();
  port::write_mark(tag_, {});
  sequence_.fetch_add(1);
}

}  // namespace graven::cache
