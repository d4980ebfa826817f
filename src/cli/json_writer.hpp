// SPDX-License-Identifier: MIT
//
// Writes Data as JSON text, with the convention of docs/format/json.md. JsonReader reads it back as
// the same structure, including shared parts, cycles, bytes, NaN and infinities.
//
// Always holds: plain trees give plain JSON. Only containers that occur twice have labels. Nesting
// does not use the call stack. Indentation stops at a depth, so that the text of deep structures
// does not grow with the square of the depth.
//
// A writer belongs to one thread; the Data must outlive it.
#pragma once

#include <graven/data.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace graven::cli {

class JsonWriter {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// `indent` 0: on one line. Walks everything that the root reaches to find what is shared.
  JsonWriter(const Data& data, Sink sink, int indent);

  /// Writes the root, without a newline after it.
  void write() { write(data_.root()); }
  /// Writes one part. What an earlier call has written becomes a link.
  void write(const Data::Item& item);
  /// Writes an entry of a dict as a line of NDJSON: {"$entry": [key, value]}.
  void write_entry(std::string_view key, const Data::Item& value);
  /// Lets label 0 stand for a container that is not written itself.
  void name_target(Data::Index index) { labels_[index.at] = 0; }

 private:
  struct Frame {
    Data::Index index;
    std::size_t next;
    std::string_view closing;
    std::size_t level;
  };

  void count(const Data::Item& root);
  void put(const Data::Item& item, std::size_t level);
  void open(Data::Index index, std::size_t level);
  void break_line(std::size_t level);
  void flush();

  const Data& data_;
  Sink sink_;
  std::size_t indent_;
  std::string out_{};
  std::vector<Frame> stack_{};
  // Per container: kUnseen before the walk meets it, kOnce if met once, kShared if met more often
  // and not written yet, then its label.
  static constexpr std::int64_t kUnseen = -3;
  static constexpr std::int64_t kOnce = -2;
  static constexpr std::int64_t kShared = -1;
  std::vector<std::int64_t> labels_{};
  std::int64_t last_label_ = 0;
};

/// The root as one text.
std::string to_json_text(const Data& data, int indent = 0);

/// Appends an item to `list`, whose root must be a list.
void append(Data& list, const Data& item);

}  // namespace graven::cli
