// SPDX-License-Identifier: MIT
//
// The verb load: JSON in one transaction, or NDJSON in batches of lines with one transaction each.
// So whatever ends the command (an error in a line, a signal, a crash), the database has all of a
// JSON text or nothing, and of NDJSON a whole number of batches.
//
// Structures that lines share are kept as handles from one batch to the next: labelled containers
// are created first, as nodes of their own, and filled afterwards. Used by the main thread.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/console.hpp"
#include "cli/encoding.hpp"
#include "cli/input.hpp"
#include "cli/json_reader.hpp"
#include "cli/json_rules.hpp"
#include "cli/partial.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

struct LoadOptions {
  Where where{};
  std::string path{};
  std::string file{};
  std::string key{};
  bool ndjson = false;
  bool plain = false;
  bool parents = false;
  bool quiet = false;
  bool json = false;
  std::uint64_t batch = 10'000;
};

bool has_ndjson_name(std::string_view name) {
  return name.ends_with(".ndjson") || name.ends_with(".jsonl");
}

// The label by which lines link to the container that they are loaded into.
constexpr std::int64_t kTargetLabel = 0;

Data::Item as_item(const Value& value) {
  if (value.is<Dict>()) return value.as_dict();
  return value.as_list();
}

void tell(const LoadOptions& options, const Path& path, std::uint64_t bytes,
          std::optional<std::uint64_t> lines, double seconds) {
  if (options.json) {
    Data told =
        Data::dict({{"path", exact_path(path)}, {"bytes", Data(bytes)}, {"seconds", seconds}});
    if (lines) {
      Data::Container& container = told.container(std::get<Data::Index>(told.root()));
      container.keys.emplace_back("lines");
      container.items.emplace_back(static_cast<std::int64_t>(*lines));
    }
    answer(told);
  } else if (!options.quiet) {
    const std::string what = lines ? fmt::format("{} {} ({})", grouped(*lines),
                                                 *lines == 1 ? "line" : "lines", human_bytes(bytes))
                                   : human_bytes(bytes);
    note(fmt::format("loaded {} into {} in {}", what, format_path(path), human_time(seconds)));
  }
}

void load_json(const LoadOptions& options) {
  const Path path = parse_path(options.path);
  const Stopwatch watch;
  Input input(options.file);
  std::string text;
  {
    Progress progress("reading", input.size(), Progress::Unit::kBytes, !options.quiet);
    text.reserve(input.size());
    for (std::string_view piece; !(piece = input.read()).empty();) {
      text += piece;
      progress.update(text.size());
    }
  }
  const auto stop_if_asked = [] {
    if (const int signal = InterruptGuard::signal()) {
      throw Interrupted(signal, "interrupted; nothing was changed");
    }
  };
  stop_if_asked();
  Data data;
  try {
    data.set_root(JsonReader({.plain = options.plain}).read(text, data).item);
  } catch (const JsonError& error) {
    const std::string_view hint =
        text.find('\n') != std::string::npos &&
                error.what() == std::string_view("a second value after the first")
            ? "; if each line is a separate value, add --ndjson"
            : "";
    throw UsageError(fmt::format("{}: {}: {}{}; nothing was changed", input.name(),
                                 position_in(text, error.offset()), error.what(), hint));
  }
  const std::size_t bytes = std::exchange(text, {}).size();
  const Database db = open_database(options.where, access_to(path, options.parents));
  db.transaction([&] {
    store(db, path, std::move(data), options.parents);
    stop_if_asked();
  });
  db.close();
  tell(options, path, bytes, std::nullopt, watch.seconds());
}

/// Loads NDJSON into one container.
class LineLoader {
 public:
  LineLoader(const LoadOptions& options, Input& input)
      : options_(options),
        input_(input),
        path_(parse_path(options.path)),
        reader_({.plain = options.plain, .entries = true}),
        progress_("loading", input.size(), Progress::Unit::kBytes, !options.quiet) {}

  void run();

 private:
  struct Batch {
    Data data{};
    std::vector<std::string> keys{};  // of entries; empty for list items
    std::vector<Data::Item> items{};
    std::uint64_t bytes = 0;  // of the input, including its last line
  };

  bool read_batch(Batch& batch);
  void read_line(std::string_view line, Batch& batch);
  void commit(Batch& batch);
  void prepare_target(bool entries);
  void make_target();
  void share_labelled(Batch& batch);
  std::string take_key(Batch& batch, const Data::Item& item) const;
  [[nodiscard]] std::string so_far() const;

  const LoadOptions& options_;
  Input& input_;
  Path path_;
  JsonReader reader_;
  Progress progress_;
  std::optional<Database> db_{};
  std::optional<Value> target_{};
  std::uint64_t line_ = 0;        // number of the last line read, from 1
  std::uint64_t line_start_ = 0;  // its first byte
  std::uint64_t values_ = 0;      // in complete batches
  std::uint64_t lines_done_ = 0;  // lines of the input in complete batches
  std::uint64_t bytes_done_ = 0;
};

