// SPDX-License-Identifier: MIT
//
// The file, its rings and their indexes.
//
// A ring is counted in units of 8 bytes. A record's position grows with every put: it is its place
// in the ring plus whole laps. So one comparison with `tail` tells whether it was overwritten, and
// setting `tail` to `head` forgets a whole shard. A record is contiguous: header, key, value. One
// that does not fit before the ring's end begins at the start.
//
// An index is an open-addressing table of words: the first bits of a hash, and a position. An entry
// whose position is overwritten counts as absent, and is removed when the table is full. If two
// keys have the same bits, the later one has the entry. An entry tells its own home slot, so only
// find() and put() read records.
//
// The checksum covers the hash and the position, which is never used twice, so a page that comes
// back from the disk in the state of an earlier lap is rejected. A shard's mutex guards all of it.
#include "cache/warm_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <graven/error.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

#include "base/hash.hpp"

namespace graven::cache {
namespace {

constexpr std::uint64_t kUnit = 8;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kLongestKey = (std::size_t{1} << 24) - 1;
constexpr std::uint64_t kLaps = 4;  // then positions are renumbered
constexpr std::size_t kFirstSlots = 48;
constexpr std::uint64_t kErased = 1;  // an entry that was erased; no record has this position

struct Header {
  std::uint64_t checksum;  // of all that follows
  std::uint32_t value_size;
  std::uint32_t key_size_and_kind;
};
static_assert(sizeof(Header) == 16);

/// Enough shards that threads seldom meet, few enough that a ring takes values of some size. Large
/// files have more, so that no index becomes so large that growing it causes a noticeable pause.
std::size_t shards_for(std::size_t bytes) {
  const std::size_t wanted = std::max(std::min<std::size_t>(bytes >> 20, 64), bytes >> 22);
  return std::bit_floor(std::clamp<std::size_t>(wanted, 1, 1024));
}

std::uint64_t checksum(const char* record, std::size_t size, std::uint64_t seed) {
  return base::hash({record + sizeof(Header::checksum), size - sizeof(Header::checksum)}, seed);
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw UnavailableError("the warm file at " + path + " " + why);
}

std::string described(int error) { return " (" + std::generic_category().message(error) + ")"; }

std::size_t checked(const std::string& path, std::size_t bytes) {
  if (bytes < WarmFile::kMinBytes || bytes > WarmFile::kMaxBytes) {
    refuse(path, "cannot have " + std::to_string(bytes) + " bytes; give it from " +
                     std::to_string(WarmFile::kMinBytes) + " to " +
                     std::to_string(WarmFile::kMaxBytes));
  }
  return bytes;
}

/// Creates a file of this size without a name. The caller closes it.
int make_file(const std::string& path, std::size_t bytes) {
  const std::string size = std::to_string(bytes) + " bytes";
  // A file beyond this limit causes a signal that ends the process, not an error.
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      bytes > limit.rlim_cur) {
    refuse(path, "cannot have " + size + ": no file of this process may have more than " +
                     std::to_string(limit.rlim_cur) +
                     "; raise that limit (ulimit -f) or ask for a smaller file");
  }
  std::string name = path + "-XXXXXX";
  const int file = ::mkostemp(name.data(), O_CLOEXEC);  // mode 0600
  if (file < 0) {
    refuse(path,
           "cannot be made" + described(errno) + "; make its folder writable, or name another one");
  }
  int error = ::unlink(name.c_str()) == 0 ? 0 : errno;
  while (error == 0 || error == EINTR) {
    error = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
    if (error == 0) return file;
  }
  ::close(file);
  refuse(path, "cannot have " + size + described(error) +
                   "; make room on its disk, name another one or ask for a smaller file");
}

}  // namespace

struct alignas(64) WarmFile::Shard {
  ~Shard() { delete[] index; }

  [[nodiscard]] std::size_t home(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>((hash >> 32) * slots >> 32);
  }
  [[nodiscard]] std::size_t next(std::size_t slot) const noexcept {
    return slot + 1 == slots ? 0 : slot + 1;
  }
  [[nodiscard]] std::uint64_t& free_slot(std::uint64_t hash) const noexcept {
    std::size_t slot = home(hash);
    while (index[slot] != 0) slot = next(slot);
    return index[slot];
  }

