# SPDX-License-Identifier: MIT
"""The verb query: what it prints, and how it says what is wrong."""

import csv
import io
import json

import pytest

USERS = {
    "ada": {"name": "Ada", "age": 36, "tags": ["x"], "odd, key": 1},
    "bob": {"name": 'Bob "B", jr', "age": 17},
    "cyd": {"name": "Zoë", "age": 36, "address": {"city": "Rome"}},
}


@pytest.fixture
def users(graven):
    graven.set("users", json.dumps(USERS))
    graven.set("n", "[5, 1, null, 7]")
    return graven


def query(users, *arguments):
    return users.run("query", "state.db", "users", *arguments)


def names(users, *arguments):
    rows = json.loads(query(users, *arguments, "--json", "--select", "name"))
    return [row["name"] for row in rows]


def test_rows_as_json(users):
    lines = query(users, "age >= 18").splitlines()
    assert [json.loads(line) for line in lines] == [USERS["ada"], USERS["cyd"]]
    assert json.loads(query(users, "age >= 18", "--json")) == [USERS["ada"], USERS["cyd"]]
    assert query(users, "age > 99") == "" and query(users, "age > 99", "--json") == "[]\n"
    assert json.loads(users.run("query", "state.db", "n", "F > 3", "--json")) == [5, 7]
    assert json.loads(users.run("query", "state.db", "", "--json")) == [USERS, [5, 1, None, 7]]


def test_sort_limit_offset(users):
    assert names(users, "--sort", "name") == ["Ada", 'Bob "B", jr', "Zoë"]
    assert names(users, "-s", "-age,-name") == ["Zoë", "Ada", 'Bob "B", jr']
    assert names(users, "--sort=-age", "--limit", "1") == ["Ada"]
    assert names(users, "--sort", "-age", "--offset", "1", "-n", "1") == ["Zoë"]
    assert names(users, "--sort", '["odd, key"],name', "-n", "1") == ['Bob "B", jr']


def test_csv(users):
    text = query(users, "--csv", "--select", 'name,address.city,tags,["odd, key"]')
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [
        ["name", "address.city", "tags", '["odd, key"]'],
        ["Ada", "", '["x"]', "1"],
        ['Bob "B", jr', "", "", ""],
        ["Zoë", "Rome", "", ""],
    ]
    assert text.endswith("\r\n")
    head = query(users, "--csv").split("\r\n")[0]
    assert next(csv.reader([head])) == ["name", "age", "tags", '["odd, key"]', "address"]


def test_csv_has_the_columns_of_all_rows(graven):
    rows = {f"k{i}": {"a": i} for i in range(1500)} | {"last": {"b": 1}, "scalar": 7}
    graven.set("rows", json.dumps(rows))
    text = graven.run("query", "state.db", "rows", "--csv")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert lines[0] == ["a", "b", "F"]
    assert len(lines) == 1503
    assert lines[1][:2] == ["0", ""] and lines[-2][:2] == ["", "1"] and lines[-1] == ["", "", "7"]


def test_table(users):
    assert query(users, "age >= 18", "--table", "--select", "name,age,address.city") == (
        "name  age  address.city\nAda   36\nZoë   36   Rome\n"
    )
    users.set("users/evil", json.dumps({"name": "a\x1b[31m\nb" + "x" * 99}))
    line = query(users, 'name startswith "a"', "-t", "--select", "name").splitlines()[1]
    assert line.startswith("a [31m b") and len(line) == 61 and line.endswith("…")
    users.set("users/evil", json.dumps({"name": "a\u009b31m\u0080\u00c2\u00a0é\u009f\u3080"}))
    line = query(users, 'name startswith "a"', "-t", "--select", "name").split("\n")[1]
    assert line == "a 31m \u00c2\u00a0é \u3080"


def test_count_and_explain(users):
    assert query(users, "age >= 18", "--count") == "2\n"
    assert query(users, "age >= 18", "--explain") == (
        "scan of 3 rows (3 records read), 2 matched: age >= 18\n"
    )
    assert json.loads(query(users, "age >= 18", "--explain", "--json")) == {
        "plan": "scan", "condition": "age >= 18", "rows": 3, "records": 3, "matches": 2,
    }  # fmt: skip


def test_what_is_wrong_is_pointed_at(users):
    error = users.error("query", "state.db", "users", "age >= Ada")
    assert "in quotes" in error and "\n  age >= Ada\n         ^" in error
    error = users.error("query", "state.db", "users", "age >= 18 &")
    assert error.rstrip().endswith("^")
    assert "no dict or list" in users.error("query", "state.db", "users/ada/age")
    users.error("query", "state.db", "nobody", status=1)
    users.error("query", "state.db", "users", "--csv", "--table")
    users.error("query", "state.db", "users", "--select", "a..b")
    _, told = users.both("query", "state.db", "users", "age = 1", "--json", status=2)
    assert json.loads(told)["code"] == "usage"
