// SPDX-License-Identifier: MIT
//
// Reads JSON text into Data. Besides plain JSON it understands graven's convention for what JSON
// lacks (docs/format/json.md): bytes, NaN and infinities, shared and cyclic structures.
//
// Always holds: the whole text is checked (RFC 8259). Nesting does not use the call stack. Integers
// are kept exactly. If an object has equal keys, the last one counts. After an exception the caller
// can reach nothing of the text.
//
// A reader belongs to one thread; it keeps its buffers for the next text.
#pragma once

#include <graven/data.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

namespace graven::cli {

/// What is wrong with a text, and at which byte it was noticed.
class JsonError : public std::runtime_error {
 public:
  JsonError(const std::string& what, std::size_t offset)
      : std::runtime_error(what), offset_(offset) {}
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

 private:
  std::size_t offset_;
};

class JsonReader {
 public:
  struct Options {
    bool plain = false;    ///< take every object literally, without the convention
    bool entries = false;  ///< the text may be an entry of a dict: {"$entry": [key, value]}
  };
  struct Result {
    Data::Item item;
    std::optional<std::string> entry_key;  ///< set if the text was an entry
  };
  /// The item that each label stands for.
  using Labels = std::unordered_map<std::int64_t, Data::Item>;

  explicit JsonReader(Options options);
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  /// Reads one text and adds its containers to `data`. JsonError if it is not valid.
  Result read(std::string_view text, Data& data);

  /// The labels of all texts read so far. A caller that continues with another Data replaces the
  /// indexes by handles.
  [[nodiscard]] Labels& labels() noexcept { return labels_; }

 private:
  class Parse;
  struct Parser;
  Options options_;
  Labels labels_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace graven::cli
