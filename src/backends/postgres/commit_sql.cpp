// SPDX-License-Identifier: MIT
//
// See commit_sql.hpp. A batch comes as arrays, one for each field; each statement takes what is of
// its space. Spaces that a batch does not name cost nothing. Pure functions; any thread.
#include "backends/postgres/commit_sql.hpp"

#include <fmt/format.h>

#include "backends/postgres/functions.hpp"
#include "backends/postgres/table_sql.hpp"

namespace graven::postgres {
namespace {

using port::Schema;
using port::Space;

int number_of(Space space) { return static_cast<int>(space); }
std::string table_of(Space space) { return "{s}." + quoted(port::schema(space).table); }

/// Whether the predicate k holds for the row t of an outer join.
std::string holds_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::string same;
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    same += fmt::format(" AND t.{} = k.i{}", quoted(schema.integers[i]), i);
  }
  for (std::size_t i = schema.integers.size(); i < port::kMaxIntegers; ++i) {
    same += fmt::format(" AND k.i{} = 0", i);
  }
  same += schema.has_body
              ? std::string(" AND ") + (schema.has_value ? "t.value" : "t.body") + " = k.body"
              : " AND k.body = ''";
  std::string sql = "CASE k.kind WHEN 0 THEN ";
  sql += schema.has_version ? "t.version = k.number" : "t.part IS NOT NULL AND k.number = 0";
  sql += " WHEN 1 THEN t.part IS NULL WHEN 2 THEN t.part IS NOT NULL" + same;
  if (space == Space::kNode) {
    sql += " WHEN 3 THEN t.anchor = k.number WHEN 4 THEN t.anchor > 0";
  }
  return sql + " ELSE false END";
}

/// Returns a row for each predicate on a key that does not hold. OFFSET 0 keeps the planner from
/// reading the table first, which it does as long as it believes that it is small.
std::string check_sql(Space space) {
  return fmt::format(R"(
    IF (p_spaces & {bit}) <> 0 THEN
      RETURN QUERY SELECT (k.place - 1)::int, {row}, NULL::timestamptz
        FROM unnest(p_kind, p_space, p_a, p_b, p_name, p_number, p_i0, p_i1, p_i2, p_i3, p_body)
          WITH ORDINALITY k(kind, space, a, b, name, number, i0, i1, i2, i3, body, place)
        LEFT JOIN LATERAL (SELECT t.* FROM {table} t WHERE {is_key} OFFSET 0) t ON true
        WHERE k.space = {space} AND ({holds}) IS NOT TRUE;
      GET DIAGNOSTICS v_count = ROW_COUNT;
      v_failed := v_failed + v_count;
    END IF;)",
                     fmt::arg("bit", 1 << number_of(space)), fmt::arg("row", row_columns(space)),
                     fmt::arg("table", table_of(space)), fmt::arg("is_key", is_key(space)),
                     fmt::arg("space", number_of(space)), fmt::arg("holds", holds_sql(space)));
}

std::string put_sql(Space space) {
  const Schema& schema = port::schema(space);
  std::vector<std::string> columns{"part"};
  std::vector<std::string> values{"p_part"};
  if (!schema.a.empty()) values.emplace_back("k.a");
  if (!schema.b.empty()) {
    values.emplace_back(schema.shape == port::KeyShape::kName ? "k.name" : "k.b");
  }
  std::vector<std::string> sets;
  for (const std::string& key : key_columns(space)) columns.push_back(key);
  if (schema.has_version) values.emplace_back("k.version");
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    values.push_back(fmt::format("k.i{}", i));
  }
  if (schema.has_body) values.emplace_back("k.body");
  for (const std::string& column : value_columns(space)) {
    columns.push_back(column);
    sets.push_back(column + " = excluded." + column);
  }
  return fmt::format(
      R"(
    IF (c_spaces & {bit}) <> 0 THEN
      INSERT INTO {table} AS t ({columns})
        SELECT {values}
        FROM unnest(c_space, c_a, c_b, c_name, c_version, c_i0, c_i1, c_i2, c_i3, c_body)
          k(space, a, b, name, version, i0, i1, i2, i3, body)
        WHERE k.space = {space}
        ON CONFLICT (part, {keys}) DO {update};
    END IF;)",
      fmt::arg("bit", 1 << number_of(space)), fmt::arg("table", table_of(space)),
      fmt::arg("columns", join(columns, ", ")), fmt::arg("values", join(values, ", ")),
      fmt::arg("space", number_of(space)), fmt::arg("keys", join(key_columns(space), ", ")),
      fmt::arg("update", sets.empty() ? "NOTHING" : "UPDATE SET " + join(sets, ", ")));
}

