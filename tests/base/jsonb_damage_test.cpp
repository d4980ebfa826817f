// SPDX-License-Identifier: MIT
//
// Damaged bytes: every truncation and random mutations of valid JSONB, each in a buffer of
// exactly its size (AddressSanitizer sees one byte too far), walked by every reading
// function. Nothing but CorruptionError may come of it.
#include <graven/error.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/json_model.hpp"
#include "base/jsonb.hpp"

namespace graven::jsonb {
namespace {

using test::bytes_of;
using test::Json;
using test::Random;
using test::SqliteJson;

/// Bytes with nothing readable after them.
class Exact {
 public:
  explicit Exact(std::string_view bytes)
      : copy_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    std::memcpy(copy_.get(), bytes.data(), size_);
  }
  [[nodiscard]] std::string_view view() const { return {copy_.get(), size_}; }

 private:
  std::unique_ptr<char[]> copy_;
  std::size_t size_;
};

/// Reads all of an element in every way there is.
void read_all(Element element) {
  if (element.is_text()) {
    text_equals(element, "some text\n");
    text(element);
  } else if (element.type == Type::kInt || element.type == Type::kInt5) {
    integer(element);
    real(element);
  } else if (element.type == Type::kFloat || element.type == Type::kFloat5) {
    real(element);
  } else if (element.is_container()) {
    splice(element, element.payload.size(), 0, "x");
    for (Cursor cursor(element.payload); !cursor.done();) read_all(cursor.next());
    const std::size_t children = count(element);
    if (element.type == Type::kObject) {
      find(element, "no such key");
      find(element, "no such\n\"key\"");
    } else if (children > 0) {
      nth(element, children - 1);
    }
  }
}

/// Whether anything is wrong with the bytes, which must be one element.
bool damaged(std::string_view bytes) {
  const Exact exact(bytes);
  try {
    const Element whole = parse(exact.view());
    read_all(whole);
    return whole.whole.size() != bytes.size();
  } catch (const CorruptionError& error) {
    EXPECT_NE(std::strlen(error.what()), 0U);
    return true;
  }
}

TEST(JsonbDamage, EveryTruncationIsNoticed) {
  Random random;
  for (int round = 0; round < 100; ++round) {
    const std::string bytes = bytes_of(test::random_value(random, 3));
    EXPECT_FALSE(damaged(bytes));
    const std::size_t step = 1 + bytes.size() / 300;
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      ASSERT_TRUE(damaged(std::string_view(bytes).substr(0, size))) << size;
    }
  }
}

TEST(JsonbDamage, TruncatedInsideAValidContainer) {
  // The container is whole, its last child is not: each function must stop at the payload.
  Random random;
  for (int round = 0; round < 300; ++round) {
    const bool is_object = random.one_in(2);
    const std::string child = bytes_of(Json(test::random_text(random) + "x"));
    std::string payload = is_object ? bytes_of(Json("key")) : std::string();
    payload += child.substr(0, 1 + random.below(child.size() - 1));
    std::string bytes;
    put_container(bytes, is_object ? Type::kObject : Type::kArray, payload);
    ASSERT_TRUE(damaged(bytes));
    const Exact exact(bytes);
    const Element whole = parse(exact.view());
    EXPECT_THROW(count(whole), CorruptionError);
    if (is_object) {
      EXPECT_THROW(find(whole, "key"), CorruptionError);
      EXPECT_THROW(find(whole, "other"), CorruptionError);
    } else {
      EXPECT_THROW(nth(whole, 0), CorruptionError);
    }
  }
}

TEST(JsonbDamage, RandomMutations) {
  Random random;
  SqliteJson sqlite;
  int noticed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = bytes_of(test::random_value(random, 3));
    if (bytes.size() > 3000) continue;
    for (std::size_t change = 1 + random.below(3); change > 0; --change) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.bits());
    }
    const bool is_damaged = damaged(bytes);
    noticed += is_damaged ? 1 : 0;
    // What SQLite finds strictly valid we read, but for text that is no text at all (SQLite
    // does not look at UTF-8 or surrogates) and floats such as "e5" that it lets pass.
    if (is_damaged && sqlite.valid(bytes)) {
      try {
        read_all(parse(bytes));
        FAIL() << "only damaged in a buffer of its own";
      } catch (const CorruptionError& error) {
        const std::string_view message = error.what();
        const bool tolerated = message.find("UTF-8") != message.npos ||
                               message.find("surrogate") != message.npos ||
                               message.find("a number is malformed") != message.npos;
        ASSERT_TRUE(tolerated) << message;
      }
    }
  }
  EXPECT_GT(noticed, 300);
}

