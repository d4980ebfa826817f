// SPDX-License-Identifier: MIT
//
// The verbs get, ls and dump. Each reads one consistent state. Used by the main thread.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/answer.hpp"
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
  bool overwrite = false;
  bool ndjson = false;
  bool json = false;
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

constexpr std::string_view kPartial = ".partial-";
constexpr std::size_t kDigits = 16;

std::string random_digits() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random() & 0xffffffffU, random() & 0xffffffffU);
}

/// Removes what killed dumps to this file have left; the file of a running dump is locked.
void remove_abandoned(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "./" : path.substr(0, slash + 1);
  const std::string start = path.substr(slash + 1) + std::string(kPartial);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), &::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(start) || name.size() != start.size() + kDigits ||
        name.find_first_not_of("0123456789abcdef", start.size()) != std::string_view::npos) {
      continue;
    }
    const std::string abandoned = folder + std::string(name);
    const int descriptor =
        ::open(abandoned.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(abandoned.c_str());
    ::close(descriptor);
  }
}

// The output file of a dump. It appears under its name when it is complete; until then it has a new
// temporary name, as a backup has. A file that belongs to a database is never overwritten, whatever
// its name here.
class DumpFile {
 public:
  DumpFile(std::string path, const std::string& database, bool overwrite)
      : path_(std::move(path)), overwrite_(overwrite) {
    refuse_database(path_, database);
    struct stat info {};
    const bool there = ::stat(path_.c_str(), &info) == 0;
    if (there && S_ISDIR(info.st_mode)) throw UsageError(path_ + " is a folder");
    if (there && !S_ISREG(info.st_mode)) {  // a device or pipe is written directly
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail("open");
      return;
    }
    if (there && !overwrite_) fail_exists();
    if (const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path_.c_str(), nullptr),
                                                               &std::free);
        real) {
      path_ = real.get();  // write to the link's target, keep the link
    }
    remove_abandoned(path_);
    for (;;) {
      temporary_ = path_ + std::string(kPartial) + random_digits();
      descriptor_ =
          ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
      if (descriptor_ < 0) fail("create");
      // Before it is locked, another dump to this file may remove it as abandoned.
      const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
      if (locked && ::lstat(temporary_.c_str(), &info) == 0) return;
      ::unlink(temporary_.c_str());
      ::close(descriptor_);
    }
  }
  ~DumpFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  DumpFile(const DumpFile&) = delete;
  DumpFile& operator=(const DumpFile&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  void finish() {
    if (temporary_.empty()) {
      if (::close(std::exchange(descriptor_, -1)) != 0) fail("write");
      return;
    }
    if (::fsync(descriptor_) != 0) fail("write");
    if (!give_name()) {
      if (errno == EEXIST) fail_exists();
      fail("name");
    }
    if (::close(std::exchange(descriptor_, -1)) != 0) fail("write");
  }

 private:
  static void refuse_database(const std::string& path, const std::string& database) {
    const std::string what = store_file(path, database);
    if (what.empty()) return;
    throw UsageError(
        fmt::format("{} is {}, and a dump would destroy it; give another name", path, what));
  }
  /// If another process has created the file meanwhile, it is replaced only with --overwrite.
  [[nodiscard]] bool give_name() const {
    if (overwrite_) return ::rename(temporary_.c_str(), path_.c_str()) == 0;
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
      return true;
    }
    // The file system does not support that; a hard link does the same.
    if (errno != EINVAL || ::link(temporary_.c_str(), path_.c_str()) != 0) return false;
    ::unlink(temporary_.c_str());
    return true;
  }
  [[noreturn]] void fail_exists() const {
    throw UsageError(path_ + " exists already; give another name, or --overwrite");
  }
  [[noreturn]] void fail(const char* what) const {
    throw UnavailableError(fmt::format("cannot {} {}: {}", what, path_, std::strerror(errno)));
  }
  std::string path_;
  bool overwrite_;
  std::string temporary_{};  // empty: written in place
  int descriptor_ = -1;
};

/// Reports what the dump lacks.
void tell_left_out(const std::vector<Repaired>& left_out, bool json) {
  constexpr std::size_t kMost = 100;
  for (std::size_t i = 0; i < std::min(kMost, left_out.size()); ++i) {
    complain("corruption", fmt::format("left out of {}: {}", left_out[i].node, left_out[i].what),
             json);
  }
  if (left_out.size() > kMost) {
    complain("corruption", fmt::format("and {} more like these", left_out.size() - kMost), json);
  }
}

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
  // The snapshot ends before writing: a slow reader of the output must not keep it open.
  std::vector<Repaired> left_out;
  const Data data = [&] {
    const Snapshot snapshot = db.snapshot();
    const Value value = walk(snapshot.root(), path);
    try {
      return whole(value);
    } catch (const CorruptionError&) {
      const Node* node = node_of(value);
      if (node == nullptr) throw;
      return salvage(*node, left_out);
    }
  }();
  db.close();
  const int status = left_out.empty() ? kDone : kIncomplete;
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
    tell_left_out(left_out, options.json);
    return status;
  }
  DumpFile file(options.output, file_of(options.where.database), options.overwrite);
  Output out(file.descriptor(), options.output);
  write(out);
  file.finish();
  tell_left_out(left_out, options.json);
  return status;
}

}  // namespace

void declare_get(Verbs& verbs) {
  auto [verb, options] =
      verbs.add("get", "Print the value at a path, as JSON",
                "Examples:\n"
                "  graven get state.db tasks/T1\n"
                "  graven get state.db tasks/T1/title --raw\n"
                "  graven get state.db --depth 1          # the root and its scalars\n"
                "  graven get state.db 'odd~1key'         # the key is odd/key",
                run_get);
  verb.where(options.where);
  verb.path(options.path, "Where to look (default: the root)");
  verb.flag("-r,--raw", options.raw, "Print a string without quotes, and bytes as they are");
  verb.flag("-c,--compact", options.compact, "Print on one line");
  verb.value("-d,--depth", options.depth,
             "Levels to print; deeper dicts and lists become {\"$node\": uid}")
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
            "Print kinds and sizes too: entries of containers, bytes of strings and bytes");
  verb.json(options.json, "One JSON list of keys; with -l, of objects: key, kind, size");
}

void declare_dump(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "dump", "Write everything below a path as JSON that load restores exactly",
      "If the database is damaged, it writes what can be read, reports on standard error what\n"
      "it left out, and ends with status 3.\n"
      "Examples:\n"
      "  graven dump state.db > state.json\n"
      "  graven dump state.db tasks --ndjson -o tasks.ndjson\n"
      "  graven dump state.db | ssh host graven load state.db",
      run_dump);
  verb.where(options.where);
  verb.path(options.path, "What to write (default: the root)");
  verb.value("-o,--output", options.output,
             "File to write; it appears when it is complete (default: standard output)")
      .named("FILE");
  verb.flag("--overwrite", options.overwrite, "Replace an existing file");
  verb.flag("--ndjson", options.ndjson, "One line per entry of the dict or list");
  verb.value("--indent", options.indent, "Spaces per level (default: all on one line)")
      .named("N")
      .between(0, 16);
  verb.json(options.json, "Errors as JSON too");
}

}  // namespace graven::cli