std::string erase_sql(Space space) {
  return fmt::format(R"(
    IF (e_spaces & {bit}) <> 0 THEN
      DELETE FROM {table} t WHERE t.ctid = ANY (ARRAY(
        SELECT x.ctid FROM unnest(e_space, e_a, e_b, e_name) k(space, a, b, name)
        CROSS JOIN LATERAL (SELECT t.ctid FROM {table} t WHERE {is_key} OFFSET 0) x
        WHERE k.space = {space}));
    END IF;)",
                     fmt::arg("bit", 1 << number_of(space)), fmt::arg("table", table_of(space)),
                     fmt::arg("space", number_of(space)), fmt::arg("is_key", is_key(space)));
}

constexpr auto kParameters = R"(
  p_part bigint, p_lock bigint, p_session bigint, p_seq bigint, p_latest timestamptz,
  p_options int, p_fence bigint, p_hashes bytea, p_flags bigint,
  p_spaces int, p_kind int[], p_space int[], p_a bigint[], p_b bigint[], p_name bytea[],
  p_number bigint[], p_i0 bigint[], p_i1 bigint[], p_i2 bigint[], p_i3 bigint[], p_body bytea[],
  c_spaces int, c_space int[], c_a bigint[], c_b bigint[], c_name bytea[], c_version bigint[],
  c_i0 bigint[], c_i1 bigint[], c_i2 bigint[], c_i3 bigint[], c_body bytea[],
  e_spaces int, e_space int[], e_a bigint[], e_b bigint[], e_name bytea[])";

constexpr auto kMoreParameters = R"(,
  s_pending bigint[], s_clock bigint[], s_history bigint[],
  q_spaces int, q_kind int[], q_form int[], q_space int[], q_a bigint[], q_a_to bigint[],
  q_lo bigint[], q_hi bigint[], q_name bytea[], q_number bigint[], q_key_a bigint[],
  q_key_b bigint[], q_key_name bytea[],
  o_kind int[], o_form int[], o_space int[], o_a bigint[], o_b bigint[], o_a_to bigint[],
  o_lo bigint[], o_hi bigint[], o_name bytea[], o_number bigint[])";

constexpr auto kBegin = R"(
RETURNS TABLE (r_op int, r_a bigint, r_b bigint, r_name bytea, r_version bigint, r_i0 bigint,
               r_i1 bigint, r_i2 bigint, r_i3 bigint, r_body bytea, r_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $graven$
#variable_conflict use_column
DECLARE
  v_clock bigint;
  v_history bigint;
  v_pending bigint;
  v_before bigint;
  d_seq bigint;
  d_kind int;
  d_clock bigint;
  d_history bigint;
  d_pending bigint;
  d_given bigint[];
  l_token bigint;
  l_until timestamptz;
  v_now timestamptz;
  v_given bigint[];
  v_kind int := -1;
  v_count int;
  v_failed int := 0;
BEGIN
  {lock}
  IF (p_options & 2) <> 0 THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT c.clock, c.history, c.pending, d.seq, d.kind, d.clock, d.history, d.pending, d.given,
         l.token, l.until
    INTO v_clock, v_history, v_pending, d_seq, d_kind, d_clock, d_history, d_pending, d_given,
         l_token, l_until
    FROM (SELECT 1) o
    LEFT JOIN LATERAL (SELECT t.clock, t.history, t.pending FROM {s}.commits t
      WHERE t.part = p_part AND t.kind = 0 ORDER BY t.clock DESC LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT t.seq, t.kind, t.clock, t.history, t.pending, t.given
      FROM {s}.commits t WHERE t.part = p_part AND t.session = p_session
      ORDER BY t.seq DESC LIMIT 1) d ON true
    LEFT JOIN {s}.leases l ON l.part = p_part;
  v_clock := coalesce(v_clock, 0);
  v_history := coalesce(v_history, 0);
  v_pending := coalesce(v_pending, 0);
  v_before := v_history;
  IF d_seq >= p_seq THEN
    r_op := -1; r_at := clock_timestamp();
    IF d_seq > p_seq THEN
      r_version := 20;
    ELSE
      r_version := d_kind; r_a := d_clock; r_b := d_history; r_i0 := d_pending;
    END IF;
    RETURN NEXT;
    IF d_seq = p_seq AND d_given IS NOT NULL THEN
      RETURN QUERY SELECT -2, g.given, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint,
          NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea, NULL::timestamptz
        FROM unnest(d_given) WITH ORDINALITY g(given, place) ORDER BY g.place;
    END IF;
    RETURN;
  END IF;
  v_now := clock_timestamp();
  IF (p_options & 16) <> 0 THEN
    NULL;
  ELSIF v_now >= p_latest THEN
    v_kind := 19;
  ELSIF p_fence <> 0 THEN
    IF (l_token = p_fence AND l_until > v_now) IS NOT TRUE THEN
      v_kind := 18;
    END IF;
  ELSIF (p_options & 4) <> 0 AND l_until > v_now THEN
    v_kind := 17;
    r_i1 := ceil(extract(epoch FROM l_until - v_now) * 1000)::bigint;
  END IF;
  IF v_kind < 0 AND (p_options & 16) = 0 THEN)";

