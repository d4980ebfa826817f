// SPDX-License-Identifier: MIT
//
// Data and Value: the plain data of the public API. Nothing here recurses; two structures with
// cycles are compared by a bisimulation over pairs of containers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include <graven/data.hpp>
#include <graven/integer.hpp>

#include "base/integer.hpp"
#include "graph/node/list_content.hpp"

namespace graven {

// --- Functions that headers need

namespace detail {

void throw_null_text() { throw UsageError("a text is a null pointer"); }

void throw_negative_count() { throw UsageError("a count must not be negative"); }

void throw_large_addend() {
  throw LimitError("the number to add to a counter must be a signed integer of 64 bits");
}

void throw_moved_from() {
  throw UsageError(
      "this handle was moved from and stands for nothing: use the one it was moved to");
}

BigInt big(std::uint64_t value) { return BigInt{fmt::format("{:x}", value)}; }

std::optional<std::uint64_t> to_unsigned(const BigInt& value) {
  std::uint64_t number = 0;
  const char* end = value.hex.data() + value.hex.size();
  const auto result = std::from_chars(value.hex.data(), end, number, 16);
  if (value.hex.empty() || result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return number;
}

double to_double(const BigInt& value) { return base::Integer(value.hex).to_double(); }

namespace {

/// The number in decimal if it is short, else a description of its size.
std::string in_words(const BigInt& value) {
  constexpr std::size_t kHexDigits = 33;  // about 40 decimal digits
  if (value.hex.size() <= kHexDigits) return to_decimal(value);
  constexpr double kDecimalDigits = 1.20412;  // decimal digits per hexadecimal digit
  const bool negative = value.hex.starts_with('-');
  const std::size_t digits = value.hex.size() - (negative ? 1 : 0);
  return fmt::format("a {}number of some {} digits", negative ? "negative " : "",
                     std::llround(static_cast<double>(digits) * kDecimalDigits));
}

}  // namespace

void refuse(const Value& value, Wanted wanted, const Ref* place) {
  const std::string where = place != nullptr ? fmt::format(" at '{}'", place->path()) : "";
  const auto& variant = value.variant();
  const bool to_float = wanted.type == "float";
  const auto* integer = std::get_if<std::int64_t>(&variant);
  const auto* large = std::get_if<BigInt>(&variant);
  const auto* real = std::get_if<double>(&variant);
  std::string number;
  if (integer != nullptr && wanted.type == "int") number = fmt::format("{}", *integer);
  if (real != nullptr && to_float) number = fmt::format("{}", *real);
  if (large != nullptr && (to_float || wanted.type == "int")) {
    number = in_words(*large);
  }
  if (!number.empty()) {
    throw LimitError(
        fmt::format("the value{} is {}, which {} cannot hold", where, number, wanted.exact));
  }
  throw WrongTypeError(
      fmt::format("the value{} is {}, not {}", where, value.type_name(), wanted.type));
}

}  // namespace detail

// --- Value

std::string_view Value::type_name() const noexcept {
  static constexpr std::string_view kNames[] = {"null", "bool",  "int",  "int", "float",
                                                "str",  "bytes", "dict", "list"};
  return kNames[variant_.index()];
}

namespace {

/// Numbers compare as in Python: bool, int and float by value.
bool numeric(const auto& variant, double& real, std::int64_t& integer, bool& is_real) {
  if (const auto* flag = std::get_if<bool>(&variant)) {
    integer = *flag ? 1 : 0;
    is_real = false;
  } else if (const auto* whole = std::get_if<std::int64_t>(&variant)) {
    integer = *whole;
    is_real = false;
  } else if (const auto* number = std::get_if<double>(&variant)) {
    real = *number;
    is_real = true;
  } else {
    return false;
  }
  return true;
}

/// Whether a double is exactly this integer.
bool same_number(double real, std::int64_t integer) {
  return real >= -0x1p63 && real < 0x1p63 && std::trunc(real) == real &&
         static_cast<std::int64_t>(real) == integer;
}

/// A double as a BigInt's hexadecimal digits, if it is a whole number beyond 64 bits.
std::string hex_of(double real) {
  if (!std::isfinite(real) || std::trunc(real) != real || std::fabs(real) < 0x1p63) return {};
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(real), &exponent);
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
  const int shift = exponent - 53;
  std::string digits = fmt::format("{:x}", mantissa << static_cast<unsigned>(shift % 4));
  digits.append(static_cast<std::size_t>(shift / 4), '0');
  return (real < 0 ? "-" : "") + digits;
}

template <class Variant>
bool same_scalar(const Variant& left, const Variant& right) {
  double real[2]{};
  std::int64_t integer[2]{};
  bool is_real[2]{};
  const bool number_left = numeric(left, real[0], integer[0], is_real[0]);
  const bool number_right = numeric(right, real[1], integer[1], is_real[1]);
  if (number_left && number_right) {
    if (is_real[0] && is_real[1]) return real[0] == real[1];
    if (is_real[0]) return same_number(real[0], integer[1]);
    if (is_real[1]) return same_number(real[1], integer[0]);
    return integer[0] == integer[1];
  }
  const auto* big_left = std::get_if<BigInt>(&left);
  const auto* big_right = std::get_if<BigInt>(&right);
  if (big_left != nullptr && number_right) return is_real[1] && hex_of(real[1]) == big_left->hex;
  if (big_right != nullptr && number_left) return is_real[0] && hex_of(real[0]) == big_right->hex;
  return left == right;
}

}  // namespace

bool operator==(const Value& left, const Value& right) noexcept {
  return same_scalar(left.variant_, right.variant_);
}

Ref Value::operator[](Text key) const { return as_dict()[key]; }

// --- Data

Data::Data(const Value& value)
    : root_(std::visit([](const auto& part) -> Item { return part; }, value.variant())) {}

Data::Data(const Ref& place) : Data(place.value()) {}

Data::Braced::Braced(std::initializer_list<Braced> elements)
    : data_(elements),
      written_(elements.size() == 2 && elements.begin()->written_ == Written::kText
                   ? Written::kPair
                   : Written::kOther) {}

Data::Data(std::initializer_list<Braced> elements) : root_(nullptr) {
  if (elements.size() == 0) return;
  const Braced& first = *elements.begin();
  if (elements.size() == 1 && first.written_ == Braced::Written::kData) {
    *this = std::move(first.data_);
    return;
  }
  const bool pairs = std::all_of(elements.begin(), elements.end(), [](const Braced& element) {
    return element.written_ == Braced::Written::kPair;
  });
  become(pairs ? NodeKind::kDict : NodeKind::kList);
  for (const Braced& element : elements) {
    if (!pairs) {
      append(std::move(element.data_));
      continue;
    }
    // The pair's list is only notation: move its value in, and drop the list.
    Data& pair = element.data_;
    Container& list = pair.containers_[std::get<Index>(pair.root_).at];
    const std::string key = std::move(std::get<std::string>(list.items[0]));
    pair.root_ = std::move(list.items[1]);
    append(key, std::move(pair));
  }
}

Data Data::dict(std::initializer_list<std::pair<Text, Data>> entries) {
  Data made;
  made.become(NodeKind::kDict);
  for (const auto& [key, value] : entries) made.append(key, value);
  return made;
}

Data Data::list(std::initializer_list<Data> items) {
  Data made;
  made.become(NodeKind::kList);
  for (const Data& value : items) made.append(value);
  return made;
}

void Data::append(Data item) {
  Item adopted = adopt(std::move(item));
  container(std::get<Index>(root_)).items.push_back(std::move(adopted));
}

void Data::append(std::string_view key, Data item) {
  append(std::move(item));
  container(std::get<Index>(root_)).keys.emplace_back(key);
}

namespace {

/// Adds everything that `root`, an item of another arena, reaches to the arena `into`. `give`
/// returns the other arena's containers. Returns the item as it is named in `into`.
template <class Give>
Data::Item bring(Data& into, Data::Item root, Give give) {
  std::unordered_map<std::uint32_t, std::uint32_t> brought;
  std::vector<std::uint32_t> queue;
  const auto place = [&](Data::Item& item) {
    auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) return;
    const auto [it, fresh] = brought.try_emplace(index->at, 0);
    if (fresh) {
      it->second = into.add(NodeKind::kDict).at;
      queue.push_back(index->at);
    }
    index->at = it->second;
  };
  place(root);
  for (std::size_t i = 0; i < queue.size(); ++i) {
    Data::Container container = give(queue[i]);
    for (Data::Item& item : container.items) place(item);
    into.container({brought.at(queue[i])}) = std::move(container);
  }
  return root;
}

}  // namespace

