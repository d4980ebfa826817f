# SPDX-License-Identifier: MIT
"""Dict does all that dict does."""

from __future__ import annotations

import collections
from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView

import pytest

import graven


def test_reading_and_writing(db: graven.DB) -> None:
    db["d"] = {}
    d = db["d"]
    d["a"] = 1
    d["b"] = [1]
    assert d["a"] == 1
    assert isinstance(d["b"], graven.List)
    assert "a" in d
    assert "z" not in d
    assert len(d) == 2
    assert d
    del d["a"]
    del d["b"]
    assert not d
    with pytest.raises(KeyError):
        del d["a"]


def test_missing_keys_raise_what_dict_raises(db: graven.DB) -> None:
    db["d"] = {}
    with pytest.raises(KeyError) as caught:
        db["d"]["missing"]
    assert caught.value.args == ("missing",)
    assert str(caught.value) == "'missing'"
    assert isinstance(caught.value, graven.KeyNotFound)
    assert isinstance(caught.value, graven.Error)
    assert caught.value.code == "key_not_found"
    for act in (
        lambda: db["d"].__delitem__("missing"),
        lambda: db["d"].pop("missing"),
        lambda: db["d"].update_with("missing", str),
    ):
        with pytest.raises(KeyError) as caught:
            act()
        assert caught.value.args == ("missing",)
    with pytest.raises(KeyError, match="dictionary is empty"):
        db["d"].popitem()


def test_order_is_that_of_insertion(db: graven.DB) -> None:
    db["d"] = {"z": 0, "a": 1, "m": 2}
    d = db["d"]
    assert list(d) == ["z", "a", "m"]
    d["a"] = 10  # keeps its place
    d["b"] = 3
    assert list(d.items()) == [("z", 0), ("a", 10), ("m", 2), ("b", 3)]
    del d["z"]
    d["z"] = 4  # goes to the end
    assert list(d) == ["a", "m", "b", "z"]
    assert list(reversed(d)) == ["z", "b", "m", "a"]
    assert list(reversed(d.values())) == [4, 3, 2, 10]
    assert list(reversed(d.items())) == [("z", 4), ("b", 3), ("m", 2), ("a", 10)]
    assert d.popitem() == ("z", 4)
    assert d.popitem() == ("b", 3)


def test_get_setdefault_pop(db: graven.DB) -> None:
    db["d"] = {"a": 1, "n": None}
    d = db["d"]
    assert d.get("a") == 1
    assert d.get("x") is None
    assert d.get("x", 5) == 5
    assert d.setdefault("a", 9) == 1
    assert d.setdefault("new") is None
    created = d.setdefault("list", [])
    created.append(1)
    assert d["list"]() == [1]
    assert d.setdefault("n", 1) is None
    assert d.pop("a") == 1
    assert d.pop("a", None) is None
    assert d.pop("a", "default") == "default"
    assert d.pop("n", 3) is None


def test_update_in_every_form(db: graven.DB) -> None:
    db["d"] = {"a": 0, "keep": 0}
    d = db["d"]
    d.update({"a": 1}, b=2)
    d.update([("c", 3), ("c", 4)])
    d.update((key, 5) for key in ("e", "f"))
    d.update(collections.UserDict({"g": 6}))
    d.update(h={"nested": True})
    d.update()
    assert d() == {
        "a": 1, "keep": 0, "b": 2, "c": 4, "e": 5, "f": 5, "g": 6, "h": {"nested": True},
    }  # fmt: skip
    db["other"] = {"x": {"shared": 1}, "a": 7}
    d.update(db["other"])
    assert d["a"] == 7
    assert d["x"].uid == db["other"]["x"].uid
    d.update(db["other"], a=8)
    assert d["a"] == 8
    assert d["x"].uid == db["other"]["x"].uid
    d.update(self=1, other=2)
    assert d["self"] == 1
    for bad in (5, [1], [("a",)], [("a", 1, 2)]):
        before = d()
        with pytest.raises((TypeError, ValueError)):
            d.update(bad)
        assert d() == before
    with pytest.raises(TypeError):
        d.update({}, {})


