// SPDX-License-Identifier: MIT
//
// Data and Value: the plain side of the public API. Nothing here recurses; comparing two
// structures with cycles is a bisimulation over pairs of containers.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include <graven/data.hpp>

namespace graven {

namespace detail {

void throw_wrong_type(std::string_view wanted, std::string_view found) {
  throw WrongTypeError(fmt::format("the value is {}, not {}", found, wanted));
}

void throw_out_of_range(std::int64_t value) {
  throw LimitError(fmt::format("{} does not fit the integer type asked for", value));
}

}  // namespace detail

// --- Value

std::string_view Value::type_name() const noexcept {
  static constexpr std::string_view kNames[] = {"null", "bool",  "int",  "int", "float",
                                                "str",  "bytes", "dict", "list"};
  return kNames[variant_.index()];
}

namespace {

/// Numbers as Python sees them: bool, int and float compare by value.
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

/// A double as a BigInt's digits, when it is a whole number beyond 64 bits.
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

Ref Value::operator[](std::string_view key) const { return get<Dict>()[key]; }
Ref Value::operator[](std::int64_t index) const { return get<List>()[index]; }

// --- Data

Data::Data(const Value& value)
    : root_(std::visit([](const auto& part) -> Item { return part; }, value.variant())) {}

Data::Data(const Ref& place) : Data(place.value()) {}

Data::Item Data::from_unsigned(std::uint64_t value) { return BigInt{fmt::format("{:x}", value)}; }

Data::Data(std::initializer_list<Data> elements) {
  bool pairs = elements.size() > 0;
  for (const Data& element : elements) {
    if (!element.is_list() || element.size() != 2) {
      pairs = false;
      break;
    }
    const Container& pair = element.container(std::get<Index>(element.root_));
    pairs = pairs && std::holds_alternative<std::string>(pair.items[0]);
  }
  const Index own = add(pairs ? NodeKind::kDict : NodeKind::kList);
  root_ = own;
  for (const Data& element : elements) {
    if (!pairs) {
      const Item item = adopt(element);
      container(own).items.push_back(item);
      continue;
    }
    // The pair itself is only notation: its value moves in, its list does not.
    const Container& pair = element.container(std::get<Index>(element.root_));
    Data value;
    value.containers_ = element.containers_;
    value.root_ = pair.items[1];
    const Item item = adopt(std::move(value));
    container(own).keys.push_back(std::get<std::string>(pair.items[0]));
    container(own).items.push_back(item);
  }
}

Data Data::dict(std::initializer_list<std::pair<std::string, Data>> entries) {
  Data made;
  const Index own = made.add(NodeKind::kDict);
  made.root_ = own;
  for (const auto& [key, value] : entries) {
    const Item item = made.adopt(value);
    made.container(own).keys.push_back(key);
    made.container(own).items.push_back(item);
  }
  return made;
}

Data Data::list(std::initializer_list<Data> items) {
  Data made;
  const Index own = made.add(NodeKind::kList);
  made.root_ = own;
  for (const Data& value : items) {
    const Item item = made.adopt(value);
    made.container(own).items.push_back(item);
  }
  return made;
}

namespace {

/// Adds to an arena what an item of another reaches, whose containers `give` hands over; returns
/// what the item is called there.
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

Data Data::at(std::string_view key) const {
  if (!is_dict()) throw WrongTypeError("the data is not a dict");
  const Container& dict = container(std::get<Index>(root_));
  for (std::size_t i = 0; i < dict.keys.size(); ++i) {
    if (dict.keys[i] == key) {
      return part(dict.items[i]);
    }
  }
  throw KeyNotFound(fmt::format("no key '{}'", key));
}

Data Data::at(std::size_t index) const {
  if (!is_list()) throw WrongTypeError("the data is not a list");
  const Container& list = container(std::get<Index>(root_));
  if (index >= list.items.size()) {
    throw IndexOutOfRange(
        fmt::format("index {} is out of range: the list has {} items", index, list.items.size()));
  }
  return part(list.items[index]);
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