Data::Index Data::add(NodeKind kind) {
  containers_.push_back({kind, {}, {}});
  return {static_cast<std::uint32_t>(containers_.size() - 1)};
}

Data::Item Data::adopt(Data other) {
  return bring(*this, std::move(other.root_),
               [&](std::uint32_t at) { return std::move(other.containers_[at]); });
}

bool Data::is_dict() const noexcept {
  const auto* index = std::get_if<Index>(&root_);
  return index != nullptr && containers_[index->at].kind == NodeKind::kDict;
}

bool Data::is_list() const noexcept {
  const auto* index = std::get_if<Index>(&root_);
  return index != nullptr && containers_[index->at].kind == NodeKind::kList;
}

std::size_t Data::size() const {
  const auto* index = std::get_if<Index>(&root_);
  if (index == nullptr) throw WrongTypeError("a scalar has no size");
  return containers_[index->at].items.size();
}

Data Data::part(const Item& item) const {
  Data copy;
  copy.root_ = bring(copy, item, [&](std::uint32_t at) { return containers_[at]; });
  return copy;
}

Data Data::at(Text key) const {
  if (!is_dict()) throw WrongTypeError("the data is not a dict");
  const Container& dict = container(std::get<Index>(root_));
  for (std::size_t i = 0; i < dict.keys.size(); ++i) {
    if (dict.keys[i] == key) {
      return part(dict.items[i]);
    }
  }
  throw KeyNotFound(fmt::format("no key '{}'", key));
}

