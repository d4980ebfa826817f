// SPDX-License-Identifier: MIT
//
// Quoted texts, and UTF-8 validity against a decoder written from the definition, exhaustively up
// to three bytes; base64 and ULIDs against published vectors and for every single odd character.
#include "base/text.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/random.hpp"

namespace graven::base {
namespace {

/// The same question answered from the definition: decode, then ask whether the code point
/// is one and whether fewer bytes would have done.
std::optional<std::size_t> first_invalid(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const unsigned first = static_cast<unsigned char>(bytes[i]);
    std::size_t length = 0;
    std::uint32_t code = 0;
    if (first < 0x80) {
      length = 1;
      code = first;
    } else if (first >> 5 == 6) {
      length = 2;
      code = first & 31;
    } else if (first >> 4 == 14) {
      length = 3;
      code = first & 15;
    } else if (first >> 3 == 30) {
      length = 4;
      code = first & 7;
    } else {
      return i;
    }
    if (bytes.size() - i < length) return i;
    for (std::size_t j = 1; j < length; ++j) {
      const unsigned next = static_cast<unsigned char>(bytes[i + j]);
      if (next >> 6 != 2) return i;
      code = code << 6 | (next & 63);
    }
    constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return i;
    i += length;
  }
  return std::nullopt;
}

TEST(InvalidUtf8, OneToThreeBytesExhaustively) {
  for (std::size_t size = 0; size <= 3; ++size) {
    std::string text(size, '\0');
    for (std::uint32_t value = 0; value < 1U << (8 * size); ++value) {
      for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(value >> (8 * i));
      if (invalid_utf8(text) != first_invalid(text)) FAIL() << std::hex << value;
    }
  }
}

TEST(InvalidUtf8, FourBytesAtEveryBoundary) {
  constexpr std::array<unsigned, 6> kNext{0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
  for (unsigned first = 0xe0; first <= 0xff; ++first) {
    for (unsigned second = 0; second <= 0xff; ++second) {
      for (const unsigned third : kNext) {
        for (const unsigned fourth : kNext) {
          const std::string text{static_cast<char>(first), static_cast<char>(second),
                                 static_cast<char>(third), static_cast<char>(fourth)};
          ASSERT_EQ(invalid_utf8(text), first_invalid(text)) << first << ' ' << second;
        }
      }
    }
  }
}

TEST(InvalidUtf8, EveryOffsetInAndAroundWords) {
  constexpr std::array<std::string_view, 5> kBad{"\x80", "\xc0\x80", "\xed\xa0\x80",
                                                 "\xf4\x90\x80\x80", "\xf0\x9f\x98"};
  for (std::size_t before = 0; before < 40; ++before) {
    for (std::size_t after = 0; after < 20; ++after) {
      for (const std::string_view bad : kBad) {
        const std::string ascii = std::string(before, 'x').append(bad).append(after, 'y');
        EXPECT_EQ(invalid_utf8(ascii), before);
      }
      const std::string good =
          std::string(before, 'x') + "\xf0\x9f\x98\x80" + std::string(after, 0);
      EXPECT_EQ(invalid_utf8(good), std::nullopt);
    }
  }
}

TEST(InvalidUtf8, RandomBytesAndDamagedText) {
  test::Random random;
  constexpr std::array<std::string_view, 5> kPieces{"a", "plain ascii text", "\xc3\xa9",
                                                    "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t pieces = random.below(12); pieces > 0; --pieces) {
      text += kPieces[random.below(kPieces.size())];
    }
    ASSERT_EQ(invalid_utf8(text), std::nullopt);
    if (text.empty()) continue;
    text[random.below(text.size())] = static_cast<char>(random.bits());
    ASSERT_EQ(invalid_utf8(text), first_invalid(text));
    text.resize(random.below(text.size() + 1));
    ASSERT_EQ(invalid_utf8(text), first_invalid(text));
  }
}

std::string in_json(std::string_view text) {
  std::string json;
  append_json(json, text);
  return json;
}

TEST(QuotedText, JsonIsReadBackWhateverIsInIt) {
  EXPECT_EQ(in_json("a\"b\\c\n\r\t\b\f\x01\x1f\x7f\xc3\xa9/"),
            "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\xc3\xa9/\"");
  EXPECT_EQ(in_json(""), "\"\"");
  for (int first = 0; first < 128; ++first) {
    for (int second = 0; second < 128; ++second) {
      const std::string text{'x', static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(nlohmann::json::parse(in_json(text)).get<std::string>(), text);
    }
  }
}

TEST(QuotedText, AppendsAndEscapesNoMoreThanItIsTold) {
  std::string out = "before ";
  const auto special = [](unsigned char byte) { return byte == '\n' || byte >= 0xf0; };
  append_quoted(out, "'\"\\ \n\t\xf0\xab n", {'\'', "\nn", "x"}, special);
  EXPECT_EQ(out, "before '\\'\"\\\\ \\n\t\\xf0\xab n'");
}

TEST(OddFloats, EachByItsNameAndNoOther) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(name_of_odd(std::nan("")), "nan");
  for (const double number : {kInfinity, -kInfinity}) {
    EXPECT_EQ(odd_float(name_of_odd(number)), number);
  }
  EXPECT_TRUE(std::isnan(odd_float("nan").value()));
  for (const std::string_view other : {"", "NaN", "infinity", "+inf", "-nan", "inf ", "1"}) {
    EXPECT_EQ(odd_float(other), std::nullopt) << other;
  }
}

TEST(Names, OneToTwoHundredBytesWithoutControlCharacters) {
  for (const std::string& name :
       {std::string("a"), std::string("a:b c"), std::string("\xc3\xa9"), std::string(200, 'x')}) {
    EXPECT_TRUE(is_name(name)) << name;
  }
  for (const std::string& other :
       {std::string(), std::string(201, 'x'), std::string("a\x1f"), std::string("\x7f"),
        std::string("\xff"), std::string(1, '\0')}) {
    EXPECT_FALSE(is_name(other)) << other;
  }
}

TEST(Base64, VectorsOfTheRfc) {
  constexpr std::array<std::array<std::string_view, 2>, 7> kVectors{{{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"}}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  EXPECT_EQ(to_base64("\xfb\xff\xbf"), "+/+/");
}

TEST(Base64, OneAndTwoBytesExhaustively) {
  for (unsigned value = 0; value < 0x10000; ++value) {
    const std::string two{static_cast<char>(value >> 8), static_cast<char>(value)};
    ASSERT_EQ(from_base64(to_base64(two)), two);
    const std::string one = two.substr(1);
    ASSERT_EQ(from_base64(to_base64(one)), one);
  }
}

TEST(Base64, RandomBytesOfEveryLength) {
  test::Random random;
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.bits());
    const std::string text = to_base64(bytes);
    EXPECT_EQ(text.size(), (size + 2) / 3 * 4);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64, OddCharactersAnywhereAreRefused) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < 8; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string text = "Zm9vYmFy";
      text[at] = static_cast<char>(value);
      const bool is_digit = kDigits.find(static_cast<char>(value)) != kDigits.npos;
      // "Zm9vYmF=" would be padded rightly, were it not for the stray bits of its last digit.
      EXPECT_EQ(from_base64(text).has_value(), is_digit) << at << ' ' << value;
    }
  }
}

