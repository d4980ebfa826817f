// SPDX-License-Identifier: MIT
//
// The verb tree: an outline of the graph, one line per entry, limited in depth and width. A node
// that was already shown appears as a reference to its path, so cycles end. Used by the main
// thread.
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/partial.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct TreeOptions {
  Where where{};
  std::string path{};
  std::uint64_t depth = 3;
  std::uint64_t width = 20;
  bool json = false;
};

// An open container: its remaining children, and the indentation of their lines.
struct Level {
  std::shared_ptr<graph::DictCursor> dict{};
  std::shared_ptr<graph::ListCursor> list{};
  std::size_t size = 0;
  std::size_t done = 0;
  std::string indent{};
};

Level level_of(const Value& value, std::string indent) {
  Level level;
  if (value.is<Dict>()) level.dict = value.as_dict().cursor();
  if (value.is<List>()) level.list = value.as_list().cursor();
  level.size = size_of(value);
  level.indent = std::move(indent);
  return level;
}

bool next(Level& level, std::string& key, Value& value) {
  if (level.dict) return level.dict->next(key, value);
  key = std::to_string(level.done);
  return level.list->next(value);
}

/// One line of the outline as JSON.
Data as_data(const Path& path, const Value& value) {
  if (node_of(value) == nullptr) {
    return Data::dict({{"path", exact_path(path)}, {"value", Data(value)}});
  }
  return Data::dict({{"path", exact_path(path)},
                     {"kind", std::string(value.type_name())},
                     {"size", Data(std::uint64_t{size_of(value)})}});
}

void set(Data& dict, std::string_view key, Data::Item item) {
  Data::Container& container = dict.container(std::get<Data::Index>(dict.root()));
  container.keys.emplace_back(key);
  container.items.push_back(std::move(item));
}

int run_tree(const TreeOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Snapshot snapshot = db.snapshot();
  Path path = parse_path(options.path);
  const Value top = walk(snapshot.root(), path);
  Output out;
  Data told = Data::list();
  if (options.json) {
    append(told, as_data(path, top));
  } else {
    out.line(fmt::format("{}  {}", path.empty() ? db.name() : format_path(path), describe(top)));
  }
  const auto finish = [&] {
    if (options.json) out.line(to_json_text(told));
    out.flush();
    return kDone;
  };
  if (node_of(top) == nullptr || options.depth == 0) return finish();
  std::unordered_map<std::string, std::string> shown;  // uid: path
  shown.emplace(node_of(top)->uid(), options.json ? exact_path(path) : format_path(path));
  std::vector<Level> levels;
  levels.push_back(level_of(top, ""));
  while (!levels.empty()) {
    Level& level = levels.back();
    if (options.width != 0 && level.done == options.width && level.done < level.size) {
      const std::uint64_t more = level.size - level.done;
      if (options.json) {
        append(told, Data::dict({{"path", exact_path(path)}, {"more", Data(more)}}));
      } else {
        out.line(fmt::format("{}└─ … {} more", level.indent, grouped(more)));
      }
      level.done = level.size;
    }
    std::string key;
    Value value;
    if (level.done == level.size || !next(level, key, value)) {
      levels.pop_back();
      if (!levels.empty()) path.pop_back();
      continue;
    }
    const bool last = ++level.done == level.size;
    std::string line = fmt::format("{}{}─ {}  {}", level.indent, last ? "└" : "├",
                                   format_segment(key), describe(value));
    const Node* node = node_of(value);
    path.push_back(std::move(key));
    Data row = options.json ? as_data(path, value) : Data();
    bool descend = false;
    if (node != nullptr) {
      if (const auto before = shown.find(node->uid()); before != shown.end()) {
        line += fmt::format("  = {}", before->second);
        if (options.json) set(row, "same_as", before->second);
      } else if (levels.size() < options.depth) {
        shown.emplace(node->uid(), options.json ? exact_path(path) : format_path(path));
        descend = true;
      }
    }
    if (options.json) {
      append(told, row);
    } else {
      out.line(line);
    }
    if (descend) {
      std::string indent = level.indent + (last ? "   " : "│  ");
      levels.push_back(level_of(value, std::move(indent)));  // invalidates `level`
    } else {
      path.pop_back();
    }
  }
  return finish();
}

}  // namespace

void declare_tree(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("tree", "Show an outline of what is below a path",
                "A dict or list that was shown before is shown as its path, so cycles end.\n"
                "Examples:\n"
                "  graven tree state.db\n"
                "  graven tree state.db tasks --depth 2 --width 0",
                run_tree);
  verb.where(options.where);
  verb.path(options.path, "Where to start (default: the root)");
  verb.value("-d,--depth", options.depth, "Levels to show (default 3)").named("N").between(0, 200);
  verb.value("-w,--width", options.width, "Entries to show of each container (default 20, 0: all)")
      .named("N");
  verb.json(options.json, "One JSON list: path, kind and size or value; more, same_as");
}

}  // namespace graven::cli
