// SPDX-License-Identifier: MIT
//
// Converts graven::Data to and from nlohmann::json (3.9 or later). Optional: <graven/graven.hpp>
// does not include this header, and only programs that include it need that library.
//
//   db["config"] = graven::to_data(nlohmann::json::parse(text));
//   nlohmann::json config = graven::to_json(db["config"].materialize());
//
// object <-> dict (in the order of the json type: sorted, or inserted for ordered_json),
// array <-> list, binary <-> Bytes (its subtype is dropped), number_float <-> float (also NaN and
// infinities; json writes them as null in text); null, booleans, integers and text as they are.
//
// Nothing here recurses or keeps state; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <graven/data.hpp>
#include <graven/error.hpp>

namespace graven {

/// Everything in `json` as plain data. Unsigned numbers past std::int64_t become BigInt.
/// UsageError for a discarded value.
template <class Json = nlohmann::json>
[[nodiscard]] Data to_data(const Json& json) {
  struct Frame {
    const Json* from;
    Data::Index to;
    typename Json::const_iterator next;
  };
  Data data;
  std::vector<Frame> stack;
  const auto convert = [&](const Json& value) -> Data::Item {
    switch (value.type()) {
      case Json::value_t::null:
        return nullptr;
      case Json::value_t::boolean:
        return value.template get<bool>();
      case Json::value_t::number_integer:
        return value.template get<std::int64_t>();
      case Json::value_t::number_unsigned:
        return Data(value.template get<std::uint64_t>()).root();
      case Json::value_t::number_float:
        return value.template get<double>();
      case Json::value_t::string:
        return value.template get_ref<const std::string&>();
      case Json::value_t::binary: {
        const auto& bytes = value.get_binary();
        return Bytes{std::string(bytes.begin(), bytes.end())};
      }
      case Json::value_t::array:
      case Json::value_t::object: {
        const Data::Index index = data.add(value.is_array() ? NodeKind::kList : NodeKind::kDict);
        stack.push_back({&value, index, value.begin()});
        return index;
      }
      case Json::value_t::discarded:
        break;
    }
    throw UsageError("to_data(): the json value was discarded by its parser");
  };
  data.set_root(convert(json));
  while (!stack.empty()) {
    Frame& frame = stack.back();
    if (frame.next == frame.from->end()) {
      stack.pop_back();
      continue;
    }
    const Data::Index to = frame.to;
    const Json& value = *frame.next;
    if (frame.from->is_object()) data.container(to).keys.push_back(frame.next.key());
    ++frame.next;
    Data::Item item = convert(value);  // may move the frames and the containers
    data.container(to).items.push_back(std::move(item));
  }
  return data;
}

/// Plain data as json; shared parts are repeated. UsageError for what json cannot hold: a cycle, a
/// handle (materialize() it first), an integer beyond std::int64_t and std::uint64_t.
template <class Json = nlohmann::json>
[[nodiscard]] Json to_json(const Data& data) {
  struct Frame {
    Data::Index from;
    Json* to;
    std::size_t next;
  };
  std::vector<Frame> stack;
  std::vector<bool> open(data.container_count());
  const auto convert = [&](const Data::Item& item, Json& to) {
    struct Scalar {
      Json& to;
      void operator()(std::nullptr_t) const { to = nullptr; }
      void operator()(bool value) const { to = value; }
      void operator()(std::int64_t value) const { to = value; }
      void operator()(double value) const { to = value; }
      void operator()(const std::string& value) const { to = value; }
      void operator()(const Bytes& value) const {
        to = Json::binary(
            typename Json::binary_t::container_type(value.data.begin(), value.data.end()));
      }
      void operator()(const BigInt& value) const {
        if (value.hex.front() == '-' || value.hex.size() > 16) {
          throw UsageError("to_json(): the integer 0x" + value.hex +
                           " is beyond 64 bits, which json cannot hold; store it as text");
        }
        to = static_cast<std::uint64_t>(std::stoull(value.hex, nullptr, 16));
      }
      void operator()(const Node& node) const {
        throw UsageError("to_json(): the data holds a handle on " + node.uid() +
                         "; materialize() it first");
      }
      void operator()(const Data::Index&) const {}
    };
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) {
      std::visit(Scalar{to}, item);
      return;
    }
    if (open[index->at]) {
      throw UsageError("to_json(): the data contains itself, which json cannot hold");
    }
    open[index->at] = true;
    const bool list = data.container(*index).kind == NodeKind::kList;
    to = list ? Json::array() : Json::object();
    if (list) {
      // The final size at once, because frames point at elements.
      to.template get_ref<typename Json::array_t&>().resize(data.container(*index).items.size());
    }
    stack.push_back({*index, &to, 0});
  };
  Json json;
  convert(data.root(), json);
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const Data::Container& container = data.container(frame.from);
    if (frame.next == container.items.size()) {
      open[frame.from.at] = false;
      stack.pop_back();
      continue;
    }
    const std::size_t at = frame.next++;
    Json& to = *frame.to;
    if (container.kind == NodeKind::kList) {
      convert(container.items[at], to[at]);
    } else {
      convert(container.items[at], to[container.keys[at]]);
    }
  }
  return json;
}

}  // namespace graven
