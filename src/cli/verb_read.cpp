// SPDX-License-Identifier: MIT
//
// The verbs that look: get, ls, dump. Each reads one consistent state. The main thread's.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/json_writer.hpp"
#include "cli/partial.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct GetOptions {
  Where where{};
  std::string path{};
  bool raw = false;
  bool compact = false;
  std::optional<std::uint64_t> depth{};
};

struct LsOptions {
  Where where{};
  std::string path{};
  bool details = false;
  bool json = false;
};

struct DumpOptions {
  Where where{};
  std::string path{};
  std::string output{};
  bool ndjson = false;
  int indent = 0;
};

Data whole(const Value& value) {
  const Node* node = node_of(value);
  return node != nullptr ? node->materialize() : Data(value);
}

void write_json(Output& out, const Data& data, int indent) {
  JsonWriter(
      data, [&](std::string_view piece) { out.put(piece); }, indent)
      .write();
  out.put("\n");
}

struct Row {
  std::string kind;
  std::string size;
  std::string key;
};

std::string size_text(const Value& value) {
  if (node_of(value) != nullptr) return grouped(size_of(value));
  if (value.is<std::string>()) return grouped(value.get<std::string>().size());
  if (value.is<Bytes>()) return grouped(value.get<Bytes>().data.size());
  return "-";
}

void print_rows(Output& out, const std::vector<Row>& rows) {
  std::size_t width = 1;
  for (const Row& row : rows) width = std::max(width, row.size.size());
  for (const Row& row : rows) {
    out.line(fmt::format("{:<5} {:>{}}  {}", row.kind, row.size, width, row.key));
  }
}

// The file a dump goes to: complete under its name, or not there at all.
class DumpFile {
 public:
  explicit DumpFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".part") {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor_ < 0) fail("create");
  }
  ~DumpFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
  DumpFile(const DumpFile&) = delete;
  DumpFile& operator=(const DumpFile&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  void finish() {
    if (::fsync(descriptor_) != 0 || ::close(std::exchange(descriptor_, -1)) != 0) fail("write");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("name");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw UnavailableError(fmt::format("cannot {} {}: {}", what, path_, std::strerror(errno)));
  }
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

void dump_lines(Output& out, const Data& data, const std::string& where) {
  const auto* top = std::get_if<Data::Index>(&data.root());
  if (top == nullptr) {
    throw UsageError(
        fmt::format("{} is no dict or list; --ndjson writes one line per entry of one", where));
  }
  JsonWriter writer(
      data, [&](std::string_view piece) { out.put(piece); }, 0);
  writer.name_target(*top);
  const Data::Container& container = data.container(*top);
  for (std::size_t at = 0; at < container.items.size(); ++at) {
    if (container.kind == NodeKind::kDict) {
      writer.write_entry(container.keys[at], container.items[at]);
    } else {
      writer.write(container.items[at]);
    }
    out.put("\n");
  }
}

int run_get(const GetOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Snapshot snapshot = db.snapshot();
  const Value value = walk(snapshot.root(), parse_path(options.path));
  Output out;
  if (options.raw && value.is<std::string>()) {
    out.line(value.get<std::string>());
  } else if (options.raw && value.is<Bytes>()) {
    out.put(value.get<Bytes>().data);
  } else {
    const Data data = options.depth ? read_to_depth(value, *options.depth) : whole(value);
    write_json(out, data, options.compact ? 0 : 2);
  }
  out.flush();
  return kDone;
}

int run_ls(const LsOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Snapshot snapshot = db.snapshot();
  const Path path = parse_path(options.path);
  const Value value = walk(snapshot.root(), path);
  if (node_of(value) == nullptr) {
    throw UsageError(fmt::format("{} is {}, which has no keys; 'graven get' prints it",
                                 format_path(path), kind_of(value)));
  }
  Output out;
  std::vector<Row> rows;
  Data names = Data::list();
  const bool keys_only = !options.details && !options.json;
  const auto as_data = [](const std::string& key, const Value& item) {
    Data row = Data::dict({{"key", key}, {"kind", std::string(item.type_name())}});
    if (node_of(item) == nullptr && !item.is<std::string>() && !item.is<Bytes>()) return row;
    const std::uint64_t size = node_of(item) != nullptr ? size_of(item)
                               : item.is<Bytes>()       ? item.get<Bytes>().data.size()
                                                        : item.get<std::string>().size();
    Data::Container& container = row.container(std::get<Data::Index>(row.root()));
    container.keys.emplace_back("size");
    container.items.emplace_back(static_cast<std::int64_t>(size));
    return row;
  };
  const auto add = [&](const std::string& key, const Value& item) {
    if (keys_only) {
      out.line(format_segment(key));
    } else if (options.json && options.details) {
      append(names, as_data(key, item));
    } else if (options.json) {
      names.container(std::get<Data::Index>(names.root())).items.emplace_back(key);
    } else {
      rows.push_back({std::string(item.type_name()), size_text(item), format_segment(key)});
    }
  };
  Value item;
  if (value.is<Dict>()) {
    const auto cursor = value.as_dict().cursor();
    for (std::string key; cursor->next(key, item);) add(key, item);
  } else {
    const auto cursor = value.as_list().cursor();
    for (std::size_t at = 0; cursor->next(item); ++at) add(std::to_string(at), item);
  }
  if (options.json) write_json(out, names, 0);
  print_rows(out, rows);
  out.flush();
  return kDone;
}

int run_dump(const DumpOptions& options) {
  const Database db = open_database(options.where, Access::kRead);
  const Path path = parse_path(options.path);
  // The snapshot ends here: writing to a slow reader must not keep the state alive.
  const Data data = [&] {
    const Snapshot snapshot = db.snapshot();
    return whole(walk(snapshot.root(), path));
  }();
  db.close();
  const auto write = [&](Output& out) {
    if (options.ndjson) {
      dump_lines(out, data, format_path(path));
    } else {
      write_json(out, data, options.indent);
    }
    out.flush();
  };
  if (options.output.empty() || options.output == "-") {
    Output out;
    write(out);
    return kDone;
  }
  DumpFile file(options.output);
  Output out(file.descriptor(), options.output);
  write(out);
  file.finish();
  return kDone;
}

}  // namespace