TEST(Base64, WrongLengthPaddingAndStrayBits) {
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zg===", "=", "==", "===", "====", "Z===", "Zg==Zg==", "Zm8=Zm9v",
        "Zh==", "Zm9=", "Z=g=", "Zg=a", " Zg==", "Zg==\n", "Zm9v\n", "Zm-_"}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

TEST(Base64, OneSpellingForEachValue) {
  test::Random random;
  constexpr std::string_view kAlphabet = "AQgw059+/=Zz";
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text(4 * random.below(3), '\0');
    for (char& digit : text) digit = kAlphabet[random.below(kAlphabet.size())];
    const auto bytes = from_base64(text);
    if (!bytes) continue;
    ++accepted;
    ASSERT_EQ(to_base64(*bytes), text);
  }
  EXPECT_GT(accepted, 1000);
}

void expect_round_trip(std::uint64_t high, std::uint64_t low) {
  const std::string text = to_ulid(high, low);
  ASSERT_EQ(text.size(), 26U);
  const auto ulid = from_ulid(text);
  ASSERT_TRUE(ulid);
  EXPECT_EQ(ulid->high, high) << text;
  EXPECT_EQ(ulid->low, low) << text;
}

TEST(PercentDecoded, EveryByteAndWrongEscapes) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const char* form : {"%02x", "%02X"}) {
      char escaped[4];
      (void)std::snprintf(escaped, sizeof escaped, form, byte);
      EXPECT_EQ(base::percent_decoded(std::string("a%") + escaped + "b"),
                std::string("a") + static_cast<char>(byte) + "b");
    }
  }
  EXPECT_EQ(base::percent_decoded(""), "");
  EXPECT_EQ(base::percent_decoded("a+b/%25"), "a+b/%");
  for (const char* wrong : {"%", "%2", "a%2", "%g0", "%0g", "%%41", "% 1", "%+1"}) {
    EXPECT_EQ(base::percent_decoded(wrong), std::nullopt) << wrong;
  }
}

