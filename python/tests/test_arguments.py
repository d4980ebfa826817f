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
from graven import DB, Dict, List, Map, _graven


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DB]:
    with DB(tmp_path / "s.db") as opened:
        opened["d"] = {"a": 1}
        opened["l"] = [1]
        yield opened


def test_examples(db: DB, tmp_path: Path) -> None:
    l, path = db["l"], tmp_path / "x.db"  # noqa: E741
    wrong: Any = object()
    with Map("x", persist="memory") as m:
        for call, text in (
            (lambda: DB(5), "DB(): path_or_url must be str, bytes, os.PathLike or None, not int"),  # type: ignore[arg-type]
            (lambda: Map(None), "Map(): path_or_url must be str, bytes or os.PathLike, not None"),  # type: ignore[arg-type]
            (lambda: DB(path, busy_timeout="x"), "DB(): busy_timeout must be float, not str"),  # type: ignore[arg-type]
            (lambda: Map(path, hot_capacity=1.5), "Map(): hot_capacity must be int, not float"),  # type: ignore[arg-type]
            (lambda: db.with_prefix(5), "DB(): prefix must be str, not int"),  # type: ignore[arg-type]
            (lambda: db.set_prefix(db), "set_prefix(): prefix must be str, not DB"),  # type: ignore[arg-type]
            (lambda: db.watch(l), "a path is a str, 'tasks/T1', or a list or tuple of str and int, not a List"),
            (lambda: db.watch(b"x"), "a path is a str, 'tasks/T1', or a list or tuple of str and int, not a bytes"),  # type: ignore[arg-type]
            (lambda: db.wait("a", "x"), "timeout must be a number of seconds or None, not str"),  # type: ignore[arg-type]
            (lambda: db.transaction(durable=1), "transaction(): durable must be bool, not int"),  # type: ignore[arg-type]
            (lambda: db.transaction(True), "transaction() takes at most 0 arguments by position, not 1"),  # type: ignore[misc]
            (lambda: db.backup(5), "backup(): path must be str, bytes or os.PathLike, not int"),  # type: ignore[arg-type]
            (lambda: db.backup(path, overwrite="x"), "backup(): overwrite must be bool, not str"),  # type: ignore[arg-type]
            (lambda: db.bulk_import("x"), "BulkImport(): cache_mb must be int, not str"),  # type: ignore[arg-type]
            (lambda: db.delete_prefix_batch("p", wrong), "delete_prefix_batch(): count must be int, not object"),
            (lambda: db.connection().execute(wrong), "execute(): sql must be str, not object"),
            (lambda: l.insert(1), "insert() lacks the argument 'value'"),  # type: ignore[call-arg]
            (lambda: l.append(), "append() lacks the argument 'value'"),  # type: ignore[call-arg]
            (lambda: l.sort(bykey=1), "sort() has no argument 'bykey'"),  # type: ignore[call-arg]
            (lambda: l.sort(str), "sort() takes at most 0 arguments by position, not 1"),  # type: ignore[misc]
            (lambda: db["d"].get(), "get() lacks the argument 'key'"),
            (lambda: db["d"].get("a", default=1), "get() takes 'default' by position"),
            (lambda: db["d"].pop("a", 1, 2), "pop() takes at most 2 arguments by position, not 3"),
            (lambda: m.get(), "get() lacks the argument 'key'"),  # type: ignore[call-arg]
            (lambda: m.get("a", 1, 2), "get() takes at most 2 arguments by position, not 3"),  # type: ignore[call-arg]
            (lambda: m.set("a"), "set() lacks the argument 'value'"),  # type: ignore[call-arg]
            (lambda: m.set("a", 1, key="b"), "set() was given 'key' twice"),  # type: ignore[misc]
            (lambda: m.update({}, {}), "update() takes at most 1 argument by position, not 2"),  # type: ignore[call-arg]
            (lambda: Dict(), "Dict() lacks the argument 'db'"),  # type: ignore[call-arg]
            (lambda: List(5), "List(): db must be Dict, not int"),  # type: ignore[arg-type]
            (lambda: graven.restore(5, path), "restore(): backup must be str, bytes or os.PathLike, not int"),  # type: ignore[arg-type]
        ):
            with pytest.raises(graven.WrongTypeError) as caught:
                call()
            assert str(caught.value) == text
    assert not path.exists()


def test_numbers_and_texts_that_do_not_fit(db: DB, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for call, kind, text in (
        (lambda: DB(path, pending_limit=2**70), graven.LimitError, "pending_limit is 0x4"),
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
