# SPDX-License-Identifier: MIT
"""Random programs on nested dicts and lists, run on graven and on plain Python side by side.

After each step both must have given the same result or raised the same error; at the end, and
after each reopening, the whole structure must be the same, order and sharing included.

GRAVEN_EXAMPLES sets how many programs are run on each store.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from plain import containers, same_shape

import graven


class LongText(str):
    """Stored as the str it is, but shown briefly when a program is printed."""

    def __repr__(self) -> str:
        return f"LongText({self[0]!r} * {len(self)})"


class LongBytes(bytes):
    def __repr__(self) -> str:
        return f"LongBytes({len(self)})"


ODD_TEXT = ["", "\0", "a\0b", "$ref", "#N", "1", "01", " 1", "1e5", "Nan", "🐍", "é", "null",
            "main:D01ARZ3NDEKTSV4RRFFQ69G5FAV", LongText("x" * 10_000),
            LongText("ü" * 600)]  # fmt: skip
ODD = st.integers(0, len(ODD_TEXT) - 1).map(ODD_TEXT.__getitem__)
KEYS = st.one_of(
    st.sampled_from("abcdefgh"),
    ODD.map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
FINDABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 2**200]),
    st.floats(allow_nan=False),
    ODD,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
    st.integers(5000, 5001).map(LongBytes),
)
SCALARS = st.one_of(FINDABLE, st.just(float("nan")))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=8,
)
# Around where a small container becomes a large one, and far beyond.
SIZES = st.sampled_from([1, 5, 62, 63, 64, 65, 66, 130, 700, 3000])
INDEXES = st.integers(-9, 9)
SLICES = st.builds(
    slice,
    st.none() | INDEXES,
    st.none() | INDEXES,
    st.none() | st.sampled_from([1, 2, 3, -1, -2, -3]),
)
LONG_VALUE = "v" * 50
ERRORS = (KeyError, IndexError, ValueError, TypeError)


def as_stored(value: Any, made: dict[int, Any] | None = None) -> Any:
    """What comes back: tuples are lists, each time anew; lists and dicts stay shared."""
    made = {} if made is None else made
    if isinstance(value, tuple):
        return [as_stored(each, made) for each in value]
    if isinstance(value, (list, dict)) and id(value) in made:
        return made[id(value)]
    if isinstance(value, list):
        made[id(value)] = [as_stored(each, made) for each in value]
        return made[id(value)]
    if isinstance(value, LongText):
        return str(value)
    if isinstance(value, LongBytes):
        return bytes(value)
    if isinstance(value, dict):
        made[id(value)] = {key: as_stored(each, made) for key, each in value.items()}
        return made[id(value)]
    return value


def plain(value: Any) -> Any:
    return value() if isinstance(value, (graven.Dict, graven.List)) else value


def order_key(value: Any) -> tuple[str, str]:
    if isinstance(value, Mapping):
        return ("mapping", str(len(value)))
    if isinstance(value, (list, graven.List)):
        return ("list", str(len(value)))
    return (type(value).__name__, repr(value))


class Programs(RuleBasedStateMachine):
    store = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="graven-"))
        self.db = self.open()
        self.model: dict[str, Any] = {}

    def open(self) -> graven.DB:
        if self.store == "memory":
            return graven.DB("memory://")
        persist = "lazy" if self.store == "lazy" else "writethrough"
        return graven.DB(
            self.folder / "state.db", persist=persist, flush_interval=0.002, synchronous="off"
        )

    # Choosing a place, the same one on both sides.

    def pick(self, data: st.DataObject, kind: type | None = None) -> tuple[Any, Any]:
        """A container by walking down at random; None when there is none of the kind there."""
        stored: Any = self.db
        model: Any = self.model
        found = None
        for _ in range(data.draw(st.integers(0, 4), label="steps")):
            if kind is None or isinstance(model, kind):
                found = (stored, model)
            entries = list(model.items() if isinstance(model, dict) else enumerate(model))
            below = [at for at, each in entries if isinstance(each, (dict, list))]
            if not below:
                break
            step = data.draw(st.sampled_from(below), label="step")
            stored, model = stored[step], model[step]
        if kind is None or isinstance(model, kind):
            found = (stored, model)
        return found or (None, None)

    def value(self, data: st.DataObject) -> tuple[Any, Any]:
        """A value to assign: a plain tree, or a link to what is there already."""
        if data.draw(st.integers(0, 4), label="link?") == 0:
            stored, model = self.pick(data)
            return stored, model
        tree = data.draw(TREES, label="value")
        return tree, as_stored(tree)

    def both(self, stored: Callable[[], Any], model: Callable[[], Any]) -> None:
        expected: Any = None
        failed: BaseException | None = None
        try:
            expected = model()
        except ERRORS as error:
            failed = error
        if failed is not None:
            with pytest.raises(type(failed)):
                stored()
            return
        found = stored()
        if isinstance(found, (graven.Dict, graven.List)) or not isinstance(expected, (list, tuple)):
            assert same_shape(plain(found), expected)
        else:
            assert len(found) == len(expected)
            assert all(same_shape(plain(a), b) for a, b in zip(found, expected))

    # Dicts.

    @rule(data=st.data(), key=KEYS)
    def set_key(self, data: st.DataObject, key: str) -> None:
        stored, model = self.pick(data, dict)
        new, expected = self.value(data)
        stored[key] = new
        model[key] = expected
        assert list(stored) == list(model)

    @rule(data=st.data(), key=KEYS)
    def delete_key(self, data: st.DataObject, key: str) -> None:
        stored, model = self.pick(data, dict)
        if model and data.draw(st.booleans(), label="there"):
            key = data.draw(st.sampled_from(list(model)))
        self.both(lambda: stored.__delitem__(key), lambda: model.__delitem__(key))

    @rule(data=st.data(), key=KEYS, default=FINDABLE)
    def pop_key(self, data: st.DataObject, key: str, default: Any) -> None:
        stored, model = self.pick(data, dict)
        if data.draw(st.booleans(), label="default?"):
            self.both(lambda: stored.pop(key, default), lambda: model.pop(key, default))
        else:
            self.both(lambda: stored.pop(key), lambda: model.pop(key))

    @rule(data=st.data())
    def popitem(self, data: st.DataObject) -> None:
        stored, model = self.pick(data, dict)
        self.both(lambda: stored.popitem(), lambda: model.popitem())

    @rule(data=st.data(), key=KEYS)
    def setdefault(self, data: st.DataObject, key: str) -> None:
        stored, model = self.pick(data, dict)
        new, expected = self.value(data)
        self.both(lambda: stored.setdefault(key, new), lambda: model.setdefault(key, expected))

    @rule(data=st.data(), new=st.dictionaries(KEYS, TREES, max_size=6), operator=st.booleans())
    def update(self, data: st.DataObject, new: dict[str, Any], operator: bool) -> None:
        stored, model = self.pick(data, dict)
        if operator:
            stored |= new
        else:
            stored.update(new)
        model.update(as_stored(new))

    @rule(data=st.data(), size=SIZES, first=st.integers(0, 50), long=st.booleans())
    def grow_dict(self, data: st.DataObject, size: int, first: int, long: bool) -> None:
        stored, model = self.pick(data, dict)
        new = {f"key {at}": LONG_VALUE if long else at for at in range(first, first + size)}
        stored.update(new)
        model.update(new)
        assert len(stored) == len(model)

    @rule(data=st.data(), step=st.integers(2, 5))
    def thin_dict(self, data: st.DataObject, step: int) -> None:
        stored, model = self.pick(data, dict)
        doomed = list(model)[::step][:100]
        for key in doomed:
            del stored[key]
            del model[key]
        assert list(stored) == list(model)

    @rule(data=st.data(), key=KEYS)
    def look_into_dict(self, data: st.DataObject, key: str) -> None:
        stored, model = self.pick(data, dict)
        self.both(lambda: stored[key], lambda: model[key])
        self.both(lambda: stored.get(key, 5), lambda: model.get(key, 5))
        assert (key in stored) == (key in model)
        assert len(stored) == len(model)
        assert list(stored) == list(model)
        assert list(reversed(stored)) == list(reversed(list(model)))
        assert stored.keys() == model.keys()
        assert [key for key, _ in stored.items()] == list(model)
        self.both(lambda: list(stored.values()), lambda: list(model.values()))
        self.both(lambda: list(stored.copy().values()), lambda: list(model.values()))

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        stored, model = self.pick(data)
        if model is not self.model or len(model) > 20:
            stored.clear()
            model.clear()

    # Lists. There is one at the start, so that there always is one to work on.

    @initialize()
    def first_list(self) -> None:
        self.db["l"] = self.model["l"] = []

    def pick_list(self, data: st.DataObject) -> tuple[Any, Any]:
        stored, model = self.pick(data, list)
        if model is None:
            stored = self.db.setdefault("l", [])
            model = self.model.setdefault("l", [])
            if not isinstance(model, list):
                self.db["l"] = self.model["l"] = []
                stored, model = self.db["l"], self.model["l"]
        return stored, model

    @rule(data=st.data(), index=INDEXES)
    def set_item(self, data: st.DataObject, index: int) -> None:
        stored, model = self.pick_list(data)
        new, expected = self.value(data)
        self.both(
            lambda: stored.__setitem__(index, new), lambda: model.__setitem__(index, expected)
        )

    @rule(data=st.data(), index=INDEXES)
    def insert(self, data: st.DataObject, index: int) -> None:
        stored, model = self.pick_list(data)
        new, expected = self.value(data)
        stored.insert(index, new)
        model.insert(index, expected)

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        stored, model = self.pick_list(data)
        new, expected = self.value(data)
        stored.append(new)
        model.append(expected)

    @rule(data=st.data(), new=st.lists(TREES, max_size=5), operator=st.booleans())
    def extend(self, data: st.DataObject, new: list[Any], operator: bool) -> None:
        stored, model = self.pick_list(data)
        if operator:
            stored += new
        else:
            stored.extend(new)
        model.extend(as_stored(new))

    @rule(data=st.data(), size=SIZES, place=INDEXES, long=st.booleans())
    def grow_list(self, data: st.DataObject, size: int, place: int, long: bool) -> None:
        stored, model = self.pick_list(data)
        new = [LONG_VALUE if long else at for at in range(size)]
        stored[place:place] = new
        model[place:place] = new
        assert len(stored) == len(model)

    @rule(data=st.data(), index=INDEXES, last=st.booleans())
    def pop_item(self, data: st.DataObject, index: int, last: bool) -> None:
        stored, model = self.pick_list(data)
        if last:
            self.both(lambda: stored.pop(), lambda: model.pop())
        else:
            self.both(lambda: stored.pop(index), lambda: model.pop(index))

    @rule(data=st.data(), index=st.one_of(INDEXES, SLICES))
    def delete_item(self, data: st.DataObject, index: Any) -> None:
        stored, model = self.pick_list(data)
        self.both(lambda: stored.__delitem__(index), lambda: model.__delitem__(index))

    @rule(data=st.data(), where=SLICES, new=st.lists(TREES, max_size=5), fit=st.booleans())
    def assign_slice(self, data: st.DataObject, where: slice, new: list[Any], fit: bool) -> None:
        stored, model = self.pick_list(data)
        if fit and new:
            new = [new[at % len(new)] for at in range(len(model[where]))]
        expected = as_stored(new)
        self.both(
            lambda: stored.__setitem__(where, new), lambda: model.__setitem__(where, expected)
        )

    @rule(data=st.data(), where=SLICES)
    def look_into_list(self, data: st.DataObject, where: slice) -> None:
        stored, model = self.pick_list(data)
        self.both(lambda: stored[where], lambda: model[where])
        self.both(lambda: list(stored), lambda: list(model))
        self.both(lambda: list(reversed(stored)), lambda: list(reversed(model)))
        assert len(stored) == len(model)

    @rule(data=st.data(), wanted=FINDABLE, start=INDEXES, stop=INDEXES)
    def search(self, data: st.DataObject, wanted: Any, start: int, stop: int) -> None:
        stored, model = self.pick_list(data)
        if model and data.draw(st.booleans(), label="there"):
            wanted = data.draw(st.sampled_from(model))
            if not isinstance(wanted, (int, str, bytes, type(None))):
                return  # comparing plain cycles has no end in Python
        model = [object() if isinstance(each, (dict, list)) else each for each in model]
        assert (wanted in stored) == (wanted in model)
        assert stored.count(wanted) == model.count(wanted)
        self.both(lambda: stored.index(wanted), lambda: model.index(wanted))
        self.both(
            lambda: stored.index(wanted, start, stop), lambda: model.index(wanted, start, stop)
        )

    @rule(data=st.data(), wanted=st.integers(-3, 3))
    def remove(self, data: st.DataObject, wanted: int) -> None:
        stored, model = self.pick_list(data)
        self.both(lambda: stored.remove(wanted), lambda: model.remove(wanted))

    @rule(data=st.data(), reverse=st.booleans())
    def sort(self, data: st.DataObject, reverse: bool) -> None:
        stored, model = self.pick_list(data)
        stored.sort(key=order_key, reverse=reverse)
        # Not in place: a list is empty while it sorts itself, and this one may be in itself.
        model[:] = sorted(model, key=order_key, reverse=reverse)

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        stored, model = self.pick_list(data)
        stored.reverse()
        model.reverse()

    @precondition(lambda self: sum(map(len, containers(self.model))) < 20_000)
    @rule(data=st.data(), times=st.integers(-1, 3))
    def repeat(self, data: st.DataObject, times: int) -> None:
        stored, model = self.pick_list(data)
        stored *= times
        model *= times

    # Everything.

    @rule()
    def compare(self) -> None:
        assert same_shape(self.db(), self.model)

    @rule()
    def reopen(self) -> None:
        if self.store != "memory":
            self.db.close()
            self.db = self.open()
            assert same_shape(self.db(), self.model)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        class Stop(Exception):
            pass

        with pytest.raises(Stop), self.db.transaction():
            stored, model = self.pick(data)
            if isinstance(model, dict):
                stored["undone"] = {"x": [1]}
            else:
                stored.append([[1]])
            stored.clear()
            raise Stop
        self.compare()

    def teardown(self) -> None:
        try:
            assert same_shape(self.db(), self.model)
            gc.collect()  # errors hold frames, and frames hold handles
            self.db.collect()
            report = self.db.check()
            assert report.ok, report.problems
            assert report.nodes == sum(1 for _ in containers(self.model))
        finally:
            self.db.close()
            shutil.rmtree(self.folder)


class SqlitePrograms(Programs):
    store = "sqlite"


class LazyPrograms(Programs):
    store = "lazy"


EXAMPLES = int(os.environ.get("GRAVEN_EXAMPLES", "60"))
TestInMemory = Programs.TestCase
TestInMemory.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
TestInSqlite = SqlitePrograms.TestCase
TestInSqlite.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
TestLazy = LazyPrograms.TestCase
TestLazy.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