def test_operators(db: graven.DB) -> None:
    db["d"] = {"a": 1, "b": {"x": 1}}
    d = db["d"]
    merged = d | {"b": 2, "c": 3}
    assert type(merged) is dict
    assert merged == {"a": 1, "b": 2, "c": 3}
    assert list({"z": 0, "a": 0} | d) == ["z", "a", "b"]
    assert ({"z": 0, "a": 0} | d)["a"] == 1
    assert (d | d)["b"] == {"x": 1}
    with pytest.raises(TypeError):
        d | [("a", 1)]
    same = d
    d |= {"c": 3}
    d |= [("e", 4)]
    assert d is same
    assert db["d"]() == {"a": 1, "b": {"x": 1}, "c": 3, "e": 4}


def test_copy_is_plain_and_shallow(db: graven.DB) -> None:
    db["d"] = {"a": 1, "b": {"x": 1}}
    copy = db["d"].copy()
    assert type(copy) is dict
    assert isinstance(copy["b"], graven.Dict)
    copy["b"]["x"] = 2
    copy["a"] = 9
    assert db["d"]() == {"a": 1, "b": {"x": 2}}


def test_clear(db: graven.DB) -> None:
    db["d"] = {str(n): {"n": n} for n in range(200)}
    d = db["d"]
    d.clear()
    assert d() == {}
    d.clear()
    d["$ref"] = 1
    d.clear()
    assert len(d) == 0


def test_equality_is_by_content(db: graven.DB) -> None:
    db["a"] = {"x": [1, {"y": None}], "n": 1}
    db["b"] = {"n": 1.0, "x": [True, {"y": None}]}
    assert db["a"] == db["b"]
    assert db["a"] == {"n": 1, "x": [1, {"y": None}]}
    assert {"n": 1, "x": [1, {"y": None}]} == db["a"]
    assert db["a"] == {"n": 1, "x": db["b"]["x"]}
    assert not (db["a"] != db["b"])
    assert db["a"] != {"n": 1}
    assert db["a"] != {"n": 1, "x": [1, {"y": 0}]}
    assert db["a"] != {"n": 1, 2: [1, {"y": None}]}
    assert db["a"] != [("n", 1)]
    assert db["a"] != db["a"]["x"]
    assert db["a"] != None  # noqa: E711
    assert db["a"] == collections.OrderedDict(n=1, x=[1, {"y": None}])
    assert db["a"] == collections.UserDict(n=1, x=[1, {"y": None}])
    with pytest.raises(TypeError):
        db["a"] < db["b"]


def test_equality_of_cycles_ends(db: graven.DB) -> None:
    def ring(length: int) -> dict[str, object]:
        nodes: list[dict[str, object]] = [{"v": 1} for _ in range(length)]
        for at, node in enumerate(nodes):
            node["next"] = nodes[(at + 1) % length]
        return nodes[0]

    db["two"] = ring(2)
    db["three"] = ring(3)
    # No difference can be found by walking them.
    assert db["two"] == db["three"]
    assert db["two"] == ring(5)
    assert ring(1) == db["two"]
    other = ring(2)
    other["next"]["v"] = 2  # type: ignore[index]
    assert db["two"] != other


def test_equality_asks_odd_types(db: graven.DB) -> None:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

    db["d"] = {"a": [1], "b": 2}
    assert db["d"] == {"a": Anything(), "b": Anything()}
    assert db["d"] == Anything()
    assert db["d"] != {"a": (1,), "b": 2}


def test_unhashable(db: graven.DB) -> None:
    db["d"] = {}
    with pytest.raises(TypeError, match="unhashable"):
        hash(db["d"])
    with pytest.raises(TypeError, match="unhashable"):
        {db["d"]}


def test_it_is_a_mutable_mapping(db: graven.DB) -> None:
    db["d"] = {"a": 1}
    for mapping in (db, db["d"]):
        assert isinstance(mapping, MutableMapping)
        assert isinstance(mapping, Mapping)
    assert issubclass(graven.Dict, MutableMapping)
    assert graven.RD is graven.Dict
    assert dict(db["d"]) == {"a": 1}
    assert {**db["d"]} == {"a": 1}
    assert "{a}".format_map(db["d"]) == "1"
    for name in dir(dict):
        if name not in ("__class_getitem__", "fromkeys"):
            assert hasattr(graven.Dict, name), name


