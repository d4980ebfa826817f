// SPDX-License-Identifier: MIT
//
// Catching up, filling, publishing. Records lie in the table as version, integers and body;
// their keys as space, numbers and name.
#include "store/cache.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include <graven/error.hpp>

#include "base/hash.hpp"
#include "base/of_thread.hpp"

namespace graven::store {
namespace {

constexpr std::uint8_t kPresent = 0;
constexpr std::uint8_t kAbsent = 1;
constexpr std::uint64_t kSeed = 0x67726176656e;
constexpr std::size_t kKeptOfACommit = 32;
constexpr int kSpins = 64;                         // of readers while a commit is published
constexpr int kLooksBeforeAttaching = 12;          // for less the cache is not worth setting up
constexpr std::uint64_t kDoomed = 1;               // flag of a commit: something is to be reclaimed
constexpr std::size_t kLongestRecord = 64 * 1024;  // longer ones are not kept

/// Murmur3's finalizer: every bit of the number reaches every bit of the hash.
std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 33U)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33U);
}

/// A key as the table has it, on the stack where it is short: the id of a node, else the space,
/// then the key's parts.
class Encoded {
 public:
  explicit Encoded(const Key& key) {
    const auto a = static_cast<std::uint64_t>(key.a);
    const auto space = static_cast<std::uint64_t>(key.space);
    const KeyShape shape = schema(key.space).shape;
    if (key.space == Space::kNode) {
      words_[0] = a;
      view_ = {bytes(), sizeof a};
    } else {
      words_[0] = space | a << 8U;
      words_[1] = a >> 56U;
      view_ = {bytes(), 1 + sizeof a};
    }
    if (shape == KeyShape::kName) {
      long_.reserve(view_.size() + key.name.size());
      long_ = view_;
      long_ += key.name;
      view_ = long_;
      hash_ = base::hash(view_, kSeed);
      return;
    }
    const auto b = static_cast<std::uint64_t>(key.b);
    if (shape == KeyShape::kPair) {
      words_[1] |= b << 8U;
      words_[2] = b >> 56U;
      view_ = {bytes(), 1 + sizeof a + sizeof b};
    }
    hash_ = mix(a + mix(b + space));
  }
  Encoded(const Encoded&) = delete;
  Encoded& operator=(const Encoded&) = delete;

  [[nodiscard]] std::string_view view() const noexcept { return view_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  // Whole words, so that who reads them as such need not wait for the bytes.
  [[nodiscard]] const char* bytes() const noexcept {
    return reinterpret_cast<const char*>(words_.data());
  }

  std::array<std::uint64_t, 3> words_{};
  std::string long_;
  std::string_view view_;
  std::uint64_t hash_ = 0;
};

/// Appends a record as the table has it.
void encode(const Schema& shape, const Record& record, std::string& out) {
  const auto append = [&out](const auto& number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  append(record.version);
  for (std::size_t i = 0; i < shape.integers.size(); ++i) append(record.integers[i]);
  out += record.body;
}

Record decode(const Schema& shape, std::string_view bytes) {
  Record record;
  const auto take = [&bytes](auto& number) {
    std::memcpy(&number, bytes.data(), sizeof number);
    bytes.remove_prefix(sizeof number);
  };
  take(record.version);
  for (std::size_t i = 0; i < shape.integers.size(); ++i) take(record.integers[i]);
  record.body = bytes;
  return record;
}

/// What the change feed calls a record.
std::uint64_t change_hash(const Key& key) {
  return key.space == Space::kItem ? item_hash(key.name) : record_hash(key);
}

}  // namespace

std::uint64_t container_hash(std::int64_t node) noexcept {
  constexpr std::uint64_t kContainer = 0x636f6e7461696eULL;  // told from any key's numbers
  return mix(mix(static_cast<std::uint64_t>(node)) + kContainer);
}

std::uint64_t record_hash(const Key& key) { return Encoded(key).hash(); }

// --- Looking

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
                       if (kind == kPresent) *found = decode(schema(key.space), value);
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
  if (promoted) found.emplace(decode(schema(key.space), bytes));
  return found;
}

bool Cache::promote(std::uint64_t hash, base::FunctionRef<bool()> find,
                    base::FunctionRef<void()> promote) {
  const std::uint64_t before = changes_.count();
  if (!find()) return false;
  const std::scoped_lock lock(mutex_);
  if (!changes_.unchanged(hash, before)) return false;
  promote();
  return true;
}

bool Cache::show_node(std::int64_t id, Shown shown) {
  if (!current() || !quiet()) return false;
  return show({.space = Space::kNode, .a = id}, shown);
}

bool Cache::show(const Key& key, Shown shown) {
  const std::size_t integers = schema(key.space).integers.size() * sizeof(std::int64_t);
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
  const std::scoped_lock lock(mutex_);  // also waits for what is being published
  if (own_.load(std::memory_order_acquire)) return true;
  const Mark mark = read_mark(*live);
  if (mark == read_mark(tag_)) return true;
  if (!backend_.distinctive(mark)) return false;
  follow(mark);
  return true;
}