Data Data::item_at(ListIndex from) const {
  if (!is_list()) throw WrongTypeError("the data is not a list");
  const Container& list = container(std::get<Index>(root_));
  const auto place = graph::list_content::place_of(from, list.items.size());
  if (!place) {
    throw IndexOutOfRange(fmt::format("index {} is out of range: the list has {} items",
                                      std::int64_t{from}, list.items.size()));
  }
  return part(list.items[*place]);
}

Value Data::scalar() const {
  return std::visit(
      [](const auto& part) -> Value {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, Index>) {
          throw WrongTypeError("the data is a container, not a scalar");
        } else {
          return Value(Value::Variant(part));
        }
      },
      root_);
}

bool operator==(const Data& left, const Data& right) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> assumed;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> open;
  const auto same = [&](const Data::Item& a, const Data::Item& b) {
    const auto* index_a = std::get_if<Data::Index>(&a);
    const auto* index_b = std::get_if<Data::Index>(&b);
    if ((index_a == nullptr) != (index_b == nullptr)) return false;
    if (index_a == nullptr) return same_scalar(a, b);
    if (assumed.emplace(index_a->at, index_b->at).second)
      open.emplace_back(index_a->at, index_b->at);
    return true;
  };
  if (!same(left.root_, right.root_)) return false;
  while (!open.empty()) {
    const auto [at_a, at_b] = open.back();
    open.pop_back();
    const Data::Container& a = left.containers_[at_a];
    const Data::Container& b = right.containers_[at_b];
    if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
    if (a.kind == NodeKind::kList || a.keys == b.keys) {
      for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!same(a.items[i], b.items[i])) return false;
      }
      continue;
    }
    std::unordered_map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < b.keys.size(); ++i) places.emplace(b.keys[i], i);
    for (std::size_t i = 0; i < a.keys.size(); ++i) {
      const auto place = places.find(a.keys[i]);
      if (place == places.end() || !same(a.items[i], b.items[place->second])) return false;
    }
  }
  return true;
}

}  // namespace graven