std::string LineLoader::so_far() const {
  if (lines_done_ == 0) return "nothing was changed";
  return fmt::format(
      "the first {} lines are loaded; to continue after repairing the input: tail -n +{} {} | "
      "graven load ... -",
      grouped(lines_done_), lines_done_ + 1,
      input_.size() != 0 ? input_.name() : std::string("FILE"));
}

void LineLoader::run() {
  const Stopwatch watch;
  Batch batch;
  // Reads the first batch before opening the database, so that an error in it leaves no empty
  // database. Until then links to the target go to a container that stands for it.
  reader_.labels()[kTargetLabel] = batch.data.add(NodeKind::kDict);
  while (read_batch(batch)) {
    commit(batch);
    batch = Batch();
  }
  progress_.clear();
  if (const int signal = InterruptGuard::signal()) {
    if (db_) db_->close();
    throw Interrupted(signal, "interrupted; " + so_far());
  }
  if (!db_) make_target();
  db_->close();
  tell(options_, path_, bytes_done_, values_, watch.seconds());
}

// Reads up to one batch of lines; false if there are none, or if a signal asked to stop.
bool LineLoader::read_batch(Batch& batch) {
  const std::uint64_t limit = std::max<std::uint64_t>(options_.batch, 1);
  line_start_ = input_.position();
  for (std::string_view line; batch.items.size() < limit && input_.next_line(line);) {
    ++line_;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) read_line(line, batch);
    line_start_ = input_.position();
    if (InterruptGuard::signal() != 0) return false;
  }
  batch.bytes = input_.position();
  return InterruptGuard::signal() == 0 && !batch.items.empty();
}

void LineLoader::read_line(std::string_view line, Batch& batch) {
  try {
    JsonReader::Result result = reader_.read(line, batch.data);
    if (!options_.key.empty() && !result.entry_key) {
      result.entry_key = take_key(batch, result.item);
    }
    if (!batch.items.empty() && batch.keys.empty() == result.entry_key.has_value()) {
      throw JsonError("entries of a dict ({\"$entry\": …}) and items of a list are mixed", 0);
    }
    if (result.entry_key) batch.keys.push_back(*std::move(result.entry_key));
    batch.items.push_back(std::move(result.item));
  } catch (const JsonError& error) {
    progress_.clear();
    throw UsageError(fmt::format("{}: {}: {}; {}", input_.name(),
                                 position_in(line, error.offset(), line_, line_start_),
                                 error.what(), so_far()));
  }
}

// The value of the field named by --key; the field also stays in the object.
std::string LineLoader::take_key(Batch& batch, const Data::Item& item) const {
  const auto* index = std::get_if<Data::Index>(&item);
  if (index != nullptr && batch.data.container(*index).kind == NodeKind::kDict) {
    const Data::Container& dict = batch.data.container(*index);
    const auto found = std::find(dict.keys.begin(), dict.keys.end(), options_.key);
    if (found != dict.keys.end()) {
      const Data::Item& value = dict.items[static_cast<std::size_t>(found - dict.keys.begin())];
      if (const auto* text = std::get_if<std::string>(&value)) return *text;
      if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    }
  }
  throw JsonError(fmt::format("no object with text or an integer under '{}'", options_.key), 0);
}

// Finds or creates the container for the lines.
void LineLoader::prepare_target(bool entries) {
  const Dict root = db_->root();
  Value value;
  try {
    value = walk(root, path_);
  } catch (const NotFound&) {
    store(*db_, path_, entries ? Data::dict() : Data::list(), options_.parents);
    value = walk(root, path_);
  }
  if (entries ? !value.is<Dict>() : !value.is<List>()) {
    throw UsageError(
        fmt::format("{} is {}, and the lines are {}", format_path(path_), kind_of(value),
                    entries ? "entries of a dict"
                            : "items of a list; name a list, or the field that is to be the key "
                              "with --key"));
  }
  target_ = value;
}

// For input without lines: accepts an existing dict or list.
void LineLoader::make_target() {
  db_ = open_database(options_.where, access_to(path_, options_.parents));
  db_->transaction([&] {
    bool entries = !options_.key.empty();
    try {
      entries = walk(db_->root(), path_).is<Dict>();
    } catch (const NotFound&) {
    }
    prepare_target(entries);
  });
}