/// Others have committed: drops what they changed, if they said, else everything. Under mutex_.
void Cache::follow(const Mark& mark) {
  ChangeFeed* feed = backend_.changes();
  const Mark tag = read_mark(tag_);
  std::uint64_t all_flags = 0;
  hashes_.clear();
  const auto collect = [&](ChangeFeed::Hashes hashes, std::uint64_t flags) {
    hashes_.insert(hashes_.end(), hashes.begin(), hashes.end());
    all_flags |= flags;
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
    changes_.note(hash);  // once it is gone: promote() is not to bring it back
  }
  if ((all_flags & kDoomed) != 0) unsettle_nodes();
  write_mark(tag_, mark);
  follows_.fetch_add(1, std::memory_order_relaxed);
}

/// The table is of another state from now on, and empty. Under mutex_.
void Cache::start_over(const Mark& mark) {
  sequence_.fetch_add(1, std::memory_order_seq_cst);
  if (Tiers* tiers = tiers_.load(std::memory_order_relaxed)) tiers->clear();
  for (const Joined& map : joined_) map.items->drop();
  changes_.note_all();
  unsettle_nodes();
  write_mark(tag_, mark);
}

/// Finds the live mark, once (and again in the child of a fork). False: there is none.
void Cache::close() noexcept {
  const std::scoped_lock lock(mutex_);
  if (Tiers* tiers = tiers_.load(std::memory_order_acquire)) tiers->close();
}

