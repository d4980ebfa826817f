// SPDX-License-Identifier: MIT
//
// Binds, reads, and loops over rows. See tables.hpp. One thread at a time, as the connection.
#include "backends/sqlite/schema/tables.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "backends/sqlite/pool/connection.hpp"
#include "backends/sqlite/schema/table_sql.hpp"

namespace graven::sqlite {
namespace {

using port::Key;
using port::KeyShape;
using port::Range;
using port::Record;
using port::Row;
using port::Schema;
using port::Space;

/// If the next key is at most this far away, load_many() steps over the rows between instead of
/// searching.
constexpr std::uint64_t kStepOver = 16;

/// Limit of key and value together, in bytes; larger values go to the overflow table. A search
/// through a table in key order reads the whole row of each key that it compares, and a row longer
/// than 488 bytes is split over pages.
constexpr std::size_t kMostInRow = 400;

/// Binds the columns of the key from parameter 1 on; returns the next free parameter.
int bind_key(Statement& statement, const Schema& schema, const Key& key) {
  int next = 1;
  if (!schema.a.empty()) statement.bind(next++, key.a);
  if (schema.shape == KeyShape::kPair) statement.bind(next++, key.b);
  if (schema.shape == KeyShape::kName) statement.bind_text(next++, key.name);
  return next;
}

// A value is stored as a native SQLite value, so that SQL can compute with it. A value that does
// not fit its kind (and NaN, which SQLite does not have) is stored as bytes.

template <class Number>
std::optional<Number> as_number(std::string_view body) {
  Number number;
  if (body.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, body.data(), sizeof number);
  return number;
}

/// The kind; kBytes for an unknown number.
port::ValueKind kind_of(const Record& record) noexcept {
  const std::int64_t kind = record.integers[0];
  const bool known = kind >= 0 && kind <= static_cast<std::int64_t>(port::ValueKind::kJson);
  return known ? static_cast<port::ValueKind>(kind) : port::ValueKind::kBytes;
}

void bind_value(Statement& statement, int parameter, const Record& record) {
  const port::ValueKind kind = kind_of(record);
  switch (kind) {
    case port::ValueKind::kFalse:
    case port::ValueKind::kTrue:
      if (record.body.empty()) {
        return statement.bind(parameter, std::int64_t{kind == port::ValueKind::kTrue});
      }
      break;
    case port::ValueKind::kInt:
      if (const auto number = as_number<std::int64_t>(record.body)) {
        return statement.bind(parameter, *number);
      }
      break;
    case port::ValueKind::kReal:
      if (const auto number = as_number<double>(record.body); number && !std::isnan(*number)) {
        return statement.bind_real(parameter, *number);
      }
      break;
    case port::ValueKind::kBigInt:
    case port::ValueKind::kText:
      return statement.bind_text(parameter, record.body);
    case port::ValueKind::kNull:
      return statement.bind_body(parameter, record.body);
    case port::ValueKind::kBytes:
    case port::ValueKind::kJson:
      break;
  }
  statement.bind_blob(parameter, record.body);  // never NULL: that would mean the overflow table
}

void read_value(const Cursor& cursor, int column, Record& record) {
  const auto set = [&record](const auto& number) {
    record.body.assign(reinterpret_cast<const char*>(&number), sizeof number);
  };
  const port::ValueKind kind = kind_of(record);
  const int type = cursor.type(column);
  if (!holds_value(static_cast<int>(kind), type)) cursor.refuse(column, "another kind of value");
  switch (type) {
    case SQLITE_INTEGER:
      record.body.clear();
      if (kind == port::ValueKind::kReal) return set(cursor.real(column));
      if (kind == port::ValueKind::kInt) return set(cursor.integer(column));
      return;
    case SQLITE_FLOAT:
      return set(cursor.real(column));
    default:
      return cursor.bytes(column, record.body);
  }
}

/// Reads the columns of the value, from `column` on.
void read_record(const Cursor& cursor, const Schema& schema, int column, Record& record) {
  if (schema.has_version) record.version = static_cast<std::uint64_t>(cursor.own_integer(column++));
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    record.integers[i] = cursor.own_integer(column++);
  }
  if (schema.has_value) return read_value(cursor, column, record);
  if (schema.has_body) cursor.own_body(column, record.body);
}

/// Reads the columns of the key; returns the column after them.
int read_key(const Cursor& cursor, const Schema& schema, Space space, Key& key) {
  int column = 0;
  key.space = space;
  if (!schema.a.empty()) key.a = cursor.own_integer(column++);
  if (schema.shape == KeyShape::kPair) key.b = cursor.own_integer(column++);
  if (schema.shape == KeyShape::kName) cursor.own_text(column++, key.name);
  return column;
}

std::int64_t as_limit(std::size_t limit) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMost));
}