// Creates nodes for this batch's labelled containers, so that later lines can link to them, and
// replaces references to them in the batch by handles.
void LineLoader::share_labelled(Batch& batch) {
  std::unordered_map<std::uint32_t, Data::Item> handles;
  std::vector<Data::Index> fresh;
  for (auto& [label, item] : reader_.labels()) {
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) continue;
    Data::Item handle = as_item(*target_);
    if (label != kTargetLabel) {
      handle = batch.data.container(*index).kind == NodeKind::kDict ? Data::Item(db_->new_dict())
                                                                    : Data::Item(db_->new_list());
      fresh.push_back(*index);
    }
    handles.emplace(index->at, handle);
    item = std::move(handle);
  }
  if (handles.empty()) return;
  const auto replace = [&](Data::Item& item) {
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) return;
    if (const auto found = handles.find(index->at); found != handles.end()) item = found->second;
  };
  for (Data::Item& item : batch.items) replace(item);
  for (std::size_t at = 0; at < batch.data.container_count(); ++at) {
    auto& items = batch.data.container(Data::Index{static_cast<std::uint32_t>(at)}).items;
    std::for_each(items.begin(), items.end(), replace);
  }
  for (const Data::Index index : fresh) {
    const Data::Item& handle = handles.at(index.at);
    batch.data.set_root(index);
    if (const auto* dict = std::get_if<Dict>(&handle)) dict->update(batch.data);
    if (const auto* list = std::get_if<List>(&handle)) list->extend(batch.data);
  }
}

void LineLoader::commit(Batch& batch) {
  if (!db_) db_ = open_database(options_.where, access_to(path_, options_.parents));
  const std::uint64_t count = batch.items.size();
  db_->transaction([&] {
    if (!target_) prepare_target(!batch.keys.empty());
    if (batch.keys.empty() != target_->is<List>()) {
      throw UsageError(
          fmt::format("{}: up to line {}: entries of a dict and items of a list are "
                      "mixed; {}",
                      input_.name(), line_, so_far()));
    }
    share_labelled(batch);
    const bool entries = !batch.keys.empty();
    const Data::Index top = batch.data.add(entries ? NodeKind::kDict : NodeKind::kList);
    Data::Container& container = batch.data.container(top);
    if (entries) {
      // If a key occurs twice, the last line counts, as if each line were loaded by itself.
      std::unordered_map<std::string, std::size_t> places;
      for (std::size_t at = 0; at < batch.keys.size(); ++at) {
        const auto [place, added] = places.try_emplace(batch.keys[at], container.items.size());
        if (added) {
          container.keys.push_back(std::move(batch.keys[at]));
          container.items.push_back(std::move(batch.items[at]));
        } else {
          container.items[place->second] = std::move(batch.items[at]);
        }
      }
    } else {
      container.items = std::move(batch.items);
    }
    batch.data.set_root(top);
    if (entries) {
      target_->as_dict().update(batch.data);
    } else {
      target_->as_list().extend(batch.data);
    }
  });
  values_ += count;
  lines_done_ = line_;
  bytes_done_ = batch.bytes;
  progress_.update(bytes_done_);
}

int run_load(const LoadOptions& options) {
  if (options.file.empty() && is_terminal(0)) {
    throw UsageError(fmt::format(
        "nothing to read: standard input is a terminal; to load a file: graven load {} {} FILE",
        redacted(options.where.database), options.path.empty() ? "PATH" : options.path));
  }
  const InterruptGuard guard;
  const bool lines = options.ndjson || !options.key.empty() || has_ndjson_name(options.file);
  if (!lines) {
    load_json(options);
    return kDone;
  }
  Input input(options.file);
  LineLoader(options, input).run();
  return kDone;
}

}  // namespace

void declare_load(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "load", "Store JSON or NDJSON from a file or standard input",
      "JSON replaces what is at the path, in one transaction. NDJSON adds to the dict or list\n"
      "there, in batches of lines, one transaction for each batch. A missing dict or list is "
      "made.\n"
      "Examples:\n"
      "  graven load state.db users users.json\n"
      "  graven load state.db \"\" state.json     # the whole root\n"
      "  graven load state.db events events.ndjson\n"
      "  graven load state.db users users.ndjson --key email\n"
      "  curl -s https://example.org/data.json | graven load state.db data --plain",
      run_load);
  verb.where(options.where);
  verb.path(options.path, "Where to store it (default: \"\", the root)");
  verb.value("FILE", options.file, "What to read (default: -, standard input)");
  verb.flag("--ndjson", options.ndjson,
            "One JSON value per line (also if FILE ends in .ndjson or .jsonl)");
  verb.value("-k,--key", options.key,
             "NDJSON: make a dict, whose keys are this field of each object")
      .named("FIELD");
  verb.value("-b,--batch", options.batch, "NDJSON: lines per transaction (default 10000)")
      .named("N")
      .between(1, 10'000'000);
  verb.flag("--plain", options.plain,
            "Store objects such as {\"$bytes\": ...} as they are, as data of other programs");
  verb.flag("--parents", options.parents, "Make missing dicts on the path");
  verb.flag("-q,--quiet", options.quiet, "No progress bar and no summary");
  verb.json(options.json, "A summary as JSON, on standard output");
}

}  // namespace graven::cli
