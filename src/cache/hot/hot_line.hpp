// SPDX-License-Identifier: MIT
//
// One entry of the hot table: a cache line of eight atomic words, read without a lock.
//
//   word 0    head: kind (8 bits), key code (6), value code (6), seen, locked, two spare,
//             version (40)
//   word 1    the key's hash
//   words 2-7 payload, 48 bytes: the key in words from the front, the value in words from the
//             back. The last bytes of a key are in the upper bytes of its last word, those of a
//             value in the lower ones. So both may share a word, and neither needs a shift before
//             it is compared or copied. A value that does not fit is in a Blob, which word 7
//             points to; the key is in the Blob too if it is long.
//
// Always holds: the version is odd exactly while the payload changes. It never decreases, also when
// the line goes to another key, to another segment or back to the system. Its upper 24 bits are the
// line's incarnation, which changes whenever a key moves out. A head of zero is an empty line. A
// Blob is never changed; it is freed by epochs (base/epoch.hpp).
//
// Any thread reads. The thread that set kLocked (see LineLock) writes. Words are stored with
// release and loaded with acquire, which are plain moves on x86. So a reader that saw one new word
// also sees the new head, and no fence is needed.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace graven::cache::hot {

inline void pause() noexcept {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// race_point(): where a step of another thread would matter most. race_access(): where any step of
// another thread may come between. race_wait(): where this thread can only wait for another. Tests
// built with GRAVEN_RACE_POINTS define them, to stop here now and then, or to run one thread at a
// time in every order; otherwise they do nothing.
#ifdef GRAVEN_RACE_POINTS
void race_point() noexcept;
void race_access(bool changes) noexcept;
void race_wait() noexcept;
#else
inline void race_point() noexcept {}
inline void race_access(bool /*changes*/) noexcept {}
inline void race_wait() noexcept {}
#endif

/// An atomic word that readers and writers share.
class Word {
 public:
  constexpr explicit Word(std::uint64_t word = 0) noexcept : word_(word) {}

  [[nodiscard]] std::uint64_t load(std::memory_order order) const noexcept {
    race_access(false);
    return word_.load(order);
  }
  void store(std::uint64_t word, std::memory_order order) noexcept {
    race_access(true);
    word_.store(word, order);
  }
  std::uint64_t fetch_or(std::uint64_t bits, std::memory_order order) noexcept {
    race_access(true);
    return word_.fetch_or(bits, order);
  }
  std::uint64_t fetch_and(std::uint64_t bits, std::memory_order order) noexcept {
    race_access(true);
    return word_.fetch_and(bits, order);
  }
  std::uint64_t fetch_add(std::uint64_t number, std::memory_order order) noexcept {
    race_access(true);
    return word_.fetch_add(number, order);
  }
  bool compare_exchange_strong(std::uint64_t& expected, std::uint64_t word,
                               std::memory_order success, std::memory_order failure) noexcept {
    race_access(true);
    return word_.compare_exchange_strong(expected, word, success, failure);
  }

 private:
  std::atomic<std::uint64_t> word_;
};

/// For loops that wait for a few instructions of another thread, which may be suspended.
class Backoff {
 public:
  void wait() noexcept {
    race_wait();
    if (++spins_ < 100) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }

 private:
  int spins_ = 0;
};

struct alignas(64) Line {
  Word words[8];
};

inline constexpr std::size_t kPayloadBytes = 48;
inline constexpr std::size_t kInlineKeyBytes = 40;  // beside a pointer
inline constexpr std::size_t kShortBytes = 16;      // a value that is copied with two loads
inline constexpr std::size_t kPayloadWords = 6;

inline constexpr int kKeyShift = 8;
inline constexpr int kValueShift = 14;
inline constexpr std::uint64_t kCodeMask = 0x3f;
inline constexpr std::uint64_t kBlobCode = 63;  // as key code or value code
inline constexpr std::uint64_t kSeen = 1ULL << 20;
inline constexpr std::uint64_t kLocked = 1ULL << 21;
inline constexpr std::uint64_t kOneVersion = 1ULL << 24;
inline constexpr std::uint64_t kWriting = kOneVersion;  // the version's lowest bit
inline constexpr std::uint64_t kVersionMask = ~(kOneVersion - 1);
inline constexpr int kIncarnationShift = 40;
inline constexpr std::uint64_t kFlags = kSeen | kLocked;  // change without a version

inline std::uint64_t key_code(std::uint64_t head) { return (head >> kKeyShift) & kCodeMask; }
inline std::uint64_t value_code(std::uint64_t head) { return (head >> kValueShift) & kCodeMask; }
inline std::uint8_t kind_of(std::uint64_t head) { return static_cast<std::uint8_t>(head); }
inline std::uint32_t incarnation_of(std::uint64_t head) {
  return static_cast<std::uint32_t>(head >> kIncarnationShift);
}
/// The head of a line that is empty because its key has moved out: the next incarnation.
inline std::uint64_t next_incarnation(std::uint64_t head) {
  return ((head >> kIncarnationShift) + 1) << kIncarnationShift;
}

/// A value that is too long for its line, and its key if that is long too.
struct Blob {
  std::uint32_t key_size;  // 0 when the line has the key
  std::uint32_t value_size;
  char bytes[1];

  [[nodiscard]] std::string_view key() const { return {bytes, key_size}; }
  [[nodiscard]] std::string_view value() const { return {bytes + key_size, value_size}; }
  /// Bytes that it costs, including the allocator's overhead.
  [[nodiscard]] std::size_t cost() const { return cost(key_size, value_size); }
  static std::size_t cost(std::size_t key_size, std::size_t value_size) {
    return (offsetof(Blob, bytes) + key_size + value_size + 8 + 15) & ~std::size_t{15};
  }
  static Blob* make(std::string_view key, std::string_view value) {
    void* memory = ::operator new(offsetof(Blob, bytes) + key.size() + value.size() + 1);
    auto* blob = static_cast<Blob*>(memory);
    blob->key_size = static_cast<std::uint32_t>(key.size());
    blob->value_size = static_cast<std::uint32_t>(value.size());
    if (!key.empty()) std::memcpy(blob->bytes, key.data(), key.size());
    if (!value.empty()) std::memcpy(blob->bytes + key.size(), value.data(), value.size());
    return blob;
  }
  static void free(Blob* blob) { ::operator delete(blob); }
};

/// The word must not be 0.
inline std::uint32_t lowest_bit(std::uint32_t word) {
  return static_cast<std::uint32_t>(__builtin_ctz(word));
}

inline std::uint64_t load_8(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

/// The last `size % 8` bytes of `bytes` as the low bytes of a word; reads nothing outside it.
[[gnu::always_inline]] inline std::uint64_t load_tail(const char* bytes, std::size_t size) {
  const std::size_t tail = size & 7;
  if (size >= 8) return tail == 0 ? 0 : load_8(bytes + size - 8) >> (8 * (8 - tail));
  if (tail >= 4) {
    std::uint32_t low;
    std::uint32_t high;
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + tail - 4, 4);
    return low | (static_cast<std::uint64_t>(high) << (8 * (tail - 4)));
  }
  if (tail == 0) return 0;
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  };
  return at(0) | at(tail / 2) | at(tail - 1);
}