/// The distance between two keys of the same range, or kFar.
std::uint64_t distance(const Schema& schema, const Key& from, const Key& to) {
  constexpr auto kFar = std::numeric_limits<std::uint64_t>::max();
  switch (schema.shape) {
    case KeyShape::kId:
      return static_cast<std::uint64_t>(to.a) - static_cast<std::uint64_t>(from.a);
    case KeyShape::kPair:
      if (from.a != to.a) return kFar;
      return static_cast<std::uint64_t>(to.b) - static_cast<std::uint64_t>(from.b);
    case KeyShape::kName:
      break;
  }
  return kFar;
}

}  // namespace

bool holds_value(int kind, int type) noexcept {
  using port::ValueKind;
  if (type == SQLITE_NULL) return kind == static_cast<int>(ValueKind::kNull);
  if (type == SQLITE_BLOB) return true;  // anything may be stored as bytes
  switch (static_cast<ValueKind>(kind)) {
    case ValueKind::kFalse:
    case ValueKind::kTrue:
    case ValueKind::kInt:
      return type == SQLITE_INTEGER;
    case ValueKind::kReal:
      return type == SQLITE_FLOAT || type == SQLITE_INTEGER;
    case ValueKind::kBigInt:
    case ValueKind::kText:
      return type == SQLITE_TEXT;
    default:
      return false;
  }
}

Statement& Tables::statement(Space space, Statement Statements::*which, std::string (*sql)(Space)) {
  Statement& slot = of(space).*which;
  if (!slot) slot = Statement(connection_, sql(space));
  return slot;
}

std::optional<Record> Tables::load(const Key& key) {
  const Schema& schema = port::schema(key.space);
  Statement& load = statement(key.space, &Statements::load, load_sql);
  bind_key(load, schema, key);
  Cursor cursor(load);
  if (!cursor.next()) return std::nullopt;
  std::optional<Record> record(std::in_place);
  read_record(cursor, schema, 0, *record);
  return record;
}

std::optional<Record> Tables::load_node(std::int64_t id, bool& reclaiming) {
  const Schema& schema = port::schema(Space::kNode);
  if (!load_node_) load_node_ = Statement(connection_, load_node_sql());
  load_node_.bind(1, id);
  Cursor cursor(load_node_);
  if (!cursor.next()) return std::nullopt;
  reclaiming = cursor.integer(0) != 0;
  std::optional<Record> record(std::in_place);
  read_record(cursor, schema, 1, *record);
  return record;
}

bool Tables::reclaiming() {
  if (!reclaiming_) {
    reclaiming_ = Statement(connection_, "SELECT 1 FROM main.orphan WHERE owner = 0 LIMIT 1");
  }
  Cursor cursor(reclaiming_);
  return cursor.next();
}

bool Tables::any_orphans() {
  if (!any_orphans_) any_orphans_ = Statement(connection_, "SELECT 1 FROM main.orphan LIMIT 1");
  Cursor cursor(any_orphans_);
  return cursor.next();
}

std::uint64_t Tables::count_items(std::int64_t map) {
  if (!count_items_) {
    count_items_ = Statement(connection_, "SELECT count(*) FROM main.item WHERE map = ?1");
  }
  count_items_.bind(1, map);
  Cursor cursor(count_items_);
  return cursor.next() ? static_cast<std::uint64_t>(cursor.integer(0)) : 0;
}

void Tables::load_many(std::span<const Key> keys,
                       const std::function<void(std::size_t, Record*)>& each) {
  if (keys.empty()) return;
  const Space space = keys.front().space;
  const Schema& schema = port::schema(space);
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto in_order = [&keys](std::size_t left, std::size_t right) {
    return keys[left] < keys[right];
  };
  if (!std::is_sorted(order.begin(), order.end(), in_order)) {
    std::sort(order.begin(), order.end(), in_order);
  }

  const auto near = [&](std::size_t i) {
    return distance(schema, keys[order[i - 1]], keys[order[i]]) <= kStepOver;
  };
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && near(end)) ++end;
    if (end - begin == 1) {
      std::optional<Record> record = load(keys[order[begin]]);
      each(order[begin], record ? &*record : nullptr);
      begin = end;
      continue;
    }
    Statement& run = statement(space, &Statements::run, run_sql);
    const Key& first = keys[order[begin]];
    const Key& last = keys[order[end - 1]];
    int next = 1;
    if (schema.shape == KeyShape::kPair) run.bind(next++, first.a);
    run.bind(next++, schema.shape == KeyShape::kPair ? first.b : first.a);
    run.bind(next, schema.shape == KeyShape::kPair ? last.b : last.a);
    Cursor cursor(run);
    Key at;
    int column = 0;
    bool more = true;
    bool have = false;
    for (; begin < end; ++begin) {
      const Key& wanted = keys[order[begin]];
      while (more && (!have || at < wanted)) {
        more = cursor.next();
        if (more) column = read_key(cursor, schema, space, at);
        have = true;
      }
      if (more && at == wanted) {
        Record record;
        read_record(cursor, schema, column, record);
        each(order[begin], &record);
      } else {
        each(order[begin], nullptr);
      }
    }
  }
}

