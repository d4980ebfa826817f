# SPDX-License-Identifier: MIT
"""Where a Dict, a List or a Map must do what dict and list do: keys of a wrong type, parameters by
position, keywords that are keys, equality, NaN, iterables that lie, copying and pickling."""

from __future__ import annotations

import collections
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import graven
from graven import DB, Dict, List, Map, aio

NAN = float("nan")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DB]:
    with DB(tmp_path / "s.db") as opened:
        opened["d"] = {"1": "one", "a": {"x": [1, {"y": 2}]}}
        yield opened


@pytest.fixture(params=["writethrough", "lazy", "memory"])
def m(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Map]:
    with Map(tmp_path / "s.db", persist=request.param) as opened:
        opened["1"] = "one"
        yield opened


# Keys of a wrong type


def check_reading(d: Any, key: object) -> None:
    assert key not in d
    assert d.get(key) is None and d.get(key, 7) == 7
    with pytest.raises(KeyError) as caught:
        d[key]
    assert caught.value.args == (key,)
    assert key not in d.keys() and (key, "one") not in d.items()


def check_removing(d: Any, key: object) -> None:
    assert d.pop(key, None) is None and d.pop(key, 7) == 7
    for remove in (d.__delitem__, d.pop):
        with pytest.raises(KeyError) as caught:
            remove(key)
        assert caught.value.args == (key,)
    for store in (
        lambda: d.__setitem__(key, 0),
        lambda: d.setdefault(key, 0),
        lambda: d.update({key: 0}),
        lambda: d.update_with(key, str, 0),
    ):
        with pytest.raises(graven.WrongTypeError, match="keys are str"):
            store()


WRONG: list[Any] = [5, 1, 1.5, True, None, b"1", (1, "a"), frozenset({1}), len]


@pytest.mark.parametrize("key", WRONG, ids=repr)
def test_a_key_that_is_no_str_is_not_there(db: DB, m: Map, key: Any) -> None:
    for d in (db["d"], m):
        check_reading(d, key)
        check_removing(d, key)
        assert len(d) in (1, 2)
    with db.snapshot() as snapshot:
        check_reading(snapshot["d"], key)
        check_reading(snapshot, key)
    transactor = db.transactor()
    check_reading(transactor["d"], key)
    assert m.get_many([key, "1"], 7) == [7, "one"] and m.delete_many([key]) == 0


@pytest.mark.parametrize("key", [[], {}, set(), [1, 2]], ids=repr)
def test_what_cannot_be_hashed_is_refused_as_by_a_dict(db: DB, m: Map, key: Any) -> None:
    for d in (db["d"], m):
        for call in (
            lambda d=d: key in d,
            lambda d=d: d[key],
            lambda d=d: d.get(key),
            lambda d=d: d.pop(key, None),
            lambda d=d: d.__delitem__(key),
            lambda d=d: key in d.keys(),
            lambda d=d: (key, 1) in d.items(),
        ):
            with pytest.raises(TypeError, match="unhashable"):
                call()
    with pytest.raises(TypeError, match="unhashable"):
        m.get_many(["1", key])
    with pytest.raises(TypeError, match="unhashable"):
        m.delete_many([key])
    assert len(m) == 1 and len(db["d"]) == 2


def test_keys_whose_hash_changes_the_list_of_keys(m: Map) -> None:
    class Shrinking:
        def __hash__(self) -> int:
            keys.clear()
            return 1

    keys: list[Any] = ["1", Shrinking(), "1", *["x"] * 300]
    assert m.get_many(keys) == ["one", None, "one", *[None] * 300]


async def check_awaited(path: Path) -> None:
    async with aio.DB(path) as db, aio.AsyncMap(path) as m:
        assert await db.get(["d", 5]) is None and not await db.contains(("d", 5))
        assert await db.pop(["d", 5], None) is None
        with pytest.raises(KeyError):
            await db.delete(["d", 5])
        with pytest.raises(graven.WrongTypeError, match="keys are str"):
            await db.set(["d", 5], 1)
        key: Any = 5
        assert await m.get(key) is None and not await m.contains(key)
        assert await m.pop(key, 3) == 3 and await m.get_many([key]) == [None]
        with pytest.raises(KeyError):
            await m.delete(key)


