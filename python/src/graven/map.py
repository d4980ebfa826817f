# SPDX-License-Identifier: MIT
"""graven.Map: opening a map, its views, and the little else of it that is Python."""

from __future__ import annotations

import os
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from graven import _graven
from graven.unflushed import has_opened, is_gone

__all__ = ["Map"]


class Map(_graven.FlatMap):
    """A flat mapping from str to values, kept in a file and used like a dict.

    A value is a str, bytes, number, bool, None or plain nested data (dicts with str keys, lists),
    which is stored as one value: change it by assigning it anew. The keys are in order of their
    UTF-8 bytes. incr(), add() and update_with() change a key by what is there, without losing what
    others do meanwhile. A loop over a map may change and remove what is there; if it adds keys, its
    next step raises RuntimeError. Several maps live in one file, beside its DB, each under a name.
    Close it with close(), or use it in a with statement.

    In a transaction() of a DB on the same file, writes are part of it; a map that is lazy or in
    memory refuses them there with UsageError.

    persist: "writethrough" (a write is in the file when it returns), "lazy" (writes are flushed
        in the background, at the latest by flush() and close()) or "memory" (nothing is stored).
    hot_capacity: how many keys are kept in memory for reading.
    flush_interval: seconds between two flushes of a lazy map.
    warm_bytes: room on the disk, beside the file, for what falls out of memory: it is found there
        sooner than in the store. Taken when it is first needed, and given back with the process;
        at least 64 KB, or 0: none.
    pending_limit: from so many bytes of unflushed writes on, writers of a lazy map wait.
    memory_mb: as for DB, for the whole file.
    read_only: nothing can be written through this object.
    create: make a store where there is none; with False that raises UnavailableError.
    synchronous: "normal" (a write survives a crash of the process), "full" (a loss of power too)
        or "off" (an orderly exit only).
    busy_timeout: how many seconds a write waits for other writers before BusyError.
    slow_operation: as for DB, for the whole file.
    allow_network_file_system: open a file on NFS, SMB and the like, which is refused otherwise.
    """

    _lazy: bool | None = None

    def __init__(
        self,
        path_or_url: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        name: str = "main",
        persist: str = "writethrough",
        hot_capacity: int = 1_000_000,
        flush_interval: float = 1.0,
        *,
        warm_bytes: int = 64 << 20,
        pending_limit: int = 256 << 20,
        memory_mb: int = 0,
        read_only: bool = False,
        create: bool = True,
        synchronous: str = "normal",
        busy_timeout: float = 30.0,
        slow_operation: float = 0.0,
        allow_network_file_system: bool = False,
    ) -> None:
        super().__init__(
            path_or_url,
            name=name,
            persist=persist,
            hot_capacity=hot_capacity,
            flush_interval=flush_interval,
            warm_bytes=warm_bytes,
            pending_limit=pending_limit,
            memory_mb=memory_mb,
            read_only=read_only,
            create=create,
            synchronous=synchronous,
            busy_timeout=busy_timeout,
            slow_operation=slow_operation,
            allow_network_file_system=allow_network_file_system,
        )
        has_opened(self, persist == "lazy")

    def keys(self) -> KeysView[str]:
        """A live view of the keys: a set."""
        return MapKeys(self)

    def values(self) -> ValuesView[Any]:
        """A live view of the values."""
        return MapValues(self)

    def items(self) -> ItemsView[str, Any]:
        """A live view of the (key, value) pairs: a set."""
        return MapItems(self)

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Closed by what it is made of, as soon as no iterator uses it any more.
        is_gone(self, lambda: f"map {self.name!r} in {self.path!r}")


# The sets' operators are those of the abstract classes; what is looked at is the map as it is.


class MapKeys(KeysView[str]):
    """The keys of a Map as they are now: a set."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, key: object) -> bool:
        return key in self._mapping

    def __iter__(self) -> Iterator[str]:
        return _graven.iterate_map(self._mapping, "keys")

    def __repr__(self) -> str:
        return f"MapKeys({list(self)!r})"


class MapValues(ValuesView[Any]):
    """The values of a Map as they are now."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, value: object) -> bool:
        return any(_same(each, value) for each in self)

    def __iter__(self) -> Iterator[Any]:
        return _graven.iterate_map(self._mapping, "values")

    def __repr__(self) -> str:
        return f"MapValues({list(self)!r})"


class MapItems(ItemsView[str, Any]):
    """The (key, value) pairs of a Map as they are now: a set."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2):
            return False
        value = self._mapping.get(item[0], _MISSING)
        return value is not _MISSING and _same(value, item[1])

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return _graven.iterate_map(self._mapping, "items")

    def __repr__(self) -> str:
        return f"MapItems({list(self)!r})"


_MISSING = object()


def _same(stored: Any, value: object) -> bool:
    # A NaN equals itself in a container; which one was stored cannot be told any more.
    return bool(stored is value or stored == value or (stored != stored and value != value))
