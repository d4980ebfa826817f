// SPDX-License-Identifier: MIT
//
// Names of error codes: each code has one, no two share it, and it is the code's own name.
#include <graven/error.hpp>

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace graven {
namespace {

TEST(ErrorName, EveryCodeHasItsOwn) {
  std::set<std::string_view> names;
  for (std::uint16_t code = 1; code <= static_cast<std::uint16_t>(Errc::kTransactionExpired);
       ++code) {
    const std::string_view text = name(static_cast<Errc>(code));
    EXPECT_NE(text, "unknown") << code;
    EXPECT_TRUE(names.insert(text).second) << text;
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), text.npos) << text;
  }
}

TEST(ErrorName, IsStable) {
  EXPECT_EQ(name(Errc::kUsage), "usage");
  EXPECT_EQ(name(Errc::kWrongType), "wrong_type");
  EXPECT_EQ(name(Errc::kBadValue), "bad_value");
  EXPECT_EQ(name(Errc::kKeyNotFound), "key_not_found");
  EXPECT_EQ(name(Errc::kIndexOutOfRange), "index_out_of_range");
  EXPECT_EQ(name(Errc::kConflict), "conflict");
  EXPECT_EQ(name(Errc::kBusy), "busy");
  EXPECT_EQ(name(Errc::kUnavailable), "unavailable");
  EXPECT_EQ(name(Errc::kCommitUnknown), "commit_unknown");
  EXPECT_EQ(name(Errc::kCorruption), "corruption");
  EXPECT_EQ(name(Errc::kCollected), "collected");
  EXPECT_EQ(name(Errc::kClosed), "closed");
  EXPECT_EQ(name(Errc::kForeign), "foreign");
  EXPECT_EQ(name(Errc::kLimit), "limit");
  EXPECT_EQ(name(Errc::kTransactionExpired), "transaction_expired");
}

TEST(ErrorName, OfNoCode) { EXPECT_EQ(name(static_cast<Errc>(999)), "unknown"); }

TEST(Error, CarriesCodeAndMessage) {
  try {
    throw CorruptionError("the node 7 is bent");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kCorruption);
    EXPECT_STREQ(error.what(), "the node 7 is bent");
  }
}

}  // namespace
}  // namespace graven
