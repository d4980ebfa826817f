# SPDX-License-Identifier: MIT
"""The cases graven is measured by against etcher, as data.

Each case has a `setup` that gets an open database (graven's or etcher's: the API they share) and
returns what `run` needs, and a `run` that does `count` operations. Both libraries run the very same
functions. `bar` is the least ratio (etcher's time over graven's) that is asked for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIVE_FIELDS = {"id": 1, "name": "Ada Lovelace", "score": 99.5, "active": True, "city": "London"}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    bar: float
    count: int
    setup: Callable[[Any], Any]
    run: Callable[[Any, Any, int], None]
    slow_count: int = 0  # for etcher, where `count` would take minutes; times are per operation


def nothing(db: Any) -> None:
    return None


def new_dicts(db: Any, _: Any, count: int) -> None:
    for i in range(count):
        db[f"record{i}"] = {**FIVE_FIELDS, "id": i}


def one_record(db: Any) -> Any:
    db["record"] = dict(FIVE_FIELDS)
    return db["record"]


def overwrite(_: Any, record: Any, count: int) -> None:
    for i in range(count):
        record["score"] = i


def empty_list(db: Any) -> Any:
    db["list"] = []
    return db["list"]


def append(_: Any, items: Any, count: int) -> None:
    for i in range(count):
        items.append(i)


def list_of_1000(db: Any) -> Any:
    db["list"] = list(range(1000))
    return db["list"]


def pop_front(_: Any, items: Any, count: int) -> None:
    for _i in range(count):
        items.pop(0)


def three_deep(db: Any) -> None:
    db["a"] = {"b": {"c": "found", "d": 1}, "e": 2}


def read_depth_3(db: Any, _: Any, count: int) -> None:
    for _i in range(count):
        db["a"]["b"]["c"]


def subtree(nodes: int) -> dict[str, Any]:
    """A tree of that many dicts and lists: one dict of dicts with two fields each."""
    return {f"child{i}": {"id": i, "name": f"node {i}"} for i in range(nodes - 1)}


def assign_subtree(db: Any, _: Any, count: int) -> None:
    for i in range(count):
        db[f"tree{i}"] = subtree(1000)


def several_subtrees(db: Any) -> None:
    for i in range(5):
        db[f"tree{i}"] = subtree(1000)


def delete_subtree(db: Any, _: Any, count: int) -> None:
    for i in range(count):
        del db[f"tree{i}"]


def large_tree(db: Any) -> Any:
    db["large"] = subtree(10_000)
    return db["large"]


def materialise(_: Any, node: Any, count: int) -> None:
    for _i in range(count):
        node()


CASES = [
    Case("new five-field dict", 8, 2000, nothing, new_dicts),
    Case("overwrite a field", 4, 5000, one_record, overwrite),
    Case("append", 3, 5000, empty_list, append),
    Case("pop(0) of 1,000", 1000, 500, list_of_1000, pop_front, slow_count=3),
    Case("read at depth 3", 60, 10_000, three_deep, read_depth_3),
    Case("assign a 1,000-node subtree", 30, 5, nothing, assign_subtree, slow_count=2),
    Case("delete a 1,000-node subtree", 30, 5, several_subtrees, delete_subtree, slow_count=2),
    Case("materialise 10,000 nodes", 12, 3, large_tree, materialise, slow_count=1),
]


def remove_store(path: Path) -> None:
    """Deletes a store and the files beside it."""
    for file in path.parent.glob(path.name + "*"):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()
