# SPDX-License-Identifier: MIT
"""Wrong arguments are told in one readable line, whichever call it is."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import graven
from graven import DB, Map, _graven


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DB]:
    with DB(tmp_path / "s.db") as opened:
        opened["d"] = {"a": 1}
        opened["l"] = [1]
        yield opened


PATH = "str, bytes or os.PathLike"
INSIDE = "a path is a str, 'tasks/T1', or a sequence of str and int, not a"


def test_examples(db: Any, tmp_path: Path) -> None:
    items, path, wrong = db["l"], tmp_path / "x.db", object()
    g: Any = graven
    with g.Map("x", persist="memory") as m:
        for call, text in (
            (lambda: g.DB(5), "DB(): path_or_url must be str, bytes, os.PathLike or None, not int"),
            (lambda: g.Map(None), f"Map(): path_or_url must be {PATH}, not None"),
            (lambda: g.DB(path, busy_timeout="x"), "DB(): busy_timeout must be float, not str"),
            (lambda: g.Map(path, hot_capacity=1.5), "Map(): hot_capacity must be int, not float"),
            (lambda: db.with_prefix(5), "DB(): prefix must be str, not int"),
            (lambda: db.set_prefix(db), "set_prefix(): prefix must be str, not DB"),
            (
                lambda: db.watch(items),
                f"{INSIDE} List",
            ),
            (
                lambda: db.watch(b"x"),
                f"{INSIDE} bytes",
            ),
            (lambda: db.wait("a", "x"), "timeout must be a number of seconds or None, not str"),
            (lambda: db.transaction(durable=1), "transaction(): durable must be bool, not int"),
            (
                lambda: db.transaction(True),
                "transaction() takes at most 0 arguments by position, not 1",
            ),
            (lambda: db.backup(5), f"backup(): path must be {PATH}, not int"),
            (lambda: db.backup(path, overwrite="x"), "backup(): overwrite must be bool, not str"),
            (lambda: db.bulk_import("x"), "BulkImport(): cache_mb must be int, not str"),
            (
                lambda: db.delete_prefix_batch("p", wrong),
                "delete_prefix_batch(): count must be int, not object",
            ),
            (lambda: db.connection().execute(wrong), "execute(): sql must be str, not object"),
            (lambda: items.insert(1), "insert() lacks the argument 'value'"),
            (lambda: items.append(), "append() lacks the argument 'value'"),
            (lambda: items.sort(bykey=1), "sort() has no argument 'bykey'"),
            (lambda: items.sort(str), "sort() takes at most 0 arguments by position, not 1"),
            (lambda: db["d"].get(), "get() lacks the argument 'key'"),
            (lambda: db["d"].get("a", default=1), "get() takes 'default' by position"),
            (lambda: db["d"].pop("a", 1, 2), "pop() takes at most 2 arguments by position, not 3"),
            (lambda: m.get(), "get() lacks the argument 'key'"),
            (lambda: m.get("a", default=1), "get() takes its arguments by position"),
            (lambda: m.get("a", 1, 2), "get() takes at most 2 arguments by position, not 3"),
            (lambda: m.set("a"), "set() lacks the argument 'value'"),
            (lambda: m.set("a", 1, key="b"), "set() was given 'key' twice"),
            (lambda: m.update({}, {}), "update() takes at most 1 argument by position, not 2"),
            (lambda: g.Dict(), "Dict() lacks the argument 'db'"),
            (lambda: g.List(5), "List(): db must be Dict, not int"),
            (
                lambda: g.restore(5, path),
                f"restore(): backup must be {PATH}, not int",
            ),
        ):
            with pytest.raises(graven.WrongTypeError) as caught:
                call()
            assert str(caught.value) == text
    assert not path.exists()


def test_numbers_and_texts_that_do_not_fit(db: DB, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    none: Any = None
    five: Any = 5
    for call, kind, text in (
        (lambda: DB(path, pending_limit=2**70), graven.LimitError, "pending_limit is 0x4"),
        (lambda: DB(path, pending_limit=2**200), graven.LimitError, "pending_limit is too large"),
        (lambda: DB(path, busy_timeout=10**400), graven.LimitError, "busy_timeout is too large"),
        (lambda: DB(path, busy_timeout=-(10**400)), graven.LimitError, "busy_timeout is too small"),
        (lambda: db.backup(path, pages_per_step=2**40), graven.UsageError, "less than 2"),
        (lambda: db.backup(path, pages_per_step=0), graven.UsageError, "at least 1"),
        (lambda: DB(path, checkpoint=none), graven.UsageError, "checkpoint is 'None': give one of"),
        (lambda: DB(path, temp_store=five), graven.UsageError, "temp_store is '5': give one of"),
        (lambda: DB(path, pool_size=none), graven.UsageError, "pool_size is 'None': give a number"),
        (lambda: DB(path, checkpoint="\ud800"), graven.BadValueError, "UTF-8 can hold: checkpoint"),
        (lambda: db.delete_prefix_batch("p", -1), graven.LimitError, "must not be negative"),
        (lambda: db.set_prefix("\ud800"), graven.BadValueError, "prefix has a lone surrogate"),
        (lambda: db.connection().execute("\ud800"), graven.BadValueError, "sql has a lone"),
    ):
        with pytest.raises(kind, match=text):
            call()
    assert not path.exists()


def functions() -> list[tuple[str, Any]]:
    found = []
    for name, each in vars(_graven).items():
        if inspect.isclass(each):
            found += [(f"{name}.{key}", value) for key, value in vars(each).items()]
        else:
            found.append((name, each))
    return [(name, each) for name, each in found if hasattr(each, "__nb_signature__")]


def test_every_bound_function(db: DB) -> None:
    """Called with nothing, too much, and objects of a type nobody takes."""
    with Map("x", persist="memory") as m, db.snapshot() as snapshot:
        things: list[Any] = [db["d"], db["l"], m, db, snapshot, db.transactor(), db["d"].keys()]
        things += [db["d"].values(), db["d"].items(), db.connection(), db.transaction()]
        wrong = object()
        refused = 0
        # What ends or waits for something is for other tests.
        calm = [each for each in functions() if not each[0].endswith((".close", ".__enter__"))]
        for (name, function), thing in itertools.product(calm, [None, *things]):
            if name.endswith("__init__"):
                name = name.partition(".")[0]
                function, thing = getattr(_graven, name), None
            first = () if thing is None else (thing,)
            for arguments, keywords in (
                ((*first, *[wrong] * 20), {}),
                (first, {"no_such_argument": wrong}),
                ((*first, wrong), {"no_such_argument": wrong}),
            ):
                try:
                    function(*arguments, **keywords)
                except TypeError as error:
                    refused += 1
                    assert "\n" not in str(error) and "incompatible" not in str(error), name
                    assert "do not fit" not in str(error), name
                except graven.Error:
                    pass
        assert refused > 1000
