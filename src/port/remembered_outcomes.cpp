// SPDX-License-Identifier: MIT
//
// See remembered_outcomes.hpp. One thread at a time.
#include "port/remembered_outcomes.hpp"

namespace graven::port {
namespace {

CommitResult burnt() { return {.outcome = Outcome::kNotDone, .reason = Reason::kBurnt}; }

}  // namespace

std::optional<CommitResult> Outcomes::of(const CommitId& id) const {
  const auto at = last_.find(id.session);
  if (at == last_.end() || at->second.sequence < id.sequence) return std::nullopt;
  return at->second.sequence == id.sequence ? at->second.result : burnt();
}

void Outcomes::decided(const CommitId& id, const CommitResult& result, bool resent) {
  if (result.outcome == Outcome::kUnknown) return;
  if (result.outcome == Outcome::kDone || resent) last_[id.session] = {id.sequence, result};
}

CommitResult Outcomes::resolve(const CommitId& id) {
  const auto at = last_.find(id.session);
  if (at != last_.end() && at->second.sequence > id.sequence) {
    return {.outcome = Outcome::kUnknown,
            .detail = "the session has committed since; ask before the next commit"};
  }
  if (std::optional<CommitResult> known = of(id)) return *std::move(known);
  last_[id.session] = {id.sequence, burnt()};
  return burnt();
}

}  // namespace graven::port