  std::mutex mutex;
  char* ring = nullptr;
  std::uint64_t head = 0;        // where the next record may begin
  std::uint64_t tail = 0;        // of the oldest record that is not overwritten, or before it
  std::uint64_t renumbered = 0;  // the sum that renumber() has subtracted from positions
  std::uint64_t generation = 0;
  std::uint64_t* index = nullptr;
  std::size_t slots = 0;
  std::size_t used = 0;  // slots that are not 0; some stay 0, so that searches end
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
};

WarmFile::WarmFile(const std::string& path, std::size_t bytes)
    : shard_count_(shards_for(checked(path, bytes))),
      ring_units_(bytes / shard_count_ / kPage * kPage / kUnit),
      position_bits_(static_cast<std::uint64_t>(std::bit_width(kLaps * ring_units_ - 1))),
      bytes_(shard_count_ * ring_units_ * kUnit),
      file_(make_file(path, bytes_)) {
  // Keeps the mapping out of children and of core dumps (which would contain an unlinked one). No
  // read-ahead, because the next record may be anywhere.
  void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (mapped == MAP_FAILED || ::madvise(mapped, bytes_, MADV_DONTFORK) != 0) {
    const int error = errno;
    if (mapped != MAP_FAILED) ::munmap(mapped, bytes_);
    ::close(file_);
    refuse(path, "cannot be mapped" + described(error) + "; ask for a smaller file");
  }
  ::madvise(mapped, bytes_, MADV_DONTDUMP);
  ::madvise(mapped, bytes_, MADV_RANDOM);
  mapped_ = static_cast<char*>(mapped);
  try {
    shards_ = std::make_unique<Shard[]>(shard_count_);
    indexes_ = std::make_unique<Index[]>(shard_count_);
  } catch (...) {
    ::munmap(mapped_, bytes_);
    ::close(file_);
    throw;
  }
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    shard.ring = mapped_ + i * ring_units_ * kUnit;
    shard.head = shard.tail = ring_units_;  // the first lap contains the position kErased
  }
}

WarmFile::~WarmFile() {
  if (mapped_ == nullptr) return;  // closed
  if (idle()) {
    // A thread that does not exist here may have been changing any shard.
    static_cast<void>(shards_.release());
    return;
  }
  ::munmap(mapped_, bytes_);
  ::close(file_);
}

// ------------------------------------------------------------------------------------- records

bool WarmFile::put(std::string_view key, std::uint64_t hash, std::string_view value,
                   std::uint8_t kind, std::uint64_t generation) noexcept {
  if (idle()) return false;
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  if (idle()) return false;
  catch_up(shard);
  if (const std::uint64_t* entry = look_up(shard, hash); entry != nullptr) {
    const std::uint64_t position = *entry & ((1ULL << position_bits_) - 1);
    const char* record = place(shard, position);
    Header header;
    std::memcpy(&header, record, sizeof header);
    const char* content = record + sizeof header;
    const std::size_t room = (ring_units_ - position % ring_units_) * kUnit;
    if (sizeof header + key.size() + value.size() <= room && header.value_size == value.size() &&
        header.key_size_and_kind == (static_cast<std::uint32_t>(key.size()) << 8 | kind) &&
        std::string_view(content, key.size()) == key &&
        std::string_view(content + key.size(), value.size()) == value) {
      return true;
    }
  }
  return write(shard, key, hash, value, kind, generation);
}

/// With the shard's mutex held, after catch_up().
bool WarmFile::write(Shard& shard, std::string_view key, std::uint64_t hash, std::string_view value,
                     std::uint8_t kind, std::uint64_t generation) noexcept {
  if (generation < shard.generation) return false;
  if (key.size() > kLongestKey || key.size() + value.size() > longest() ||
      generation != shard.generation) {
    if (std::uint64_t* older = look_up(shard, hash); older != nullptr) *older = kErased;
    return false;
  }

  const std::size_t size = sizeof(Header) + key.size() + value.size();
  const std::uint64_t position = reserve(shard, (size + kUnit - 1) / kUnit);
  char* record = place(shard, position);
  Header header{.checksum = 0,
                .value_size = static_cast<std::uint32_t>(value.size()),
                .key_size_and_kind = static_cast<std::uint32_t>(key.size()) << 8 | kind};
  std::memcpy(record, &header, sizeof header);
  if (!key.empty()) std::memcpy(record + sizeof header, key.data(), key.size());
  if (!value.empty()) std::memcpy(record + sizeof header + key.size(), value.data(), value.size());
  header.checksum = checksum(record, size, hash + shard.renumbered + position);
  std::memcpy(record, &header.checksum, sizeof header.checksum);
  return enter(shard, hash, position);
}

