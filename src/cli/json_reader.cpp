// SPDX-License-Identifier: MIT
//
// The reader uses simdjson's on-demand interface, which gives the raw text of numbers. Its
// iterators are on an explicit stack, with one frame per open container.
//
// The text is parsed inside an added pair of brackets. So a top-level scalar is an ordinary
// element, and text after the value appears as a second element or an extra bracket. A link
// ({"$link": n}) may come before its label is complete, as in a cycle; until the end of the text it
// is a placeholder, an index that no container has.
//
// One thread at a time.
#include "cli/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

// In unoptimised builds simdjson's extra checks assume nesting below 1,024.
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include "base/text.hpp"
#include "cli/encoding.hpp"
#include "cli/json_rules.hpp"

namespace graven::cli {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

// Indexes of containers are below this; the k-th link of a text is kFirstLink + k.
constexpr std::uint32_t kFirstLink = 0x8000'0000U;

constexpr std::string_view kPlainHint = "; to store such objects as they are, use --plain";

enum class Shape {
  kList,
  kObject,   // its first key is not read yet and will decide
  kLiteral,  // a dict whose keys have no special meaning
  kDict,
  kBytes,    // {"$bytes": "base64"}
  kFloat,    // {"$float": "nan"}
  kLink,     // {"$link": label}
  kWrapped,  // {"$dict": {…}}
  kLabel,    // {"$label": n, "$dict": {…}} or {"$label": n, "$list": […]}
  kEntry,    // {"$entry": [key, value]}
};

struct Frame {
  Shape shape;
  bool started = false;
  ondemand::array_iterator array{};
  ondemand::object_iterator object{};
  Data::Index index{0};    // for kList, kLiteral and kDict
  std::string key{};       // of the value that is being read
  std::size_t fields = 0;  // for objects of the convention
  std::int64_t label = 0;  // for kLabel
  Data::Item result{};     // for objects of the convention
  std::size_t offset = 0;  // where it starts
};

std::string_view trimmed(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

}  // namespace

struct JsonReader::Parser {
  ondemand::parser parser{};
  std::string padded{};  // '[', the text, ']', padding
};

/// Reads one text.
class JsonReader::Parse {
 public:
  Parse(JsonReader& reader, std::string_view text, Data& data)
      : options_(reader.options_),
        labels_(reader.labels_),
        parser_(reader.parser_->parser),
        padded_(reader.parser_->padded),
        text_(text),
        data_(data),
        first_container_(data.container_count()) {}

  Result run();

 private:
  [[noreturn]] void fail(const std::string& what, std::size_t offset) const {
    throw JsonError(what, std::min(offset, text_.size()));
  }
  [[noreturn]] void fail(error_code error) const;
  template <class T>
  T take(simdjson::simdjson_result<T> result) const {
    T value;
    const error_code error = std::move(result).get(value);
    if (error != simdjson::SUCCESS) fail(error);
    return value;
  }
  [[nodiscard]] std::size_t offset_of(const char* place) const {
    const auto distance = place - (padded_.data() + 1);
    return distance < 0 ? 0 : std::min(static_cast<std::size_t>(distance), text_.size());
  }

  bool step(Frame& frame);
  void read_value(ondemand::value& value);
  void open(ondemand::value& value, bool object);
  void on_key(Frame& frame, std::string_view key);
  void deliver(Data::Item item);
  void deliver_special(Frame& frame, Data::Item item);
  void close();
  void resolve_links(Data::Item& root);
  Data::Item parse_number(std::string_view token) const;
  Data::Index add(NodeKind kind) {
    if (data_.container_count() >= kFirstLink) fail("more than 2^31 containers", at_);
    return data_.add(kind);
  }

  const Options& options_;
  Labels& labels_;
  ondemand::parser& parser_;
  std::string& padded_;
  std::string_view text_;
  Data& data_;
  std::size_t first_container_;