def test_views_are_live_and_sets(db: graven.DB) -> None:
    db["d"] = {"a": 1, "b": 2}
    d = db["d"]
    keys, values, items = d.keys(), d.values(), d.items()
    assert isinstance(keys, KeysView)
    assert isinstance(values, ValuesView)
    assert isinstance(items, ItemsView)
    d["c"] = 3
    assert list(keys) == ["a", "b", "c"]
    assert list(values) == [1, 2, 3]
    assert list(items) == [("a", 1), ("b", 2), ("c", 3)]
    assert (len(keys), len(values), len(items)) == (3, 3, 3)
    assert "c" in keys
    assert 1 not in keys
    assert 2 in values
    assert 9 not in values
    assert ("a", 1) in items
    assert ("a", 2) not in items
    assert ("a", 1, 2) not in items
    assert "a" not in items

    assert keys & {"a", "z"} == {"a"}
    assert {"a", "z"} & keys == {"a"}
    assert keys | {"z"} == {"a", "b", "c", "z"}
    assert {"z"} | keys == {"a", "b", "c", "z"}
    assert keys - {"a"} == {"b", "c"}
    assert {"a", "z"} - keys == {"z"}
    assert keys ^ {"a", "z"} == {"b", "c", "z"}
    assert keys & ["a", "z"] == {"a"}
    assert keys == {"a", "b", "c"}
    assert {"a", "b", "c"} == keys
    assert keys == {"a": 0, "b": 0, "c": 0}.keys()
    assert keys != {"a"}
    assert keys > {"a"}
    assert keys >= {"a", "b", "c"}
    assert {"a"} < keys
    assert keys <= {"a", "b", "c", "z"}
    assert not keys < {"a", "b", "c"}
    assert keys.isdisjoint({"z"})
    assert not keys.isdisjoint(["a"])
    assert items & {("a", 1), ("b", 0)} == {("a", 1)}
    assert items == {"c": 3, "b": 2, "a": 1}.items()
    assert keys.mapping == d
    with pytest.raises(TypeError):
        hash(keys)
    with pytest.raises(TypeError):
        keys & 5
    assert repr(keys) == "DictKeys(['a', 'b', 'c'])"
    assert repr(d.items()) == "DictItems([('a', 1), ('b', 2), ('c', 3)])"


def test_items_with_nested_values(db: graven.DB) -> None:
    db["d"] = {"a": [1], "b": {"x": 1}}
    items = db["d"].items()
    assert ("a", [1]) in items
    assert ("b", {"x": 1}) in items
    assert ("b", {"x": 2}) not in items
    assert [1] in db["d"].values()
    assert db["d"]["b"] in db["d"].values()
    assert items == {"a": [1], "b": {"x": 1}}.items()


@pytest.mark.parametrize("size", [5, 500])
def test_changing_the_size_while_iterating(db: graven.DB, size: int) -> None:
    db["d"] = {str(n): n for n in range(size)}
    d = db["d"]
    for change in (
        lambda: d.__setitem__("new", 1),
        lambda: d.__delitem__("0"),
        lambda: d.clear(),
    ):
        for start in (lambda: iter(d), lambda: iter(d.items()), lambda: reversed(d)):
            d.clear()
            d.update({str(n): n for n in range(size)})
            iterator = start()
            next(iterator)
            change()
            with pytest.raises(RuntimeError, match="size"):
                next(iterator)
    d.clear()
    d.update({str(n): n for n in range(size)})
    for key in d:
        d[key] = -1  # values may change
    assert set(d.values()) == {-1}


def test_changes_by_others_do_not_disturb_an_iteration(path: str) -> None:
    import subprocess
    import sys

    with graven.DB(path) as db:
        db["d"] = {str(n): n for n in range(300)}
        seen = []
        for key, value in db["d"].items():
            if not seen:
                program = f"import graven\nwith graven.DB({path!r}) as db: db['d'].clear()"
                subprocess.run([sys.executable, "-c", program], check=True)
                assert len(db["d"]) == 0
            seen.append((key, value))
        assert seen == [(str(n), n) for n in range(300)]


