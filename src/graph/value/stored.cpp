// SPDX-License-Identifier: MIT
//
// Writes and reads scalars, links and large values. See stored.hpp; docs/format/body.md specifies
// the format.
#include "graph/value/stored.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include <graven/error.hpp>

#include "base/jsonb_scalar.hpp"

namespace graven::graph {
namespace {

using jsonb::Element;
using jsonb::Type;
using port::Key;
using port::Record;
using port::Space;

struct Escape {
  char tag;
  Element value;
};

/// The only key (one letter) and the value of an escape object.
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

void put_id_escape(std::string& out, char tag, std::int64_t id) {
  // Written in one pass, without open() and close(), because large structures are mostly links.
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

std::string load_blob(port::View& view, std::int64_t id) {
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

constexpr const char* kForeign =
    "a stored value is an object that graven did not write; run check()";

/// `view` may be null for an element that is no blob.
Stored read_escape(const Element& element, port::View* view) {
  const std::optional<Escape> escape = escape_of(element);
  if (escape) {
    switch (escape->tag) {
      case 'd':
        return Link{id_of(escape->value), NodeKind::kDict};
      case 'l':
        return Link{id_of(escape->value), NodeKind::kList};
      case 'T':
        return load_blob(*view, id_of(escape->value));
      case 'B':
        return Bytes{load_blob(*view, id_of(escape->value))};
      default:
        return jsonb::escaped<Stored>(escape->tag, escape->value, kForeign);
    }
  }
  throw CorruptionError(kForeign);
}

Stored read_any(const Element& element, port::View* view) {
  if (element.type == Type::kObject) return read_escape(element, view);
  if (element.type != Type::kArray) return jsonb::scalar<Stored>(element);
  throw CorruptionError("a stored value is an array where a link belongs; run check()");
}

}  // namespace

Stored read(const Element& element, port::View& view) { return read_any(element, &view); }

Stored read_inline(const Element& element) { return read_any(element, nullptr); }

std::optional<Link> link_of(const Element& element) {
  if (element.type != Type::kObject) return std::nullopt;
  // Fast path for the bytes that put_link() writes: a text of one letter and then an integer.
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
  std::visit(
      [&](const auto& value) {
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Data::Index> || std::is_base_of_v<Node, T>) {
          throw std::logic_error("put_scalar: a handle or a container");
        } else {
          if constexpr (std::is_same_v<T, std::string>) {
            if (value.size() >= large) {
              return put_id_escape(out, 'T', make_blob(work, owner, value));
            }
          } else if constexpr (std::is_same_v<T, Bytes>) {
            if (value.data.size() >= large) {
              return put_id_escape(out, 'B', make_blob(work, owner, value.data));
            }
          }
          jsonb::put_scalar(out, value, "");
        }
      },
      item);
}

}  // namespace graven::graph