constexpr auto kCheckMore = R"(
    IF (SELECT bool_or(x <> v_pending) FROM unnest(s_pending) x) THEN
      v_failed := v_failed + 1;
    END IF;
    IF (SELECT bool_or(x <> v_clock OR y <> v_history)
        FROM unnest(s_clock, s_history) u(x, y)) THEN
      v_failed := v_failed + 1;
    END IF;
    IF q_spaces <> 0 THEN
      v_failed := v_failed + {s}.{count_ranges}(p_part, q_spaces, q_kind, q_form, q_space, q_a,
          q_a_to, q_lo, q_hi, q_name, q_number, q_key_a, q_key_b, q_key_name);
    END IF;)";

constexpr auto kChecked = R"(
    IF v_failed > 0 THEN
      v_kind := 2;
    END IF;
  END IF;)";

constexpr auto kOperate = R"(
  IF v_kind < 0 AND (p_options & 8) = 0 AND o_kind IS NOT NULL THEN
    BEGIN
      v_given := {s}.{operate}(p_part, o_kind, o_form, o_space, o_a, o_b, o_a_to, o_lo, o_hi,
                               o_name, o_number);
    EXCEPTION
      WHEN numeric_value_out_of_range THEN v_kind := 24;
      WHEN SQLSTATE 'GV001' THEN v_kind := 2;
    END;
    IF v_kind >= 0 AND (p_options & 16) <> 0 THEN
      RAISE EXCEPTION 'graven: an operation failed' USING ERRCODE =
        CASE WHEN v_kind = 24 THEN 'GV002' ELSE 'GV001' END;
    END IF;
  END IF;)";

// Of a session's rows that are not in the log, only the last one is of use.
constexpr auto kSupersede = R"(IF d_kind <> 0 THEN
    DELETE FROM {s}.commits t WHERE t.part = p_part AND t.session = p_session AND t.seq = d_seq;
  END IF;)";

constexpr auto kRefuse = R"(
  IF v_kind >= 0 OR (p_options & 8) <> 0 THEN
    IF v_kind >= 0 AND (p_options & 1) <> 0 AND (p_options & 8) = 0 THEN
      {supersede}
      INSERT INTO {s}.commits (part, clock, at, session, seq, kind, previous, history, pending,
                               flags)
        VALUES (p_part, v_clock, v_now, p_session, p_seq, v_kind, v_history, v_history, v_pending,
                0);
    END IF;
    r_op := -1; r_version := CASE WHEN v_kind < 0 THEN 0 ELSE v_kind END;
    r_a := v_clock; r_b := v_history; r_i0 := v_pending; r_at := v_now;
    r_name := NULL; r_body := NULL; r_i2 := NULL; r_i3 := NULL;
    RETURN NEXT;
    RETURN;
  END IF;
  v_kind := 1;
  IF (p_options & 4) <> 0 THEN
    v_kind := 0;)";