static_assert(std::endian::native == std::endian::little, "words of a line are little-endian");

/// The key that is looked up.
struct Needle {
  std::string_view key;
  std::uint64_t hash;

  /// Whether a stable line with this head may hold the key, by the key's length.
  [[nodiscard]] bool fits(std::uint64_t head) const {
    const std::uint64_t found = key_code(head);
    return found == kBlobCode ? key.size() > kInlineKeyBytes : found == key.size() + 1;
  }
};

inline std::uint64_t load(const Line& line, std::size_t word) {
  return line.words[word].load(std::memory_order_acquire);
}

/// Compares an inline key; 0 if it is the same.
inline std::uint64_t different_key(const Line& line, std::string_view key) {
  std::uint64_t different = 0;
  const std::size_t full = key.size() / 8;
  std::size_t i = 0;
  for (; i < full; ++i) different |= load(line, 2 + i) ^ load_8(key.data() + 8 * i);
  const std::size_t tail = key.size() % 8;
  if (tail != 0) {
    different |= (load(line, 2 + i) >> (64 - 8 * tail)) ^ load_tail(key.data(), key.size());
  }
  return different;
}

/// Copies an inline value in whole words: at least 16 bytes of `out` are written, and `out` has
/// room for kPayloadBytes.
[[gnu::always_inline]] inline void copy_value_start(const Line& line, char* out) {
  const std::uint64_t first = load(line, 7);
  race_point();
  const std::uint64_t second = load(line, 6);
  std::memcpy(out, &first, 8);
  std::memcpy(out + 8, &second, 8);
}
inline void copy_value_rest(const Line& line, std::size_t size, char* out) {
  for (std::size_t i = 2; 8 * i < size; ++i) {
    const std::uint64_t bytes = load(line, 7 - i);
    std::memcpy(out + 8 * i, &bytes, 8);
  }
}
inline void copy_value(const Line& line, std::size_t size, char* out) {
  copy_value_start(line, out);
  copy_value_rest(line, size, out);
}

