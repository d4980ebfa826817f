// SPDX-License-Identifier: MIT
//
// Data to JSON text, by the convention of docs/format/json.md: what JsonReader reads back is
// the same structure, shared parts, cycles, bytes and odd floats included.
//
// Always holds: a tree of plain values comes out as the JSON one expects; only containers that
// occur twice carry labels; nesting costs no stack; pretty text stops indenting at a depth, so
// that deep structures do not grow by the square of it.
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

  /// `indent` 0 writes on one line. Looks at everything the root reaches to find what is shared.
  JsonWriter(const Data& data, Sink sink, int indent);

  /// Writes the root; no newline after it.
  void write() { write(data_.root()); }
  /// Writes one part. Over several calls, what an earlier part wrote is linked, not repeated.
  void write(const Data::Item& item);
  /// An entry of a dict as a line of NDJSON: {"$entry": [key, value]}.
  void write_entry(std::string_view key, const Data::Item& value);
  /// Makes label 0 stand for a container that is not written itself.
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
  // By container: kOnce while nothing says it is shared, kShared until it is written, then its
  // label.
  static constexpr std::int64_t kUnseen = -3;
  static constexpr std::int64_t kOnce = -2;
  static constexpr std::int64_t kShared = -1;
  std::vector<std::int64_t> labels_{};
  std::int64_t last_label_ = 0;
};

/// The whole as one text.
std::string to_json_text(const Data& data, int indent = 0);

/// Adds an item to the list that `list` is.
void append(Data& list, const Data& item);

}  // namespace graven::cli
