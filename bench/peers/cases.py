# SPDX-License-Identifier: MIT
"""The cases of `make bench-peers` as data, and the keys and values they use.

A case says on what store it runs, what is timed, how many operations a turn has (fewer for peers
marked slow), and what is asked: for a rival, at least how many times its rate.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

ENTRIES = 100_000
BATCH = 1000

# Stores with a file of their own that graven must be ahead of.
FILES = ("sqlitedict", "diskcache", "shelve", "lmdb", "rocksdict")
AHEAD = dict.fromkeys(FILES, 1.0)


@dataclass(frozen=True)
class Case:
    """One row for each peer."""

    name: str
    mode: str  # of peer.py
    operation: str  # what runner.py times
    count: int
    slow_count: int
    bars: Mapping[str, float] = field(default_factory=dict)
    filled: bool = False  # on the store of ENTRIES entries
    unit: str = "s"


CASES = [
    Case(
        f"get, {ENTRIES:,} in random order",
        "normal",
        "read",
        ENTRIES,
        5000,
        {"dict": 0.8, "dictsqlite": 3, **AHEAD},
        filled=True,
    ),
    Case("get, 1,000 in a loop", "normal", "read in a loop", 100, 2, {"dict": 1 / 3}, filled=True),
    Case(
        "get_many of 1,000, a loop for dict",
        "normal",
        "read_many",
        ENTRIES,
        5000,
        {"dict": 2},
        filled=True,
    ),
    Case("iterate over keys and values", "normal", "iterate", ENTRIES, ENTRIES, filled=True),
    Case("set, lazy", "lazy", "write", 20_000, 2000, {"dictsqlite": 3}),
    Case("set, lazy, and flush", "lazy", "write and flush", 20_000, 2000),
    Case("set, process-crash safe", "normal", "write", 3000, 1000, {"dictsqlite": 3}),
    Case("set, synced", "full", "write", 300, 300, AHEAD),
    Case("delete, process-crash safe", "normal", "delete", 3000, 1000, filled=True),
    Case(
        f"open with {ENTRIES:,} entries and read one",
        "normal",
        "open",
        1,
        1,
        filled=True,
    ),
]

# Each turn of these makes a store anew; the last one's is the filled store of the others.
BULK = Case(
    f"bulk_insert of {ENTRIES:,}", "normal", "bulk_insert", ENTRIES, ENTRIES, {"dictsqlite": 3}
)
SIZE = Case(f"file size, {ENTRIES:,} entries", "normal", "file size", 1, 1, unit="bytes")


def entry(number: int) -> tuple[str, str]:
    return f"key_{number:08}", f"value_{number:06}"


def entries() -> dict[str, str]:
    return dict(entry(number) for number in range(ENTRIES))


def ballast() -> dict[str, str]:
    """What is in a store before sets are measured: more bytes than any peer's log keeps before it
    starts over, so that all of them write over blocks that the file has, as they would in use."""
    return {f"ballast_{number:05}": "x" * 500 for number in range(20_000)}


def shuffled(keys: list[str]) -> list[str]:
    result = list(keys)
    random.Random(11).shuffle(result)
    return result
