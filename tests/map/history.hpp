// SPDX-License-Identifier: MIT
//
// Histories of a map that several threads or processes used at once, and whether they are
// linearizable: whether every operation can have happened at one moment between its begin and
// its end, on a plain map of a few keys, with the results they had.
//
// The check goes through begins and ends in the order of time and keeps every state the map may
// be in, together with which of the operations under way have already had their moment. At the
// end of an operation only those remain in which it has. So it takes time in proportion to the
// history, whatever its length, as long as few operations are under way at once (G. Lowe, "Testing
// for linearizability", calls it just-in-time linearization).
//
// Plain values; the functions may be called by any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace graven::test {

inline constexpr std::size_t kHistoryKeys = 6;

/// What is under a key: a number that tells who wrote it, or 0 where there is nothing.
using Number = std::int64_t;
using Numbers = std::array<Number, kHistoryKeys>;

/// One call by one thread, of one key or several: bit i of `keys` for key i.
struct Operation {
  enum class Kind : std::uint8_t {
    kGet,         ///< `result` is what was there
    kSet,         ///< to `argument`
    kErase,       ///< `count` of them were there
    kSetDefault,  ///< of one key: `result` is what was there or, if nothing, `argument`, now there
    kInsert,      ///< `argument` where nothing was: in `count` places
    kPop,         ///< of one key: `result` was there, and is no longer
    kExchange,    ///< `result` was there, and `argument` is now
    kSize,        ///< `count` of all keys had something
  };

  Kind kind = Kind::kGet;
  std::uint32_t thread = 0;  // for the reader of a failure
  std::uint32_t keys = 0;
  Number count = 0;
  Numbers argument{};
  Numbers result{};
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] bool touches(std::size_t key) const { return (keys >> key & 1U) != 0; }
};

struct Verdict {
  bool linearizable = true;
  /// Else the operations that have no order: from the last moment when nothing was under way, and
  /// without the reads that have no part in it.
  std::vector<Operation> window{};
  std::string text{};  // the same, to be shown

  explicit operator bool() const { return linearizable; }
};

/// Of operations in any order, at most 32 of them under way at once, on a map that was empty. Where
/// each is of one key, key by key.
Verdict check_history(const std::vector<Operation>& history);

}  // namespace graven::test