/// Copies an inline key, in whole words: `out` has room for kPayloadBytes.
inline void copy_key(const Line& line, std::size_t size, char* out) {
  std::size_t i = 0;
  for (; 8 * i + 8 <= size; ++i) {
    const std::uint64_t bytes = load(line, 2 + i);
    std::memcpy(out + 8 * i, &bytes, 8);
  }
  if (size % 8 == 0) return;
  const std::uint64_t bytes = load(line, 2 + i) >> (64 - 8 * (size % 8));
  std::memcpy(out + 8 * i, &bytes, 8);
}

inline Blob* blob_of(const Line& line) {
  return reinterpret_cast<Blob*>(load(line, 7));  // NOLINT(performance-no-int-to-ptr)
}

inline void set_seen(Line& line, std::uint64_t head) {
  if ((head & kSeen) == 0) line.words[0].fetch_or(kSeen, std::memory_order_relaxed);
}

enum class Outcome : std::uint8_t { kOther, kFound, kLong };

struct LineRead {
  Outcome outcome;
  std::uint8_t kind;
  std::uint32_t size;
};

/// Reads a line if it holds the key and the value is inline. kLong: it may hold the key; look again
/// with a pin. `out` has room for kPayloadBytes; its bytes may change in any case.
inline LineRead read_line(Line& line, const Needle& needle, char* out) {
  for (Backoff backoff;;) {
    const std::uint64_t head = load(line, 0);
    race_point();
    if ((head & kWriting) != 0) {
      backoff.wait();
      continue;
    }
    // A torn read here cannot hide the key: a line that holds the key has its hash and a fitting
    // head at every moment between two writes.
    if (load(line, 1) != needle.hash || !needle.fits(head)) return {Outcome::kOther, 0, 0};
    const std::uint64_t size = value_code(head);
    if (size == kBlobCode) return {Outcome::kLong, 0, 0};
    const bool same = different_key(line, needle.key) == 0;
    if (same) copy_value(line, size, out);
    if (((line.words[0].load(std::memory_order_relaxed) ^ head) & ~kFlags) != 0) continue;
    if (!same) return {Outcome::kOther, 0, 0};
    set_seen(line, head);
    return {Outcome::kFound, kind_of(head), static_cast<std::uint32_t>(size)};
  }
}