namespace {

/// Where a scan of names begins. Backwards with no name given, that is a blob: SQLite sorts every
/// text before it.
void bind_after(Statement& scan, int index, const Range& range) {
  const bool at_the_end = backwards(range) && range.after.empty();
  at_the_end ? scan.bind_blob(index, {}) : scan.bind_text(index, range.after);
}

/// Read backwards, the empty name comes last, whether it is wanted or not.
void drop_unwanted(const Range& range, std::vector<Row>& rows) {
  if (!rows.empty() && !in_range(range, rows.back().key)) rows.pop_back();
}

}  // namespace

std::vector<Row> Tables::scan_old_expiry(const Range& range, std::size_t limit) {
  Statement& scan =
      backwards(range)
          ? statement(Space::kExpiry, &Statements::scan_reverse, scan_old_expiry_reverse_sql)
          : statement(Space::kExpiry, &Statements::scan, scan_old_expiry_sql);
  scan.bind(1, range.a);
  bind_after(scan, 2, range);
  scan.bind(3, as_limit(limit));
  std::vector<Row> rows;
  Cursor cursor(scan);
  while (cursor.next()) {
    read_key(cursor, port::schema(Space::kExpiry), Space::kExpiry, rows.emplace_back().key);
  }
  return rows;
}

std::vector<Row> Tables::scan(const Range& range, std::size_t limit) {
  const Schema& schema = port::schema(range.space);
  std::vector<Row> rows;
  if (limit == 0) return rows;
  if (old_format_ && range.space == Space::kExpiry) return scan_old_expiry(range, limit);
  const auto use = [&](auto which, auto sql) { return &statement(range.space, which, sql); };
  const bool named = schema.shape == KeyShape::kName;
  Statement* scan = nullptr;
  const bool from_empty = named && with_empty_name(range);
  if (spans(range)) {
    scan = from_empty ? use(&Statements::scan_all_named, scan_all_named_sql)
                      : use(&Statements::scan_all, scan_all_sql);
  } else if (backwards(range)) {
    scan = use(&Statements::scan_reverse, scan_reverse_sql);
  } else {
    scan = from_empty ? use(&Statements::scan_named, scan_named_sql)
                      : use(&Statements::scan, scan_sql);
  }
  int next = 1;
  if (schema.shape != KeyShape::kId && !schema.a.empty()) scan->bind(next++, range.a);
  named ? bind_after(*scan, next++, range) : scan->bind(next++, range.from);
  if (spans(range)) {
    scan->bind(next++, range.a_to);
  } else if (!named) {
    scan->bind(next++, range.to);
  }
  scan->bind(next, as_limit(limit));
  Cursor cursor(*scan);
  while (cursor.next()) {
    Row& row = rows.emplace_back();
    const int column = read_key(cursor, schema, range.space, row.key);
    read_record(cursor, schema, column, row.record);
  }
  if (named && backwards(range)) drop_unwanted(range, rows);
  return rows;
}

bool Tables::in_row(const Schema& schema, const Key& key, const Record& record) {
  return !schema.has_value || record.body.empty() ||
         key.name.size() + record.body.size() <= kMostInRow;
}

void Tables::bind_row(Statement& put, const Key& key, const Record& record, bool beside) {
  const Schema& schema = port::schema(key.space);
  int next = bind_key(put, schema, key);
  if (schema.has_version) put.bind(next++, static_cast<std::int64_t>(record.version));
  for (std::size_t i = 0; i < schema.integers.size(); ++i) put.bind(next++, record.integers[i]);
  if (beside) {
    put.bind_body(next, {});
  } else if (schema.has_value) {
    bind_value(put, next, record);
  } else if (schema.has_body) {
    put.bind_body(next, record.body);
  }
}

void Tables::put(const Key& key, const Record& record) {
  const Schema& schema = port::schema(key.space);
  const bool beside = !in_row(schema, key, record);
  if (beside) {
    put_beside(key, record);
  } else if (schema.has_value && any_beside(key.space)) {
    if (put_unless_beside(key, record)) return;
    erase_beside(key);
  }
  Statement& put = statement(key.space, &Statements::put, put_sql);
  bind_row(put, key, record, beside);
  put.execute();
}

