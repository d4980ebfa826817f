# SPDX-License-Identifier: MIT
"""graven.aio.AsyncMap: a Map for asyncio. Reads that memory can answer need no thread."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import graven
from graven import _graven
from graven.aio.opening import Opening
from graven.aio.workers import reading, transaction_thread, writing
from graven.options import Parameters, takes

_AT_A_TIME = 256  # values of an iteration
_AT_ONCE = 1000  # keys that the event loop itself looks up
_UNKNOWN = object()
_MISSING = object()


class AsyncMap(Opening[graven.Map]):
    """A graven.Map whose methods are awaited. It takes the same arguments as Map.

    Open it with `async with AsyncMap(path) as m:`, or with `m = await AsyncMap.open(path)` and
    close() at the end. Iterate with `async for key in m`, or over m.keys(), values() and items().
    An iteration has the keys that exist at its start; values() and items() leave out keys that are
    removed before they are reached. Everything that a task does while it is in a transaction() of
    an aio.DB on the same file is part of that transaction.
    """

    _kind, _shown = "map", "AsyncMap"

    @takes(graven.Map.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(graven.Map, *arguments, **options)

    __signature__ = Parameters(_graven.FlatMap)

    async def get(self, key: str, default: Any = None) -> Any:
        """The value under a key, or the default."""
        value = _UNKNOWN
        if transaction_thread() is None:
            value = _graven.peek(self._sync, key, default, _UNKNOWN)
        if value is _UNKNOWN:
            value = await reading().run(self._sync.get, key, default)
        return value

    async def contains(self, key: str) -> bool:
        """Whether the key exists."""
        return await self.get(key, _MISSING) is not _MISSING

    async def get_many(self, keys: Iterable[str], default: Any = None) -> list[Any]:
        """The values of many keys, all of one state of the map; the default for a missing key."""
        if not isinstance(keys, (list, tuple, str)):
            keys = list(keys)
        if len(keys) <= _AT_ONCE and transaction_thread() is None:
            known = _graven.peek_many(self._sync, keys, default)
            if known is not None:
                return known
        return await reading().run(self._sync.get_many, keys, default)

    async def set(self, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """Sets a key; after its time to live, in seconds, it is removed."""
        inside = transaction_thread() is not None
        if inside or ttl is not None or not _graven.try_set(self._sync, key, value):
            await writing().run(self._sync.set, key, value, ttl)

    async def setdefault(
        self, key: str, default: Any = None, ttl: float | timedelta | None = None
    ) -> Any:
        """Returns the value under a key, or stores the default and returns it, in one step. `ttl`
        is for a new key."""
        return await writing().run(functools.partial(self._sync.setdefault, key, default, ttl=ttl))

    async def get_or_set(
        self, key: str, make: Callable[[], Any], ttl: float | timedelta | None = None
    ) -> Any:
        """Returns the value under a key. If it is missing, stores the result of make(), which may
        be awaitable, unless somebody else has set the key meanwhile, and returns what is stored.
        `ttl` is for a new key."""
        value = await self.get(key, _MISSING)
        if value is not _MISSING:
            return value
        made = make()
        if inspect.isawaitable(made):
            made = await made
        return await self.setdefault(key, made, ttl)

    async def touch(self, key: str, ttl: float | timedelta | None) -> bool:
        """Gives a key a new time to live, in seconds from now; with None it stays. Returns False if
        it is missing."""
        return await writing().run(self._sync.touch, key, ttl)

    async def expire_at(self, key: str, when: float | datetime) -> bool:
        """Lets a key expire at a time; if that has passed, the key is removed. Returns False if it
        is missing; see graven.Map.expire_at."""
        return await writing().run(self._sync.expire_at, key, when)

    async def ttl(self, key: str) -> float | None:
        """How many seconds a key will live; None if it stays. KeyNotFound if it is missing."""
        return await reading().run(self._sync.ttl, key)

    async def update(self, /, *other: Any, **kwargs: Any) -> None:
        """Sets the entries of a mapping, an iterable of pairs and keywords, in one step. ttl: as in
        set(), for each of them; a key with the name `ttl` must be in the mapping."""
        await writing().run(functools.partial(self._sync.update, *other, **kwargs))

    async def bulk_insert(
        self,
        entries: Mapping[str, Any] | Iterable[tuple[str, Any]],
        ttl: float | timedelta | None = None,
    ) -> None:
        """update() under another name."""
        await writing().run(self._sync.bulk_insert, entries, ttl)

    async def incr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """Adds to the number under a key and returns the sum, in one step; see graven.Map.incr."""
        return await writing().run(self._sync.incr, key, by, default, ttl)

    async def decr(
        self, key: str, by: float = 1, default: float = 0, ttl: float | timedelta | None = None
    ) -> Any:
        """Subtracts from the number under a key and returns the difference, in one step."""
        return await writing().run(self._sync.decr, key, by, default, ttl)

    async def add(self, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """Sets a key if it is missing, in one step; returns False if it exists."""
        return await writing().run(self._sync.add, key, value, ttl)

    async def update_with(
        self, key: str, function: Callable[[Any], Any], default: Any = _MISSING
    ) -> Any:
        """Replaces the value under a key by function(value), called in a thread, in one step, and
        returns the new value; see graven.Map.update_with."""
        context = contextvars.copy_context()
        rest = () if default is _MISSING else (default,)
        return await writing().run(
            self._sync.update_with, key, lambda old: context.run(function, old), *rest
        )

    async def delete(self, key: str) -> None:
        """Removes a key; KeyNotFound if it is missing."""
        await writing().run(self._sync.__delitem__, key)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Removes the given keys in one step; returns how many of them existed."""
        return await writing().run(self._sync.delete_many, keys)

    async def pop(self, key: str, *default: Any) -> Any:
        """Removes a key and returns its value, or the default."""
        return await writing().run(self._sync.pop, key, *default)

    async def pop_many(self, keys: Iterable[str], default: Any = None) -> list[Any]:
        """Removes the given keys in one step and returns their values; the default for a missing
        key."""
        return await writing().run(self._sync.pop_many, keys, default)

    async def popitem(self) -> tuple[str, Any]:
        """Removes the entry with the first key and returns it."""
        return await writing().run(self._sync.popitem)

    async def first(self) -> tuple[str, Any] | None:
        """The (key, value) pair with the first key, or None if the map is empty."""
        return await reading().run(self._sync.first)

    async def last(self) -> tuple[str, Any] | None:
        """The (key, value) pair with the last key, or None if the map is empty."""
        return await reading().run(self._sync.last)

    async def clear(self) -> None:
        """Removes everything."""
        await writing().run(self._sync.clear)

    async def size(self) -> int:
        """The number of entries."""
        return await reading().run(self._sync.__len__)

    async def copy(self) -> dict[str, Any]:
        """A plain dict of everything in the map."""
        return await reading().run(self._sync.copy)

    def __aiter__(self) -> AsyncIterator[str]:
        return self.keys()

    def keys(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[str]:
        """The keys, for `async for`; with arguments, those of a range: see graven.Map.keys."""
        return self._steps("keys", prefix, start, stop, reverse, limit)

    def values(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Any]:
        """The values, for `async for`; the arguments choose their keys, as in keys()."""
        return self._steps("values", prefix, start, stop, reverse, limit)

    def items(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[tuple[str, Any]]:
        """The (key, value) pairs, for `async for`; the arguments choose the keys, as in keys()."""
        return self._steps("items", prefix, start, stop, reverse, limit)

    async def _steps(
        self,
        part: str,
        prefix: str,
        start: str | None,
        stop: str | None,
        reverse: bool,
        limit: int | None,
    ) -> AsyncIterator[Any]:
        found = _graven.iterate_map(
            self._sync,
            "keys",
            prefix=prefix,
            start=start,
            stop=stop,
            reverse=reverse,
            limit=limit,
        )
        keys: list[str] = await reading().run(list, found)
        if part == "keys":
            for key in keys:
                yield key
            return
        for at in range(0, len(keys), _AT_A_TIME):
            some = keys[at : at + _AT_A_TIME]
            for key, value in zip(some, await self.get_many(some, _MISSING)):
                if value is not _MISSING:
                    yield value if part == "values" else (key, value)

    async def flush(self) -> None:
        """Returns when everything that was written before is in the file."""
        await writing().run(self._sync.flush)

    async def wait_durable(self) -> None:
        """Calls flush(), and returns when the writes survive a power failure."""
        await writing().run(self._sync.wait_durable)

    async def metrics(self) -> str:
        """stats() in Prometheus' text format, for the program to serve."""
        return await reading().run(self._sync.metrics)

    async def stats(self) -> graven.MapStats:
        """What is in memory, what answered the reads, and what waits for the disk."""
        return await reading().run(self._sync.stats)

    @property
    def name(self) -> str:
        """The map's name in its file."""
        return self._sync.name

    def __repr__(self) -> str:
        return f"<graven.aio.AsyncMap {'not open' if self._opened is None else repr(self._opened)}>"
