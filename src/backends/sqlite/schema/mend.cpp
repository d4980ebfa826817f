// SPDX-License-Identifier: MIT
//
// Repairs the schema, then the indexes, then the rows, because each step reads what the steps
// before it have repaired. Call with the writer lock (Lane) held, from one thread at a time. See
// mend.hpp.
#include "backends/sqlite/schema/mend.hpp"

#include "backends/sqlite/schema/row_check.hpp"
#include "backends/sqlite/schema/schema_check.hpp"

namespace graven::sqlite {

std::vector<port::Files::Loss> mend(Connection& connection, base::Deadline deadline,
                                    base::FunctionRef<void()> before_commit) {
  connection.set_deadline(deadline);
  const Connection::LongWork long_work(connection);
  std::vector<port::Files::Loss> lost;
  const Connection::RenamesAlone renames_alone(connection);
  connection.execute("BEGIN IMMEDIATE");
  try {
    before_commit();
    mend_schema(connection, lost);
    connection.execute("REINDEX");
    mend_rows(connection, lost);
    connection.execute("COMMIT");
  } catch (...) {
    connection.try_execute("ROLLBACK");
    throw;
  }
  return lost;
}

}  // namespace graven::sqlite
