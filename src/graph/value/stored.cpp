// SPDX-License-Identifier: MIT
//
// The escapes, both ways. See stored.hpp; the format is specified in docs/format/body.md.
#include "graph/value/stored.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <graven/error.hpp>

#include "base/text.hpp"

namespace graven::graph {
namespace {

using jsonb::Element;
using jsonb::Type;
using store::Key;
using store::Record;
using store::Space;

struct Escape {
  char tag;
  Element value;
};

/// The one key (a single letter) and the value of an escape object.
std::optional<Escape> escape_of(const Element& element) {
  if (element.type != Type::kObject || element.payload.empty()) return std::nullopt;
  const Element key = jsonb::parse(element.payload);
  if (!key.is_text() || key.payload.size() != 1) return std::nullopt;
  return Escape{key.payload[0], jsonb::parse(element.payload.substr(key.whole.size()))};
}

std::int64_t id_of(const Element& value) {
  const std::optional<std::int64_t> id = jsonb::integer(value);
  if (!id) throw CorruptionError("a stored link or large value has no id; run check()");
  return *id;
}

void put_escape(std::string& out, char tag, std::string_view value_element) {
  jsonb::put_header(out, Type::kObject, value_element.size() + 2);
  jsonb::put_header(out, Type::kText, 1);
  out.push_back(tag);
  out.append(value_element);
}

void put_id_escape(std::string& out, char tag, std::int64_t id) {
  // In one place: links are what large structures consist of.
  std::array<char, 24> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
  const auto size = static_cast<std::size_t>(end - digits.data());
  const std::size_t header = size < 12 ? 1 : 2;
  jsonb::put_header(out, Type::kObject, header + size + 2);
  jsonb::put_header(out, Type::kText, 1);
  out.push_back(tag);
  jsonb::put_header(out, Type::kInt, size);
  out.append(digits.data(), size);
}

void put_text_escape(std::string& out, char tag, std::string_view text) {
  std::string value;
  jsonb::put_text(value, text);
  put_escape(out, tag, value);
}

std::string load_blob(store::View& view, std::int64_t id) {
  std::optional<Record> blob = view.load({.space = Space::kBlob, .a = id});
  if (!blob) {
    throw CorruptionError(
        fmt::format("the large value {} is missing from the store; run check()", id));
  }
  return std::move(blob->body);
}

std::int64_t make_blob(store::Work& work, NodeId owner, std::string_view bytes) {
  const std::int64_t id = work.next_id(Space::kBlob);
  Record record;
  record.integers[0] = owner;
  record.body = bytes;
  work.put({.space = Space::kBlob, .a = id}, std::move(record));
  return id;
}

/// `view` may be null for an element that is no blob.
Stored read_escape(const Element& element, store::View* view) {
  const std::optional<Escape> escape = escape_of(element);
  if (escape) {
    switch (escape->tag) {
      case 'd':
        return Link{id_of(escape->value), NodeKind::kDict};
      case 'l':
        return Link{id_of(escape->value), NodeKind::kList};
      case 'b':
        if (auto bytes = base::from_base64(jsonb::text(escape->value))) {
          return Bytes{std::move(*bytes)};
        }
        break;
      case 'i':
        return BigInt{jsonb::text(escape->value)};
      case 'f': {
        const std::string name = jsonb::text(escape->value);
        if (name == "nan") return std::numeric_limits<double>::quiet_NaN();
        if (name == "inf") return std::numeric_limits<double>::infinity();
        if (name == "-inf") return -std::numeric_limits<double>::infinity();
        break;
      }
      case 'T':
        return load_blob(*view, id_of(escape->value));
      case 'B':
        return Bytes{load_blob(*view, id_of(escape->value))};
      default:
        break;
    }
  }
  throw CorruptionError("a stored value is an object that graven did not write; run check()");
}

Stored read_any(const Element& element, store::View* view) {
  switch (element.type) {
    case Type::kNull:
      return nullptr;
    case Type::kTrue:
      return true;
    case Type::kFalse:
      return false;
    case Type::kInt:
    case Type::kInt5:
      if (const auto integer = jsonb::integer(element)) return *integer;
      return jsonb::real(element);
    case Type::kFloat:
    case Type::kFloat5:
      return jsonb::real(element);
    case Type::kText:
    case Type::kTextJ:
    case Type::kText5:
    case Type::kTextRaw:
      return jsonb::text(element);
    case Type::kObject:
      return read_escape(element, view);
    case Type::kArray:
      break;
  }
  throw CorruptionError("a stored value is an array where a link belongs; run check()");
}

}  // namespace

Stored read(const Element& element, store::View& view) { return read_any(element, &view); }

Stored read_inline(const Element& element) { return read_any(element, nullptr); }

std::optional<Link> link_of(const Element& element) {
  if (element.type != Type::kObject) return std::nullopt;
  // Most are as put_link() writes them: a text of one letter, then an integer, and no more.
  const std::string_view bytes = element.payload;
  constexpr char kOneLetter = 0x17;
  if (bytes.size() > 3 && bytes[0] == kOneLetter && (bytes[1] == 'd' || bytes[1] == 'l')) {
    const auto id = jsonb::integer(jsonb::parse(bytes.substr(2)));
    if (id) return Link{*id, bytes[1] == 'd' ? NodeKind::kDict : NodeKind::kList};
  }
  const std::optional<Escape> escape = escape_of(element);
  if (!escape) return std::nullopt;
  if (escape->tag == 'd') return Link{id_of(escape->value), NodeKind::kDict};
  if (escape->tag == 'l') return Link{id_of(escape->value), NodeKind::kList};
  return std::nullopt;
}

std::optional<std::int64_t> blob_of(const Element& element) {
  if (element.type != Type::kObject) return std::nullopt;
  const std::optional<Escape> escape = escape_of(element);
  if (!escape || (escape->tag != 'T' && escape->tag != 'B')) return std::nullopt;
  return id_of(escape->value);
}

void put_link(std::string& out, Link link) {
  put_id_escape(out, link.kind == NodeKind::kDict ? 'd' : 'l', link.id);
}

void put_scalar(std::string& out, const Data::Item& item, std::size_t large, NodeId owner,
                store::Work& work) {
  struct Put {
    std::string& out;
    std::size_t large;
    NodeId owner;
    store::Work& work;

    void operator()(std::nullptr_t) const { jsonb::put_null(out); }
    void operator()(bool value) const { jsonb::put_bool(out, value); }
    void operator()(std::int64_t value) const { jsonb::put_int(out, value); }
    void operator()(const BigInt& value) const { put_text_escape(out, 'i', value.hex); }
    void operator()(double value) const {
      if (std::isfinite(value)) {
        jsonb::put_real(out, value);
      } else {
        put_text_escape(out, 'f', std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
      }
    }
    void operator()(const std::string& value) const {
      if (value.size() < large) {
        jsonb::put_text(out, value);
      } else {
        put_id_escape(out, 'T', make_blob(work, owner, value));
      }
    }
    void operator()(const Bytes& value) const {
      if (value.data.size() < large) {
        put_text_escape(out, 'b', base::to_base64(value.data));
      } else {
        put_id_escape(out, 'B', make_blob(work, owner, value.data));
      }
    }
    void operator()(const Dict&) const { throw std::logic_error("put_scalar: a handle"); }
    void operator()(const List&) const { throw std::logic_error("put_scalar: a handle"); }
    void operator()(Data::Index) const { throw std::logic_error("put_scalar: a container"); }
  };
  std::visit(Put{out, large, owner, work}, item);
}

}  // namespace graven::graph
