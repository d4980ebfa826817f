// SPDX-License-Identifier: MIT
//
// What identifies commits and states of a partition, for every store.
//
// A partition is the unit of atomicity and placement: what lies in one partition can be read as one
// state and committed as a whole. The numbers of a store's partitions are its users' choice.
//
// Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>

namespace graven::port {

/// A partition by its number: 63 bits, hashed from its kind and name. 0: the only partition of a
/// store that has just one.
struct Partition {
  std::int64_t number = 0;

  friend bool operator==(const Partition&, const Partition&) = default;
  friend std::strong_ordering operator<=>(const Partition&, const Partition&) = default;
};

/// The id of a commit, made by the client and known before the commit. Compared for equality only.
struct CommitId {
  std::uint64_t session = 0;   ///< random and not 0; new in each process and each forked child
  std::uint64_t sequence = 0;  ///< from 1, growing

  friend bool operator==(const CommitId&, const CommitId&) = default;
};

/// The version of the records that a commit puts: 63 bits, not 0.
constexpr std::uint64_t version_of(const CommitId& id) noexcept {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1U;
  const std::uint64_t version = (id.session + id.sequence * kOdd) & kMost;
  return version != 0 ? version : kMost;
}

/// Identifies a state of a partition. Two states are the same exactly if clock and history are
/// equal: after a failed-over server lost commits, the same clock comes again with another history.
struct StateVersion {
  std::uint64_t clock = 0;    ///< grows with each commit; 0: nothing was committed yet
  std::uint64_t history = 0;  ///< hashed from the history before and the commit's id
  std::uint64_t pending = 0;  ///< the clock when a node was last listed as pending deletion; 0:
                              ///< none is listed

  friend bool operator==(const StateVersion& one, const StateVersion& other) noexcept {
    return one.clock == other.clock && one.history == other.history;
  }
};

/// The history after a commit.
constexpr std::uint64_t history_after(std::uint64_t before, const CommitId& id) noexcept {
  std::uint64_t sum = before;
  for (const std::uint64_t part : {id.session, id.sequence}) {
    sum = (sum ^ part) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 29U;
  }
  return sum;
}

}  // namespace graven::port
