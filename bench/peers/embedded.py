# SPDX-License-Identifier: MIT
"""graven.Map itself, dict, and the peers that keep a SQLite file: how each is used."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from .peer import Peer

NOTHING_ON_DISK = "keeps nothing on disk"


class Graven(Peer):
    name = "graven"

    @classmethod
    def load(cls) -> str:
        import graven

        if not hasattr(graven, "Map"):
            raise ImportError("this build of graven has no Map in Python")
        return graven.__version__

    def __init__(self, path: Path, mode: str) -> None:
        import graven

        self.store = graven.Map(
            str(path),
            persist="lazy" if mode == "lazy" else "writethrough",
            synchronous="full" if mode == "full" else "normal",
        )

    def read_many(self, keys: Sequence[str]) -> Any:
        return self.store.get_many(keys)

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.store.bulk_insert(mapping)

    def flush(self) -> None:
        self.store.flush()


class Dict(Peer):
    """What a program would have without any store."""

    name = "dict"
    lacks: ClassVar[Mapping[str, str]] = dict.fromkeys(("normal", "full", "open"), NOTHING_ON_DISK)

    @classmethod
    def load(cls) -> str:
        import platform

        return platform.python_version()

    def __init__(self, path: Path, mode: str) -> None:
        self.store = {}

    def close(self) -> None:
        self.store.clear()


class DictSqlite(Peer):
    # Values through its default storage, pickle, as graven's may be of any type too. Its
    # writethrough mode is WAL with synchronous=NORMAL (fixed): the class "normal".
    name = "dictsqlite"
    package = "dictsqlite"
    lacks: ClassVar[Mapping[str, str]] = {"full": "its synchronous is fixed at NORMAL"}

    @classmethod
    def load(cls) -> str:
        from importlib.metadata import version

        import dictsqlite  # noqa: F401

        return version("dictsqlite")

    def __init__(self, path: Path, mode: str) -> None:
        from dictsqlite import DictSQLite

        persist = "lazy" if mode == "lazy" else "writethrough"
        self.store = DictSQLite(str(path), persist_mode=persist)

    # batch_set() is its fast way (bulk_insert() sets one key at a time), but batches are of
    # bytes as they are stored: the pickles are made and read here.
    def read_many(self, keys: Sequence[str]) -> Any:
        found = self.store.batch_get(keys)
        return [pickle.loads(found[key]) for key in keys]

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.store.batch_set({key: pickle.dumps(value) for key, value in mapping.items()})

    def flush(self) -> None:
        self.store.flush()


class Sqlitedict(Peer):
    # lazy: autocommit off and one commit(), as its README advises for many writes.
    # normal: autocommit in WAL mode. It always sets synchronous=OFF, and an autocommit returns
    #   before the thread that writes has committed, so this is less than the class asks.
    # full: PRAGMA synchronous=FULL through its own connection, and a commit that is waited for.
    name = "sqlitedict"
    package = "sqlitedict"
    slow = True

    @classmethod
    def load(cls) -> str:
        import sqlitedict

        return sqlitedict.__version__

    def __init__(self, path: Path, mode: str) -> None:
        from sqlitedict import SqliteDict

        self.mode = mode
        self.store = SqliteDict(str(path), autocommit=mode == "normal", journal_mode="WAL")
        if mode == "full":
            self.store.conn.execute("PRAGMA synchronous = FULL")
            if self.store.conn.select_one("PRAGMA synchronous") != (2,):
                raise RuntimeError("sqlitedict's connection did not take synchronous=FULL")

    def write(self, items: Iterable[tuple[str, str]]) -> None:
        store = self.store
        if self.mode == "full":
            for key, value in items:
                store[key] = value
                store.commit()
        else:
            super().write(items)

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.store.update(mapping)
        self.store.commit()

    def flush(self) -> None:
        self.store.commit()


class Diskcache(Peer):
    # Without eviction, which graven does not do either. Its default is WAL with NORMAL; it has
    # no lazy mode, so lazy is synchronous=OFF.
    name = "diskcache"
    package = "diskcache"
    slow = True

    @classmethod
    def load(cls) -> str:
        import diskcache

        return diskcache.__version__

    def __init__(self, path: Path, mode: str) -> None:
        from diskcache import Cache

        self.store = Cache(
            str(path),
            eviction_policy="none",
            cull_limit=0,
            size_limit=2**40,
            sqlite_synchronous={"lazy": 0, "normal": 1, "full": 2}[mode],
        )

    def write_all(self, mapping: Mapping[str, str]) -> None:
        store = self.store
        with store.transact():
            for key, value in mapping.items():
                store[key] = value

    def items(self) -> Iterable[tuple[str, str]]:
        store = self.store
        return ((key, store[key]) for key in store)


class Etcher(Peer):
    # One dict in its graph. WAL with synchronous=NORMAL, fixed.
    name = "etcher"
    package = "etcher"
    slow = True
    reopens = False
    lacks: ClassVar[Mapping[str, str]] = {
        "full": "its synchronous is fixed at NORMAL",
        "lazy": "every write is a commit",
    }

    @classmethod
    def load(cls) -> str:
        from importlib.metadata import version

        import etcher  # noqa: F401

        return version("etcher")

    def __init__(self, path: Path, mode: str) -> None:
        import etcher

        self.database = etcher.DB(str(path))
        if "data" not in self.database:
            self.database["data"] = {}
        self.store = self.database["data"]

    def write_all(self, mapping: Mapping[str, str]) -> None:
        self.database["data"] = dict(mapping)
        self.store = self.database["data"]

    def close(self) -> None:
        self.database.shutdown()


PEERS: list[type[Peer]] = [Graven, Dict, DictSqlite, Sqlitedict, Diskcache, Etcher]
