# SPDX-License-Identifier: MIT
"""graven.Map: opens a map; its views. The extension has most of its methods."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from datetime import timedelta
from typing import Any

from graven import _graven
from graven.options import Parameters, describe, takes
from graven.redis_clients import place_of
from graven.unflushed import has_opened, is_gone

__all__ = ["Map"]


class Map(_graven.FlatMap):
    """A flat mapping from str to values, kept in a file and used like a dict.

    A value is a str, bytes, number, bool, None or plain nested data (dicts with str keys, lists).
    Nested data is stored as one value: to change it, assign a new value. The keys are in the order
    of their UTF-8 bytes. incr(), add() and update_with() change a key depending on its value,
    without losing concurrent changes of others. A loop over a map may change and remove entries; if
    it adds keys, its next step raises RuntimeError. A file can have several maps, each with a name,
    and a DB. Close a map with close(), or use it in a with statement.

    Inside a transaction() of a DB on the same file, writes are part of the transaction; a map that
    is lazy or in memory refuses them there with UsageError.

    """

    _lazy: bool | None = None
    _client: object | None = None  # it may own the server

    @takes(_graven.FlatMap.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        arguments, options, self._client = place_of(arguments, options)
        super().__init__(*arguments, **options)
        has_opened(self, self.persist == "lazy")

    __signature__ = Parameters(_graven.FlatMap)

    def keys(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> KeysView[str]:
        """A live view of the keys, in the order of their UTF-8 bytes; it is a set.

        Without arguments it has all of them. Otherwise it has those that begin with `prefix`, that
        are not less than `start`, and that are less than `stop`; at most `limit` of them; from the
        last one to the first if `reverse` is true.

        """
        return MapKeys(self, prefix, start, stop, reverse, limit)

    def values(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> ValuesView[Any]:
        """A live view of the values; the arguments choose their keys, as in keys()."""
        return MapValues(self, prefix, start, stop, reverse, limit)

    def items(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> ItemsView[str, Any]:
        """A live view of the (key, value) pairs; it is a set. The arguments choose the keys, as in
        keys()."""
        return MapItems(self, prefix, start, stop, reverse, limit)

    def __reversed__(self) -> Iterator[str]:
        return _graven.iterate_map(self, "keys", reverse=True)

    def get_or_set(
        self, key: str, make: Callable[[], Any], ttl: float | timedelta | None = None
    ) -> Any:
        """Returns the value under a key. If it is missing, stores the result of make(), unless
        somebody else has set the key meanwhile, and returns what is stored. `ttl` is for a new key.
        Nothing is locked while make() runs: several threads or processes may run it at once."""
        value = self.get(key, _MISSING)
        return self.setdefault(key, make(), ttl=ttl) if value is _MISSING else value

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # The base class closes it, when no iterator uses it any more.
        is_gone(self, lambda: f"map {self.name!r} in {self.path!r}")


describe(Map, _graven.map_options())

# The abstract classes have the operators of sets; all views are live.


class _Range:
    """Which entries of a map a view has."""

    def __init__(
        self,
        mapping: Map,
        prefix: str = "",
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> None:
        self.mapping = mapping
        """The Map that this is a view of."""
        self._mapping = mapping
        self._bounds = prefix, start, stop
        self._reverse = bool(reverse)
        self._limit = limit
        self._whole = (prefix, start, stop, limit) == ("", None, None, None)
        self._steps("keys")  # an error now, not at the first step

    def _steps(self, part: str, turned: bool = False) -> Iterator[Any]:
        prefix, start, stop = self._bounds
        return _graven.iterate_map(
            self.mapping,
            part,
            prefix=prefix,
            start=start,
            stop=stop,
            reverse=self._reverse is not turned,
            limit=self._limit,
        )

    def _backwards(self, part: str) -> Iterator[Any]:
        # A limit counts from where the view begins.
        return self._steps(part, True) if self._limit is None else reversed(list(self._steps(part)))

    def _has_key(self, key: object) -> bool:
        if self._limit is not None:
            return any(each == key for each in self._steps("keys"))
        prefix, start, stop = self._bounds
        # str are compared by code points, which have the order of UTF-8.
        return self._whole or (
            isinstance(key, str)
            and key.startswith(prefix)
            and (start is None or start <= key)
            and (stop is None or key < stop)
        )

    def __len__(self) -> int:
        return len(self.mapping) if self._whole else sum(1 for _ in self._steps("keys"))


class MapKeys(_Range, KeysView[str]):
    """A live view of keys of a Map; it is a set."""

    def __contains__(self, key: object) -> bool:
        return self._has_key(key) and key in self.mapping

    def __iter__(self) -> Iterator[str]:
        return self._steps("keys")

    def __reversed__(self) -> Iterator[str]:
        return self._backwards("keys")

    def __repr__(self) -> str:
        return f"MapKeys({list(self)!r})"


class MapValues(_Range, ValuesView[Any]):
    """A live view of values of a Map."""

    def __contains__(self, value: object) -> bool:
        return any(_same(each, value) for each in self)

    def __iter__(self) -> Iterator[Any]:
        return self._steps("values")

    def __reversed__(self) -> Iterator[Any]:
        return self._backwards("values")

    def __repr__(self) -> str:
        return f"MapValues({list(self)!r})"


class MapItems(_Range, ItemsView[str, Any]):
    """A live view of (key, value) pairs of a Map; it is a set."""

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2 and self._has_key(item[0])):
            return False
        value = self.mapping.get(item[0], _MISSING)
        return value is not _MISSING and _same(value, item[1])

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._steps("items")

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        return self._backwards("items")

    def __repr__(self) -> str:
        return f"MapItems({list(self)!r})"


_MISSING = object()


def _same(stored: Any, value: object) -> bool:
    # In a container a NaN equals itself. A stored NaN has no identity, so here all NaNs are equal.
    return bool(stored is value or stored == value or (stored != stored and value != value))
