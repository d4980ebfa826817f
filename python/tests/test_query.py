# SPDX-License-Identifier: MIT
"""Queries, against list comprehensions over plain data; and what F refuses."""

from __future__ import annotations

import math
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graven
from graven import F

USERS = {
    "ada": {"name": "Ada", "age": 36, "country": "GB", "tags": ["x", "y"]},
    "bob": {"name": "Bob", "age": 17, "country": "US", "tags": []},
    "cyd": {"name": "Cyd", "age": 36.0, "country": "US", "address": {"city": "Rome"}},
    "dan": {"name": "Dan", "age": None, "country": "FR"},
}


@pytest.fixture
def db():
    with graven.DB("memory://") as opened:
        opened["users"] = USERS
        yield opened


def names(query):
    return [row["name"] for row in query]


def test_rows_and_conditions(db):
    users = db["users"]
    assert names(users.where()) == ["Ada", "Bob", "Cyd", "Dan"]
    assert names(users.where(F.age >= 18)) == ["Ada", "Cyd"]
    assert names(users.where((F.age >= 18) & (F.country == "US"))) == ["Cyd"]
    assert names(users.where(F.age.is_none() | (F.age < 18))) == ["Bob", "Dan"]
    assert names(users.where(~(F.age >= 18))) == ["Bob"]
    assert names(users.where(F.tags.any(F == "x"))) == ["Ada"]
    assert names(users.where(F.tags.contains("y"))) == ["Ada"]
    assert names(users.where(F.address.city == "Rome")) == ["Cyd"]
    assert names(users.where(F["address"]["city"].exists())) == ["Cyd"]
    assert names(users.where(F.country.in_({"GB", "FR"}))) == ["Ada", "Dan"]
    assert names(users.where(F.name.startswith("A") | F.name.endswith("b"))) == ["Ada", "Bob"]
    assert names(users.where(F.tags)) == ["Ada"]
    assert names(users.where(~F.tags & F.tags.exists())) == ["Bob"]
    assert names(users.where(F.tags[0] == "x")) == ["Ada"]
    assert names(users.where(F.name < F.country)) == ["Ada", "Bob", "Cyd", "Dan"]
    assert names(users.where(F.age >= 18).where(F.country == "GB")) == ["Ada"]
    assert names(users.where(graven.Condition.parse('age >= 18 and name != "Ada"'))) == ["Cyd"]


def test_order_limit_and_what_is_returned(db):
    users = db["users"].where()
    assert names(users.order_by("-age", "-name")) == ["Cyd", "Ada", "Bob", "Dan"]
    assert names(users.order_by(F.age).offset(1).limit(2)) == ["Bob", "Ada"]
    assert users.count() == 4 and users.limit(3).count() == 3
    assert users.exists() and not users.where(F.age > 99).exists()
    assert users.order_by("-name").first()["name"] == "Dan"
    assert users.where(F.age > 99).first() is None
    assert users.limit(0).first() is None
    assert list(users.where(F.age >= 18).keys()) == ["ada", "cyd"]
    assert dict(users.limit(1).items()) == {"ada": db["users"]["ada"]}
    assert list(users.limit(2).select("name", "address.city")) == [
        {"name": "Ada", "address.city": None},
        {"name": "Bob", "address.city": None},
    ]
    assert list(users.where(F.address).select()) == [USERS["cyd"]]
    assert list(users.where(F.address).select(F.address)) == [{"address": {"city": "Rome"}}]


def test_lists_and_scalars(db):
    db["n"] = [5, "text", None, 7, 2.5]
    assert list(db["n"].where(F > 3)) == [5, 7]
    assert list(db["n"].where(F > 3).items()) == [(0, 5), (3, 7)]
    assert list(db["n"].where().order_by("F").limit(3)) == [None, 2.5, 5]
    assert db["n"].where(F < 6).delete() == 2
    assert db["n"]() == ["text", None, 7]


def test_groups(db):
    groups = (
        db["users"]
        .where()
        .group_by(
            "country",
            n=graven.count(),
            total=graven.sum("age"),
            least=graven.min(F.age),
            most=graven.max("name"),
            mean=graven.avg("age"),
        )
    )
    assert groups[1] == {
        "country": "US", "n": 2, "total": 53.0, "least": 17, "most": "Cyd", "mean": 26.5,
    }  # fmt: skip
    assert [group["country"] for group in groups] == ["GB", "US", "FR"]
    assert db["users"].where().group_by(n=graven.count("age")) == [{"n": 3}]
    with pytest.raises(TypeError, match="total: group_by"):
        db["users"].where().group_by(total="age")
    with pytest.raises(TypeError, match="adds numbers"):
        db["users"].where().group_by(total=graven.sum("name"))


