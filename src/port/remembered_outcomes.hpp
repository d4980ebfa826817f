// SPDX-License-Identifier: MIT
//
// What became of each session's last commit, for stores that remember it in memory: a lost reply is
// answered again, and a request that comes too late is refused. docs/design/port.md says why.
//
// Always holds: a session has one commit under way, so its last sequence and outcome suffice. What
// was answered as not done is never done later, once the store was asked twice.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "port/batch.hpp"

namespace graven::port {

class Outcomes {
 public:
  /// The answer that this id has for good; nothing if it is still to be decided.
  [[nodiscard]] std::optional<CommitResult> of(const CommitId& id) const;
  /// Remembers an answer: if it is kDone, or if the id was sent before. (An answer that came at the
  /// first try is the only one, unless it is kDone: its reply may be lost.)
  void decided(const CommitId& id, const CommitResult& result, bool resent);
  /// Backend::resolve().
  CommitResult resolve(const CommitId& id);

 private:
  struct Last {
    std::uint64_t sequence = 0;
    CommitResult result{};
  };
  std::unordered_map<std::uint64_t, Last> last_;  // by session
};

}  // namespace graven::port
