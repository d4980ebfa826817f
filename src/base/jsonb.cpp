// SPDX-License-Identifier: MIT
//
// The codec of jsonb.hpp: headers and containers. Scalars are in jsonb_text.cpp and
// jsonb_number.cpp.
//
// Always holds: no byte outside the given view is read, whatever it claims; sizes are compared with
// what is left before a pointer moves. Nothing here recurses, so depth does not matter. Only text()
// and splice() allocate (and whatever grows `out`).
//
// Pure functions over caller's bytes; any thread.
#include "base/jsonb.hpp"

#include <graven/error.hpp>

#include <array>

#include "base/jsonb_detail.hpp"

namespace graven::jsonb {

using detail::damaged;
using detail::expect;
using detail::kInlineSize;
using detail::kMaxHeader;
using detail::octet;

namespace {

constexpr std::size_t kReserved = 2;  // what open() leaves for a header: fits 12 to 255 bytes

/// A header, checked against the bytes that follow it.
struct Header {
  unsigned type;
  std::size_t size;     // of the header itself
  std::size_t payload;  // of what follows
};

[[gnu::noinline]] Header long_header(const char* at, std::size_t left) {
  if (left == 0) damaged("an element is missing");
  const unsigned first = octet(*at);
  Header header{first & 15, 1, first >> 4};
  if (header.payload > kInlineSize) {
    const std::size_t width = std::size_t{1} << (header.payload - 12);
    header.size = 1 + width;
    if (left < header.size) damaged("it ends within the header of an element");
    header.payload = 0;
    for (std::size_t i = 1; i <= width; ++i) header.payload = header.payload << 8 | octet(at[i]);
  }
  if (header.type > static_cast<unsigned>(Type::kObject)) {
    damaged("an element is of the unknown type " + std::to_string(header.type));
  }
  if (header.type < static_cast<unsigned>(Type::kInt) && first != header.type) {
    damaged("a null or a bool has a payload");
  }
  if (header.payload > left - header.size) {
    damaged("an element claims " + std::to_string(header.payload) + " bytes where " +
            std::to_string(left - header.size) + " are left");
  }
  return header;
}

inline Header header_at(const char* at, std::size_t left) {
  if (left > 1) [[likely]] {
    const unsigned first = octet(*at);
    const unsigned type = first & 15;
    if (type - 3 < 10) {
      const std::size_t size = first >> 4;
      if (size <= kInlineSize) {
        if (size < left) [[likely]]
          return {type, 1, size};
      } else if (size == 12) {
        const std::size_t payload = octet(at[1]);
        if (payload <= left - 2) [[likely]]
          return {type, 2, payload};
      }
    }
  }
  return long_header(at, left);
}

inline Element element_at(const char* at, const Header& header) {
  return {static_cast<Type>(header.type),
          {at, header.size + header.payload},
          {at + header.size, header.payload}};
}

}  // namespace

namespace detail {

void damaged(const std::string& what) {
  throw CorruptionError("damaged JSONB: " + what +
                        "; `graven check` lists what else is wrong with the file");
}

void unexpected(const Element& element, const char* expected) {
  damaged(std::string(expected) + " is expected where an element of type " +
          std::to_string(static_cast<unsigned>(element.type)) + " stands");
}

Element parse_any(std::string_view bytes) {
  return element_at(bytes.data(), header_at(bytes.data(), bytes.size()));
}

}  // namespace detail

std::size_t count(const Element& container) {
  expect(container, container.is_container(), "an array or object");
  const char* at = container.payload.data();
  const char* const end = at + container.payload.size();
  std::size_t children = 0;
  for (; at != end; ++children) {
    const Header header = header_at(at, static_cast<std::size_t>(end - at));
    at += header.size + header.payload;
  }
  return children;
}

std::optional<Element> find(const Element& object, std::string_view key) {
  expect(object, object.type == Type::kObject, "an object");
  const char* at = object.payload.data();
  const char* const end = at + object.payload.size();
  while (at != end) {
    const Header label = header_at(at, static_cast<std::size_t>(end - at));
    const char* const name = at + label.size;
    at = name + label.payload;
    bool same = false;
    if (label.type == static_cast<unsigned>(Type::kText) ||
        label.type == static_cast<unsigned>(Type::kTextRaw)) [[likely]] {
      same = detail::same_bytes(name, label.payload, key);
    } else if (label.type == static_cast<unsigned>(Type::kTextJ) ||
               label.type == static_cast<unsigned>(Type::kText5)) {
      const bool json5 = label.type == static_cast<unsigned>(Type::kText5);
      same = detail::escaped_equals({name, label.payload}, json5, key);
    } else {
      damaged("the key of an object is not a text");
    }
    const Header value = header_at(at, static_cast<std::size_t>(end - at));
    if (same) return element_at(at, value);
    at += value.size + value.payload;
  }
  return std::nullopt;
}

Element nth(const Element& array, std::size_t index) {
  expect(array, array.type == Type::kArray, "an array");
  const char* at = array.payload.data();
  const char* const end = at + array.payload.size();
  while (at != end) {
    const Header header = header_at(at, static_cast<std::size_t>(end - at));
    if (index-- == 0) return element_at(at, header);
    at += header.size + header.payload;
  }
  damaged("an array has fewer items than it should");
}

void put_null(std::string& out) { out.push_back(static_cast<char>(Type::kNull)); }

void put_bool(std::string& out, bool value) {
  out.push_back(static_cast<char>(value ? Type::kTrue : Type::kFalse));
}

void put_header(std::string& out, Type type, std::size_t payload_size) {
  std::array<char, kMaxHeader> header;
  out.append(header.data(), detail::write_header(header.data(), type, payload_size));
}

void put_container(std::string& out, Type type, std::string_view payload) {
  put_header(out, type, payload.size());
  out.append(payload);
}

std::size_t open(std::string& out) {
  const std::size_t mark = out.size();
  out.append(kReserved, '\0');
  return mark;
}

void close(std::string& out, Type type, std::size_t mark) {
  std::array<char, kMaxHeader> header;
  const std::size_t size = detail::write_header(header.data(), type, out.size() - mark - kReserved);
  out.replace(mark, kReserved, header.data(), size);
}

std::string splice(Element container, std::size_t offset, std::size_t length,
                   std::string_view insertion) {
  expect(container, container.is_container(), "an array or object");
  const std::string_view payload = container.payload;
  if (offset > payload.size() || length > payload.size() - offset) {
    damaged("an array or object is shorter than it should be");
  }
  const std::size_t size = payload.size() - length + insertion.size();
  std::string copy;
  copy.reserve(kMaxHeader + size);
  put_header(copy, container.type, size);
  copy += payload.substr(0, offset);
  copy += insertion;
  copy += payload.substr(offset + length);
  return copy;
}

}  // namespace graven::jsonb