  ondemand::document document_{};
  std::vector<Frame> stack_{};
  std::vector<std::pair<std::int64_t, std::size_t>> links_{};  // label, offset
  std::vector<std::int64_t> new_labels_{};
  std::vector<Data::Item> values_{};  // top-level values: one, if valid
  std::optional<std::string> entry_key_{};
  std::size_t at_ = 0;  // offset of the last token
};

void JsonReader::Parse::fail(error_code error) const {
  std::size_t offset = at_;
  const char* place = nullptr;
  // If simdjson's first stage fails, there is no document yet.
  if (error != simdjson::UTF8_ERROR && error != simdjson::UNESCAPED_CHARS &&
      error != simdjson::UNCLOSED_STRING && error != simdjson::CAPACITY &&
      error != simdjson::EMPTY && error != simdjson::MEMALLOC &&
      const_cast<ondemand::document&>(document_).current_location().get(place) ==
          simdjson::SUCCESS) {
    offset = offset_of(place);
  }
  switch (error) {
    case simdjson::UTF8_ERROR:
      fail("not valid UTF-8", base::invalid_utf8(text_).value_or(0));
    case simdjson::UNESCAPED_CHARS:
      fail("a control character inside a string must be written as an escape such as \\n",
           string_fault(text_, true));
    case simdjson::UNCLOSED_STRING:
      fail("a string without its closing quote", string_fault(text_, false));
    case simdjson::STRING_ERROR:
      fail("a string with a bad escape or a lone surrogate", at_);
    case simdjson::CAPACITY:
      fail("one JSON text of more than 4 GB; use NDJSON", 0);
    case simdjson::MEMALLOC:
      throw std::bad_alloc();
    default:
      if (offset >= text_.size()) fail("the text ends in the middle of a value", text_.size());
      if (stack_.size() == 1 && !values_.empty()) fail("a second value after the first", offset);
      fail("not valid JSON: a value, comma, colon or bracket is missing or misplaced here", offset);
  }
}

JsonReader::Result JsonReader::Parse::run() {
  if (text_.starts_with("\xEF\xBB\xBF")) {  // a byte order mark has no meaning in UTF-8
    padded_.assign("[   ");
    padded_ += text_.substr(3);
  } else {
    padded_.assign("[");
    padded_ += text_;
  }
  padded_ += ']';
  const std::size_t length = padded_.size();
  padded_.append(simdjson::SIMDJSON_PADDING, '\0');
  try {
    const error_code error =
        parser_.iterate(simdjson::padded_string_view(padded_.data(), length, padded_.size()))
            .get(document_);
    if (error != simdjson::SUCCESS) fail(error);
    ondemand::array top = take(document_.get_array());
    stack_.push_back(Frame{.shape = Shape::kEntry, .array = take(top.begin())});
    while (!stack_.empty()) {
      if (!step(stack_.back())) close();
    }
    if (values_.empty() && text_.find_first_not_of(" \t\r\n") == std::string_view::npos) {
      fail("no JSON value", 0);
    }
    const char* rest = nullptr;
    if (document_.current_location().get(rest) == simdjson::SUCCESS || values_.empty()) {
      fail("not valid JSON: there is a bracket too many", rest != nullptr ? offset_of(rest) : at_);
    }
    Data::Item root = std::move(values_.front());
    resolve_links(root);
    return {std::move(root), std::move(entry_key_)};
  } catch (...) {
    for (const std::int64_t label : new_labels_) labels_.erase(label);
    throw;
  }
}

// Reads the next element of the innermost container; false if there is none.
bool JsonReader::Parse::step(Frame& frame) {
  const bool list = frame.shape == Shape::kList || &frame == &stack_.front();
  if (list) {
    if (frame.started) ++frame.array;
    frame.started = true;
    if (!(frame.array != frame.array)) return false;  // false at the end
    ondemand::value value = take(*frame.array);
    if (stack_.size() == 1 && !values_.empty()) {
      const char* place = nullptr;
      if (document_.current_location().get(place) == simdjson::SUCCESS) at_ = offset_of(place);
      fail("a second value after the first", at_);
    }
    read_value(value);
    return true;
  }
  if (frame.started) ++frame.object;
  frame.started = true;
  if (!(frame.object != frame.object)) return false;
  ondemand::field field = take(*frame.object);
  at_ = offset_of(field.key().raw()) - 1;  // the quote before the key
  on_key(frame, take(field.unescaped_key()));
  ondemand::value value = std::move(field).value();
  read_value(value);
  return true;
}

void JsonReader::Parse::read_value(ondemand::value& value) {
  const ondemand::json_type type = take(value.type());
  if (type == ondemand::json_type::array || type == ondemand::json_type::object) {
    open(value, type == ondemand::json_type::object);
    return;
  }
  const std::string_view token = trimmed(value.raw_json_token());
  at_ = offset_of(token.data());
  switch (type) {
    case ondemand::json_type::string:
      deliver(std::string(take(value.get_string())));
      return;
    case ondemand::json_type::number:
      deliver(parse_number(token));
      return;
    default:
      if (token == "null") return deliver(nullptr);
      if (token == "true") return deliver(true);
      if (token == "false") return deliver(false);
      fail("not a JSON value", at_);
  }
}

Data::Item JsonReader::Parse::parse_number(std::string_view token) const {
  switch (number_kind(token)) {
    case NumberKind::kInteger:
      if (token.size() > kMaxDigits) {
        fail("an integer of more than " + grouped(kMaxDigits) + " digits", at_);
      }
      return parse_integer(token);
    case NumberKind::kReal: {
      const std::optional<double> real = parse_real(token);
      if (!real) {
        fail(
            "a number beyond the largest float; write it as an integer, as text, or as "
            "{\"$float\": \"inf\"}",
            at_);
      }
      return *real;
    }
    case NumberKind::kInvalid:
      break;
  }
  fail("not a JSON number", at_);
}

void JsonReader::Parse::open(ondemand::value& value, bool object) {
  const char* place = nullptr;
  if (value.current_location().get(place) == simdjson::SUCCESS) at_ = offset_of(place);
  Frame frame{.shape = object ? Shape::kObject : Shape::kList, .offset = at_};
  const Frame& parent = stack_.back();
  if (stack_.size() > 1) {
    switch (parent.shape) {
      case Shape::kBytes:
      case Shape::kFloat:
      case Shape::kLink:
        fail("\"" + parent.key + "\" takes no container" + std::string(kPlainHint), at_);
      case Shape::kWrapped:
      case Shape::kLabel:
        if (parent.shape == Shape::kLabel && parent.fields == 1) {
          fail("\"$label\" takes a number" + std::string(kPlainHint), at_);
        }
        if (object != (parent.key == "$dict")) {
          fail("\"" + parent.key + "\" takes " + (object ? "a list" : "an object") +
                   std::string(kPlainHint),
               at_);
        }
        if (object) frame.shape = Shape::kLiteral;
        break;
      case Shape::kEntry:
        if (object) fail("\"$entry\" takes [key, value]" + std::string(kPlainHint), at_);
        break;
      default:
        break;
    }
  }
  if (frame.shape == Shape::kList) frame.index = add(NodeKind::kList);
  if (frame.shape == Shape::kLiteral) frame.index = add(NodeKind::kDict);
  if (object) {
    ondemand::object container = take(value.get_object());
    frame.object = take(container.begin());
  } else {
    ondemand::array container = take(value.get_array());
    frame.array = take(container.begin());
  }
  stack_.push_back(std::move(frame));
}

void JsonReader::Parse::on_key(Frame& frame, std::string_view key) {
  if (frame.shape == Shape::kObject) {
    if (options_.plain || !is_reserved_key(key)) {
      frame.shape = Shape::kDict;
      frame.index = add(NodeKind::kDict);
    } else if (key == "$node") {
      fail(
          "\"$node\" stands for a dict or list that was left out of this text; dump all of it, or "
          "use --plain to store such objects as they are",
          at_);
    } else if (key == "$entry" && !(options_.entries && stack_.size() == 2)) {
      fail("\"$entry\" belongs at the top of a line of NDJSON" + std::string(kPlainHint), at_);
    } else {
      frame.shape = key == "$bytes"   ? Shape::kBytes
                    : key == "$float" ? Shape::kFloat
                    : key == "$link"  ? Shape::kLink
                    : key == "$dict"  ? Shape::kWrapped
                    : key == "$label" ? Shape::kLabel
                                      : Shape::kEntry;
    }
  }
  if (frame.shape != Shape::kDict && frame.shape != Shape::kLiteral) {
    const bool second_of_label =
        frame.shape == Shape::kLabel && frame.fields == 1 && (key == "$dict" || key == "$list");
    if (frame.fields > 0 && !second_of_label) {
      fail("\"" + std::string(key) + "\" does not belong beside \"" + frame.key + "\"" +
               std::string(kPlainHint),
           at_);
    }
    ++frame.fields;
  }
  frame.key.assign(key);
}

void JsonReader::Parse::deliver(Data::Item item) {
  Frame& frame = stack_.back();
  if (stack_.size() == 1) {
    values_.push_back(std::move(item));
  } else if (frame.shape == Shape::kList) {
    data_.container(frame.index).items.push_back(std::move(item));
  } else if (frame.shape == Shape::kDict || frame.shape == Shape::kLiteral) {
    Data::Container& dict = data_.container(frame.index);
    dict.keys.push_back(std::move(frame.key));
    dict.items.push_back(std::move(item));
  } else {
    deliver_special(frame, std::move(item));
  }
}

void JsonReader::Parse::deliver_special(Frame& frame, Data::Item item) {
  const auto refuse = [&](const char* wanted) {
    fail("\"" + frame.key + "\" takes " + wanted + std::string(kPlainHint), at_);
  };
  const auto* text = std::get_if<std::string>(&item);
  const auto* number = std::get_if<std::int64_t>(&item);
  const auto* index = std::get_if<Data::Index>(&item);
  switch (frame.shape) {
    case Shape::kBytes: {
      std::optional<std::string> bytes;
      if (text != nullptr) bytes = base::from_base64(*text);
      if (!bytes) refuse("base64 text");
      frame.result = Bytes{*std::move(bytes)};
      return;
    }
    case Shape::kFloat: {
      const auto value = text != nullptr ? base::odd_float(*text) : std::nullopt;
      if (!value) refuse("\"nan\", \"inf\" or \"-inf\"");
      frame.result = *value;
      return;
    }
    case Shape::kLink:
      if (number == nullptr || *number < 0) refuse("the number of a label");
      if (links_.size() >= kFirstLink) fail("more than 2^31 links", at_);
      frame.result = Data::Index{kFirstLink + static_cast<std::uint32_t>(links_.size())};
      links_.emplace_back(*number, at_);
      return;
    case Shape::kLabel:
      if (frame.fields == 1) {
        if (number == nullptr || *number <= 0) refuse("a number above 0");
        frame.label = *number;
        return;
      }
      if (index == nullptr) refuse(frame.key == "$dict" ? "an object" : "a list");
      if (!labels_.emplace(frame.label, item).second) {
        fail("the label " + std::to_string(frame.label) + " is given twice", frame.offset);
      }
      new_labels_.push_back(frame.label);
      frame.result = item;
      return;
    case Shape::kWrapped:
      if (index == nullptr) refuse("an object");
      frame.result = item;
      return;
    default: {  // kEntry
      if (index == nullptr || index->at >= kFirstLink) refuse("[key, value]");
      Data::Container& pair = data_.container(*index);
      std::string* key =
          pair.items.size() == 2 ? std::get_if<std::string>(pair.items.data()) : nullptr;
      if (key == nullptr) refuse("[key, value]");
      entry_key_ = std::move(*key);
      frame.result = std::move(pair.items[1]);
      pair.items.clear();
    }
  }
}

void JsonReader::Parse::close() {
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  if (stack_.empty()) return;
  Data::Item item;
  switch (frame.shape) {
    case Shape::kObject:  // {}
      item = add(NodeKind::kDict);
      break;
    case Shape::kLiteral:
    case Shape::kDict:
      drop_duplicate_keys(data_.container(frame.index));
      [[fallthrough]];
    case Shape::kList:
      item = frame.index;
      break;
    default:
      if (frame.shape == Shape::kLabel && frame.fields < 2) {
        fail("\"$label\" needs \"$dict\" or \"$list\" beside it" + std::string(kPlainHint),
             frame.offset);
      }
      item = std::move(frame.result);
  }
  deliver(std::move(item));
}

void JsonReader::Parse::resolve_links(Data::Item& root) {
  if (links_.empty()) return;
  const auto resolve = [&](Data::Item& item) {
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr || index->at < kFirstLink) return;
    const auto& [label, offset] = links_[index->at - kFirstLink];
    const auto found = labels_.find(label);
    if (found == labels_.end()) {
      fail(
          "a link to " + std::to_string(label) + ", but no dict or list before this has that label",
          offset);
    }
    item = found->second;
  };
  for (std::size_t at = first_container_; at < data_.container_count(); ++at) {
    for (Data::Item& item : data_.container(Data::Index{static_cast<std::uint32_t>(at)}).items) {
      resolve(item);
    }
  }
  resolve(root);
}

JsonReader::JsonReader(Options options) : options_(options), parser_(std::make_unique<Parser>()) {}

JsonReader::~JsonReader() = default;

JsonReader::Result JsonReader::read(std::string_view text, Data& data) {
  return Parse(*this, text, data).run();
}

}  // namespace graven::cli