bool WarmFile::find(std::string_view key, std::uint64_t hash, std::string& value,
                    std::uint8_t& kind) const {
  if (idle()) return false;
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  if (idle()) return false;
  catch_up(shard);
  ++shard.misses;  // taken back on a hit
  const std::uint64_t* entry = look_up(shard, hash);
  if (entry == nullptr) return false;

  // Nothing in the file is trusted before the checksum is compared.
  const std::uint64_t position = *entry & ((1ULL << position_bits_) - 1);
  const char* record = place(shard, position);
  // Fetches both at once; a prefetch past the ring's end does no harm.
  __builtin_prefetch(record + 64);
  __builtin_prefetch(record + 128);
  Header header;
  std::memcpy(&header, record, sizeof header);
  const std::size_t size = sizeof header + key.size() + header.value_size;
  const std::size_t room = (ring_units_ - position % ring_units_) * kUnit;
  if (header.key_size_and_kind >> 8 != key.size() || size > room) return false;
  if (std::string_view(record + sizeof header, key.size()) != key) return false;
  if (checksum(record, size, hash + shard.renumbered + position) != header.checksum) return false;
  value.assign(record + sizeof header + key.size(), header.value_size);
  kind = static_cast<std::uint8_t>(header.key_size_and_kind);
  --shard.misses;
  ++shard.hits;
  return true;
}

bool WarmFile::erase(std::uint64_t hash) noexcept {
  if (idle()) return false;
  Shard& shard = shard_of(hash);
  const std::scoped_lock lock(shard.mutex);
  catch_up(shard);
  std::uint64_t* entry = look_up(shard, hash);
  if (entry == nullptr) return false;
  *entry = kErased;
  return true;
}

void WarmFile::close() noexcept {
  if (idle_.exchange(true)) return;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    const std::scoped_lock lock(shard.mutex);  // a thread in the mapping leaves it first
    indexes_[i].slots.store(0, std::memory_order_relaxed);
    indexes_[i].words.store(nullptr, std::memory_order_relaxed);
    delete[] std::exchange(shard.index, nullptr);
    shard.slots = shard.used = 0;
  }
  ::munmap(std::exchange(mapped_, nullptr), bytes_);
  ::close(std::exchange(file_, -1));
}

void WarmFile::clear(std::uint64_t generation) noexcept {
  std::uint64_t now = generation_.load(std::memory_order_relaxed);
  while (!generation_.compare_exchange_weak(now, std::max(now + 1, generation),
                                            std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
}

std::size_t WarmFile::longest() const noexcept { return ring_units_ * kUnit / 8 - sizeof(Header); }

WarmFile::Stats WarmFile::stats() const {
  Stats stats;
  if (idle()) return stats;
  stats.bytes = bytes_;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    const std::scoped_lock lock(shard.mutex);
    catch_up(shard);
    stats.entries += live(shard);
    stats.hits += shard.hits;
    stats.misses += shard.misses;
  }
  return stats;
}

std::size_t WarmFile::index_bytes() const {
  if (idle()) return 0;
  std::size_t slots = 0;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    const std::scoped_lock lock(shards_[i].mutex);
    slots += shards_[i].slots;
  }
  return shard_count_ * sizeof(Shard) + slots * sizeof(std::uint64_t);
}

// -------------------------------------------------------------------------------------- shards

WarmFile::Shard& WarmFile::shard_of(std::uint64_t hash) const noexcept {
  return shards_[hash & (shard_count_ - 1)];
}

char* WarmFile::place(const Shard& shard, std::uint64_t position) const noexcept {
  return shard.ring + position % ring_units_ * kUnit;
}

