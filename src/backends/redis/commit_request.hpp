// SPDX-License-Identifier: MIT
//
// The batches of a commit as arguments of commit.lua, and its answer as a CommitResult.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/redis/core.hpp"
#include "port/batch.hpp"

namespace graven::redis {

class CommitRequest {
 public:
  /// UsageError if a partition or key is twice in it.
  CommitRequest(const Core& core, const port::CommitId& id, std::span<const port::Batch> batches,
                bool resent);

  /// Sets the last time at which it may be applied, in microseconds of the server's clock.
  void set_latest(std::int64_t time);
  [[nodiscard]] const Call& call() const noexcept { return call_; }

  /// What the script's answer says; also if it is an error.
  [[nodiscard]] port::CommitResult result(const ReplyPart& reply) const;

 private:
  class Part;
  std::vector<port::Key> predicate_keys_;  // the places are those that the script tells
  Call call_;
};

/// The result that a script's text stands for. UnavailableError if it is none.
port::CommitResult decoded_result(std::string_view text);
/// What an error of the server means for a commit: it was not done.
port::CommitResult refused(std::string_view error);

}  // namespace graven::redis
