// SPDX-License-Identifier: MIT
//
// The functions' names, and those of leases and upkeep. See functions.hpp; commit_sql.cpp has the
// text of a commit.
#include "backends/postgres/functions.hpp"

#include <fmt/format.h>

#include "backends/postgres/commit_sql.hpp"
#include "backends/postgres/table_sql.hpp"
#include "base/hash.hpp"

namespace graven::postgres {
namespace {

/// The history after a commit: port::history_after(), in numbers that wrap at 64 bits.
constexpr auto kHistory = R"(
CREATE OR REPLACE FUNCTION {s}.{history}(p_before bigint, p_session bigint, p_seq bigint)
RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $graven$
DECLARE
  v_sum bigint := p_before;
  v_part bigint;
  v_product numeric;
BEGIN
  FOREACH v_part IN ARRAY ARRAY[p_session, p_seq] LOOP
    v_product := mod((v_sum # v_part) * (-7046029254386353131)::numeric, 18446744073709551616);
    IF v_product >= 9223372036854775808 THEN
      v_product := v_product - 18446744073709551616;
    ELSIF v_product < -9223372036854775808 THEN
      v_product := v_product + 18446744073709551616;
    END IF;
    v_sum := v_product::bigint;
    v_sum := v_sum # ((v_sum >> 29) & 34359738367);
  END LOOP;
  RETURN v_sum;
END
$graven$;
)";

constexpr auto kResolve = R"(
CREATE OR REPLACE FUNCTION {s}.{resolve}(p_part bigint, p_lock bigint, p_session bigint,
                                         p_seq bigint, p_latest timestamptz)
RETURNS TABLE (r_op int, r_a bigint, r_b bigint, r_name bytea, r_version bigint, r_i0 bigint,
               r_i1 bigint, r_i2 bigint, r_i3 bigint, r_body bytea, r_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $graven$
#variable_conflict use_column
DECLARE
  d record;
  c record;
BEGIN
  {lock}
  SELECT t.* INTO d FROM {s}.commits t WHERE t.part = p_part AND t.session = p_session
    ORDER BY t.seq DESC LIMIT 1;
  IF d.seq IS NULL OR d.seq < p_seq THEN
    SELECT t.clock, t.history, t.pending INTO c FROM {s}.commits t
      WHERE t.part = p_part AND t.kind = 0 ORDER BY t.clock DESC LIMIT 1;
    INSERT INTO {s}.commits (part, clock, at, session, seq, kind, previous, history, pending, flags)
      VALUES (p_part, coalesce(c.clock, 0), clock_timestamp(), p_session, p_seq, 20,
              coalesce(c.history, 0), coalesce(c.history, 0), coalesce(c.pending, 0), 0);
    r_op := -1; r_version := 20;
    RETURN NEXT;
    RETURN;
  END IF;
  r_op := -1; r_version := CASE WHEN d.seq > p_seq THEN -1 ELSE d.kind END;
  r_a := d.clock; r_b := d.history; r_i0 := d.pending; r_at := clock_timestamp();
  RETURN NEXT;
  IF d.seq = p_seq THEN
    RETURN QUERY SELECT -2, g.given, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint,
        NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea, NULL::timestamptz
      FROM unnest(d.given) WITH ORDINALITY g(given, place) ORDER BY g.place;
  END IF;
END
$graven$;
)";

// Who waits for a lease has a row in lease_queue, which it renews by asking; who asked first and
// still asks is the first. The token is 0 while the caller has to wait.
constexpr auto kLeases = R"(
CREATE OR REPLACE FUNCTION {s}.{take}(p_part bigint, p_lock bigint, p_waiter bigint,
                                      p_token bigint, p_holder text, p_ms bigint,
                                      p_latest timestamptz)
RETURNS TABLE (r_token bigint, r_clock bigint, r_history bigint, r_pending bigint, r_wait bigint,
               r_holder text)
LANGUAGE plpgsql VOLATILE AS $graven$
#variable_conflict use_column
DECLARE
  l record;
  v_first bigint;
  v_now timestamptz;
BEGIN
  {lock}
  v_now := clock_timestamp();
  SELECT t.* INTO l FROM {s}.leases t WHERE t.part = p_part;
  DELETE FROM {s}.lease_queue t WHERE t.part = p_part AND t.until < v_now;
  SELECT t.waiter INTO v_first FROM {s}.lease_queue t WHERE t.part = p_part
    ORDER BY t.place LIMIT 1;
  IF coalesce(l.until > v_now, false) OR coalesce(v_first <> p_waiter, false) THEN
    INSERT INTO {s}.lease_queue (part, waiter, until)
      VALUES (p_part, p_waiter, v_now + interval '1 second')
      ON CONFLICT (part, waiter) DO UPDATE SET until = excluded.until;
    r_token := 0; r_holder := l.holder;
    r_wait := CASE WHEN l.until > v_now
                   THEN (extract(epoch FROM l.until - v_now) * 1000)::bigint ELSE 0 END;
    RETURN NEXT;
    RETURN;
  END IF;
  DELETE FROM {s}.lease_queue t WHERE t.part = p_part AND t.waiter = p_waiter;
  INSERT INTO {s}.leases (part, token, until, holder)
    VALUES (p_part, p_token, v_now + p_ms * interval '1 millisecond', p_holder)
    ON CONFLICT (part) DO UPDATE SET token = excluded.token, until = excluded.until,
                                     holder = excluded.holder;
  r_token := p_token;
  SELECT t.clock, t.history, t.pending INTO r_clock, r_history, r_pending FROM {s}.commits t
    WHERE t.part = p_part AND t.kind = 0 ORDER BY t.clock DESC LIMIT 1;
  RETURN NEXT;
END
$graven$;

CREATE OR REPLACE FUNCTION {s}.{keep}(p_part bigint, p_lock bigint, p_token bigint, p_ms bigint,
                                      p_latest timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $graven$
DECLARE
  v_now timestamptz;
BEGIN
  {lock}
  v_now := clock_timestamp();
  UPDATE {s}.leases t SET until = v_now + p_ms * interval '1 millisecond'
    WHERE t.part = p_part AND t.token = p_token AND t.until > v_now;
  RETURN FOUND;
END
$graven$;

CREATE OR REPLACE FUNCTION {s}.{leave}(p_part bigint, p_waiter bigint)
RETURNS void LANGUAGE sql VOLATILE AS $graven$
  DELETE FROM {s}.lease_queue t WHERE t.part = p_part AND t.waiter = p_waiter
$graven$;
)";

// A process is known by its row, which it renews, and by a lock that its connection holds: the lock
// covers a process that was stopped, the row one whose connection was lost. A caller who has not
// been connected for long asks without the lock (p_settled is false): others may not be connected
// either.
constexpr auto kUpkeep = R"(
CREATE OR REPLACE FUNCTION {s}.{alive}(p_process bigint, p_class int, p_object int,
                                       p_settled boolean)
RETURNS boolean LANGUAGE sql VOLATILE AS $graven$
  SELECT EXISTS (SELECT FROM {s}.processes t WHERE t.process = p_process AND (
    NOT p_settled OR t.seen > clock_timestamp() - interval '10 seconds'
    OR pg_postmaster_start_time() > clock_timestamp() - interval '10 seconds'
    OR EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
               AND l.classid = p_class::oid AND l.objid = p_object::oid AND l.objsubid = 2
               AND l.database = (SELECT oid FROM pg_database
                                 WHERE datname = current_database()))))
$graven$;

CREATE OR REPLACE FUNCTION {s}.{prune}(p_part bigint, p_from bigint)
RETURNS TABLE (r_next bigint, r_deleted bigint) LANGUAGE plpgsql VOLATILE AS $graven$
DECLARE
  v_newest bigint;
  v_last bigint;
  v_count bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  r_next := 0; r_deleted := 0;
  SELECT t.clock INTO v_newest FROM {s}.commits t WHERE t.part = p_part AND t.kind = 0
    ORDER BY t.clock DESC LIMIT 1;
  SELECT max(t.clock) INTO v_last FROM (
    SELECT t.clock FROM {s}.commits t WHERE t.part = p_part AND t.kind = 0 AND t.clock >= p_from
      AND t.clock < v_newest - 2000 ORDER BY t.clock LIMIT 1000) t;
  IF v_last IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  DELETE FROM {s}.commits t WHERE t.part = p_part AND t.kind = 0
    AND t.clock >= p_from AND t.clock <= v_last
    AND (t.at < clock_timestamp() - interval '24 hours'
         OR EXISTS (SELECT FROM {s}.commits u WHERE u.part = p_part AND u.session = t.session
                    AND u.seq > t.seq));
  GET DIAGNOSTICS r_deleted = ROW_COUNT;
  DELETE FROM {s}.commits t WHERE t.part = p_part AND t.kind <> 0
    AND t.clock >= p_from AND t.clock <= v_last
    AND (t.at < clock_timestamp() - interval '24 hours'
         OR EXISTS (SELECT FROM {s}.commits u WHERE u.part = p_part AND u.session = t.session
                    AND u.seq > t.seq));
  GET DIAGNOSTICS v_count = ROW_COUNT;
  r_deleted := r_deleted + v_count;
  r_next := v_last + 1;
  RETURN NEXT;
END
$graven$;
)";

}  // namespace

