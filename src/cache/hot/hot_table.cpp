// SPDX-License-Identifier: MIT
//
// Single entries: reading values that are not inline, and all that writers do with one key.
//
// A writer that finds the key locks only its line. A writer that does not find it, or that removes
// an entry, locks the segment, and checks whether it is still the directory's: it may have split,
// or clear() may have discarded it. Locks are taken in the order limits, segment, structure, limbo;
// a line's lock is taken after its segment's, and only limbo's after it.
//
// A writer that arrives late, in a segment that clear() has discarded, works on memory that nobody
// reads any more: it began before clear() took effect, so it counts as earlier.
#include "cache/hot/hot_table.hpp"

#include <algorithm>

#include "cache/hot/hot_eviction.hpp"
#include "cache/hot/hot_line_lock.hpp"

namespace graven::cache {

using hot::Blob;
using hot::Line;
using hot::Needle;
using hot::SegmentRef;

// ------------------------------------------------------------------------------------- reading

namespace {

/// Called with a pin: the blob of a line, if the line holds the key at one moment, and its head
/// then. nullptr with a head of 0: it does not hold the key; with another head: the value is
/// inline.
Blob* find_blob(Line& line, const Needle& needle, std::uint64_t& head) {
  for (hot::Backoff backoff;;) {
    head = hot::load(line, 0);
    if ((head & hot::kWriting) != 0) {
      backoff.wait();
      continue;
    }
    if (hot::load(line, 1) != needle.hash || !needle.fits(head)) break;
    if (hot::value_code(head) != hot::kBlobCode) return nullptr;
    Blob* blob = hot::blob_of(line);
    hot::race_point();
    const bool inline_key = hot::key_code(head) != hot::kBlobCode;
    const bool same = !inline_key || hot::different_key(line, needle.key) == 0;
    if (((line.words[0].load(std::memory_order_relaxed) ^ head) & ~hot::kFlags) != 0) continue;
    // From here on it is known that the line had the blob when the pin was there already.
    if (!same || (!inline_key && blob->key() != needle.key)) break;
    hot::set_seen(line, head);
    return blob;
  }
  head = 0;
  return nullptr;
}

HotHit deliver(std::string_view value, std::uint8_t kind, char* out, std::size_t capacity) {
  const std::size_t size = std::min(value.size(), capacity);
  if (size != 0) std::memcpy(out, value.data(), size);
  return {HotState::kHit, kind, static_cast<std::uint32_t>(value.size())};
}

}  // namespace

/// The first line of a segment that has this hash at the moment, or one that never has a key.
Line* HotTable::likely_line(SegmentRef ref, std::uint64_t hash) noexcept {
  std::size_t group = hot::home_group(hash);
  for (std::size_t step = 0; step < hot::kGroups; ++step) {
    const hot::GroupTags tags(ref.groups()[group]);
    const std::uint32_t bits = same_hash(ref.lines(), group, tags.match(hash), hash);
    if (bits != 0) return &ref.lines()[group * hot::kLinesPerGroup + hot::lowest_bit(bits)];
    if (!tags.passed()) break;
    group = (group + 1) % hot::kGroups;
  }
  static Line nobodys;
  return &nobodys;
}

HotHit HotTable::find_anywhere(std::string_view key, std::uint64_t hash, char* out,
                               std::size_t capacity) const {
  if (capacity >= kInlineBytes) [[likely]] {
    const Needle needle{key, hash};
    hot::LineRead found{hot::Outcome::kOther, 0, 0};
    search(hash, [&](Line& line, SegmentRef, std::size_t) {
      found = hot::read_line(line, needle, out);
      return found.outcome != hot::Outcome::kOther;
    });
    if (found.outcome == hot::Outcome::kFound) return {HotState::kHit, found.kind, found.size};
    if (found.outcome == hot::Outcome::kOther) return {};
  }
  HotHit hit;
  visit_anywhere(key, hash, [&](std::string_view value, std::uint8_t kind) {
    hit = deliver(value, kind, out, capacity);
  });
  return hit;
}

bool HotTable::visit_anywhere(std::string_view key, std::uint64_t hash,
                              base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const {
  char bytes[kInlineBytes];
  const Needle needle{key, hash};
  hot::LineRead found{hot::Outcome::kOther, 0, 0};
  search(hash, [&](Line& line, SegmentRef, std::size_t) {
    found = hot::read_line(line, needle, bytes);
    return found.outcome != hot::Outcome::kOther;
  });
  if (found.outcome == hot::Outcome::kLong) return visit_in_place(key, hash, shown);
  if (found.outcome == hot::Outcome::kOther) return false;
  shown(std::string_view(bytes, found.size), found.kind);
  return true;
}

bool HotTable::visit_in_place(std::string_view key, std::uint64_t hash,
                              base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const {
  const Needle needle{key, hash};
  const base::EpochPin pin;
  char bytes[kInlineBytes];
  Blob* blob = nullptr;
  hot::LineRead found{hot::Outcome::kOther, 0, 0};
  search(needle.hash, [&](Line& line, SegmentRef, std::size_t) {
    for (;;) {
      std::uint64_t head = 0;
      blob = find_blob(line, needle, head);
      if (blob != nullptr) {
        found = {hot::Outcome::kLong, hot::kind_of(head), 0};
        return true;
      }
      if (head == 0) return false;
      found = hot::read_line(line, needle, bytes);  // it has become inline
      if (found.outcome != hot::Outcome::kLong) return found.outcome == hot::Outcome::kFound;
    }
  });
  if (found.outcome == hot::Outcome::kOther) return false;
  shown(blob != nullptr ? blob->value() : std::string_view(bytes, found.size), found.kind);
  return true;
}

bool HotTable::visit_handle_pinned(
    const HotHandle& handle, base::FunctionRef<void(std::string_view, std::uint8_t)> shown) const {
  if (handle.line == nullptr) return false;
  const base::EpochPin pin;
  if (handle.generation != generation_of_handles()) return false;
  char bytes[kInlineBytes];
  Line& line = *handle.line;
  for (hot::Backoff backoff;;) {
    const std::uint64_t head = hot::load(line, 0);
    if ((head & hot::kWriting) != 0) {
      backoff.wait();
      continue;
    }
    if (hot::incarnation_of(head) != handle.incarnation || hot::load(line, 1) != handle.hash) {
      return false;
    }
    const std::uint64_t size = hot::value_code(head);
    const Blob* blob = size == hot::kBlobCode ? hot::blob_of(line) : nullptr;
    hot::race_point();
    if (blob == nullptr) hot::copy_value(line, size, bytes);
    if (((line.words[0].load(std::memory_order_relaxed) ^ head) & ~hot::kFlags) != 0) continue;
    hot::set_seen(line, head);
    shown(blob != nullptr ? blob->value() : std::string_view(bytes, size), hot::kind_of(head));
    return true;
  }
}

HotHit HotTable::find_handle_pinned(const HotHandle& handle, char* out,
                                    std::size_t capacity) const {
  HotHit hit{HotState::kStale, 0, 0};
  visit_handle_pinned(handle, [&](std::string_view value, std::uint8_t kind) {
    hit = deliver(value, kind, out, capacity);
  });
  return hit;
}

HotHandle HotTable::handle(std::string_view key, std::uint64_t hash) const {
  // The directory's generation, taken before the search: if clear() comes between, or is running,
  // the handle is void from the start.
  const std::uint64_t generation = this->generation();
  const base::EpochPin pin;
  const Needle needle{key, hash};
  HotHandle handle;
  search(hash, [&](Line& line, SegmentRef, std::size_t) {
    for (;;) {
      const std::uint64_t before = hot::load(line, 0);
      char bytes[kInlineBytes];
      const hot::LineRead read = hot::read_line(line, needle, bytes);
      if (read.outcome == hot::Outcome::kOther) return false;
      std::uint64_t head = 0;
      if (read.outcome == hot::Outcome::kLong && find_blob(line, needle, head) == nullptr) {
        if (head == 0) return false;
        continue;
      }
      const std::uint64_t after = line.words[0].load(std::memory_order_relaxed);
      if (hot::incarnation_of(before) != hot::incarnation_of(after)) continue;
      handle = {&line, hash, hot::incarnation_of(before), static_cast<std::uint32_t>(generation)};
      return true;
    }
  });
  return handle;
}

// ------------------------------------------------------------------------------------- writing

bool HotTable::lock_entry(const Needle& needle, LineLock& lock) {
  search(needle.hash,
         [&](Line&, SegmentRef ref, std::size_t line) { return lock.lock(ref, line, needle); });
  return static_cast<bool>(lock);
}

bool HotTable::lock_entry(const Needle& needle, SegmentRef ref, LineLock& lock) {
  std::size_t group = hot::home_group(needle.hash);
  for (std::size_t step = 0; step < hot::kGroups; ++step) {
    const hot::GroupTags tags(ref.groups()[group]);
    for (std::uint32_t bits = tags.match(needle.hash); bits != 0; bits &= bits - 1) {
      const std::size_t line =
          group * hot::kLinesPerGroup + static_cast<std::size_t>(std::countr_zero(bits));
      if (lock.lock(ref, line, needle)) return true;
    }
    if (!tags.passed()) break;
    group = (group + 1) % hot::kGroups;
  }
  return false;
}

/// Locks the segment of a hash; `generation` becomes that of its directory.
SegmentRef HotTable::lock_segment(std::uint64_t hash, std::uint64_t* generation) {
  for (;;) {
    const std::uint64_t root = root_.load(std::memory_order_acquire);
    hot::Directory* known = directory(root);
    const SegmentRef ref(known->entry(hash).load(std::memory_order_acquire));
    hot::race_point();
    ref.segment().mutex.lock();
    if (known->entry(hash).load(std::memory_order_acquire) == ref.word()) {
      *generation = known->generation.load(std::memory_order_relaxed);
      if (root_.load(std::memory_order_acquire) == root) return ref;
    }
    ref.segment().mutex.unlock();
  }
}

void HotTable::count_blob(SegmentRef ref, std::int64_t bytes) {
  if (bytes == 0) return;
  ref.segment().blob_bytes.fetch_add(bytes, std::memory_order_relaxed);
  blob_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

/// Frees a blob that no line has any more, when no reader can have it either.
void HotTable::retire(Blob* blob, std::uint64_t hash) noexcept {
  if (blob == nullptr) return;
  constexpr std::size_t look_again = 32U << 10U;
  hot::race_point();
  const std::uint64_t epoch = base::epoch_of_retirement();
  Limbo& limbo = limbos_[hash % kLimbos];
  const std::scoped_lock lock(limbo.mutex);
  limbo.bytes += blob->cost();
  limbo.retired.push_back({epoch, blob});
  if (limbo.bytes < limbo.next_look) return;
  const std::uint64_t oldest = base::oldest_pinned_epoch();
  std::erase_if(limbo.retired, [&](const Retired& retired) {
    if (retired.epoch >= oldest) return false;
    limbo.bytes -= retired.blob->cost();
    Blob::free(retired.blob);
    return true;
  });
  limbo.next_look = 2 * limbo.bytes + look_again;
}

/// Gives a locked entry a new value; unlocks it.
void HotTable::store(LineLock& lock, const Needle& needle, std::string_view value,
                     std::uint8_t kind) {
  const HotChanges::Entry change(changes_.get(), needle.hash);
  Blob* old = lock.blob();
  if (needle.key.size() + value.size() <= kInlineBytes) {
    if (old != nullptr) count_blob(lock.ref(), -static_cast<std::int64_t>(old->cost()));
    if (hot::key_code(lock.head()) == hot::kBlobCode) {
      lock.write_entry(needle, value, nullptr, false, kind, lock.head() & hot::kSeen);
    } else {
      lock.write_value(value, nullptr, false, kind);
    }
  } else {
    const bool key_too = needle.key.size() > hot::kInlineKeyBytes;
    Blob* blob = Blob::make(key_too ? needle.key : std::string_view(), value);
    count_blob(lock.ref(), static_cast<std::int64_t>(blob->cost()) -
                               (old != nullptr ? static_cast<std::int64_t>(old->cost()) : 0));
    lock.write_value(value, blob, key_too, kind);
  }
  retire(old, needle.hash);
}

/// Inserts a key that is not there into a locked segment with room.
void HotTable::insert(SegmentRef ref, const Needle& needle, std::string_view value,
                      std::uint8_t kind) {
  Blob* blob = nullptr;
  const bool key_too = needle.key.size() > hot::kInlineKeyBytes;
  const bool is_long = needle.key.size() + value.size() > kInlineBytes;
  if (is_long) {
    blob = Blob::make(key_too ? needle.key : std::string_view(), value);
    count_blob(ref, static_cast<std::int64_t>(blob->cost()));
  }
  const std::size_t line = place(ref, needle.hash);
  // The tag first. A writer that remembers an older tag of the same key in the same line may change
  // the entry as soon as it is there; when its call has returned, its key must be found.
  hot::set_tag(ref.groups(), line, hot::tags_of(needle.hash));
  LineLock lock;
  lock.adopt(ref, line);
  lock.write_entry(needle, value, blob, is_long && key_too, kind, 0);
  hot::eviction_entered(ref.segment(), line, needle.hash);
}

/// Removes a locked entry from its locked segment.
void HotTable::remove(SegmentRef ref, std::size_t line, LineLock& lock) {
  const std::uint64_t hash = lock.hash();
  const HotChanges::Entry change(changes_.get(), hash);
  Blob* blob = lock.blob();
  if (blob != nullptr) count_blob(ref, -static_cast<std::int64_t>(blob->cost()));
  lock.empty();
  vacate(ref, line, hash);
  retire(blob, hash);
}

bool HotTable::insert_or_store(const Needle& needle, std::string_view value, std::uint8_t kind,
                               bool absent_only, std::optional<std::uint64_t> generation) {
  for (;;) {
    std::uint64_t current = 0;
    const SegmentRef ref = lock_segment(needle.hash, &current);
    const std::unique_lock segment(ref.segment().mutex, std::adopt_lock);
    if (generation.has_value() && *generation != current) return false;
    LineLock lock;
    if (lock_entry(needle, ref, lock)) {
      if (absent_only) return false;
      store(lock, needle, value, kind);
      return true;
    }
    if (!make_room(ref, current, needle.hash)) continue;
    insert(ref, needle, value, kind);
    return true;
  }
}

inline bool HotTable::write_at_once(Line& line, std::string_view key, std::uint64_t hash,
                                    std::string_view value, std::uint8_t kind) {
  const HotChanges::Entry change(changes_.get(), hash);
  return hot::write_line_once(line, key, value, kind);
}

void HotTable::put(std::string_view key, std::uint64_t hash, std::string_view value,
                   std::uint8_t kind) {
  if (write_at_once(*find_line(hash), key, hash, value, kind)) [[likely]]
    return;
  const Needle needle{key, hash};
  {
    LineLock lock;
    if (lock_entry(needle, lock)) {
      store(lock, needle, value, kind);
    } else {
      insert_or_store(needle, value, kind, false, std::nullopt);
    }
  }
  if (over_bytes()) [[unlikely]]
    balance();
}

/// Like put(), but tries one line first.
void HotTable::put_at(Line& guess, const HotItem& item) {
  if (write_at_once(guess, item.key, item.hash, item.value, item.kind)) [[likely]]
    return;
  put(item.key, item.hash, item.value, item.kind);
}

bool HotTable::put_if_absent(std::string_view key, std::uint64_t hash, std::string_view value,
                             std::uint8_t kind, std::optional<std::uint64_t> generation) {
  const bool put = insert_or_store(Needle{key, hash}, value, kind, true, generation);
  if (over_bytes()) balance();
  return put;
}

void HotTable::update(std::string_view key, std::uint64_t hash,
                      base::FunctionRef<void(HotEdit&)> edit) {
  const Needle needle{key, hash};
  char buffer[kInlineBytes];
  HotEdit shown;
  for (bool done = false; !done;) {
    std::uint64_t generation = 0;
    const SegmentRef ref = lock_segment(hash, &generation);
    const std::unique_lock segment(ref.segment().mutex, std::adopt_lock);
    LineLock lock;
    if (lock_entry(needle, ref, lock)) {
      shown.old = lock.value(buffer);
      shown.kind = hot::kind_of(lock.head());
      edit(shown);
      if (shown.action == HotEdit::Action::kStore) {
        store(lock, needle, shown.value, shown.kind);
      } else if (shown.action == HotEdit::Action::kErase) {
        remove(ref, lock.number(), lock);
      }
      done = true;
    } else {
      // Makes room first: that may split the segment, and `edit` is called only once.
      if (!make_room(ref, generation, hash)) continue;
      edit(shown);
      if (shown.action == HotEdit::Action::kStore) {
        insert(ref, needle, shown.value, shown.kind);
      }
      done = true;
    }
  }
  if (over_bytes()) balance();
}

bool HotTable::erase(std::string_view key, std::uint64_t hash) {
  std::uint64_t generation = 0;
  const SegmentRef ref = lock_segment(hash, &generation);
  const std::unique_lock segment(ref.segment().mutex, std::adopt_lock);
  LineLock lock;
  if (!lock_entry(Needle{key, hash}, ref, lock)) return false;
  remove(ref, lock.number(), lock);
  return true;
}

bool HotTable::erase_hash(std::uint64_t hash) {
  std::uint64_t generation = 0;
  const SegmentRef ref = lock_segment(hash, &generation);
  const std::unique_lock segment(ref.segment().mutex, std::adopt_lock);
  bool erased = false;
  std::size_t group = hot::home_group(hash);
  for (std::size_t step = 0; step < hot::kGroups; ++step) {
    const hot::GroupTags tags(ref.groups()[group]);
    for (std::uint32_t bits = tags.match(hash); bits != 0; bits &= bits - 1) {
      const std::size_t line =
          group * hot::kLinesPerGroup + static_cast<std::size_t>(std::countr_zero(bits));
      LineLock lock;
      // Under the segment's lock no line with a tag changes its hash.
      if (hot::load(ref.lines()[line], 1) != hash || !lock.lock(ref, line)) continue;
      remove(ref, line, lock);
      erased = true;
    }
    if (!tags.passed()) break;
    group = (group + 1) % hot::kGroups;
  }
  return erased;
}

}  // namespace graven::cache