/// False, and nothing is done, if the present value is in the overflow table.
bool Tables::put_unless_beside(const Key& key, const Record& record) {
  Statement& put = statement(key.space, &Statements::put_unless_beside, put_unless_beside_sql);
  bind_row(put, key, record, false);
  put.execute();
  return sqlite3_changes(connection_.handle()) != 0;
}

bool Tables::put_rows(std::span<const port::Change> changes) {
  const Space space = changes.front().key.space;
  const Schema& schema = port::schema(space);
  if (!schema.has_value || changes.size() < kRowsTogether) return false;
  const auto rows = changes.first(kRowsTogether);
  for (const port::Change& change : rows) {
    const Key& key = change.key;
    if (key.space != space || key.a != rows.front().key.a || !change.record ||
        !in_row(schema, key, *change.record)) {
      return false;
    }
  }
  if (any_beside(space)) return false;
  Statement& put = statement(space, &Statements::put_rows, put_rows_sql);
  put.bind(1, rows.front().key.a);
  int next = 2;
  for (const port::Change& change : rows) {
    put.bind_text(next++, change.key.name);
    for (std::size_t i = 0; i < schema.integers.size(); ++i) {
      put.bind(next++, change.record->integers[i]);
    }
    bind_value(put, next++, *change.record);
  }
  put.execute();
  return true;
}

void Tables::insert(const port::NewRows& rows) {
  const Schema& schema = port::schema(rows.space());
  std::size_t done = 0;
  for (; rows.size() - done >= kRowsTogether; done += kRowsTogether) {
    Statement& insert = statement(rows.space(), &Statements::insert_rows, insert_rows_sql);
    int next = 1;
    for (std::size_t row = done; row < done + kRowsTogether; ++row) {
      insert.bind(next++, rows.a(row));
      if (schema.shape == KeyShape::kPair) insert.bind(next++, rows.b(row));
      if (schema.has_version) insert.bind(next++, static_cast<std::int64_t>(rows.version()));
      for (std::size_t i = 0; i < schema.integers.size(); ++i) {
        insert.bind(next++, rows.integers(row)[i]);
      }
      if (schema.has_body) insert.bind_body(next++, rows.body(row));
    }
    const int code = insert.try_execute();
    if (code == SQLITE_OK) continue;
    if ((code & 0xff) != SQLITE_CONSTRAINT) connection_.fail(code);
    for (std::size_t row = done; row < done + kRowsTogether; ++row) {
      put(rows.key(row), rows.record(row));
    }
  }
  for (; done < rows.size(); ++done) put(rows.key(done), rows.record(done));
}

void Tables::erase(const Key& key) {
  const Schema& schema = port::schema(key.space);
  if (schema.has_value && any_beside(key.space)) {
    Statement& erase = statement(key.space, &Statements::erase_telling, erase_telling_sql);
    bind_key(erase, schema, key);
    bool beside = false;
    {
      Cursor cursor(erase);
      while (cursor.next()) beside = cursor.integer(0) != 0;
    }
    if (beside) erase_beside(key);
    return;
  }
  Statement& erase = statement(key.space, &Statements::erase, erase_sql);
  bind_key(erase, schema, key);
  erase.execute();
}

std::size_t Tables::erase_first(Space space, std::int64_t a, std::size_t limit) {
  Statement& erase = statement(space, &Statements::erase_first, erase_first_sql);
  erase.bind(1, a);
  erase.bind(2, as_limit(limit));
  erase.execute();
  return static_cast<std::size_t>(sqlite3_changes64(connection_.handle()));
}

void Tables::put_beside(const Key& key, const Record& record) {
  Statement& put = statement(key.space, &Statements::put_beside, put_beside_sql);
  bind_value(put, bind_key(put, port::schema(key.space), key), record);
  put.execute();
  if (beside_) beside_->any = true;
}

/// Whether the overflow table may have rows. Many stores have no large value at all.
bool Tables::any_beside(Space space) {
  const unsigned state = connection_.data_version();
  if (!beside_ || beside_->state != state) {
    const bool any = Cursor(statement(space, &Statements::any_beside, any_beside_sql)).next();
    beside_ = {state, any};
  }
  return beside_->any;
}

/// A commit of this connection changes the data version too. A commit of another connection after
/// it changes the version again, when the next transaction begins.
void Tables::committed(unsigned begun_in) noexcept {
  if (beside_ && beside_->state == begun_in) beside_->state = connection_.data_version();
}

void Tables::erase_beside(const Key& key) {
  Statement& erase = statement(key.space, &Statements::erase_beside, erase_beside_sql);
  bind_key(erase, port::schema(key.space), key);
  erase.execute();
}

void Tables::clear() noexcept {
  statements_ = {};
  load_node_ = Statement();
  reclaiming_ = Statement();
  any_orphans_ = Statement();
  count_items_ = Statement();
  beside_.reset();
}

}  // namespace graven::sqlite
