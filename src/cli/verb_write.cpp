// SPDX-License-Identifier: MIT
//
// The verbs set, del and collect, each one transaction. Used by the main thread.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_reader.hpp"
#include "cli/json_rules.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct SetOptions {
  Where where{};
  std::string path{};
  std::string value{};
  bool string = false;
  bool plain = false;
  bool parents = false;
  bool json = false;
};

struct DelOptions {
  Where where{};
  std::string path{};
  bool json = false;
};

struct CollectOptions {
  Where where{};
  bool json = false;
};

std::string read_standard_input() {
  std::string text;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t size = ::read(0, buffer.data(), buffer.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      throw UnavailableError(fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
  }
}

bool looks_like_a_word(std::string_view text) {
  return !text.empty() && text.find_first_of("\"{}[],") == std::string_view::npos;
}

Data parse_value(const SetOptions& options) {
  const bool from_input = options.value == "-";
  const std::string text = from_input ? read_standard_input() : options.value;
  Data data;
  if (options.string) {
    if (const auto at = base::invalid_utf8(text)) {
      throw BadValueError(fmt::format("the value is not valid UTF-8 at byte {}", *at));
    }
    data.set_root(text);
    return data;
  }
  try {
    data.set_root(JsonReader({.plain = options.plain}).read(text, data).item);
  } catch (const JsonError& error) {
    if (!from_input && looks_like_a_word(text)) {
      throw UsageError(fmt::format(
          "the value {0} is not JSON; a string needs its quotes, as in '\"{0}\"', or --string",
          text));
    }
    throw UsageError(fmt::format("the value is not JSON: {}, at {}", error.what(),
                                 position_in(text, error.offset())));
  }
  return data;
}

int run_set(const SetOptions& options) {
  Data data = parse_value(options);  // before opening or creating anything
  const Path path = parse_path(options.path);
  const Database db = open_database(options.where, access_to(path, options.parents));
  store(db, path, std::move(data), options.parents);
  db.close();
  if (options.json) answer(Data::dict({{"path", exact_path(path)}}));
  return kDone;
}

int run_del(const DelOptions& options) {
  const Path path = parse_path(options.path);
  if (path.empty()) {
    throw UsageError("the root cannot be deleted; 'graven set DATABASE \"\" {}' empties it");
  }
  const Database db = open_database(options.where, Access::kChange);
  db.transaction([&] {
    const Value parent = walk(db.root(), path, path.size() - 1);
    static_cast<void>(step_down(parent, path, path.size()));
    if (parent.is<Dict>()) {
      parent.as_dict().erase(path.back());
    } else {
      parent.as_list().erase(*parse_index(path.back()));
    }
  });
  db.close();
  if (options.json) answer(Data::dict({{"path", exact_path(path)}}));
  return kDone;
}

int run_collect(const CollectOptions& options) {
  const Database db = open_database(options.where, Access::kChange);
  const std::uint64_t reclaimed = db.collect();
  db.close();
  if (options.json) {
    answer(Data::dict({{"reclaimed", Data(reclaimed)}}));
    return kDone;
  }
  Output out;
  out.line(fmt::format("{} {} reclaimed", grouped(reclaimed), reclaimed == 1 ? "node" : "nodes"));
  out.flush();
  return kDone;
}

}  // namespace

void declare_set(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("set", "Store a JSON value at a path",
                "A missing database is made. In a list, '-' as the last step of the path\n"
                "appends.\n"
                "Examples:\n"
                "  graven set state.db tasks '{\"T1\": {\"title\": \"write\", \"done\": false}}'\n"
                "  graven set state.db tasks/T1/done true\n"
                "  graven set state.db tasks/T1/title --string 'write it down'\n"
                "  graven set state.db a/b/c 1 --parents\n"
                "  graven set state.db queue/- '\"last\"'\n"
                "  date +%s | graven set state.db seen -",
                run_set);
  verb.where(options.where);
  verb.path(options.path, "Where to store it").required();
  verb.value("VALUE", options.value, "JSON, or - to read it from standard input").required();
  verb.flag("-s,--string", options.string, "VALUE is a string, not JSON");
  verb.flag("--plain", options.plain,
            "Store objects such as {\"$bytes\": ...} as they are, as data of other programs");
  verb.flag("--parents", options.parents, "Make missing dicts on the path");
  verb.json(options.json, "The path of the stored value, as JSON");
}

void declare_del(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("del", "Delete what is at a path",
                "Dicts and lists that nothing links any more are collected with it, also cycles.\n"
                "Examples:\n"
                "  graven del state.db tasks/T1\n"
                "  graven del state.db queue/0",
                run_del);
  verb.where(options.where);
  verb.path(options.path, "What to delete").required();
  verb.json(options.json, "The deleted path, as JSON");
}

void declare_collect(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("collect", "Collect what dead programs left behind",
                "Collection happens by itself; this command only does the rest of it at once.\n"
                "Example:\n"
                "  graven collect state.db",
                run_collect);
  verb.where(options.where);
  verb.json(options.json, "The number of collected dicts and lists as JSON");
}

}  // namespace graven::cli