void declare_get(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("get", "Print what is at a path, as JSON",
                "Examples:\n"
                "  graven get state.db tasks/T1\n"
                "  graven get state.db tasks/T1/title --raw\n"
                "  graven get state.db --depth 1          # the root and its scalars\n"
                "  graven get state.db 'odd~1key'         # the key is odd/key",
                run_get);
  verb.where(options.where);
  verb.path(options.path, "Where to look (default: the root)");
  verb.flag("-r,--raw", options.raw, "Print a string without quotes, bytes as they are");
  verb.flag("-c,--compact", options.compact, "On one line");
  verb.value("-d,--depth", options.depth,
             "Levels to print; dicts and lists below them as {\"$node\": uid}")
      .named("N");
  verb.json("Errors as JSON too");
}

void declare_ls(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("ls", "List the keys of a dict, or the indexes of a list",
                "Examples:\n"
                "  graven ls state.db\n"
                "  graven ls state.db tasks -l            # kinds and sizes too\n"
                "  graven ls state.db tasks --json        # exact keys, for programs",
                run_ls);
  verb.where(options.where);
  verb.path(options.path, "Where to look (default: the root)");
  verb.flag("-l,--long", options.details,
            "Kinds and sizes: entries of containers, bytes of strings and bytes");
  verb.json(options.json, "One JSON list of keys; with -l of objects: key, kind, size");
}

void declare_dump(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("dump", "Write everything below a path as JSON that load restores exactly",
                "Examples:\n"
                "  graven dump state.db > state.json\n"
                "  graven dump state.db tasks --ndjson -o tasks.ndjson\n"
                "  graven dump state.db | ssh host graven load state.db",
                run_dump);
  verb.where(options.where);
  verb.path(options.path, "What to write (default: the root)");
  verb.value("-o,--output", options.output,
             "File to write, which appears when it is complete (default: standard output)")
      .named("FILE");
  verb.flag("--ndjson", options.ndjson, "One line per entry of the dict or list");
  verb.value("--indent", options.indent, "Spaces a level (default: all on one line)")
      .named("N")
      .between(0, 16);
  verb.json("Errors as JSON too");
}

}  // namespace graven::cli