/// The bits of a head that tell whether a stable line holds an inline key of this size.
inline std::uint64_t head_of_key(std::size_t size) { return (size + 1) << kKeyShift; }
inline constexpr std::uint64_t kHeadOfKeyMask = kWriting | kCodeMask << kKeyShift;

/// different_key() for any key, when the code of its length matches; fast for 9 to 16 bytes.
[[gnu::always_inline]] inline std::uint64_t different_key_fast(const Line& line,
                                                               std::string_view key) {
  const std::size_t size = key.size();
  if (size - 9 <= 7) [[likely]] {
    const std::size_t others = (128 - 8 * size) & 63;  // bits of the second word not the key's
    return (load(line, 2) ^ load_8(key.data())) |
           ((load(line, 3) ^ load_8(key.data() + size - 8)) >> others);
  }
  // The code of a key of 62 bytes or more overflows.
  return size > kPayloadBytes ? 1 : different_key(line, key);
}

/// Like read_line(), but returns kOther for anything unusual. If the key has 9 to 16 bytes and the
/// value up to 16, it branches only for the unusual cases. It compares the key itself, so it need
/// not compare the hash. `out` has room for kShortBytes at least.
[[gnu::always_inline]] inline LineRead read_line_once(Line& line, std::string_view key, char* out,
                                                      std::size_t capacity) {
  constexpr LineRead no{Outcome::kOther, 0, 0};
  const std::uint64_t head = load(line, 0);
  race_point();
  if (((head ^ head_of_key(key.size())) & kHeadOfKeyMask) != 0) [[unlikely]]
    return no;
  if (different_key_fast(line, key) != 0) [[unlikely]]
    return no;
  const std::size_t size = value_code(head);
  copy_value_start(line, out);
  if (size > kShortBytes) [[unlikely]] {
    if (size == kBlobCode || capacity < kPayloadBytes) return no;
    copy_value_rest(line, size, out);
  }
  race_point();
  if (((line.words[0].load(std::memory_order_relaxed) ^ head) & ~kFlags) != 0) [[unlikely]] {
    return no;
  }
  set_seen(line, head);
  return {Outcome::kFound, kind_of(head), static_cast<std::uint32_t>(size)};
}

/// Gives a key's line a short value, if the old and the new value and the key are inline and no
/// other writer has the line. Returns false, with nothing changed, in any other case. It does the
/// same as LineLock in fewer steps: one exchange locks the line and begins the write.
[[gnu::always_inline]] inline bool write_line_once(Line& line, std::string_view key,
                                                   std::string_view value, std::uint8_t kind) {
  std::uint64_t head = load(line, 0);
  race_point();
  // So the two words of the value are no part of the key.
  if (key.size() > 32 || value.size() > kShortBytes) [[unlikely]]
    return false;
  if (((head ^ head_of_key(key.size())) & (kHeadOfKeyMask | kLocked)) != 0 ||
      value_code(head) == kBlobCode) [[unlikely]] {
    return false;
  }
  if (different_key_fast(line, key) != 0) [[unlikely]]
    return false;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  if (value.size() > 8) [[likely]] {
    first = load_8(value.data());
    second = load_8(value.data() + value.size() - 8) >> ((128 - 8 * value.size()) & 63);
  } else if (value.size() == 8) {
    first = load_8(value.data());
  } else {
    first = load_tail(value.data(), value.size());
  }
  const std::uint64_t writing = (head + kOneVersion) | kLocked;
  if (!line.words[0].compare_exchange_strong(head, writing, std::memory_order_acquire,
                                             std::memory_order_relaxed)) [[unlikely]] {
    return false;
  }
  race_point();
  line.words[7].store(first, std::memory_order_release);
  line.words[6].store(second, std::memory_order_release);
  race_point();
  const std::uint64_t kept = kVersionMask | kCodeMask << kKeyShift | kSeen;
  line.words[0].store(((head + 2 * kOneVersion) & kept) | value.size() << kValueShift | kind,
                      std::memory_order_release);
  return true;
}

}  // namespace graven::cache::hot