TEST(Ulid, KnownValues) {
  EXPECT_EQ(to_ulid(0, 0), "00000000000000000000000000");
  EXPECT_EQ(to_ulid(0, 31), "0000000000000000000000000Z");
  EXPECT_EQ(to_ulid(0, 32), "00000000000000000000000010");
  EXPECT_EQ(to_ulid(~0ULL, ~0ULL), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
  EXPECT_EQ(to_ulid(1ULL << 63, 0), "40000000000000000000000000");
  // The specification's example, whose time part says 1469918176385.
  const auto ulid = from_ulid("01ARYZ6S41TSV4RRFFQ69G5FAV");
  ASSERT_TRUE(ulid);
  EXPECT_EQ(ulid->high >> 16, 1469918176385U);
  EXPECT_EQ(to_ulid(ulid->high, ulid->low), "01ARYZ6S41TSV4RRFFQ69G5FAV");
}

TEST(Ulid, EveryBitAndRandomValues) {
  for (int bit = 0; bit < 64; ++bit) {
    expect_round_trip(1ULL << bit, 0);
    expect_round_trip(0, 1ULL << bit);
    expect_round_trip(~(1ULL << bit), ~0ULL);
  }
  test::Random random;
  for (int round = 0; round < 1000; ++round) expect_round_trip(random.bits(), random.bits());
}

TEST(Ulid, TextSortsLikeTheNumber) {
  test::Random random;
  for (int round = 0; round < 1000; ++round) {
    const std::uint64_t a = random.bits();
    const std::uint64_t b = random.bits();
    EXPECT_EQ(a < b, to_ulid(a, b) < to_ulid(b, a));
  }
}

TEST(Ulid, EveryCharacterAtEveryPlace) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz";
  for (std::size_t at = 0; at < 26; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string text(26, '0');
      text[at] = static_cast<char>(value);
      bool good = kDigits.find(static_cast<char>(value)) != kDigits.npos;
      if (at == 0) good = value >= '0' && value <= '7';
      EXPECT_EQ(from_ulid(text).has_value(), good) << at << ' ' << value;
    }
  }
}

TEST(Ulid, EitherCaseAndOnlyTheRightLength) {
  const auto upper = from_ulid("01ARYZ6S41TSV4RRFFQ69G5FAV");
  const auto lower = from_ulid("01aryz6s41tsv4rrffq69g5fav");
  ASSERT_TRUE(upper && lower);
  EXPECT_EQ(upper->high, lower->high);
  EXPECT_EQ(upper->low, lower->low);
  for (std::size_t size = 0; size < 40; ++size) {
    EXPECT_EQ(from_ulid(std::string(size, '0')).has_value(), size == 26);
  }
}

}  // namespace
}  // namespace graven::base
