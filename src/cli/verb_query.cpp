// SPDX-License-Identifier: MIT
//
// The verb query: the children of a dict or list that satisfy a condition, as a table, JSON lines,
// a JSON list or CSV. Everything is read from one state, page by page. Used by the main thread.
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
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

struct QueryOptions {
  Where where{};
  std::string path{};
  std::string condition{};
  std::string sort{};
  std::string select{};
  std::optional<std::uint64_t> limit{};
  std::uint64_t offset = 0;
  bool csv = false;
  bool table = false;
  bool count = false;
  bool explain = false;
  bool json = false;
};

/// The fields of a list: age,address.city. A comma in brackets belongs to a key.
std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> parts;
  std::string part;
  char quote = '\0';
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char byte = list[i];
    if (quote != '\0' && byte == '\\' && i + 1 < list.size()) {
      part.push_back(byte);
      part.push_back(list[++i]);
      continue;
    }
    if (quote == '\0' && byte == ',') {
      parts.push_back(std::exchange(part, {}));
      continue;
    }
    if (quote != '\0' ? byte == quote : byte == '"' || byte == '\'') {
      quote = quote == '\0' ? byte : '\0';
    }
    part.push_back(byte);
  }
  parts.push_back(std::move(part));
  return parts;
}

/// One cell of a table or of CSV: texts as they are, everything else as JSON, nothing for null.
std::string cell(const Data& rows, const Data::Item& item) {
  if (std::holds_alternative<std::nullptr_t>(item)) return "";
  if (const auto* text = std::get_if<std::string>(&item)) return *text;
  std::string out;
  JsonWriter(
      rows, [&](std::string_view piece) { out += piece; }, 0)
      .write(item);
  return out;
}

std::string csv_cell(std::string text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"') out.push_back('"');
    out.push_back(byte);
  }
  out.push_back('"');
  return out;
}

/// Width on a terminal, roughly: characters.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80;
  }));
}

/// On one line, and without what a terminal would take for a command.
std::string table_cell(std::string text) {
  constexpr std::size_t kMost = 60;
  std::string out;
  std::size_t width = 0;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if ((code & 0xc0U) != 0x80 && width++ == kMost) return out + "…";
    // U+0080 to U+009F are commands too: C2 80 to C2 9F.
    const bool command = out.ends_with('\xc2') && (code & 0xe0U) == 0x80;
    if (command) out.pop_back();
    out.push_back(command || code < 0x20 || code == 0x7f ? ' ' : byte);
  }
  return out;
}

/// Lines of cells under names; the widths are those of the first page, and grow when they must.
class Table {
 public:
  explicit Table(const std::vector<std::string>& names) {
    for (const std::string& name : names) head_.push_back(table_cell(name));
  }
  void page(Output& out, std::vector<std::vector<std::string>> rows) {
    for (auto& row : rows) {
      for (std::string& text : row) text = table_cell(std::move(text));
    }
    const bool first = widths_.empty();
    if (first) {
      widths_.resize(head_.size(), 0);
      grow(head_);
    }
    for (const auto& row : rows) grow(row);
    if (first) line(out, head_);
    for (const auto& row : rows) line(out, row);
  }

 private:
  void grow(const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths_[i] = std::max(widths_[i], width_of(row[i]));
  }
  void line(Output& out, const std::vector<std::string>& row) const {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths_[i] - width_of(row[i]) + 2, ' ');
    }
    while (text.ends_with(' ')) text.pop_back();
    out.line(text);
  }

  std::vector<std::string> head_{};
  std::vector<std::size_t> widths_{};
};

/// The columns of whole rows: the fields of all of them, in the order in which they come up. The
/// query is run once for that, and again, over the same snapshot, for the rows.
std::vector<std::string> columns_of(const Query& query) {
  std::vector<std::string> names;
  std::unordered_set<std::string> known;
  const auto add = [&](const std::string& name) {
    if (known.insert(name).second) names.push_back(name);
  };
  QueryCursor cursor = query.cursor();
  for (;;) {
    const Data rows = cursor.next_plain();
    const auto& items = rows.container(std::get<Data::Index>(rows.root())).items;
    if (items.empty()) return names;
    for (const Data::Item& item : items) {
      const auto* index = std::get_if<Data::Index>(&item);
      if (index == nullptr || rows.container(*index).kind != NodeKind::kDict) {
        add("F");
        continue;
      }
      for (const std::string& key : rows.container(*index).keys) add(F(key).text());
    }
  }
}

