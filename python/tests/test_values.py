# SPDX-License-Identifier: MIT
"""What can be stored, how it comes back, and what an attempt to store anything else says."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import math
import sys
import types
import uuid

import pytest

import graven

SCALARS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    2**64,
    10**100,
    -(7**5000),
    0.0,
    1.5,
    -1e308,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "plain",
    "NUL\0inside",
    "emoji 🐍 and ünïcödé",
    "$ref",
    "#N",
    "##hi##",
    "1",
    "01",
    " 1",
    "1e5",
    "Nan",
    "null",
    "main:D01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "\U0010ffff",
    "x" * 10_000,
    "é" * 10_000,
    b"",
    b"bytes",
    b"\0\xff\xfe",
    bytes(range(256)) * 40,
]


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: ascii(value)[:30])
def test_scalars_come_back_as_they_were(db: graven.DB, value: object) -> None:
    db["d"] = {"v": value, "l": [value]}
    for found in (db["d"]["v"], db["d"]["l"][0], db["d"]()["v"], db["d"]()["l"][0]):
        assert type(found) is type(value)
        assert found == value


def test_special_floats(db: graven.DB) -> None:
    db["nan"] = math.nan
    db["zero"] = -0.0
    assert math.isnan(db["nan"])
    assert math.copysign(1, db["zero"]) == -1
    assert db["zero"] == 0


def test_everything_survives_reopening(path: str) -> None:
    with graven.DB(path) as db:
        db["all"] = SCALARS
    with graven.DB(path) as db:
        assert db["all"]() == SCALARS
        assert [type(value) for value in db["all"]] == [type(value) for value in SCALARS]


def test_true_and_one_are_different(db: graven.DB) -> None:
    db["l"] = [True, 1, False, 0, 1.0]
    assert [type(value) for value in db["l"]] == [bool, int, bool, int, float]


def test_tuples_are_stored_as_lists(db: graven.DB) -> None:
    db["t"] = (1, (2, 3), [])
    assert db["t"]() == [1, [2, 3], []]


def test_tuples_are_values_and_share_nothing(db: graven.DB) -> None:
    same = (1, 2)
    db["d"] = {"a": same, "b": same, "c": (), "d": ()}
    db["d"]["a"].append(3)
    db["d"]["c"].append(4)
    assert db["d"]() == {"a": [1, 2, 3], "b": [1, 2], "c": [4], "d": []}
    inner = [0]
    pair = (inner,)
    db["shared"] = [pair, pair]
    db["shared"][0][0].append(1)
    assert db["shared"]() == [[[0, 1]], [[0, 1]]]


def test_subclasses_of_stored_types(db: graven.DB) -> None:
    class Colour(str, enum.Enum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    class Text(str):
        pass

    class Real(float):
        pass

    class Raw(bytes):
        pass

    class Items(list):  # type: ignore[type-arg]
        pass

    Point = collections.namedtuple("Point", "x y")
    db["v"] = [Colour.RED, Level.HIGH, Text("t"), Real(2.5), Raw(b"r"), Items([1]), Point(1, 2)]
    assert db["v"]() == ["red", 3, "t", 2.5, b"r", [1], [1, 2]]
    assert [type(v) for v in db["v"]()] == [str, int, str, float, bytes, list, list]
    db["d"] = {Text("k"): 1, Colour.RED: 2}
    assert list(db["d"]) == ["k", "red"]
    assert all(type(key) is str for key in db["d"])


def test_subclasses_of_dict_decide_their_order(db: graven.DB) -> None:
    ordered = collections.OrderedDict(a=1, b=2, c=3)
    ordered.move_to_end("a")
    db["o"] = ordered
    assert list(db["o"]) == ["b", "c", "a"]
    db["c"] = collections.Counter("abracadabra")
    assert db["c"]() == {"a": 5, "b": 2, "r": 2, "c": 1, "d": 1}
    db["d"] = collections.defaultdict(list, x=[1])
    assert db["d"]() == {"x": [1]}


def test_keys_that_look_alike_in_a_subclass(db: graven.DB) -> None:
    class Odd(str):
        def __eq__(self, other: object) -> bool:
            return self is other

        def __hash__(self) -> int:
            return id(self)

    db["d"] = {Odd("k"): [1], "k": [2], "z": 0, Odd("k"): [3]}
    assert db["d"]() == {"k": [3], "z": 0}
    assert db.check().ok


UNSTORABLE = [
    ({1}, "set"),
    (frozenset(), "frozenset"),
    (1j, "complex"),
    (bytearray(b"x"), "bytearray"),
    (memoryview(b"x"), "memoryview"),
    (datetime.date(2024, 1, 1), "datetime.date"),
    (decimal.Decimal(1), "decimal.Decimal"),
    (uuid.UUID(int=0), "uuid.UUID"),
    (fractions.Fraction(1, 2), "fractions.Fraction"),
    (object(), "object"),
    (range(3), "range"),
    (len, "builtin_function_or_method"),
    (types.MappingProxyType({}), "mappingproxy"),
    ((x for x in ()), "generator"),
]


@pytest.mark.parametrize(("value", "name"), UNSTORABLE, ids=[name for _, name in UNSTORABLE])
def test_other_types_are_refused_by_name_and_path(db: graven.DB, value: object, name: str) -> None:
    db["d"] = {"old": 1}
    db["l"] = [1, 2]
    before = db()
    cases = [
        (lambda: db.__setitem__("d", value), "['d']"),
        (lambda: db.__setitem__("d", {"a": [0, {"b c": value}]}), "['d']['a'][1]['b c']"),
        (lambda: db["d"].setdefault("new", [value]), "['new'][0]"),
        (lambda: db["d"].update({"x": 1, "y": (0, value)}), "['y'][1]"),
        (lambda: db["d"].update(z=value), "['z']"),
        (lambda: db["l"].append(value), "[2]"),
        (lambda: db["l"].append({"k": value}), "[2]['k']"),
        (lambda: db["l"].extend([0, [value]]), "[3][0]"),
        (lambda: db["l"].insert(1, value), "[1]"),
        (lambda: db["l"].__setitem__(0, [value]), "[0][0]"),
        (lambda: db["l"].__setitem__(slice(1, 2), [1, value]), "[2]"),
        (lambda: graven.Dict(db, {"q": value}), "['q']"),
        (lambda: graven.List(db, [value]), "[0]"),
        (lambda: db["d"].update_with("old", lambda _: value), "['old']"),
    ]
    for act, where in cases:
        with pytest.raises(TypeError) as caught:
            act()
        assert isinstance(caught.value, graven.WrongTypeError)
        assert str(caught.value) == f"cannot store {name} at {where}"
        assert caught.value.code == "wrong_type"
    assert db() == before


@pytest.mark.parametrize("key", [1, 1.5, True, None, b"k", (1,), frozenset()], ids=repr)
def test_keys_are_str(db: graven.DB, key: object) -> None:
    db["d"] = {"1": "one", "True": 0, "None": 0}
    d = db["d"]
    before = d()
    for act in (
        lambda: d.__setitem__(key, 0),
        lambda: d.setdefault(key, 0),
        lambda: d.update({key: 0}),
        lambda: d.update([(key, 0)]),
        lambda: db.__setitem__("x", {"a": {key: 0}}),
        lambda: d.update_with(key, lambda old: old, 0),
    ):
        with pytest.raises(TypeError, match="keys are str"):
            act()
    with pytest.raises(TypeError, match=r"cannot use .* as a key at \['x'\]\['a'\]$"):
        db["x"] = {"a": {key: 0}}
    assert d() == before
    assert "x" not in db


SURROGATES = ["\ud800", "ok\udfff", "\ud83d" + "x" * 5000]


@pytest.mark.parametrize("text", SURROGATES, ids=["alone", "tail", "long"])
def test_lone_surrogates_are_refused_by_path(db: graven.DB, text: str) -> None:
    db["d"] = {"old": 1}
    for act, where in (
        (lambda: db.__setitem__("d", text), r"at \['d'\]"),
        (lambda: db["d"].update(x=[0, {"y": text}]), r"at \['x'\]\[1\]\['y'\]"),
        (lambda: db.__setitem__("d", {"a": {text: 1}}), r"at \['d'\]\['a'\]"),
        (lambda: db["d"].__setitem__(text, 1), "key"),
    ):
        with pytest.raises(ValueError, match=where) as caught:
            act()
        assert isinstance(caught.value, graven.BadValueError)
        assert "surrogate" in str(caught.value)
    assert db() == {"d": {"old": 1}}
    # No dict can have such a key.
    assert text not in db["d"]
    assert db["d"].get(text, 7) == 7
    with pytest.raises(KeyError):
        db["d"][text]
    with pytest.raises(KeyError):
        del db["d"][text]


def test_a_long_path_is_shortened_in_the_middle(db: graven.DB) -> None:
    value: object = {1, 2}
    for depth in range(1000):
        value = [value] if depth % 2 else {"k": value}
    with pytest.raises(TypeError) as caught:
        db["deep"] = value
    message = str(caught.value)
    assert message.startswith("cannot store set at ['deep'][0]['k']")
    assert message.endswith("['k']")
    assert "more)" in message
    assert len(message) < 600


def test_shared_parts_stay_shared(db: graven.DB) -> None:
    shared = {"n": 1}
    db["x"] = {"a": shared, "b": [shared, shared]}
    assert db["x"]["a"].refcount == 2
    assert db["x"]["b"][0].uid == db["x"]["a"].uid
    db["x"]["a"]["n"] = 2
    plain = db["x"]()
    assert plain == {"a": {"n": 2}, "b": [{"n": 2}, {"n": 2}]}
    assert plain["a"] is plain["b"][0] is plain["b"][1]


def test_cycles_stay_cycles(db: graven.DB) -> None:
    a: dict[str, object] = {"name": "a"}
    b = [a]
    a["b"] = b
    a["self"] = a
    db["a"] = a
    assert db["a"]["b"][0]["self"]["b"].uid == db["a"]["b"].uid
    plain = db["a"]()
    assert plain["self"] is plain
    assert plain["b"][0] is plain
    assert plain["name"] == "a"
    assert db["a"] == a
    assert db["a"] == plain


def test_constructors_keep_references_to_the_argument_itself(db: graven.DB) -> None:
    data: dict[str, object] = {}
    data["me"] = data
    db["d"] = graven.Dict(db, data)
    assert db["d"]["me"].uid == db["d"].uid
    items: list[object] = [1]
    items.append(items)
    db["l"] = graven.List(db, items)
    assert db["l"][1].uid == db["l"].uid
    db["l2"] = []
    db["l2"].extend(items)
    assert db["l2"][1].uid != db["l2"].uid
    assert db["l2"][1][1].uid == db["l2"][1].uid


def test_handles_inside_plain_data_are_linked(db: graven.DB) -> None:
    db["a"] = {"n": 1}
    db["b"] = {"link": db["a"], "list": [db["a"], {"deep": db["a"]}]}
    assert db["b"]["link"].uid == db["a"].uid
    assert db["b"]["list"][1]["deep"].uid == db["a"].uid
    assert db["a"].refcount == 4
    assert sum(db["a"].backrefs.values()) == 4


def test_depth_100_000_in_and_out(db: graven.DB) -> None:
    depth = 100_000
    value: object = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"v": value}
    db["deep"] = value
    plain = db["deep"]()
    assert db["deep"] == plain
    for level in reversed(range(depth)):
        plain = plain[0] if level % 2 else plain["v"]  # type: ignore[index,assignment]
    assert plain == "bottom"
    del db["deep"]
    assert len(db) == 0


def test_many_children_of_one(db: graven.DB) -> None:
    child = {"x": 1}
    db["many"] = [child] * 1000
    assert db["many"][0].backrefs == {db["many"].uid: 1000}
    plain = db["many"]()
    assert all(each is plain[0] for each in plain)


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="no such limit here")
def test_huge_integers_despite_the_limit_of_decimal_conversion(db: graven.DB) -> None:
    number = 1 << 100_000
    db["n"] = [number, -number]
    assert db["n"]() == [number, -number]


def test_materialising_gives_detached_data(db: graven.DB) -> None:
    db["x"] = {"l": [1]}
    plain = db["x"]()
    assert type(plain) is dict
    assert type(plain["l"]) is list
    plain["l"].append(2)
    assert db["x"]() == {"l": [1]}
    with pytest.raises(TypeError):
        db["x"](1)
    assert db() == {"x": {"l": [1]}}


def test_assigning_the_root_links_it(db: graven.DB) -> None:
    db["me"] = db
    assert db["me"].uid == db.uid
    plain = db()
    assert plain["me"] is plain
    del db["me"]
    assert db() == {}
