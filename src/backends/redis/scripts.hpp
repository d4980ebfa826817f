// SPDX-License-Identifier: MIT
//
// The Lua scripts of the store: commit.lua and the others beside it, which embed.cmake makes part
// of the library.
//
// Constant data and plain values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/redis/connection.hpp"

namespace graven::redis {

namespace lua {
extern const char* const commit;
extern const char* const read;
extern const char* const resolve;
extern const char* const hold;
extern const char* const beat;
extern const char* const lease;
extern const char* const create;
extern const char* const restamp;
}  // namespace lua

enum class Script : std::uint8_t {
  kCommit,
  kRead,
  kResolve,
  kHold,
  kBeat,
  kLease,
  kCreate,
  kRestamp
};
inline constexpr std::size_t kScripts = 8;

const char* text_of(Script script) noexcept;

/// A call of a script.
struct Call {
  Script script{};
  std::vector<std::string> keys{};
  std::vector<std::string> arguments{};
};

/// The digests by which a server knows the scripts.
class Digests {
 public:
  /// Asks the server, which has the scripts from then on, until it forgets them.
  void load(Connection& connection, Deadline deadline);
  /// The call by digest, or with the whole text, which makes the server remember it again.
  [[nodiscard]] Command command(const Call& call, bool with_text = false) const;

 private:
  std::array<std::string, kScripts> digests_;
};

/// Whether the reply says that the server does not know the script.
bool no_script(const ReplyPart& reply) noexcept;

}  // namespace graven::redis