void print_cells(const Query& query, const QueryOptions& options, std::vector<std::string> names) {
  if (names.empty()) names = columns_of(query);
  std::vector<Field> fields;
  for (const std::string& name : names) fields.push_back(parse_field(name));
  Output out;
  Table table(names);
  if (options.csv) {
    std::string head;
    for (const std::string& name : names) head += (head.empty() ? "" : ",") + csv_cell(name);
    if (!head.empty()) out.put(head + "\r\n");
  }
  QueryCursor cursor = query.cursor();
  for (;;) {
    const Data page = cursor.next(fields);
    const auto& rows = page.container(std::get<Data::Index>(page.root())).items;
    if (rows.empty() || names.empty()) break;
    std::vector<std::vector<std::string>> cells;
    for (const Data::Item& row : rows) {
      auto& line = cells.emplace_back();
      for (const Data::Item& item : page.container(std::get<Data::Index>(row)).items) {
        line.push_back(cell(page, item));
      }
    }
    if (!options.csv) {
      table.page(out, std::move(cells));
      continue;
    }
    for (auto& line : cells) {
      std::string text;
      for (std::size_t i = 0; i < line.size(); ++i) {
        text += (i == 0 ? "" : ",") + csv_cell(std::move(line[i]));
      }
      out.put(text + "\r\n");
    }
  }
  out.flush();
}

/// One JSON list, or one line for each row.
void print_json(const Query& query, const QueryOptions& options,
                const std::vector<std::string>& names) {
  std::vector<Field> fields;
  for (const std::string& name : names) fields.push_back(parse_field(name));
  Output out;
  QueryCursor cursor = query.cursor();
  bool any = false;
  for (;;) {
    const Data page = names.empty() ? cursor.next_plain() : cursor.next(fields);
    const auto& rows = page.container(std::get<Data::Index>(page.root())).items;
    if (rows.empty()) break;
    for (const Data::Item& row : rows) {
      if (options.json) out.put(any ? ", " : "[");
      any = true;
      // Each row stands for itself: what it shares with others is written again.
      JsonWriter(
          page, [&](std::string_view piece) { out.put(piece); }, 0)
          .write(row);
      if (!options.json) out.put("\n");
    }
  }
  if (options.json) out.line(any ? "]" : "[]");
  out.flush();
}

int run_query(const QueryOptions& options) {
  const Condition condition =
      options.condition.empty() ? Condition() : parse_condition(options.condition);
  const Database db = open_database(options.where, Access::kRead);
  const Snapshot snapshot = db.snapshot();
  const Value top = walk(snapshot.root(), parse_path(options.path));
  if (node_of(top) == nullptr) {
    throw UsageError(fmt::format("{} is no dict or list; query looks at the children of one",
                                 format_path(parse_path(options.path))));
  }
  Query query = top.is<Dict>() ? top.as_dict().where(condition) : top.as_list().where(condition);
  if (!options.sort.empty()) query = query.order_by(parts_of(options.sort));
  if (options.limit) query = query.limit(*options.limit);
  query = query.offset(options.offset);
  if (options.explain) {
    const Explanation told = query.explain();
    if (options.json) {
      answer(Data::dict({{"plan", told.plan},
                         {"condition", told.condition},
                         {"rows", told.rows},
                         {"records", told.records},
                         {"matches", told.matches}}));
    } else {
      Output out;
      out.line(told.text());
      out.flush();
    }
    return kDone;
  }
  if (options.count) {
    answer(Data(query.count()));
    return kDone;
  }
  const std::vector<std::string> names =
      options.select.empty() ? std::vector<std::string>{} : parts_of(options.select);
  if (options.csv || options.table) {
    print_cells(query, options, names);
  } else {
    print_json(query, options, names);
  }
  return kDone;
}

}  // namespace

void declare_query(Verbs& verbs) {
  auto [verb, options] = verbs.add(
      "query", "Print the children of a dict or list that satisfy a condition",
      "A condition compares fields: age >= 18, name startswith \"A\", address.city == \"Rome\",\n"
      "[\"odd key\"] is none, country in (\"FR\", \"IT\"), tags any (F == \"x\"), exists, "
      "contains,\n"
      "endswith; and, or, not, parentheses. F is the row itself. Texts are in quotes.\n"
      "Examples:\n"
      "  graven query state.db users 'age >= 18 and name startswith \"A\"'\n"
      "  graven query state.db users 'age >= 18' --sort -age,name --limit 20 --table\n"
      "  graven query state.db users --select name,address.city --csv > users.csv\n"
      "  graven query state.db numbers 'F > 3' --count",
      run_query);
  verb.where(options.where);
  verb.value("PATH", options.path, "The dict or list whose children are looked at (\"\": the root)")
      .required();
  verb.value("CONDITION", options.condition, "Which children to print (default: all)");
  verb.value("-s,--sort", options.sort, "Fields to sort by; a '-' before one reverses it")
      .named("FIELDS");
  verb.value("-n,--limit", options.limit, "The most rows to print").named("N");
  verb.value("--offset", options.offset, "Leave out the first rows").named("N");
  verb.value("--select", options.select, "Fields to print (default: whole rows)").named("FIELDS");
  const auto csv = verb.flag("--csv", options.csv, "Print CSV (RFC 4180), with a line of names");
  verb.flag("-t,--table", options.table, "Print a table").excludes(csv);
  verb.flag("--count", options.count, "Print the number of rows only");
  verb.flag("--explain", options.explain, "Print how the query was carried out only");
  verb.json(options.json, "One JSON list (default: one line of JSON for each row)");
}

}  // namespace graven::cli
