// SPDX-License-Identifier: MIT
//
// Encodes and decodes values; see value.hpp. Recursion is bounded by kMaxDepth. Any thread.
#include "map/value.hpp"

#include <fmt/format.h>

#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <graven/error.hpp>

#include "base/integer.hpp"
#include "base/jsonb_scalar.hpp"

namespace graven::map {
namespace {

using jsonb::Element;
using jsonb::Type;

constexpr std::string_view kMark = "$";  // begins the key of an escape

void check_size(std::size_t size, std::string_view key) {
  if (size > kMaxValue) {
    throw LimitError(fmt::format("the value at '{}' has {} bytes; the limit is {}", shown(key),
                                 size, kMaxValue));
  }
}

void check_text(std::string_view text, std::string_view key) {
  check_size(text.size(), key);
  if (const auto at = base::invalid_utf8(text)) {
    throw BadValueError(fmt::format(
        "a text in the value at '{}' is not UTF-8 (byte {}); store it as bytes", shown(key), *at));
  }
}

class Encoder {
 public:
  Encoder(const Data& data, std::string_view key)
      : data_(data), key_(key), open_(data.container_count()) {}

  ValueKind root(std::string& out) {
    return std::visit(
        [&](const auto& value) -> ValueKind {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::nullptr_t>) {
            return ValueKind::kNull;
          } else if constexpr (std::is_same_v<T, bool>) {
            return value ? ValueKind::kTrue : ValueKind::kFalse;
          } else if constexpr (std::is_arithmetic_v<T>) {
            out.assign(reinterpret_cast<const char*>(&value), sizeof value);
            return std::is_same_v<T, double> ? ValueKind::kReal : ValueKind::kInt;
          } else if constexpr (std::is_same_v<T, BigInt>) {
            check_integer(value.hex);
            out = value.hex;
            return ValueKind::kBigInt;
          } else if constexpr (std::is_same_v<T, std::string>) {
            check_text(value);
            out = value;
            return ValueKind::kText;
          } else if constexpr (std::is_same_v<T, Bytes>) {
            check_size(value.data.size());
            out = value.data;
            return ValueKind::kBytes;
          } else if constexpr (std::is_same_v<T, Data::Index>) {
            out.clear();
            put(value, out);
            check_size(out.size());
            return ValueKind::kJson;
          } else {
            refuse_handle();
          }
        },
        data_.root());
  }

 private:
  [[noreturn]] void refuse_handle() const {
    throw WrongTypeError(
        fmt::format("the value at '{}' holds a handle on a stored dict or list, which a map cannot "
                    "link; store a plain copy of it, or use a Dict",
                    shown(key_)));
  }
  void check_size(std::size_t size) const { map::check_size(size, key_); }
  void check_text(std::string_view text) const { map::check_text(text, key_); }
  void check_integer(std::string_view hex) const {
    if (!base::is_hex(hex)) base::require_hex(hex, shown(key_));
  }

  void put(const Data::Item& item, std::string& out) {
    std::visit([&](const auto& value) { put_one(value, out); }, item);
  }
  template <class T>
  void put_one(const T& value, std::string& out) {
    if constexpr (std::is_base_of_v<Node, T>) {
      refuse_handle();
    } else {
      if constexpr (std::is_same_v<T, std::string>) check_text(value);
      if constexpr (std::is_same_v<T, Bytes>) check_size(value.data.size());
      if constexpr (std::is_same_v<T, BigInt>) check_integer(value.hex);
      jsonb::put_scalar(out, value, kMark);
    }
  }
  void put_one(Data::Index index, std::string& out) {
    if (open_[index.at]) {
      throw BadValueError(fmt::format(
          "the value at '{}' contains itself, which a map cannot store; use a Dict", shown(key_)));
    }
    if (++depth_ > kMaxDepth) {
      throw LimitError(fmt::format("the value at '{}' is nested more than {} deep; use a Dict",
                                   shown(key_), kMaxDepth));
    }
    open_[index.at] = true;
    const Data::Container& container = data_.container(index);
    const std::size_t mark = jsonb::open(out);
    for (std::size_t i = 0; i < container.items.size(); ++i) {
      if (container.kind == NodeKind::kDict) {
        const std::string& name = container.keys[i];
        check_text(name);
        const bool doubled = container.items.size() == 1 && name.starts_with('$');
        jsonb::put_text(out, doubled ? "$" + name : name);
      }
      put(container.items[i], out);
    }
    jsonb::close(out, container.kind == NodeKind::kDict ? Type::kObject : Type::kArray, mark);
    check_size(out.size());
    open_[index.at] = false;
    --depth_;
  }