def test_the_same_awaited(db: DB, tmp_path: Path) -> None:
    import asyncio

    asyncio.run(check_awaited(tmp_path / "s.db"))


# Parameters


def test_parameters_are_by_position_where_dicts_are(db: DB, m: Map) -> None:
    plain: dict[str, Any] = {"1": "one"}
    for d in (plain, db["d"], m):
        for call in (
            lambda d=d: d.get(key="1"),
            lambda d=d: d.get("1", default=2),
            lambda d=d: d.pop("1", default=2),
            lambda d=d: d.setdefault("1", default=2),
            lambda d=d: d.update({}, {}),
        ):
            with pytest.raises(TypeError):
                call()
    db["l"] = [1]
    for each in ([1], db["l"]):
        for call in (
            lambda each=each: each.append(object=1),
            lambda each=each: each.insert(index=0, object=1),
            lambda each=each: each.pop(index=0),
            lambda each=each: each.index(value=1),
        ):
            with pytest.raises(TypeError):
                call()


def test_any_keyword_is_a_key(db: DB, m: Map) -> None:
    keys = {"self": 1, "db": 2, "data": 3, "other": 4, "key": 5, "kwargs": 6, "default": 7}
    assert Dict(db, **keys)() == keys and Dict(db, {"x": 0}, **keys)() == {"x": 0, **keys}
    db["d"].update(**keys)
    m.update(**keys)
    m.update({"x": 0}, **keys)
    for each in (db["d"], m):
        assert all(each[key] == value for key, value in keys.items())
    with pytest.raises(TypeError, match="must be Dict, not int"):
        Dict(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lacks the argument 'db'"):
        Dict()  # type: ignore[call-arg]


class Truthy:
    def __bool__(self) -> bool:
        return True


class Undecided:
    def __bool__(self) -> bool:
        raise ZeroDivisionError


def test_sort_takes_what_is_true(db: DB) -> None:
    db["l"] = [2, 3, 1]
    for reverse in (1, True, "yes", [0], Truthy()):
        db["l"].sort(reverse=reverse)
        assert db["l"] == [3, 2, 1]
    for reverse in (0, None, "", []):
        db["l"].sort(reverse=reverse)
        assert db["l"] == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        db["l"].sort(reverse=Undecided())


class Lying:
    def __init__(self, items: list[Any], hint: Any) -> None:
        self.items, self.hint = items, hint

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __length_hint__(self) -> Any:
        if isinstance(self.hint, Exception):
            raise self.hint
        return self.hint


@pytest.mark.parametrize("hint", [2**62, -1, "x", ZeroDivisionError(), 0], ids=repr)
def test_iterables_that_lie_about_their_length(db: DB, m: Map, hint: Any) -> None:
    items: list[Any] = [1, 2]
    made = List(db, Lying(items, hint))
    made.extend(Lying(items, hint))
    made += Lying(items, hint)
    made[1:2] = Lying(items, hint)
    assert made == [1, 1, 2, 1, 2, 1, 2]
    made.insert(0, [])
    db.batch_insert(made, Lying(items, hint))
    db["d"].update(Lying([("a", 1)], hint))
    m.update(Lying([("a", 1), ("b", 2)], hint))
    assert m.get_many(Lying(["a", "b"], hint)) == [1, 2] and db["d"]["a"] == 1
    assert m.delete_many(Lying(["a", "zz"], hint)) == 1


# Equality


def test_maps_dicts_and_handles_are_equal_by_contents(db: DB, m: Map) -> None:
    contents = {"a": {"x": [1, {"y": None}]}, "b": 2.0, "c": b"3"}
    db["d"] = contents
    d = db["d"]
    m.clear()
    m.update(contents)
    with Map("other", persist="memory") as other, db.snapshot() as snapshot:
        other.update(contents)
        equal: list[Any] = [contents, collections.OrderedDict(contents), d, m, other, snapshot["d"]]
        for left in equal:
            for right in equal:
                assert left == right and not left != right
        for change in ({"a": 1}, {"zz": 1}, {"b": NAN}):
            others = [{**contents, **change}, Dict(db, {**contents, **change})]
            for left in equal[2:]:
                for right in others:
                    assert left != right and right != left and not left == right
    for each in (d, m):
        assert each != [] and each != None and each != 1  # noqa: E711
        assert (d | m) == (m | d) == (contents | m) == (m | contents) == contents
        assert type(each | d) is dict


def test_nan_is_in_what_holds_it(db: DB, m: Map) -> None:
    db["l"] = [1, NAN, "x", NAN]
    db["e"] = {"n": NAN, "l": [NAN]}
    m["n"] = NAN
    m["l"] = [NAN]
    items = db["l"]
    assert NAN in items and items.index(NAN) == 1 and items.count(NAN) == 2
    assert items == [1, NAN, "x", NAN] and items == db["l"] and items() == items
    assert 1.5 not in items and items != [1, NAN, "x", 2]
    assert db["e"] == {"n": NAN, "l": [NAN]} and db["e"] == Dict(db, {"n": NAN, "l": [NAN]})
    assert db["e"] != Dict(db, {"n": NAN, "l": [1.0]})
    m.pop("1", None)
    assert m == {"n": NAN, "l": [NAN]} and m == db["e"] and db["e"] == m
    for each in (db["e"], m):
        assert NAN in each.values() and ("n", NAN) in each.items() and 1 not in each.values()
    items.remove(NAN)
    assert items == [1, "x", NAN]


def test_numbers_in_repr_are_decimal(db: DB) -> None:
    for number in (2**63, -(2**63) - 1, 10**30, -(10**100), 2**64 - 1):
        assert repr(List(db, [number])) == f"@[{number}]"
        assert repr(Dict(db, {"n": number})) == f"@{{'n': {number}}}"


# Copying and pickling


def test_copies_are_plain_and_pickling_is_refused_in_words(db: DB, m: Map) -> None:
    d, nested = db["d"], db["d"]["a"]
    shallow = copy.copy(d)
    assert type(shallow) is dict and shallow == d and isinstance(shallow["a"], Dict)
    deep = copy.deepcopy(d)
    assert type(deep) is dict and type(deep["a"]["x"]) is list and deep == d()
    assert type(copy.copy(nested["x"])) is list and copy.deepcopy(nested["x"]) == [1, {"y": 2}]
    assert copy.deepcopy({"k": [d, m]}) == {"k": [d(), {"1": "one"}]}
    assert copy.copy(m) == copy.deepcopy(m) == {"1": "one"} and type(copy.copy(m)) is dict
    assert copy.deepcopy(db) == db() and type(copy.deepcopy(db)) is dict
    with db.snapshot() as snapshot:
        assert copy.deepcopy(snapshot) == db()
    for handle, how in (
        (d, "call it"),
        (nested["x"], "call it"),
        (m, r"call copy\(\)"),
        (db, "call it"),
    ):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(graven.WrongTypeError, match=f"is not pickled: {how}"):
                pickle.dumps([handle], protocol)
    assert pickle.loads(pickle.dumps(d())) == d


# SQL


class Named(collections.UserDict[str, Any]):
    pass


def test_values_of_any_mapping_are_bound_by_name(db: DB, m: Map) -> None:
    values = {"a": 1, "b": "two"}
    db["d"] = values
    m.update(values)
    mappings: list[Any] = [
        *(values, MappingProxyType(values), Named(values), collections.ChainMap(values), db["d"]),
        m,
    ]
    with db.connection() as sql:
        for each in mappings:
            assert sql.execute("SELECT :a, :b", each).fetchall() == [(1, "two")]
        sql.execute("CREATE TABLE t (a, b)")
        assert sql.executemany("INSERT INTO t VALUES (:a, :b)", mappings) == len(mappings)
        assert sql.execute("SELECT ?, ?", db["d"].values()).fetchall() == [(1, "two")]
        with pytest.raises(graven.WrongTypeError, match="keys are str"):
            sql.execute("SELECT :a", {1: 2})  # type: ignore[dict-item]
        for text in ("ab", b"ab"):
            with pytest.raises(graven.WrongTypeError, match="not one text"):
                sql.execute("SELECT ?, ?", text)
