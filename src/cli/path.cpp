// SPDX-License-Identifier: MIT
//
// Follows a path and stores at its end. Every message names the segment that failed and where. Any
// thread.
#include "cli/path.hpp"

#include <utility>

#include <fmt/format.h>

#include "cli/partial.hpp"

namespace graven::cli {
namespace {

// If the new data links to its own root, links to the database's root instead of a new dict.
void link_root(Data& data, const Dict& root) {
  const auto* top = std::get_if<Data::Index>(&data.root());
  if (top == nullptr) return;
  for (std::size_t at = 0; at < data.container_count(); ++at) {
    for (Data::Item& item : data.container(Data::Index{static_cast<std::uint32_t>(at)}).items) {
      const auto* index = std::get_if<Data::Index>(&item);
      if (index != nullptr && *index == *top) item = root;
    }
  }
}

Value make_parents(const Dict& root, const Path& path) {
  Value place = Value(root);
  for (std::size_t count = 1; count < path.size(); ++count) {
    const std::string& key = path[count - 1];
    place = place.is<Dict>() ? place.as_dict().setdefault(key, Data::dict())
                             : step_down(place, path, count);
  }
  return place;
}

}  // namespace

Value step_down(const Value& from, const Path& path, std::size_t count) {
  const std::string& segment = path[count - 1];
  const std::string where = format_path(path, count - 1);
  if (from.is<Dict>()) {
    if (std::optional<Value> value = from.as_dict().get(segment)) return *std::move(value);
    if (segment.empty() && count == path.size()) {
      throw NotFound(fmt::format("no empty key in {}; leave out the slash at the end", where));
    }
    throw NotFound(fmt::format("no key '{}' in {}", format_segment(segment), where));
  }
  if (from.is<List>()) {
    const std::optional<std::int64_t> index = parse_index(segment);
    if (!index) {
      throw NotFound(
          fmt::format("{} is a list: its items are numbered from 0, and '{}' is not a number",
                      where, format_segment(segment)));
    }
    const List list = from.as_list();
    try {
      return list.at(*index);
    } catch (const IndexOutOfRange&) {
      throw NotFound(fmt::format("no item {} in {}, a list of {}", *index, where, list.size()));
    }
  }
  throw NotFound(fmt::format("{} is {} and has nothing inside", where, kind_of(from)));
}

Value walk(const Dict& root, const Path& path, std::size_t count) {
  Value value = Value(root);
  for (std::size_t at = 1; at <= count; ++at) value = step_down(value, path, at);
  return value;
}

void store(const Database& db, const Path& path, Data data, bool parents) {
  const Dict root = db.root();
  if (path.empty()) {
    if (!data.is_dict()) {
      throw UsageError("the root of a database is a dict; give the key to store this under");
    }
    link_root(data, root);
    db.transaction([&] {
      root.clear();
      root.update(data);
    });
    return;
  }
  db.transaction([&] {
    Value parent;
    try {
      parent = parents ? make_parents(root, path) : walk(root, path, path.size() - 1);
    } catch (const NotFound& missing) {
      throw NotFound(std::string(missing.what()) +
                     (parents ? "" : "; --parents makes the dicts that are missing"));
    }
    const std::string& last = path.back();
    if (parent.is<Dict>()) {
      parent.as_dict().set(last, data);
    } else if (parent.is<List>() && last == "-") {
      parent.as_list().push_back(data);
    } else {
      if (node_of(parent) != nullptr) static_cast<void>(step_down(parent, path, path.size()));
      if (!parent.is<List>()) {
        throw NotFound(fmt::format("{} is {} and cannot have keys",
                                   format_path(path, path.size() - 1), kind_of(parent)));
      }
      parent.as_list().set(*parse_index(last), data);
    }
  });
}

}  // namespace graven::cli
