# SPDX-License-Identifier: MIT
"""graven.Map: opens a map; its views. The extension has most of its methods."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from graven import _graven
from graven.options import Parameters, describe, takes
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

    @takes(_graven.FlatMap.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        has_opened(self, self.persist == "lazy")

    __signature__ = Parameters(_graven.FlatMap)

    def keys(self) -> KeysView[str]:
        """A live view of the keys; it is a set."""
        return MapKeys(self)

    def values(self) -> ValuesView[Any]:
        """A live view of the values."""
        return MapValues(self)

    def items(self) -> ItemsView[str, Any]:
        """A live view of the (key, value) pairs; it is a set."""
        return MapItems(self)

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # The base class closes it, when no iterator uses it any more.
        is_gone(self, lambda: f"map {self.name!r} in {self.path!r}")


describe(Map, _graven.map_options())

# The abstract classes have the operators of sets; all views are live.


class MapKeys(KeysView[str]):
    """A live view of the keys of a Map; it is a set."""

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
    """A live view of the values of a Map."""

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
    """A live view of the (key, value) pairs of a Map; it is a set."""

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
    # In a container a NaN equals itself. A stored NaN has no identity, so here all NaNs are equal.
    return bool(stored is value or stored == value or (stored != stored and value != value))