def test_changes_by_other_threads_do_not_disturb_an_iteration(db: graven.DB) -> None:
    import threading

    for size in (5, 500):
        db["d"] = {str(n): n for n in range(size)}
        seen = []
        for key, value in db["d"].items():
            if not seen:
                other = threading.Thread(target=db["d"].clear)
                other.start()
                other.join()
            seen.append((key, value))
        assert seen == [(str(n), n) for n in range(size)]
        assert len(db["d"]) == 0


@pytest.mark.parametrize("size", [5, 500])
def test_views_do_not_mind_changes_of_the_dict_itself(db: graven.DB, size: int) -> None:
    db["d"] = {str(n): n for n in range(size)}
    db["l"] = list(range(size))
    t = db.transactor()
    with db.snapshot() as snapshot:
        for view in (snapshot, t):
            seen = []
            for key in view["d"]:
                db["d"]["new" + key] = 1
                seen.append(key)
            assert seen == list(view["d"]) and len(seen) == size
            for _ in view["l"]:
                db["l"].insert(0, -1)
            assert list(view["l"]) == list(range(size))
            t.discard()
            del db["d"], db["l"]
            db["d"] = {str(n): n for n in range(size)}
            db["l"] = list(range(size))
    t.discard()
    with pytest.raises(RuntimeError, match="size"):
        for key in t["d"]:
            t["d"]["new" + key] = 1
    t.discard()


def test_iterators_end_for_good(db: graven.DB) -> None:
    db["d"] = {"a": 1}
    iterator = iter(db["d"])
    assert iter(iterator) is iterator
    assert list(iterator) == ["a"]
    db["d"]["b"] = 2
    assert list(iterator) == []


def test_update_with(db: graven.DB) -> None:
    db["d"] = {"n": 1, "l": [1]}
    assert db["d"].update_with("n", lambda n: n + 1) == 2
    assert db["d"].update_with("new", lambda n: n + 1, 10) == 11
    grown = db["d"].update_with("l", lambda items: [*items, 2])
    assert isinstance(grown, graven.List)
    assert grown == [1, 2]

    def fails(value: object) -> object:
        db["d"]["side effect"] = True
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db["d"].update_with("n", fails)
    assert db["d"]() == {"n": 2, "l": [1, 2], "new": 11}


def test_constructor(db: graven.DB) -> None:
    for made in (
        graven.Dict(db, {"a": 1, "b": 2}),
        graven.Dict(db, [("a", 1), ("b", 2)]),
        graven.Dict(db, a=1, b=2),
        graven.Dict(db, {"a": 1}, b=2),
        graven.Dict(db, graven.Dict(db, a=1, b=2)),
    ):
        assert made == {"a": 1, "b": 2}
        assert made.refcount == 0
    empty = graven.RD(db)
    empty["later"] = 1
    db["linked"] = empty
    empty["more"] = 2
    assert db["linked"]() == {"later": 1, "more": 2}
    with pytest.raises(TypeError):
        graven.Dict()
    with pytest.raises(TypeError):
        graven.Dict({})


def test_keys_of_every_kind(db: graven.DB) -> None:
    keys = ["", "\0", "a\0b", "$ref", "ref", "#N", "1", "01", " 1", "1e5", "Nan", "🐍", "é",
            "main:D01ARZ3NDEKTSV4RRFFQ69G5FAV", "__class__", "x" * 10_000]  # fmt: skip
    for store in (db, db.setdefault("d", {})):
        store.clear()
        for at, key in enumerate(keys):
            store[key] = at
        assert list(store) == keys
        assert [store[key] for key in keys] == list(range(len(keys)))
        for key in keys:
            del store[key]
        assert len(store) == 0
        db.setdefault("d", {})


def test_a_key_too_long_changes_nothing(db: graven.DB) -> None:
    db["k" * 65_535] = 1
    for act in (
        lambda: db.__setitem__("k" * 65_536, 1),
        lambda: db.__setitem__("d", {"k" * 65_536: 1}),
        lambda: db.setdefault("é" * 40_000, 1),
    ):
        with pytest.raises(graven.LimitError):
            act()
    assert len(db) == 1
