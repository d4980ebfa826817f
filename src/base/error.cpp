// SPDX-License-Identifier: MIT
//
// The stable names of error codes, as logs, metrics and the Python package show them.
// A name never changes, like the number it stands for. Pure; any thread.
#include <graven/error.hpp>

namespace graven {

std::string_view name(Errc code) noexcept {
  switch (code) {
    case Errc::kUsage:
      return "usage";
    case Errc::kWrongType:
      return "wrong_type";
    case Errc::kBadValue:
      return "bad_value";
    case Errc::kKeyNotFound:
      return "key_not_found";
    case Errc::kIndexOutOfRange:
      return "index_out_of_range";
    case Errc::kConflict:
      return "conflict";
    case Errc::kBusy:
      return "busy";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kCommitUnknown:
      return "commit_unknown";
    case Errc::kCorruption:
      return "corruption";
    case Errc::kCollected:
      return "collected";
    case Errc::kClosed:
      return "closed";
    case Errc::kForeign:
      return "foreign";
    case Errc::kLimit:
      return "limit";
    case Errc::kTransactionExpired:
      return "transaction_expired";
    case Errc::kAborted:
      return "aborted";
  }
  return "unknown";
}

}  // namespace graven