  const Data& data_;
  std::string_view key_;
  std::vector<bool> open_;  // the containers on the path from the root to the current one
  int depth_ = 0;
};

constexpr const char* kForeign = "a map's stored value is not one graven wrote; run check()";

[[noreturn]] void refuse_value() { throw CorruptionError(kForeign); }

class Decoder {
 public:
  Data decode(std::string_view bytes) {
    data_.set_root(item(jsonb::parse(bytes)));
    return std::move(data_);
  }

 private:
  Data::Item item(Element element) {
    if (!element.is_container()) return jsonb::scalar<Data::Item>(element);
    if (element.type == Type::kObject) {
      if (auto escaped = escape(element)) return std::move(*escaped);
    }
    if (++depth_ > 2 * kMaxDepth) refuse_value();
    const bool dict = element.type == Type::kObject;
    const Data::Index index = data_.add(dict ? NodeKind::kDict : NodeKind::kList);
    bool only = dict;
    for (jsonb::Cursor cursor(element.payload); !cursor.done();) {
      std::string key;
      if (dict) {
        key = jsonb::text(cursor.next());
        if (cursor.done()) refuse_value();
      }
      const Element value = cursor.next();
      if (only && key.starts_with("$$") && cursor.done()) key.erase(0, 1);
      only = false;
      Data::Item made = item(value);
      Data::Container& container = data_.container(index);
      if (dict) container.keys.push_back(std::move(key));
      container.items.push_back(std::move(made));
    }
    --depth_;
    return index;
  }

  /// The value of an escape: an object whose only key is "$…".
  static std::optional<Data::Item> escape(Element object) {
    jsonb::Cursor cursor(object.payload);
    if (cursor.done()) return std::nullopt;
    const Element key = cursor.next();
    if (key.payload.size() != 2 || key.payload[0] != '$' || cursor.done()) return std::nullopt;
    const Element value = cursor.next();
    if (!cursor.done() || key.payload[1] == '$') return std::nullopt;
    return jsonb::escaped<std::optional<Data::Item>>(key.payload[1], value, kForeign);
  }

  Data data_;
  int depth_ = 0;
};

template <class Number>
Number number(std::string_view bytes) {
  Number value;
  if (bytes.size() != sizeof value) refuse_value();
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return std::string(text);
  std::size_t cut = kShown;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80) --cut;
  return std::string(text.substr(0, cut)) + "…";
}

ValueKind encode(const Data& data, std::string_view key, std::string& bytes) {
  bytes.clear();
  return Encoder(data, key).root(bytes);
}

Data decode(ValueKind kind, std::string_view bytes) {
  switch (kind) {
    case ValueKind::kNull:
      return nullptr;
    case ValueKind::kFalse:
      return false;
    case ValueKind::kTrue:
      return true;
    case ValueKind::kInt:
      return number<std::int64_t>(bytes);
    case ValueKind::kBigInt:
      return BigInt{std::string(bytes)};
    case ValueKind::kReal:
      return number<double>(bytes);
    case ValueKind::kText:
      return std::string(bytes);
    case ValueKind::kBytes:
      return Bytes{std::string(bytes)};
    case ValueKind::kJson:
      return Decoder().decode(bytes);
  }
  refuse_value();
}

void require_readable(ValueKind kind, std::string_view bytes) {
  if (kind == ValueKind::kText && base::invalid_utf8(bytes)) {
    throw CorruptionError("a text in a map is not UTF-8; `graven check` shows which");
  }
  if (kind == ValueKind::kBigInt && !base::is_hex(bytes)) refuse_value();
}

void prove(std::int64_t kind, std::string_view bytes) {
  const auto known = static_cast<ValueKind>(kind);
  require_readable(known, bytes);
  static_cast<void>(decode(known, bytes));
}

void check_scalar(ValueKind kind, std::string_view bytes, std::string_view key) {
  switch (kind) {
    case ValueKind::kNull:
    case ValueKind::kFalse:
    case ValueKind::kTrue:
      if (bytes.empty()) return;
      break;
    case ValueKind::kInt:
    case ValueKind::kReal:
      if (bytes.size() == 8) return;
      break;
    case ValueKind::kText:
      return check_text(bytes, key);
    case ValueKind::kBytes:
      return check_size(bytes.size(), key);
    case ValueKind::kBigInt:
    case ValueKind::kJson:
      break;
  }
  throw UsageError(fmt::format(
      "the value at '{}' does not have the bytes of a scalar in memory; store it as Data",
      shown(key)));
}

void check_key(std::string_view key) {
  if (key.size() > kMaxKey) {
    throw LimitError(
        fmt::format("the key '{}' has {} bytes; the limit is {}", shown(key), key.size(), kMaxKey));
  }
  if (const auto at = base::invalid_utf8(key)) {
    throw BadValueError(fmt::format("a key is not UTF-8 (byte {} of {})", *at, key.size()));
  }
}

}  // namespace graven::map
