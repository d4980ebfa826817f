// SPDX-License-Identifier: MIT
//
// Uses an explicit stack of open containers, and a buffer that goes to the sink in pieces. One walk
// before writing finds what is shared.
//
// One thread at a time.
#include "cli/json_writer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <graven/integer.hpp>

#include "base/text.hpp"
#include "cli/encoding.hpp"
#include "cli/json_rules.hpp"

namespace graven::cli {
namespace {

constexpr std::size_t kFlushAt = std::size_t{64} << 10;
// Containers deeper than this are written on one line.
constexpr std::size_t kIndentedLevels = 40;

void append_scalar(std::string& out, const Data::Item& item) {
  struct Append {
    std::string& out;
    void operator()(std::nullptr_t) const { out += "null"; }
    void operator()(bool value) const { out += value ? "true" : "false"; }
    void operator()(std::int64_t value) const { out += std::to_string(value); }
    void operator()(const BigInt& value) const { out += to_decimal(value); }
    void operator()(double value) const {
      if (std::isfinite(value)) {
        out += format_real(value);
      } else {
        out += R"({"$float":")";
        out += base::name_of_odd(value);
        out += "\"}";
      }
    }
    void operator()(const std::string& value) const { base::append_json(out, value); }
    void operator()(const Bytes& value) const {
      out += R"({"$bytes":")";
      out += base::to_base64(value.data);
      out += "\"}";
    }
    void operator()(const Node& value) const {
      out += R"({"$node":)";
      base::append_json(out, value.uid());
      out += '}';
    }
    void operator()(const Data::Index&) const {}
  };
  std::visit(Append{out}, item);
}

}  // namespace

JsonWriter::JsonWriter(const Data& data, Sink sink, int indent)
    : data_(data),
      sink_(std::move(sink)),
      indent_(static_cast<std::size_t>(std::max(indent, 0))),
      labels_(data.container_count(), kUnseen) {
  count(data.root());
}

void JsonWriter::count(const Data::Item& root) {
  std::vector<Data::Index> waiting;
  const auto meet = [&](const Data::Item& item) {
    const auto* index = std::get_if<Data::Index>(&item);
    if (index == nullptr) return;
    std::int64_t& label = labels_[index->at];
    if (label == kUnseen) {
      label = kOnce;
      waiting.push_back(*index);
    } else {
      label = kShared;
    }
  };
  meet(root);
  while (!waiting.empty()) {
    const Data::Index index = waiting.back();
    waiting.pop_back();
    for (const Data::Item& item : data_.container(index).items) meet(item);
  }
}

void JsonWriter::flush() {
  if (out_.empty()) return;
  sink_(out_);
  out_.clear();
}

void JsonWriter::break_line(std::size_t level) {
  if (indent_ == 0 || level > kIndentedLevels) return;
  out_ += '\n';
  out_.append(indent_ * level, ' ');
}

void JsonWriter::open(Data::Index index, std::size_t level) {
  const Data::Container& container = data_.container(index);
  const bool dict = container.kind == NodeKind::kDict;
  std::int64_t& label = labels_[index.at];
  std::string_view closing = dict ? "}" : "]";
  if (label == kShared) {
    label = ++last_label_;
    out_ += R"({"$label":)";
    out_ += std::to_string(label);
    out_ += dict ? R"(,"$dict":{)" : R"(,"$list":[)";
    closing = dict ? "}}" : "]}";
  } else if (dict && !container.keys.empty() && is_reserved_key(container.keys.front())) {
    out_ += R"({"$dict":{)";
    closing = "}}";
  } else {
    out_ += dict ? '{' : '[';
  }
  stack_.push_back({index, 0, closing, level});
}

void JsonWriter::put(const Data::Item& item, std::size_t level) {
  const auto* index = std::get_if<Data::Index>(&item);
  if (index == nullptr) {
    append_scalar(out_, item);
  } else if (labels_[index->at] >= 0) {
    out_ += R"({"$link":)";
    out_ += std::to_string(labels_[index->at]);
    out_ += '}';
  } else {
    open(*index, level);
  }
}

void JsonWriter::write(const Data::Item& item) {
  put(item, 1);
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    const Data::Container& container = data_.container(frame.index);
    if (frame.next == container.items.size()) {
      if (frame.next != 0 && frame.level <= kIndentedLevels) break_line(frame.level - 1);
      out_ += frame.closing;
      stack_.pop_back();
    } else {
      const std::size_t at = frame.next++;
      const std::size_t level = frame.level;
      if (at != 0) out_ += ',';
      break_line(level);
      // With indentation on, entries that share a line are separated by a space.
      if (at != 0 && indent_ != 0 && level > kIndentedLevels) out_ += ' ';
      if (container.kind == NodeKind::kDict) {
        base::append_json(out_, container.keys[at]);
        out_ += indent_ != 0 ? ": " : ":";
      }
      put(container.items[at], level + 1);  // may move the frames
    }
    if (out_.size() >= kFlushAt) flush();
  }
  flush();
}

void JsonWriter::write_entry(std::string_view key, const Data::Item& value) {
  out_ += R"({"$entry":[)";
  base::append_json(out_, key);
  out_ += ',';
  write(value);
  out_ += "]}";
  flush();
}

std::string to_json_text(const Data& data, int indent) {
  std::string text;
  JsonWriter(
      data, [&](std::string_view piece) { text += piece; }, indent)
      .write();
  return text;
}

void append(Data& list, const Data& item) {
  const Data::Item one = list.adopt(item);
  list.container(std::get<Data::Index>(list.root())).items.push_back(one);
}

}  // namespace graven::cli