Functions::Functions(const std::string& schema) {
  std::string texts = std::string(kHistory) + kResolve + kLeases + kUpkeep + commit_sql(false) +
                      commit_sql(true) + ranges_sql() + operations_sql();
  texts = filled(std::move(texts), {{"lock", lock_sql()}});
  suffix = fmt::format("_{:08x}", base::hash(texts, 1) & 0xffffffffU);
  const auto name = [&](const char* word) { return word + suffix; };
  text = filled(std::move(texts), {{"s", schema},
                                   {"history", name("history_after")},
                                   {"commit", name("commit")},
                                   {"commit_full", name("commit_full")},
                                   {"count_ranges", name("broken_ranges")},
                                   {"operate", name("operate")},
                                   {"resolve", name("resolve")},
                                   {"take", name("take_lease")},
                                   {"keep", name("keep_lease")},
                                   {"leave", name("leave_queue")},
                                   {"alive", name("alive")},
                                   {"prune", name("prune")}});
  const auto of = [&](const char* word) { return schema + "." + name(word); };
  const auto call = [&](const char* word, int parameters) {
    std::string marks;
    for (int i = 1; i <= parameters; ++i) marks += fmt::format("{}${}", i > 1 ? ", " : "", i);
    return fmt::format("SELECT * FROM {}({})", of(word), marks);
  };
  constexpr int kOfCommit = 37;
  constexpr int kOfCommitFull = 63;
  constexpr int kOfResolve = 5;
  commit = call("commit", kOfCommit);
  commit_full = call("commit_full", kOfCommitFull);
  resolve = call("resolve", kOfResolve);
  take_lease = of("take_lease");
  keep_lease = of("keep_lease");
  leave_queue = of("leave_queue");
  alive = of("alive");
  prune = of("prune");
}

}  // namespace graven::postgres
