// SPDX-License-Identifier: MIT
//
// What lies where after a private server: the file `state` in its folder says whether the .rdb or
// the server's append-only file (AOF) has the newest data.
//
// Always holds: without `state`, the .rdb is everything and an AOF is rubbish. With it, the AOF is
// everything; `state` names the .rdb files that may lie beside it, by fingerprints of their
// contents, so another file put there is noticed. Each step of a change is durable before the next.
//
// Calls only what is async-signal-safe: the watchdog uses it. One thread, under the server's lock.
#pragma once

#include <cstdint>

namespace graven::redis {

/// The names within the folder of a private server.
inline constexpr const char* kSocketName = "s";         // exists once the server is ready
inline constexpr const char* kNewSocketName = "s.new";  // until then
inline constexpr const char* kDumpName = "dump.rdb";    // loaded: a link to the .rdb; saved: a file
inline constexpr const char* kStateName = "state";
inline constexpr const char* kAofName = "appendonlydir";
inline constexpr const char* kUsersName = "users";
inline constexpr const char* kStartLockName = "start.lock";
inline constexpr const char* kServerLockName = "server.lock";
inline constexpr const char* kLogName = "log";
inline constexpr const char* kConfigName = "redis.conf";

using Fingerprint = std::uint64_t;
inline constexpr Fingerprint kNoFile = 0;      // none, or an empty one
inline constexpr Fingerprint kUnreadable = 1;  // fits nothing

/// Of a file's size, first and last 4 KiB; an .rdb ends with its checksum.
Fingerprint fingerprint(int folder, const char* name) noexcept;

struct SavedState {
  enum class Kind : std::uint8_t { kNone, kAof, kDamaged };
  Kind kind = Kind::kNone;
  Fingerprint first = kNoFile;
  Fingerprint second = kNoFile;

  /// Whether this .rdb may lie beside the AOF. A missing one always may.
  [[nodiscard]] bool fits(Fingerprint file) const noexcept {
    return file == kNoFile || (file != kUnreadable && (file == first || file == second));
  }
};

SavedState read_state(int folder) noexcept;
/// Makes the AOF count, durably.
bool write_state(int folder, Fingerprint first, Fingerprint second) noexcept;
/// Makes the .rdb count, durably.
bool drop_state(int folder) noexcept;
/// Whether there is an AOF: with `appendonly yes` a server that finds none starts empty.
bool has_aof(int folder) noexcept;
/// Erases the AOF.
void remove_aof(int folder) noexcept;
/// fsync of a file or folder below `folder`.
bool sync_path(int folder, const char* name) noexcept;

/// After the server has saved: its dump becomes the .rdb (`data`, relative to the folder), and the
/// AOF is dropped. False, and nothing is lost, if that failed or if `data` is no longer the file
/// that the server began with: then the AOF counts.
bool take_dump(int folder, const char* data) noexcept;

}  // namespace graven::redis