constexpr auto kEnd = R"(
    v_clock := v_clock + 1;
    v_history := {s}.{history}(v_history, p_session, p_seq);
    IF (p_options & 32) <> 0 THEN
      v_pending := v_clock;
    END IF;
    IF (p_options & 64) <> 0 AND v_pending <> 0 THEN
      IF NOT EXISTS (SELECT FROM {s}.orphan t WHERE t.part = p_part AND t.owner = 0) THEN
        v_pending := 0;
      END IF;
    END IF;
  ELSIF (p_options & 2) = 0 THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  {supersede}
  INSERT INTO {s}.commits (part, clock, at, session, seq, kind, previous, history, pending, given,
                           hashes, flags)
    VALUES (p_part, v_clock, v_now, p_session, p_seq, v_kind, v_before, v_history, v_pending,
            v_given, p_hashes, p_flags);
  r_op := -1; r_version := v_kind; r_a := v_clock; r_b := v_history; r_i0 := v_pending;
  r_at := v_now;
  RETURN NEXT;
  IF v_given IS NOT NULL THEN
    RETURN QUERY SELECT -2, g.given, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint,
        NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea, NULL::timestamptz
      FROM unnest(v_given) WITH ORDINALITY g(given, place) ORDER BY g.place;
  END IF;
END
$graven$;
)";

/// A predicate that a range has a number of records, or a certain record at a place.
std::string range_checks(Space space, Form form) {
  const std::string keys = join(key_columns(space), ", t.");
  std::string key;
  const Schema& schema = port::schema(space);
  if (!schema.a.empty()) key += "k.key_a";
  if (!schema.b.empty()) {
    if (!key.empty()) key += ", ";
    key += schema.shape == port::KeyShape::kName ? "k.key_name" : "k.key_b";
  }
  std::string sql = fmt::format(
      R"(
    v_failed := v_failed + (SELECT count(*)
      FROM unnest(q_kind, q_form, q_space, q_a, q_a_to, q_lo, q_hi, q_name, q_number, q_key_a,
                  q_key_b, q_key_name)
        k(kind, form, space, a, a_to, lo, hi, name, number, key_a, key_b, key_name)
      WHERE k.space = {space} AND k.form = {form} AND CASE k.kind
        WHEN 5 THEN (SELECT count(*) FROM (SELECT FROM {table} t WHERE {range}
                     LIMIT k.number + 1) x) <> k.number
        ELSE NOT EXISTS (SELECT FROM (SELECT t.{keys} FROM {table} t WHERE {range}
                         ORDER BY {order} OFFSET greatest(k.number - 1, 0) LIMIT sign(k.number))
                         x WHERE ROW(x.*) = ROW({key})) END);)",
      fmt::arg("space", number_of(space)), fmt::arg("form", static_cast<int>(form)),
      fmt::arg("table", table_of(space)), fmt::arg("range", in_range(space, form)),
      fmt::arg("keys", keys), fmt::arg("order", range_order(space, form)), fmt::arg("key", key));
  return sql;
}

std::string erase_range_sql(Space space, Form form) {
  return fmt::format(R"(
          WHEN {form} THEN
            DELETE FROM {table} t WHERE t.ctid = ANY (ARRAY(
              SELECT t.ctid FROM {table} t WHERE {range} ORDER BY {order} LIMIT k.number));)",
                     fmt::arg("form", static_cast<int>(form)), fmt::arg("table", table_of(space)),
                     fmt::arg("range", in_range(space, form)),
                     fmt::arg("order", range_order(space, form)));
}

}  // namespace

std::string lock_sql() {
  return R"(IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'graven commits under READ COMMITTED only';
  END IF;
  IF NOT pg_try_advisory_xact_lock(p_lock) THEN
    PERFORM set_config('lock_timeout', greatest(1, least(2000000000,
        extract(epoch FROM p_latest - clock_timestamp()) * 1000))::int::text, true);
    PERFORM pg_advisory_xact_lock(p_lock);
  END IF;)";
}

std::string commit_sql(bool full) {
  std::string sql = "\nCREATE OR REPLACE FUNCTION {s}.{" +
                    std::string(full ? "commit_full" : "commit") + "}(" + kParameters +
                    (full ? kMoreParameters : "") + ")" + kBegin;
  for (const Space space : every_space()) sql += check_sql(space);
  if (full) sql += kCheckMore;
  sql += kChecked;
  if (full) sql += kOperate;
  sql += kRefuse;
  for (const Space space : every_space()) sql += erase_sql(space);
  for (const Space space : every_space()) sql += put_sql(space);
  return filled(sql + kEnd, {{"supersede", kSupersede}});
}

