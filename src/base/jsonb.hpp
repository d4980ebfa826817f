// SPDX-License-Identifier: MIT
//
// SQLite's JSONB, read and written in place. The format is public
// (https://sqlite.org/jsonb.html): every element is a header (type nibble, payload size) and
// a payload; containers hold their children back to back, an object's keys before its values.
//
// Always holds: SQLite's own jsonb() accepts what the put_* functions write; headers have minimal
// size. Reading accepts every element type that SQLite can write, also those that graven never
// writes (a user may have edited a body with jsonb_set()). Malformed bytes throw CorruptionError;
// nothing past the end of the bytes is read.
//
// Pure functions over caller's bytes; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graven::jsonb {

enum class Type : std::uint8_t {
  kNull = 0,
  kTrue = 1,
  kFalse = 2,
  kInt = 3,       // decimal digits
  kInt5 = 4,      // JSON5 integer: hexadecimal
  kFloat = 5,     // JSON number
  kFloat5 = 6,    // JSON5 number
  kText = 7,      // needs no escapes in JSON
  kTextJ = 8,     // holds JSON escapes
  kText5 = 9,     // holds JSON5 escapes
  kTextRaw = 10,  // raw UTF-8 that would need escapes
  kArray = 11,
  kObject = 12,
};

/// One element, as a view of the bytes it was read from.
struct Element {
  Type type = Type::kNull;
  std::string_view whole;  // header and payload
  std::string_view payload;

  [[nodiscard]] bool is_text() const noexcept {
    return type >= Type::kText && type <= Type::kTextRaw;
  }
  [[nodiscard]] bool is_container() const noexcept { return type >= Type::kArray; }
};

namespace detail {
Element parse_any(std::string_view bytes);
}

/// The element at the start of `bytes` (more may follow it).
inline Element parse(std::string_view bytes) {
  // Inline only for the most frequent elements: payloads below 256 bytes with a minimal header.
  const char* const at = bytes.data();
  if (bytes.size() > 1) {
    const unsigned first = static_cast<unsigned char>(at[0]);
    const auto type = static_cast<Type>(first & 15);
    const std::size_t size = first >> 4;
    if (type >= Type::kInt && type <= Type::kObject) {
      if (size < 12 && size < bytes.size()) return {type, {at, size + 1}, {at + 1, size}};
      const std::size_t wide = static_cast<unsigned char>(at[1]);
      if (size == 12 && wide + 2 <= bytes.size()) return {type, {at, wide + 2}, {at + 2, wide}};
    }
  }
  return detail::parse_any(bytes);
}

/// Walks the children of a container: `for (Cursor c(e.payload); !c.done();) use(c.next());`
/// An object gives key, value, key, value …
class Cursor {
 public:
  explicit Cursor(std::string_view payload) : rest_(payload) {}
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
  Element next() {
    Element element = parse(rest_);
    rest_.remove_prefix(element.whole.size());
    return element;
  }

 private:
  std::string_view rest_;
};

/// The number of children (an object's keys and values each count).
std::size_t count(const Element& container);

/// The value under a key of an object, or nothing. Keys are compared in decoded form.
std::optional<Element> find(const Element& object, std::string_view key);

/// The i-th child of an array (must exist: CorruptionError otherwise).
Element nth(const Element& array, std::size_t index);

/// The decoded text of a text element (UTF-8).
std::string text(const Element& element);
/// Whether the decoded text equals `other`; does not allocate for kText and kTextRaw.
bool text_equals(const Element& element, std::string_view other);
/// The value of kInt or kInt5; false when it does not fit 64 bits.
bool read_integer(const Element& element, std::int64_t& value);
/// The same, or nothing.
inline std::optional<std::int64_t> integer(const Element& element) {
  std::int64_t value = 0;
  if (!read_integer(element, value)) return std::nullopt;
  return value;
}
/// The value of kFloat, kFloat5 (also of the integer types, rounded).
double real(const Element& element);

// Writing: each appends one element to `out`.
void put_null(std::string& out);
void put_bool(std::string& out, bool value);
void put_int(std::string& out, std::int64_t value);
void put_real(std::string& out,
              double finite);  // shortest text that reads back the same; -0.0 kept
void put_text(std::string& out, std::string_view utf8);  // valid UTF-8; kText or kTextRaw
void put_header(std::string& out, Type type, std::size_t payload_size);
void put_container(std::string& out, Type type, std::string_view payload);

/// A container whose children are appended between open() and close(); nests.
///   std::size_t mark = open(out); put_int(out, 1); close(out, Type::kArray, mark);
std::size_t open(std::string& out);
void close(std::string& out, Type type, std::size_t mark);

/// A copy of the container with payload bytes [offset, offset + length) replaced.
std::string splice(Element container, std::size_t offset, std::size_t length,
                   std::string_view insertion);

/// Where an element lies in its container's payload.
inline std::size_t offset_in(Element container, Element child) {
  return static_cast<std::size_t>(child.whole.data() - container.payload.data());
}

}  // namespace graven::jsonb
