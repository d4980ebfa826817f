// SPDX-License-Identifier: MIT
//
// The judges of the JSONB tests: nlohmann::json as the model of a value, SQLite's own JSON
// functions as the reference of the format, and translations between the model and our codec
// that use nothing but jsonb.hpp. Single-threaded, as tests are.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include "base/jsonb.hpp"
#include "base/random.hpp"

namespace graven::test {

using Json = nlohmann::ordered_json;

/// SQLite's JSON functions on an empty database in memory. nullopt: SQLite refused the input.
class SqliteJson {
 public:
  SqliteJson();
  ~SqliteJson();
  SqliteJson(const SqliteJson&) = delete;
  SqliteJson& operator=(const SqliteJson&) = delete;

  /// json(blob)
  std::optional<std::string> to_text(std::string_view jsonb);
  /// jsonb(text)
  std::optional<std::string> to_jsonb(std::string_view text);
  /// json_valid(blob, 8): strictly valid JSONB
  bool valid(std::string_view jsonb);
  /// blob ->> path, the path beginning with '$', as text
  std::optional<std::string> extract(std::string_view jsonb, std::string_view path);
  /// jsonb_set(blob, path, value), the value being SQL text
  std::optional<std::string> set_text(std::string_view jsonb, std::string_view path,
                                      std::string_view value);

 private:
  struct Argument {
    std::string_view bytes;
    bool is_blob;
  };
  std::optional<std::string> ask(const char* sql, std::initializer_list<Argument> arguments);

  sqlite3* connection_ = nullptr;
};

/// Equal in type and value: 1 is not 1.0, 0.0 is not -0.0, the order of keys counts.
bool same(const Json& left, const Json& right);

/// The value in our bytes.
void write(std::string& out, const Json& value);
inline std::string bytes_of(const Json& value) {
  std::string out;
  write(out, value);
  return out;
}

/// The value of any JSONB. An integer beyond 64 bits becomes a double.
Json read(jsonb::Element element);
inline Json read(std::string_view bytes) { return read(jsonb::parse(bytes)); }

/// Random values; strings of every class, sizes near the boundaries of headers.
std::string random_text(Random& random);
Json random_scalar(Random& random);
Json random_value(Random& random, int depth);

}  // namespace graven::test