def test_changes(db):
    assert db["users"].where(F.country == "US").update(age=40, seen={"a": [1]}) == 2
    assert db["users"]["bob"]() == {**USERS["bob"], "age": 40, "seen": {"a": [1]}}
    assert db["users"].where(F.age == 40).delete() == 2
    assert list(db["users"]) == ["ada", "dan"]
    with pytest.raises(TypeError, match="cannot store set"):
        db["users"].where().update(age={1})
    assert db.check().ok


def test_a_handle_is_live_and_a_query_is_not_run_before(db):
    query = db["users"].where(F.age >= 18)
    db["users"]["bob"]["age"] = 18
    assert names(query) == ["Ada", "Bob", "Cyd"]
    for row in query:
        row["age"] = 5
    assert names(query) == []


def test_functions(db):
    users = db["users"]
    assert names(users.where(lambda u: u.age > 18)) == ["Ada", "Cyd"]
    assert names(users.where(lambda u: u["age"] is None or u.address.city == "Rome")) == [
        "Cyd",
        "Dan",
    ]
    assert names(users.where(lambda u: u.address and u.address.city == "Rome")) == ["Cyd"]
    query = users.where(lambda u: u.age != 17).where(F.country != "FR").order_by("-name")
    assert names(query) == ["Cyd", "Ada"]
    assert names(query.offset(1)) == ["Ada"] and query.limit(1).count() == 1
    assert list(query.select("name", "tags[0]")) == [
        {"name": "Cyd", "tags[0]": None},
        {"name": "Ada", "tags[0]": "x"},
    ]
    assert query.first()["name"] == "Cyd" and query.exists()
    told = query.explain()
    assert told.plan == "python" and told.matches == 2
    with pytest.raises(graven.UsageError, match="delete"):
        query.delete()
    with pytest.raises(NameError):
        list(users.where(lambda u: undefined))  # noqa: F821
    with pytest.raises(TypeError, match="no truth value"):
        list(users.where(lambda u: F.age))


def test_functions_see_the_state_that_the_query_reads(db):
    db["many"] = [{"n": n} for n in range(700)]
    numbers = db["many"]
    seen = []
    for row in numbers.where(lambda row: row.n >= 0):
        if not seen:
            numbers[5]["n"] = -1  # of a row of the same page
            del numbers[600:]  # rows of a later page are collected
        seen.append(row)
    assert len(seen) == 700
    assert seen[5]["n"] == -1  # a handle is live
    numbers[5]["n"] = 5
    plain = numbers.where(lambda row: row.n < 600).select("n")
    first = next(plain)
    del numbers[:]
    assert [first, *plain] == [{"n": n} for n in range(600)]


def test_explain(db):
    told = db["users"].where(F.age >= 18).explain()
    assert told == ("scan", "age >= 18", 4, 4, 2)
    assert str(told) == "scan of 4 rows (4 records read), 2 matched: age >= 18"


