# SPDX-License-Identifier: MIT
"""Map does what dict does, in every mode, and what dict does not: many at once, times to live."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import gc
import math
import threading
import time
from collections.abc import Callable, ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from pathlib import Path
from typing import Any

import pytest

import graven
from graven import DB, Map

MODES = ["writethrough", "lazy", "memory"]
Open = Callable[..., Map]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def m(mode: str, path: str) -> Iterator[Map]:
    with Map(path, persist=mode) as opened:
        yield opened


def wait_until(done: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if done():
            return
        time.sleep(0.001)
    raise AssertionError("it never came to be")


# The methods of a dict


def test_reading_and_writing(m: Map) -> None:
    m["b"] = 1
    m["a"] = "one"
    m["b"] = 2
    assert m["b"] == 2
    assert m["a"] == "one"
    assert "a" in m and "z" not in m
    assert len(m) == 2 and m
    assert m.get("a") == "one" and m.get("z") is None and m.get("z", 3) == 3
    del m["a"]
    assert "a" not in m and len(m) == 1
    m.clear()
    assert not m and list(m) == []


def test_missing_keys_raise_what_dict_raises(m: Map) -> None:
    for act in (
        lambda: m["missing"],
        lambda: m.__delitem__("missing"),
        lambda: m.pop("missing"),
    ):
        with pytest.raises(KeyError) as caught:
            act()
        assert caught.value.args == ("missing",)
        assert isinstance(caught.value, graven.KeyNotFound)
    with pytest.raises(KeyError, match="empty"):
        m.popitem()
    with pytest.raises(KeyError):
        m["\ud800"]
    assert "\ud800" not in m and m.get("\ud800", 1) == 1 and m.pop("\ud800", 2) == 2


def test_keys_are_text(m: Map) -> None:
    m["1"] = "text"
    for key in (1, 1.0, None, True, b"1", ("1",), ["1"]):
        name = type(key).__name__
        for act in (
            lambda key=key: m.__setitem__(key, 1),
            lambda key=key: m.setdefault(key),
            lambda key=key: m.set(key, 1),
            lambda key=key: m.update([(key, 1)]),
            lambda key=key: m.add(key, 1),
            lambda key=key: m.incr(key),
            lambda key=key: m.update_with(key, str, None),
        ):
            with pytest.raises(TypeError, match=name):
                act()
    for act in (
        lambda: m.__setitem__("\udfff", 1),
        lambda: m.setdefault("\udfff", 1),
        lambda: m.update({"\udfff": 1}),
        lambda: m.set("\udfff", 1, ttl=1),
    ):
        with pytest.raises(ValueError, match="surrogate"):
            act()
    for act in (lambda: m.get_many("1"), lambda: m.delete_many("1")):
        with pytest.raises(TypeError, match="iterable of keys"):
            act()
    assert m.copy() == {"1": "text"}


class Text(str):
    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def test_subclasses_of_str_are_the_text_they_hold(m: Map) -> None:
    m[Text("k")] = Text("v")
    assert m["k"] == "v" and type(m["k"]) is str and Text("k") in m
    m.update({Text("a"): 1, "a": 2})
    assert len(m) == 2


def test_order_is_that_of_utf8(m: Map) -> None:
    keys = ["", "\0", "B", "a", "aa", "z", "é", "\uffff", "🐍"]
    for key in reversed(keys):
        m[key] = key
    assert list(m) == list(m.keys()) == list(m.values()) == keys
    assert list(m.items()) == [(key, key) for key in keys]
    assert m.popitem() == ("", "")


def test_pop_setdefault_update(m: Map) -> None:
    m["a"] = 1
    assert m.pop("a") == 1 and m.pop("a", 5) == 5 and m.pop("a", None) is None
    assert m.setdefault("s", [1, (2,)]) == [1, [2]]
    assert m.setdefault("s", 3) == [1, [2]] and m.setdefault("none") is None
    m.clear()
    m.update({"a": 1}, b=2)
    m.update([("c", 3), ["d", 4]])
    m.update(e=5)
    m.update()
    m.update(iter([("f", 6)]))
    m.update(collections.ChainMap({"g": 7}))
    m.update(collections.OrderedDict(h=8))
    m.bulk_insert({"i": 9})
    m.bulk_insert([("i", 10), ("i", 11)])
    m |= {"j": 12}
    expected = dict(zip("abcdefgh", range(1, 9)), i=11, j=12)
    assert m == expected and m.copy() == expected and type(m.copy()) is dict
    with pytest.raises(TypeError):
        m.update(1)
    with pytest.raises(TypeError):
        m.update({}, {})
    assert m.get("a", 2) == 1
    with Map("other", persist="memory") as other:
        other.update(m)
        assert other == m and not other != m
        other["a"] = 2
        assert other != m
        assert (other | {"x": 1})["x"] == 1 and ({"a": 5} | m)["a"] == 1
        assert m | other == {**expected, "a": 2}
    with pytest.raises(TypeError):
        m | [("a", 1)]  # type: ignore[operator]


def test_equality_and_identity(m: Map) -> None:
    m["a"] = {"x": [1, 2.0]}
    assert m == {"a": {"x": [1, 2]}} and {"a": {"x": [1, 2]}} == m and m == m
    assert m != {} and m != {"b": 1} and m != [("a", 1)] and m != None  # noqa: E711
    with pytest.raises(TypeError):
        m < {}  # type: ignore[operator]
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)
    assert isinstance(m, MutableMapping)
    assert repr(m).startswith("<graven.Map 'main' in ") and "\n" not in repr(m)


def test_views(m: Map) -> None:
    keys, values, items = m.keys(), m.values(), m.items()
    assert isinstance(keys, KeysView) and isinstance(values, ValuesView)
    assert isinstance(items, ItemsView)
    m.update(a=1, b=2, c="x")
    assert len(keys) == len(values) == len(items) == 3
    assert "a" in keys and "z" not in keys and 1 not in keys
    assert 2 in values and 3 not in values
    assert ("a", 1) in items and ("a", 2) not in items and ("z", 1) not in items
    assert 5 not in items and (1, 2) not in items
    assert keys & {"a", "z"} == {"a"} and keys | {"z"} == {"a", "b", "c", "z"}
    assert keys - {"a"} == {"b", "c"} and keys ^ {"a", "z"} == {"b", "c", "z"}
    assert {"a", "z"} & keys == {"a"} and keys.isdisjoint({"z"})
    assert keys == {"a", "b", "c"} and keys > {"a"} and not keys < {"a"}
    assert items & {("a", 1)} == {("a", 1)} and items == {"a": 1, "b": 2, "c": "x"}.items()
    assert keys.mapping is m  # type: ignore[attr-defined]
    assert repr(keys) == "MapKeys(['a', 'b', 'c'])"
    assert repr(values) == "MapValues([1, 2, 'x'])"
    assert repr(items) == "MapItems([('a', 1), ('b', 2), ('c', 'x')])"


def test_iterating_while_it_changes(m: Map) -> None:
    m.update({f"{n:05}": n for n in range(2000)})
    m.flush()
    # A thread that adds keys to what it goes through might never come to the end.
    for add in (
        lambda key: m.__setitem__(key + "x", 1),
        lambda key: m.setdefault(key + "y", 1),
        lambda key: m.update({key: 2, key + "z": 2}),
        lambda key: m.set(key + "w", 1, ttl=100),
    ):
        for start in (m, m.keys(), m.values(), m.items()):
            steps = 0
            with pytest.raises(RuntimeError, match="added"):
                for _ in start:
                    steps += 1
                    add(f"{len(m)}")
            assert steps == 1
    # What others add may be met, once; what is there may be changed and removed.
    met = []
    for key in m:
        met.append(key)
        m[key] = "changed"
        m.pop(key)
        if key[0] == "0":
            other = threading.Thread(target=m.__setitem__, args=("a" + key, 1))
            other.start()
            other.join()
    assert [key for key in met if len(key) == 5 and key[0] == "0"] == [
        f"{n:05}" for n in range(2000)
    ]
    assert len(set(met)) == len(met)
    m["left"] = 1
    iterator = iter(m)
    m.close()
    with pytest.raises(graven.ClosedError):
        next(iterator)


# Values

SCALARS = [None, True, False, 0, 1, -1, 255, 256, 257, 2**31, 2**63 - 1, -(2**63), 2**63,
           -(2**63) - 1, 10**100, -(7**5000), 0.0, -0.0, 1.5, 5e-324, math.inf, -math.inf,
           "", "a", "é", "plain", "NUL\0inside", "ünïcödé 🐍", "$b", "x" * 10_000, "é" * 10_000,
           "x" * 2_000_000, b"", b"b", b"\0\xff\xfe", bytes(range(256)) * 40]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: ascii(value)[:30])
def test_scalars_come_back_as_they_were(path: str, mode: str, value: object) -> None:
    with Map(path, persist=mode) as m:
        m["v"] = value
        m.set("s", value)
        m.update(u=value, l=[value, {"k": value}])
        m.set("t", value, ttl=1000)
        for again in range(2):
            for found in (*m.get_many(["v", "s", "u", "t"]), m["v"], m.get("s"), *m["l"][:1]):
                assert type(found) is type(value)
                assert found == value
                if isinstance(value, float):
                    assert math.copysign(1, found) == math.copysign(1, value)
            assert m["l"] == [value, {"k": value}] and dict(m.items())["u"] == value
            if again == 0 and mode != "memory":
                m.close()
                m = Map(path, persist=mode, hot_capacity=1)
        m["nan"] = math.nan
        assert math.isnan(m["nan"])
        m.close()


def test_nested_values_are_plain_copies(m: Map) -> None:
    shared = [1]
    value = {"$b": {"$$": 1}, "t": (1, (2,)), "s": [shared, shared], "e": {}, "n": [[], None]}
    m["v"] = value
    shared.append(2)
    m["v"]["new"] = 1
    expected = {"$b": {"$$": 1}, "t": [1, [2]], "s": [[1], [1]], "e": {}, "n": [[], None]}
    assert m["v"] == expected == m.copy()["v"] == m.get_many(["v"])[0]
    assert list(m["v"]) == list(expected)
    for odd in ({"$i": "ff"}, {"$f": "nan"}, {"$b": "AAAA"}, {"$$b": 1}, {"": 0}):
        m["odd"] = odd
        assert m["odd"] == odd


def test_what_cannot_be_stored_changes_nothing(m: Map, tmp_path: Path) -> None:
    m["k"] = "old"
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(1500):
        deep = [deep]
    with DB("memory://") as db:
        db["d"] = {}
        for value, error, text in (
            (object(), TypeError, r"object at \['k'\]"),
            ({"a": [1, {2}]}, TypeError, r"set at \['k'\]\['a'\]\[1\]"),
            ({"a": {1: 2}}, TypeError, r"int as a key at \['k'\]\['a'\]"),
            (bytearray(b"x"), TypeError, "bytearray"),
            (db["d"], TypeError, "handle"),
            ([db["d"]], TypeError, "handle"),
            (m, TypeError, "Map"),
            ("\ud800", ValueError, "surrogate"),
            (["é" * 2000 + "\ud800"], ValueError, "surrogate"),
            (loop, ValueError, "contains itself"),
            (deep, ValueError, "deep"),
        ):
            for act in (
                lambda value=value: m.__setitem__("k", value),
                lambda value=value: m.set("k", value, ttl=5),
                lambda value=value: m.update({"a": 1, "k": value}),
            ):
                with pytest.raises(error, match=text):
                    act()
            with pytest.raises(error):
                m.setdefault("new", value)
    with pytest.raises(graven.LimitError):
        m["x" * 70_000] = 1
    assert m == {"k": "old"}


# Many at once


def test_get_many(m: Map) -> None:
    m.update({f"k{n}": n * 1000 for n in range(1000)})
    m["j"] = {"x": 1}
    keys = [f"k{n}" for n in range(999, -1, -1)]
    assert m.get_many(keys) == [n * 1000 for n in range(999, -1, -1)]
    assert m.get_many(["k1", "no", "j", "\ud800", "k1"]) == [1000, None, {"x": 1}, None, 1000]
    assert m.get_many(iter(("no", "k2")), default=7) == [7, 2000]
    assert m.get_many({"k3": 0}) == [3000] and m.get_many([]) == []
    with pytest.raises(TypeError):
        m.get_many(5)  # type: ignore[arg-type]


def test_delete_many(m: Map) -> None:
    m.update(a=1, b=2, c=3)
    assert m.delete_many(["a", "c", "a", "zz", "\ud800"]) == 2
    assert m.delete_many(()) == 0 and m.copy() == {"b": 2}


def test_batches_are_seen_whole_by_threads(m: Map) -> None:
    keys = [f"k{n}" for n in range(50)]
    m.update(dict.fromkeys(keys, 0))
    done = threading.Event()
    seen: list[int] = []

    def write() -> None:
        for n in range(1, 200):
            m.update(dict.fromkeys(keys, n))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        values = set(m.get_many(keys))
        assert len(values) == 1, values
        seen.extend(values)
        for key in keys[::2]:  # so that get_many() finds half of the values kept
            m.get(key)
    writer.join()
    assert seen == sorted(seen) and m["k7"] == 199


def test_threads_on_one_map(m: Map) -> None:
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for n in range(300):
                m[f"{name}:{n}"] = n
                assert m[f"{name}:{n}"] == n
                m["shared"] = f"text {name} {n}"
                assert m["shared"].startswith("text ")
                if n % 3 == 0:
                    del m[f"{name}:{n}"]
                    assert f"{name}:{n}" not in m
                if n % 100 == 0:
                    assert len(list(m)) >= 1 and len(m) >= 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(m) == 4 * 200 + 1


# Times to live


def test_time_to_live(m: Map) -> None:
    m.set("short", 1, ttl=0.7)
    m.set("delta", 1, ttl=datetime.timedelta(milliseconds=700))
    m.set("long", 1, ttl=10**9)
    m.set("ever", 1, ttl=math.inf)
    m.set("huge", 1, ttl=10**400)
    m.set("delta_max", 1, ttl=datetime.timedelta.max)
    m.set("decimal", 1, ttl=decimal.Decimal("1e9"))  # type: ignore[arg-type]
    m.set("fraction", 1, ttl=fractions.Fraction(10**9, 3))  # type: ignore[arg-type]
    m.set("kept", 1, ttl=0.05)
    m["kept"] = 2
    m["plain"] = 0
    assert m["short"] == m["delta"] == 1
    wait_until(lambda: "short" not in m and "delta" not in m)
    assert m.get_many(["short", "long", "kept"]) == [None, 1, 2]
    others = ["decimal", "delta_max", "ever", "fraction", "huge"]
    assert sorted(m) == [*others, "kept", "long", "plain"] and len(m) == 8
    for ttl in (0, -1, -(10**400), -math.inf, math.nan, datetime.timedelta(), decimal.Decimal(0)):
        with pytest.raises(ValueError, match="positive"):
            m.set("x", 1, ttl=ttl)  # type: ignore[arg-type]
    for wrong in ("1", b"1", [1], object(), True, False, 1j):
        with pytest.raises(TypeError, match="number of seconds"):
            m.set("x", 1, ttl=wrong)  # type: ignore[arg-type]


# Opening, closing, forgetting


def test_what_is_written_is_there_after_reopening(path: str, mode: str) -> None:
    for n in range(5):
        with Map(path, persist=mode) as m:
            assert len(m) == (0 if mode == "memory" else n)
            m[f"k{n}"] = n
            m.set("gone", 1, ttl=0.001)
            m.pop("gone", None)
    with Map(Path(path), "other", mode) as m:
        assert m == {} and m.name == "other" and m.persist == mode and m.path == path


def test_close_is_idempotent_and_final(m: Map) -> None:
    m["a"] = 1
    keys = m.keys()
    assert not m.closed
    m.close()
    m.close()
    assert m.closed and "closed" in repr(m)
    for use in (
        lambda: m["a"],
        lambda: m.__setitem__("a", 1),
        lambda: m.__delitem__("a"),
        lambda: "a" in m,
        lambda: m.get("a"),
        lambda: m.get_many(["a"]),
        lambda: m.set("a", 1, ttl=1),
        lambda: m.update(a=1),
        lambda: m.pop("a"),
        lambda: m.popitem(),
        lambda: m.setdefault("a", 1),
        lambda: m.delete_many(["a"]),
        lambda: len(m),
        lambda: list(m),
        lambda: list(keys),
        lambda: m.copy(),
        lambda: m == {},
        lambda: m.clear(),
        lambda: m.flush(),
        lambda: m.wait_durable(),
        lambda: m.stats(),
    ):
        with pytest.raises(graven.ClosedError) as caught:
            use()
        assert isinstance(caught.value, ValueError)


def test_stats(mode: str, path: str) -> None:
    with Map(path, persist=mode, hot_capacity=10, warm_bytes=1 << 20) as m:
        m.update({str(i): i for i in range(200)})
        before = m.stats()
        for _ in range(2):
            for i in range(210):
                assert m.get(str(i)) == (i if i < 200 else None)
                assert m.get_many([str(i)] * 3)[0] == (i if i < 200 else None)
        after = m.stats()
        assert after.hot_hits - before.hot_hits + after.misses - before.misses == 2 * 210 * 4
        assert after.hot_hits > 420 and after.misses > 200 and after.evictions > 100
        assert (after.store_misses > 0) is (mode == "writethrough" or mode == "lazy")
        if mode == "memory":
            assert after.warm_hits == after.store_hits == 0
        assert f"hot_hits={after.hot_hits}, misses={after.misses}" in repr(after)
    for wrong in (-1, 1000):
        with pytest.raises(graven.UsageError, match="warm_bytes"):
            Map(path, "other", warm_bytes=wrong)


def test_forgotten_maps_warn_and_are_flushed(path: str, mode: str) -> None:
    m = Map(path, persist=mode)
    m["a"] = 1
    iterator = iter(m)
    with pytest.warns(ResourceWarning, match="unclosed map 'main'"):
        del m
        gc.collect()
    assert list(iterator) == ["a"]
    del iterator
    if mode != "memory":
        with Map(path) as again:
            assert again["a"] == 1


def test_an_uninitialised_map_says_so() -> None:
    with pytest.raises(RuntimeError, match="never initialised"):
        Map.__new__(Map)["a"]


def test_bad_options(path: str) -> None:
    for options in (
        {"persist": "write"},
        {"synchronous": "sometimes"},
        {"hot_capacity": 0},
        {"hot_capacity": -1},
        {"flush_interval": 0},
        {"flush_interval": math.nan},
        {"busy_timeout": -1},
        {"pending_limit": -1},
        {"memory_mb": -1},
        {"memory_mb": 15},
        {"memory_mb": 64, "persist": "memory"},
    ):
        with pytest.raises(graven.UsageError):
            Map(path, **options)  # type: ignore[arg-type]
    for name in ("", "a\nb", "x" * 300):
        with pytest.raises(ValueError):
            Map(path, name)