/// Forgets the shard's records if clear() was called.
void WarmFile::catch_up(Shard& shard) const noexcept {
  // Read under the mutex, so that no thread has an older number than the thread before it.
  const std::uint64_t now = generation();
  if (shard.generation == now) [[likely]]
    return;
  shard.generation = now;
  shard.tail = shard.head;
}

/// The live entry of a hash; null if there is none.
std::uint64_t* WarmFile::look_up(Shard& shard, std::uint64_t hash) const noexcept {
  if (shard.slots == 0) return nullptr;
  const std::uint64_t positions = (1ULL << position_bits_) - 1;
  for (std::size_t slot = shard.home(hash);; slot = shard.next(slot)) {
    std::uint64_t& entry = shard.index[slot];
    if (entry == 0) return nullptr;
    if (((entry ^ hash) & ~positions) == 0 && (entry & positions) >= shard.tail) return &entry;
  }
}

/// False: no memory; then the hash had no entry before either.
bool WarmFile::enter(Shard& shard, std::uint64_t hash, std::uint64_t position) noexcept {
  std::uint64_t* entry = look_up(shard, hash);
  if (entry == nullptr) {
    if (shard.used >= shard.slots / 5 * 4 && !rebuild(shard)) return false;
    entry = &shard.free_slot(hash);
    ++shard.used;
  }
  *entry = (hash & ~((1ULL << position_bits_) - 1)) | position;
  return true;
}

/// Makes room for a record, and forgets the older ones in its place.
std::uint64_t WarmFile::reserve(Shard& shard, std::uint64_t units) noexcept {
  std::uint64_t position = shard.head;
  const std::uint64_t left = ring_units_ - position % ring_units_;
  if (units > left) position += left;
  if (position + units > kLaps * ring_units_) {
    const std::uint64_t before = shard.renumbered;
    renumber(shard);
    position -= shard.renumbered - before;
  }
  shard.head = position + units;
  shard.tail = std::max(shard.tail, shard.head - ring_units_);
  return position;
}

/// Subtracts whole laps from all positions, so that they always fit an entry.
void WarmFile::renumber(Shard& shard) const noexcept {
  const std::uint64_t positions = (1ULL << position_bits_) - 1;
  const std::uint64_t off = (kLaps - 2) * ring_units_;
  for (std::size_t slot = 0; slot < shard.slots; ++slot) {
    std::uint64_t& entry = shard.index[slot];
    if (entry == 0) continue;
    entry = (entry & positions) >= shard.tail ? entry - off : kErased;
  }
  shard.head -= off;
  shard.tail -= off;
  shard.renumbered += off;
}

std::size_t WarmFile::live(const Shard& shard) const noexcept {
  const std::uint64_t positions = (1ULL << position_bits_) - 1;
  return static_cast<std::size_t>(std::count_if(
      shard.index, shard.index + shard.slots,
      [&](std::uint64_t entry) { return entry != 0 && (entry & positions) >= shard.tail; }));
}

/// Builds a new index of the live entries, two thirds full. False: no memory.
bool WarmFile::rebuild(Shard& shard) const noexcept {
  const std::uint64_t positions = (1ULL << position_bits_) - 1;
  const std::size_t count = live(shard);
  const std::size_t slots = std::max(kFirstSlots, count + count / 2);
  auto* index = new (std::nothrow) std::uint64_t[slots]();
  if (index == nullptr) return false;
  const std::uint64_t* old = std::exchange(shard.index, index);
  const std::size_t old_slots = std::exchange(shard.slots, slots);
  Index& known = indexes_[static_cast<std::size_t>(&shard - shards_.get())];
  known.words.store(index, std::memory_order_relaxed);
  known.slots.store(slots, std::memory_order_relaxed);
  shard.used = count;
  for (std::size_t i = 0; i < old_slots; ++i) {
    if (old[i] == 0 || (old[i] & positions) < shard.tail) continue;
    shard.free_slot(old[i]) = old[i];
  }
  delete[] old;
  return true;
}

// -------------------------------------------------------------------------------------- fork()

void WarmFile::child_after_fork() noexcept {
  if (idle_.exchange(true, std::memory_order_relaxed)) return;
  ::close(file_);  // otherwise the child would keep the disk space after the parent ends
}

}  // namespace graven::cache
