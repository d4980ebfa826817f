# SPDX-License-Identifier: MIT
"""What an adapter of a peer offers, and how one that is simply a mapping does it.

Each method does a whole stretch of work, so that a peer is not slowed down by the adapter and
each may use what its own manual advises for that work. Keys and values are text, also where a
peer has bytes only: what its user would write to get text back is part of its time.

The modes are classes of durability, and an adapter says in a comment how it gets them:

    lazy     nothing need be kept until flush()
    normal   a set that has returned survives a crash of the process
    full     ... and a loss of power: synced to the disk
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar


class Peer:
    """One open store. By default `self.store` is a mapping, and used as one."""

    name: ClassVar[str]
    package: ClassVar[str] = ""  # in requirements.txt; empty: comes with Python
    slow: ClassVar[bool] = False  # measured with fewer operations
    # What the peer cannot do -> why; keys are modes and names of operations.
    lacks: ClassVar[Mapping[str, str]] = {}
    # Whether a path that was closed may be opened again by the same process.
    reopens: ClassVar[bool] = True

    store: Any

    @classmethod
    def load(cls) -> str:
        """Imports the module and returns its version; raises when it is not there."""
        raise NotImplementedError

    def __init__(self, path: Path, mode: str) -> None:
        raise NotImplementedError

    def read(self, keys: Sequence[str]) -> None:
        store = self.store
        for key in keys:
            store[key]

    def read_many(self, keys: Sequence[str]) -> Any:
        store = self.store
        return [store[key] for key in keys]

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        store = self.store
        for key, value in items:
            store[key] = value

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.store.update(mapping)

    def items(self) -> Iterable[tuple[str, str]]:
        return self.store.items()

    def delete(self, keys: Sequence[str]) -> None:
        store = self.store
        for key in keys:
            del store[key]

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.store.close()
