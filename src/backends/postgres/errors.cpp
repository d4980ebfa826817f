// SPDX-License-Identifier: MIT
//
// See errors.hpp. Pure functions; any thread.
#include "backends/postgres/errors.hpp"

#include <fmt/format.h>

#include <graven/error.hpp>

namespace graven::postgres {
namespace {

using port::CommitResult;
using port::Outcome;
using port::Reason;

/// A table, schema or function that is not there.
bool is_gone(const std::string& state) {
  return state == "42P01" || state == "3F000" || state == "42883" || state == "42703";
}

std::string gone(const std::string& text) {
  return fmt::format(
      "the store's tables or functions are gone, perhaps somebody dropped its schema ({}); restore "
      "the schema from a backup, or open the store again to make a new, empty one",
      text);
}

CommitResult not_done(Reason reason, const std::string& detail = {}) {
  return {.outcome = Outcome::kNotDone, .reason = reason, .detail = detail};
}

}  // namespace

void raise(const Failure& failure, const std::string& store) {
  const std::string& state = failure.state;
  if (state.empty()) {
    throw UnavailableError(fmt::format("{}: the server cannot be reached: {}; see whether it runs",
                                       store, failure.text));
  }
  if (is_gone(state)) throw UnavailableError(fmt::format("{}: {}", store, gone(failure.text)));
  if (state == "42501") {
    throw UsageError(
        fmt::format("{}: a right is missing: {}; grant it to the user", store, failure.text));
  }
  if (state == "25006") {
    throw UsageError(fmt::format(
        "{}: the server takes no writes: {}; connect to the primary, or open the store read-only",
        store, failure.text));
  }
  if (state.starts_with("28")) {
    throw UsageError(
        fmt::format("{}: the server refuses the connection: {}; look at user, "
                    "password, database and pg_hba.conf",
                    store, failure.text));
  }
  if (state == "55P03" || state == "57014" || state == "40001") {
    throw BusyError(
        fmt::format("{}: the store was busy for too long: {}; try again", store, failure.text));
  }
  throw UnavailableError(fmt::format("{}: the server says {} (SQLSTATE {}); nothing was changed",
                                     store, failure.text, state));
}

CommitResult result_of(const Failure& failure, bool resent) {
  const std::string& state = failure.state;
  if (state.empty()) {
    if (failure.sent) return {.outcome = Outcome::kUnknown, .detail = failure.text};
    return not_done(Reason::kUnreached, failure.text);
  }
  if (state == "40001" || state == "40P01" || state == "GV001") {
    // Nothing remembers a conflict that ended a transaction, so it is no answer for good.
    if (resent) return {.outcome = Outcome::kUnknown, .detail = failure.text};
    return {.outcome = Outcome::kConflict};
  }
  if (state == "GV002") return not_done(Reason::kOverflow);
  if (state == "55P03" || state == "57014") return not_done(Reason::kLate);
  if (state == "25006") return not_done(Reason::kReadOnly, failure.text);
  if (state.starts_with("53")) return not_done(Reason::kFull, failure.text);
  if (state.starts_with("54")) return not_done(Reason::kTooLarge, failure.text);
  if (is_gone(state)) return not_done(Reason::kRefused, gone(failure.text));
  return not_done(Reason::kRefused, fmt::format("{} (SQLSTATE {})", failure.text, state));
}

}  // namespace graven::postgres