TEST(JsonbDamage, RandomBytes) {
  Random random;
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes(random.below(24), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.bits());
    damaged(bytes);
  }
}

TEST(JsonbDamage, HeadersExhaustively) {
  // Every first byte, followed by 0 to 12 bytes of three kinds.
  for (int first = 0; first < 256; ++first) {
    for (std::size_t rest = 0; rest <= 12; ++rest) {
      for (const char fill : {'\0', '\x01', '\xff'}) {
        const Exact exact(std::string(1, static_cast<char>(first)) + std::string(rest, fill));
        const int type = first & 15;
        const std::size_t nibble = static_cast<std::size_t>(first) >> 4;
        const std::size_t width = nibble < 12 ? 0 : std::size_t{1} << (nibble - 12);
        std::size_t payload = nibble;
        if (width != 0) {
          payload = 0;
          for (std::size_t i = 0; i < width; ++i) {
            payload = payload << 8 | static_cast<unsigned char>(fill);
          }
        }
        const bool good =
            type <= 12 && (type > 2 || first == type) && width <= rest && payload <= rest - width;
        bool accepted = false;
        try {
          const Element element = parse(exact.view());
          accepted = true;
          EXPECT_EQ(element.type, static_cast<Type>(type));
          EXPECT_EQ(element.payload.size(), payload);
          EXPECT_EQ(element.whole.size(), 1 + width + payload);
          EXPECT_EQ(element.payload.data(), exact.view().data() + 1 + width);
        } catch (const CorruptionError&) {
        }
        ASSERT_EQ(accepted, good) << first << ' ' << rest << ' ' << static_cast<int>(fill);
      }
    }
  }
}

TEST(JsonbDamage, EscapesCutShortOrUnknown) {
  for (const std::string_view payload :
       {"\\", "\\u", "\\u1", "\\u12", "\\u123", "\\u123g", "\\u-123", "\\u 123", "\\q", "\\x41",
        "\\'", "\\v", "\\0", "\\\n", "a\\", "\\ud800\\", "\\ud800\\u", "\\ud800\\udc0"}) {
    std::string bytes;
    put_header(bytes, Type::kTextJ, payload.size());
    bytes += payload;
    const Exact exact(bytes);
    EXPECT_THROW(text(parse(exact.view())), CorruptionError) << payload;
  }
  for (const std::string_view payload :
       {"\\", "\\x", "\\x4", "\\x4g", "\\q", "\\1", "\\01", "\\\xe2", "\\\xe2\x80",
        "\\\xe2\x80\xaa", "\\\xe2\x81\xa8", "\\u123"}) {
    std::string bytes;
    put_header(bytes, Type::kText5, payload.size());
    bytes += payload;
    const Exact exact(bytes);
    EXPECT_THROW(text(parse(exact.view())), CorruptionError) << payload;
  }
}

TEST(JsonbDamage, TextThatIsNotUtf8) {
  for (const Type type : {Type::kText, Type::kTextRaw, Type::kTextJ, Type::kText5}) {
    for (const std::string_view payload : {"\xff", "caf\xc3", "\xed\xa0\x80", "\xc0\x80"}) {
      std::string bytes;
      put_header(bytes, type, payload.size());
      bytes += payload;
      const Exact exact(bytes);
      EXPECT_THROW(text(parse(exact.view())), CorruptionError);
    }
  }
}

TEST(JsonbDamage, ObjectsOfOddPieces) {
  using namespace std::string_literals;
  EXPECT_TRUE(damaged("\x2c\x17k"s));              // a key without a value
  EXPECT_TRUE(damaged("\x4c\x13\x31\x13\x32"s));   // a key that is a number
  EXPECT_TRUE(damaged("\x5c\x17k\x13\x31\x07"s));  // a second key without a value
  EXPECT_TRUE(damaged("\x1b\x0d"s));               // an item of an unknown type
  EXPECT_TRUE(damaged("\x1b\x11"s));               // an item past the end
  EXPECT_TRUE(damaged("\x2b\x11\x00"s));           // a true with a payload
  EXPECT_TRUE(damaged(""));
  EXPECT_TRUE(damaged("\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x13\x31"s));  // a size past any
}

}  // namespace
}  // namespace graven::jsonb
