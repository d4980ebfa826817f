// SPDX-License-Identifier: MIT
//
// Reads breadth first. So a container that is on two paths is read at the smaller depth, and left
// out only if every path to it is too long. Any thread.
#include "cli/partial.hpp"

#include <deque>
#include <unordered_map>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"

namespace graven::cli {
namespace {

Data::Item scalar_item(const Value& value) {
  return std::visit([](const auto& held) -> Data::Item { return held; }, value.variant());
}

// The first `width` characters of UTF-8 text.
std::string cut(std::string text, std::size_t width) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
    if (characters++ == width) {
      text.resize(at);
      return text + "…";
    }
  }
  return text;
}

}  // namespace

const Node* node_of(const Value& value) {
  if (const auto* dict = std::get_if<Dict>(&value.variant())) return dict;
  return std::get_if<List>(&value.variant());
}

std::string kind_of(const Value& value) {
  const std::string name(value.type_name());
  if (value.is_null() || value.is<Bytes>()) return name;
  return (name.front() == 'i' ? "an " : "a ") + name;
}

std::size_t size_of(const Value& value) {
  return value.is<Dict>() ? value.as_dict().size() : value.as_list().size();
}

Data read_to_depth(const Value& top, std::uint64_t depth) {
  struct Waiting {
    Value value;
    Data::Index index;
    std::uint64_t depth;
  };
  Data data;
  std::unordered_map<std::string, Data::Index> seen;
  std::deque<Waiting> waiting;
  const auto place = [&](const Value& value, std::uint64_t left) -> Data::Item {
    const Node* node = node_of(value);
    if (node == nullptr) return scalar_item(value);
    std::string uid = node->uid();
    if (const auto found = seen.find(uid); found != seen.end()) return found->second;
    if (left == 0) return scalar_item(value);
    const Data::Index index = data.add(node->kind());
    seen.emplace(std::move(uid), index);
    waiting.push_back({value, index, left});
    return index;
  };
  data.set_root(place(top, depth));
  while (!waiting.empty()) {
    const Waiting next = std::move(waiting.front());
    waiting.pop_front();
    Value value;
    if (next.value.is<Dict>()) {
      const auto cursor = next.value.as_dict().cursor();
      std::string key;
      while (cursor->next(key, value)) {
        Data::Item item = place(value, next.depth - 1);  // may move the containers
        Data::Container& container = data.container(next.index);
        container.keys.push_back(key);
        container.items.push_back(std::move(item));
      }
    } else {
      const auto cursor = next.value.as_list().cursor();
      while (cursor->next(value)) {
        Data::Item item = place(value, next.depth - 1);
        data.container(next.index).items.push_back(std::move(item));
      }
    }
  }
  return data;
}

std::string describe(const Value& value, std::size_t width) {
  if (value.is<Dict>()) return fmt::format("{{{}}}", grouped(value.as_dict().size()));
  if (value.is<List>()) return fmt::format("[{}]", grouped(value.as_list().size()));
  if (value.is<Bytes>()) return fmt::format("<{} bytes>", grouped(value.get<Bytes>().data.size()));
  if (const auto* text = std::get_if<std::string>(&value.variant())) {
    // Cut before escaping, so that a huge text costs nothing.
    std::string quoted;
    base::append_json(quoted, cut(text->substr(0, 4 * width), width));
    return quoted;
  }
  return cut(to_json_text(Data(value)), width);
}

}  // namespace graven::cli
