// SPDX-License-Identifier: MIT
//
// The judges of json_model.hpp. Single-threaded, as tests are.
#include "base/json_model.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace graven::test {

SqliteJson::SqliteJson() {
  if (sqlite3_open(":memory:", &connection_) != SQLITE_OK) {
    throw std::runtime_error("SQLite does not open a database in memory");
  }
}

SqliteJson::~SqliteJson() { sqlite3_close(connection_); }

std::optional<std::string> SqliteJson::ask(const char* sql,
                                           std::initializer_list<Argument> arguments) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_, sql, -1, &statement, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(connection_));
  }
  int index = 0;
  for (const Argument& argument : arguments) {
    const auto size = static_cast<int>(argument.bytes.size());
    const char* data = argument.bytes.empty() ? "" : argument.bytes.data();
    if (argument.is_blob) {
      sqlite3_bind_blob(statement, ++index, data, size, SQLITE_STATIC);
    } else {
      sqlite3_bind_text(statement, ++index, data, size, SQLITE_STATIC);
    }
  }
  std::optional<std::string> answer;
  if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    const int size = sqlite3_column_bytes(statement, 0);
    answer = size == 0 ? std::string() : std::string(data, static_cast<std::size_t>(size));
  }
  sqlite3_finalize(statement);
  return answer;
}

std::optional<std::string> SqliteJson::to_text(std::string_view jsonb) {
  return ask("SELECT json(?1)", {{jsonb, true}});
}

std::optional<std::string> SqliteJson::to_jsonb(std::string_view text) {
  return ask("SELECT jsonb(?1)", {{text, false}});
}

bool SqliteJson::valid(std::string_view jsonb) {
  return ask("SELECT CAST(json_valid(?1, 8) AS TEXT)", {{jsonb, true}}) == "1";
}

std::optional<std::string> SqliteJson::extract(std::string_view jsonb, std::string_view path) {
  return ask("SELECT CAST(?1 ->> ?2 AS TEXT)", {{jsonb, true}, {path, false}});
}

std::optional<std::string> SqliteJson::set_text(std::string_view jsonb, std::string_view path,
                                                std::string_view value) {
  return ask("SELECT jsonb_set(?1, ?2, ?3)", {{jsonb, true}, {path, false}, {value, false}});
}

bool same(const Json& left, const Json& right) {
  if (left.is_number_float() || right.is_number_float()) {
    return left.is_number_float() && right.is_number_float() &&
           std::bit_cast<std::uint64_t>(left.get<double>()) ==
               std::bit_cast<std::uint64_t>(right.get<double>());
  }
  if (left.is_number() || right.is_number()) {
    return left.is_number() && right.is_number() &&
           left.get<std::int64_t>() == right.get<std::int64_t>();
  }
  if (left.type() != right.type() || left.size() != right.size()) return false;
  if (!left.is_structured()) return left == right;
  for (auto i = left.begin(), j = right.begin(); i != left.end(); ++i, ++j) {
    if (left.is_object() && i.key() != j.key()) return false;
    if (!same(*i, *j)) return false;
  }
  return true;
}

void write(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return jsonb::put_null(out);
    case Json::value_t::boolean:
      return jsonb::put_bool(out, value.get<bool>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return jsonb::put_int(out, value.get<std::int64_t>());
    case Json::value_t::number_float:
      return jsonb::put_real(out, value.get<double>());
    case Json::value_t::string:
      return jsonb::put_text(out, value.get_ref<const std::string&>());
    default:
      break;
  }
  const std::size_t mark = jsonb::open(out);
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (value.is_object()) jsonb::put_text(out, it.key());
    write(out, *it);
  }
  jsonb::close(out, value.is_object() ? jsonb::Type::kObject : jsonb::Type::kArray, mark);
}

Json read(jsonb::Element element) {
  using jsonb::Type;
  switch (element.type) {
    case Type::kNull:
      return nullptr;
    case Type::kTrue:
      return true;
    case Type::kFalse:
      return false;
    case Type::kInt:
    case Type::kInt5:
      if (const auto value = jsonb::integer(element)) return *value;
      return jsonb::real(element);
    case Type::kFloat:
    case Type::kFloat5:
      return jsonb::real(element);
    case Type::kText:
    case Type::kTextJ:
    case Type::kText5:
    case Type::kTextRaw:
      return jsonb::text(element);
    case Type::kArray: {
      Json array = Json::array();
      for (jsonb::Cursor cursor(element.payload); !cursor.done();) {
        array.push_back(read(cursor.next()));
      }
      return array;
    }
    case Type::kObject:
      break;
  }
  Json object = Json::object();
  for (jsonb::Cursor cursor(element.payload); !cursor.done();) {
    std::string key = jsonb::text(cursor.next());
    object.emplace(std::move(key), read(cursor.next()));
  }
  return object;
}

namespace {

void append_code(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
  } else if (code < 0x10000) {
    text += {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
             static_cast<char>(0x80 | (code & 63))};
  } else {
    text += {static_cast<char>(0xf0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
             static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
  }
}

std::uint32_t random_code(Random& random, std::size_t kind) {
  constexpr std::string_view kAwkward("\0\x1f\x20\x7f\"\\/'\b\f\n\r\t\v", 14);
  switch (kind) {
    case 0:
      return static_cast<std::uint32_t>('a' + random.below(26));
    case 1:
      return static_cast<unsigned char>(kAwkward[random.below(kAwkward.size())]);
    case 2:
      return static_cast<std::uint32_t>(random.below(0x80));
    case 3:
      return static_cast<std::uint32_t>(random.below(0x800));
    case 4: {
      const auto code = static_cast<std::uint32_t>(random.below(0x10000 - 0x800));
      return code < 0xd800 ? code : code + 0x800;
    }
    default:
      return static_cast<std::uint32_t>(0x10000 + random.below(0x100000));
  }
}

}  // namespace

std::string random_text(Random& random) {
  constexpr std::array<std::size_t, 4> kBoundaries{11, 255, 65535, 30};
  std::size_t size = random.below(14);
  if (random.one_in(20)) size = kBoundaries[random.below(4)] - 2 + random.below(5);
  const std::size_t kind = random.below(7);  // 6: a mixture
  std::string text;
  while (text.size() < size)
    append_code(text, random_code(random, kind < 6 ? kind : random.below(6)));
  return text;
}

Json random_scalar(Random& random) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr std::array kIntegers{kMin, kMin + 1, std::int64_t{-1}, std::int64_t{0}, kMax - 1, kMax};
  switch (random.below(8)) {
    case 0:
      return nullptr;
    case 1:
      return random.one_in(2);
    case 2:
      return kIntegers[random.below(kIntegers.size())];
    case 3:
      return static_cast<std::int64_t>(random.bits()) >> random.below(64);
    case 4: {
      const auto number = std::bit_cast<double>(random.bits());
      return std::isfinite(number) ? number : -0.0;
    }
    case 5:
      return static_cast<double>(static_cast<std::int64_t>(random.bits()) >> random.below(64));
    default:
      return random_text(random);
  }
}

Json random_value(Random& random, int depth) {
  if (depth == 0 || random.one_in(3)) return random_scalar(random);
  const std::size_t size = depth == 1 && random.one_in(20) ? 60 : random.below(7);
  const bool is_object = random.one_in(2);
  Json value = is_object ? Json::object() : Json::array();
  for (std::size_t i = 0; i < size; ++i) {
    if (is_object) {
      value[random_text(random)] = random_value(random, depth - 1);
    } else {
      value.push_back(random_value(random, depth - 1));
    }
  }
  return value;
}

}  // namespace graven::test
