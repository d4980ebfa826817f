// SPDX-License-Identifier: MIT
//
// The stable names of error codes, as logs, metrics and the Python package show them. A name never
// changes, nor does its number. Every Error that is constructed is counted, for stats(). Any
// thread.
#include <graven/error.hpp>

#include <array>
#include <atomic>
#include <cstdint>

#include "base/error_counts.hpp"

namespace graven {
namespace {

constexpr std::size_t kCodes = 16;  // 0 is for codes that are not in Errc
constinit std::array<std::atomic<std::uint64_t>, kCodes> counts{};

}  // namespace

Error::Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {
  const auto at = static_cast<std::size_t>(code);
  counts[at < kCodes ? at : 0].fetch_add(1, std::memory_order_relaxed);
}

std::vector<ErrorCount> base::error_counts() {
  std::vector<ErrorCount> all;
  for (std::size_t i = 1; i < kCodes; ++i) {
    all.push_back({name(static_cast<Errc>(i)), counts[i].load(std::memory_order_relaxed)});
  }
  return all;
}

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