def test_what_would_be_silently_wrong_is_refused():
    for wrong in (
        lambda: bool(F.x),
        lambda: F.a == 1 and F.b == 2,
        lambda: not F.a,
        lambda: 1 <= F.a < 3,
        lambda: "x" in F.tags,
        lambda: F.a.in_([1]) or F.b,
    ):
        with pytest.raises(TypeError, match=r"write & \| ~"):
            wrong()
    for wrong in (
        lambda: list(F.tags),
        lambda: {F.a: 1},
        lambda: F.a == {"x": 1},
        lambda: F.a.in_([[1]]),
        lambda: F[1.5],
        lambda: (F.a == 1) & True,
        lambda: F.tags.any(1),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_wrong_arguments(db):
    users = db["users"]
    for wrong in (
        lambda: users.where("age"),
        lambda: users.where(True),
        lambda: users.where().limit("1"),
        lambda: users.where().order_by(1),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ValueError, match="-1"):
        users.where().limit(-1)
    with pytest.raises(graven.UsageError, match=r"\^"):
        users.where().order_by("a..b")


def test_reprs(db):
    assert (
        repr(F.a["b c"][0]) == 'F.a["b c"][0]' and repr(F) == "F" and repr(F["x y"]) == 'F["x y"]'
    )
    assert repr(F.a >= 1) == "<graven.Condition a >= 1>"
    assert db["users"].uid in repr(db["users"].where())


def test_snapshots_and_transactions(db):
    with db.snapshot() as before:
        db["users"].clear()
        assert names(before["users"].where(F.age == 17)) == ["Bob"]
    with db.transaction():
        db["users"]["eve"] = {"name": "Eve", "age": 50}
        assert names(db["users"].where(F.age > 40)) == ["Eve"]


# Against Python itself

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**63, -(2**63) - 1, 2**64 + 1]),
    st.sampled_from([0.5, -0.0, 1.0, 2.0**53, 2.0**64, math.inf, math.nan]),
    st.text("abé", max_size=2),
    st.binary(max_size=1),
)
keys = st.sampled_from(["a", "b", "odd key"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=4
)
rows = st.lists(st.dictionaries(keys, values) | scalars, max_size=12)

Test = Callable[[Any], bool]


def field_at(row: Any, steps: list[str]) -> Any:
    for step in steps:
        row = row.get(step) if isinstance(row, dict) else None
    return row


def as_field(steps: list[str]) -> graven.Field:
    field = F
    for step in steps:
        field = field[step]
    return field


def unlike(value: Any) -> bool:
    """What graven compares differently: dicts and lists."""
    return isinstance(value, (dict, list))


@st.composite
def conditions(draw: Any, depth: int = 2) -> tuple[Any, Test]:
    kind = draw(st.integers(0, 8 if depth else 5))
    if kind > 5:
        left, left_test = draw(conditions(depth - 1))
        right, right_test = draw(conditions(depth - 1))
        if kind == 6:
            return left & right, lambda row: left_test(row) and right_test(row)
        if kind == 7:
            return left | right, lambda row: left_test(row) or right_test(row)
        return ~left, lambda row: not left_test(row)
    steps = draw(st.lists(keys, max_size=2))
    field = as_field(steps)
    if kind == 0:
        several = draw(st.lists(scalars, max_size=3))
        return field.in_(several), lambda row: any(field_at(row, steps) == one for one in several)
    if kind == 1:
        inner, inner_test = draw(conditions(0))

        def over_items(row: Any) -> bool:
            items = field_at(row, steps)
            if not isinstance(items, list):
                raise TypeError
            return any(inner_test(item) for item in items)

        return field.any(inner), over_items
    if kind == 2:
        start = draw(st.text("abé", max_size=2))
        return field.startswith(start), lambda row: field_at(row, steps).startswith(start)
    value = draw(scalars)
    if kind == 3:
        return field == value, lambda row: field_at(row, steps) == value
    if kind == 4:
        return field < value, lambda row: field_at(row, steps) < value
    return (field if draw(st.booleans()) else ~~field), lambda row: bool(field_at(row, steps))


def python_says(test: Test, row: Any) -> bool:
    try:
        return bool(test(row))
    except (TypeError, AttributeError):
        return False


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows, st.lists(conditions(), min_size=1, max_size=4))
def test_conditions_match_what_a_list_comprehension_matches(plain, several):
    with graven.DB("memory://") as db:
        db["rows"] = plain
        for condition, test in several:
            expected = [at for at, row in enumerate(plain) if python_says(test, row)]
            assert list(db["rows"].where(condition).keys()) == expected, condition
            assert db["rows"].where(condition).count() == len(expected)


def order_of(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    if isinstance(value, (bool, int, float)):
        return (1, 1, 0) if value != value else (1, 0, value)
    if isinstance(value, str):
        return (2, value)
    return (3, value) if isinstance(value, bytes) else (4,)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows, st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 5))
def test_sorting_is_that_of_sorted(plain, backwards, offset, limit):
    with graven.DB("memory://") as db:
        db["rows"] = plain
        query = db["rows"].where().order_by("-a" if backwards else "a", "b").offset(offset)
        if limit is not None:
            query = query.limit(limit)
        expected = sorted(range(len(plain)), key=lambda at: order_of(field_at(plain[at], ["b"])))
        expected.sort(key=lambda at: order_of(field_at(plain[at], ["a"])), reverse=backwards)
        stop = None if limit is None else offset + limit
        assert list(query.keys()) == expected[offset:stop]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(st.sampled_from("ab"), scalars), max_size=12))
def test_groups_are_those_of_a_dict(plain):
    def number(value: Any) -> bool:
        return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 100

    plain = [row for row in plain if row.get("b") is None or number(row["b"])]
    plain = [row for row in plain if row.get("a") == row.get("a")]
    expected: dict[Any, list[Any]] = {}
    for row in plain:
        expected.setdefault(row.get("a"), []).append(row.get("b"))
    with graven.DB("memory://") as db:
        db["rows"] = plain
        groups = db["rows"].where().group_by("a", n=graven.count(), s=graven.sum("b"))
    assert [(group["a"], group["n"]) for group in groups] == [
        (key, len(numbers)) for key, numbers in expected.items()
    ]
    for group, numbers in zip(groups, expected.values()):
        assert group["s"] == math.fsum(each for each in numbers if each is not None)