std::string ranges_sql() {
  std::string sql = R"(
CREATE OR REPLACE FUNCTION {s}.{count_ranges}(
  p_part bigint, q_spaces int, q_kind int[], q_form int[], q_space int[], q_a bigint[],
  q_a_to bigint[], q_lo bigint[], q_hi bigint[], q_name bytea[], q_number bigint[],
  q_key_a bigint[], q_key_b bigint[], q_key_name bytea[])
RETURNS int LANGUAGE plpgsql VOLATILE AS $graven$
DECLARE
  v_failed int := 0;
BEGIN)";
  for (const Space space : every_space()) {
    sql += fmt::format("\n  IF (q_spaces & {}) <> 0 THEN", 1 << number_of(space));
    for (const Form form : kForms) {
      if (has_form(space, form)) sql += range_checks(space, form);
    }
    sql += "\n  END IF;";
  }
  return sql + "\n  RETURN v_failed;\nEND\n$graven$;\n";
}

std::string operations_sql() {
  std::string sql = R"(
CREATE OR REPLACE FUNCTION {s}.{operate}(
  p_part bigint, o_kind int[], o_form int[], o_space int[], o_a bigint[], o_b bigint[],
  o_a_to bigint[], o_lo bigint[], o_hi bigint[], o_name bytea[], o_number bigint[])
RETURNS bigint[] LANGUAGE plpgsql VOLATILE AS $graven$
DECLARE
  k record;
  v_given bigint[] := ARRAY[]::bigint[];
  v_one bigint;
BEGIN
  FOR k IN SELECT * FROM unnest(o_kind, o_form, o_space, o_a, o_b, o_a_to, o_lo, o_hi, o_name,
      o_number) WITH ORDINALITY u(kind, form, space, a, b, a_to, lo, hi, name, number, place)
      ORDER BY place LOOP
    IF k.kind = 0 THEN
      INSERT INTO {s}.counter AS t (part, prefix, name, value)
        VALUES (p_part, k.a, k.name, k.number)
        ON CONFLICT (part, prefix, name) DO UPDATE SET value = t.value + excluded.value
        RETURNING t.value INTO v_one;
    ELSIF k.kind = 1 THEN
      IF k.a <> k.b AND EXISTS (SELECT FROM {s}.node t WHERE t.part = p_part AND t.id = k.a
                                AND t.anchor = k.b) THEN
        RAISE EXCEPTION 'graven: linked by its anchor' USING ERRCODE = 'GV001';
      END IF;
      INSERT INTO {s}.edge AS t (part, child, parent, links)
        VALUES (p_part, k.a, k.b, k.number)
        ON CONFLICT (part, child, parent) DO UPDATE SET links = t.links + excluded.links
        RETURNING t.links INTO v_one;
      IF v_one < 0 THEN
        RAISE EXCEPTION 'graven: fewer links than none' USING ERRCODE = 'GV001';
      ELSIF v_one = 0 THEN
        DELETE FROM {s}.edge t WHERE t.part = p_part AND t.child = k.a AND t.parent = k.b;
      END IF;
    ELSIF k.kind = 2 THEN
      CASE k.space)";
  for (const Space space : every_space()) {
    sql += fmt::format("\n        WHEN {} THEN DELETE FROM {} t WHERE {};", number_of(space),
                       table_of(space), is_key(space));
  }
  sql += R"(
      END CASE;
      GET DIAGNOSTICS v_one = ROW_COUNT;
    ELSE
      CASE k.space)";
  for (const Space space : every_space()) {
    sql += fmt::format("\n        WHEN {} THEN CASE k.form", number_of(space));
    for (const Form form : kForms) {
      if (has_form(space, form)) sql += erase_range_sql(space, form);
    }
    sql += "\n        END CASE;";
  }
  return sql + R"(
      END CASE;
      GET DIAGNOSTICS v_one = ROW_COUNT;
    END IF;
    v_given := v_given || v_one;
  END LOOP;
  RETURN v_given;
END
$graven$;
)";
}

}  // namespace graven::postgres