bool Cache::attach() {
  if (live_.load(std::memory_order_acquire) != nullptr) return true;
  if (looks_.load(std::memory_order_relaxed) < kLooksBeforeAttaching) {
    looks_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (hopeless_.load(std::memory_order_relaxed)) return false;
  std::unique_lock lock(attach_mutex_);
  if (live_.load(std::memory_order_acquire) != nullptr) return true;
  const MarkWords* live = nullptr;
  try {
    live = backend_.live_mark();
  } catch (const Error&) {
    // Whoever reads on learns what is wrong, if it concerns the reading.
  }
  if (live == nullptr) {
    hopeless_.store(true, std::memory_order_relaxed);
    return false;
  }
  const bool first = owned_ == nullptr;
  if (first) {
    owned_ = std::make_unique<Tiers>(
        limits_, Tiers::WarmPlace{backend_.cache_path(), std::min(warm_bytes_, warm_most_.load())},
        kAbsent);
  }
  tiers_.store(owned_.get(), std::memory_order_release);
  live_.store(live, std::memory_order_release);
  lock.unlock();
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
  // Noted only once they are visible to all: a read begun from here on has seen them.
  return {.changes = changes_.count(), .known = true};
}

void Cache::fill(const Before& before, const Key& key, const std::optional<Record>& record,
                 std::optional<bool> reclaiming) {
  // What was read may be newer than the table: that catches up first, or does without.
  if (!before.known || !current()) return;
  const std::scoped_lock lock(mutex_);
  const Mark mark = read_mark(*live_.load(std::memory_order_acquire));
  const Mark tag = read_mark(tag_);
  const bool own = own_.load(std::memory_order_acquire);
  if (mark != tag && (!own || backend_.commit_between(tag, mark))) return;
  if (changes_.unchanged(change_hash(key), before.changes)) put_if_absent(key, record);
  if (reclaiming && before.changes >= unsettled_) {
    quiet_.store(!*reclaiming, std::memory_order_release);
  }
}

/// Something may be being reclaimed from now on.
void Cache::unsettle_nodes() noexcept {
  changes_.note(0);  // so that what was looked at before is told from what comes
  unsettled_ = changes_.count();
  quiet_.store(false, std::memory_order_release);
}

void Cache::put_if_absent(const Key& key, const std::optional<Record>& record) {
  if (key.space == Space::kItem) {
    if (Joined* map = joined(key.a)) map->items->put(key, record, true);
    return;
  }
  Tiers* tiers = tiers_.load(std::memory_order_relaxed);
  if (tiers == nullptr || (record && record->body.size() > kLongestRecord)) return;
  const Encoded encoded(key);
  struct Body {
    std::string bytes;
  };
  std::string& bytes = base::of_thread<Body>().bytes;
  bytes.clear();
  if (record) encode(schema(key.space), *record, bytes);
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
  for (int spins = 0; own_.load(std::memory_order_acquire) && !same_mark(*live, tag_) &&
                      backend_.commit_between(read_mark(tag_), read_mark(*live));
       ++spins) {
    if (spins > kSpins) std::this_thread::yield();
    if (spins > 2 * kSpins) {
      const std::scoped_lock published(mutex_);  // a large commit takes a while: sleep
    }
  }
}

// --- Commits of this process

bool Cache::begin_own() {
  const MarkWords* live = live_.load(std::memory_order_acquire);
  if (live == nullptr) return false;
  const std::scoped_lock lock(mutex_);
  const Mark mark = read_mark(*live);
  if (mark != read_mark(tag_)) {
    if (!backend_.distinctive(mark)) return false;
    follow(mark);
  }
  own_.store(true, std::memory_order_release);
  return true;
}

void Cache::fill_own(const Key& key, const std::optional<Record>& record) {
  const std::scoped_lock lock(mutex_);
  put_if_absent(key, record);
}

void Cache::prepare_own(const std::vector<Change>* changes) {
  laid_out_.clear();
  laid_bytes_.clear();
  // What a large commit has written few will read soon: it is not worth the table's room.
  if (changes == nullptr || changes->size() > kKeptOfACommit) return;
  if (!own_.load(std::memory_order_acquire)) return;
  for (const auto& [key, record] : *changes) {
    LaidOut& laid = laid_out_.emplace_back();
    if (key.space == Space::kItem) {
      laid.hash = item_hash(key.name);
      continue;
    }
    const Encoded encoded(key);
    laid.hash = encoded.hash();
    laid.key = laid_bytes_.size();
    laid_bytes_ += encoded.view();
    laid.value = laid_bytes_.size();
    laid.fits = !record || record->body.size() <= kLongestRecord;
    if (record && laid.fits) encode(schema(key.space), *record, laid_bytes_);
    laid.end = laid_bytes_.size();
  }
}

/// Tells the other processes what was changed.
void Cache::announce(const std::vector<Change>* changes, const Mark& before,
                     const Mark& after) noexcept {
  ChangeFeed* feed = backend_.changes();
  if (feed == nullptr) return;
  std::array<std::uint64_t, ChangeFeed::kMost + 1> hashes{};
  std::size_t count = 0;
  std::uint64_t flags = 0;
  const auto add = [&](std::uint64_t hash) {
    if (count < hashes.size() && (count == 0 || hashes[count - 1] != hash)) hashes[count++] = hash;
  };
  if (changes == nullptr) {
    count = hashes.size();
  } else {
    std::int64_t container = 0;  // changes come in order of their keys
    for (const Change& change : *changes) {
      const Key& key = change.key;
      add(change_hash(key));
      if (key.space == Space::kOrphan && key.a == 0) flags |= kDoomed;
      std::int64_t node = 0;
      if (key.space == Space::kEntry) node = key.a;
      if (key.space == Space::kPage && change.record) node = change.record->integers[0];
      if (node != 0 && node != container) add(container_hash(container = node));
    }
  }
  feed->publish(before, after, {hashes.data(), count}, flags);
}

void Cache::end_own(const std::vector<Change>* changes, const Mark* after) noexcept {
  if (!own_.load(std::memory_order_acquire)) return;
  if (after == nullptr) {
    own_.store(false, std::memory_order_release);
    return;
  }
  const Mark before = read_mark(tag_);
  // Readers of this process have been waiting since the commit became visible, so they come first.
  publish(changes, *after);
  own_.store(false, std::memory_order_release);
  announce(changes, before, *after);
}

/// Puts what a commit of this process has changed into the table, and its mark on it.
void Cache::publish(const std::vector<Change>* changes, const Mark& after) noexcept {
  const std::scoped_lock lock(mutex_);
  try {
    if (changes == nullptr) {
      start_over(after);
      return;
    }
    sequence_.fetch_add(1, std::memory_order_seq_cst);
    const bool laid_out = laid_out_.size() == changes->size();
    for (std::size_t i = 0; i < changes->size(); ++i) {
      const auto& [key, record] = (*changes)[i];
      if (laid_out) {
        put(laid_out_[i], key, record);
      } else {
        forget(key);
      }
      if (key.space == Space::kOrphan && key.a == 0) unsettle_nodes();
      if (key.space == Space::kItem) {
        if (Joined* map = joined(key.a)) map->touched = true;
      }
      changes_.note(laid_out ? laid_out_[i].hash : change_hash(key));  // as in follow()
    }
    for (Joined& map : joined_) {
      map.items->committed(sequence_.load(std::memory_order_relaxed), map.touched);
      map.touched = false;
    }
    write_mark(tag_, after);
  } catch (const std::bad_alloc&) {
    start_over(after);
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

void Cache::prepare_fork() noexcept {
  attach_mutex_.lock();
  mutex_.lock();
  joined_mutex_.lock();
  if (owned_) owned_->prepare_fork();
}

void Cache::parent_after_fork() noexcept {
  if (owned_) owned_->parent_after_fork();
  joined_mutex_.unlock();
  mutex_.unlock();
  attach_mutex_.unlock();
}

void Cache::child_after_fork() noexcept {
  // The live mark is seen through the parent's connection; the child finds its own.
  if (owned_) owned_->child_after_fork();
  live_.store(nullptr);
  hopeless_.store(false);
  own_.store(false);
  // The parent's writer may have been about to change them.
  new (&laid_out_) std::vector<LaidOut>;
  new (&laid_bytes_) std::string;
  changes_.note_all();
  unsettle_nodes();
  write_mark(tag_, {});
  sequence_.fetch_add(1);
  joined_mutex_.unlock();
  mutex_.unlock();
  attach_mutex_.unlock();
}

}  // namespace graven::store
