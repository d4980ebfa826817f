// SPDX-License-Identifier: MIT
//
// REINDEX, and values beside items of which one is missing. See mend.hpp.
// In the lane.
#include "sqlite/mend.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "sqlite/statement.hpp"

namespace graven::sqlite {
namespace {

// As Tables::check_beside() has them.
constexpr const char* kNoItem =
    " FROM item_large AS l WHERE NOT EXISTS (SELECT 1 FROM item AS i "
    "WHERE i.map = l.map AND i.key = l.key AND i.value IS NULL)";
constexpr const char* kNoValue =
    " WHERE value IS NULL AND kind <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM item_large AS l WHERE i.map = l.map AND i.key = l.key)";

void mend_beside(Connection& connection, std::vector<store::Backend::Loss>& lost) {
  std::string key;
  {
    Statement statement(connection, std::string("SELECT map, key, value") + kNoItem);
    Cursor cursor(statement);
    while (cursor.next()) {
      std::string value;
      cursor.bytes(1, key);
      cursor.bytes(2, value);
      lost.push_back({fmt::format("a large value of map {}, key '{}', that belonged to no item",
                                  cursor.integer(0), key),
                      std::move(value)});
    }
  }
  {
    Statement statement(connection, std::string("SELECT map, key FROM item AS i") + kNoValue);
    Cursor cursor(statement);
    while (cursor.next()) {
      cursor.bytes(1, key);
      lost.push_back({fmt::format("the value of map {}, key '{}', which was nowhere: it is null "
                                  "now",
                                  cursor.integer(0), key),
                      {}});
    }
  }
  connection.execute((std::string("DELETE") + kNoItem).c_str());
  connection.execute((std::string("UPDATE item AS i SET kind = 0") + kNoValue).c_str());
}

}  // namespace

std::vector<store::Backend::Loss> mend(Connection& connection, store::Deadline deadline) {
  connection.set_deadline(deadline);
  const Connection::LongWork long_work(connection);
  std::vector<store::Backend::Loss> lost;
  connection.execute("BEGIN IMMEDIATE");
  try {
    connection.execute("REINDEX");
    mend_beside(connection, lost);
    connection.execute("COMMIT");
  } catch (...) {
    connection.try_execute("ROLLBACK");
    throw;
  }
  return lost;
}

}  // namespace graven::sqlite
